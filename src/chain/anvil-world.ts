/** The file a devnet's world lies in: found whole, saved while the chain runs, written so that it is never half there. */
import { mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import { z } from 'zod'
import type { Hex } from '../protocol/bytes.ts'
import { BywayError } from '../protocol/errors.ts'
import type { Observer } from '../protocol/observe.ts'
import { pause } from './pause.ts'
import type { Rpc } from './rpc.ts'

// --- Our choices. Safe to change. ---
/** Pause between two looks for new blocks: what a killed anvil may lose. */
const LOOK_EVERY_MS = 1_000
/** A save may take at most a tenth of the time: a large world is saved less often. */
const SAVE_SHARE = 10
/** An anvil whose parent was killed writes its world and exits; so long we wait for it before we start over that world. */
const PREDECESSOR_TIMEOUT_MS = 10_000
const PREDECESSOR_LOOK_MS = 50

/** anvil writes here on exit, we adopt it when it is whole. */
export const exitDumpOf = (worldFile: string) => `${worldFile}.exit`
const pidFileOf = (worldFile: string) => `${worldFile}.pid`

/** Makes the world ready to be loaded. Returns whether there is one. */
export async function prepareWorld(worldFile: string, signal?: AbortSignal): Promise<boolean> {
  await disk('prepare', () => mkdir(dirname(worldFile), { recursive: true }))
  await awaitPredecessor(worldFile, signal)
  await adoptExitDump(worldFile)
  return (await readIfThere(worldFile)) !== undefined
}

/** Half a JSON object is never JSON: so a dump that parses is whole. A clean exit comes after every save, so it is never older. */
export async function adoptExitDump(worldFile: string): Promise<void> {
  const dump = await readIfThere(exitDumpOf(worldFile))
  if (dump === undefined) return
  if (isJson(dump)) await replaceWorld(worldFile, exitDumpOf(worldFile))
  else await disk('drop', () => rm(exitDumpOf(worldFile), { force: true }))
}

export interface WorldKeeper {
  /** Saves it now. An anvil that is stopped right after its start may exit without its own dump. */
  save(): Promise<void>
  end(): Promise<void>
}

/** Saves the world whenever there are new blocks, until end(). An idle chain costs one small request a second. */
export async function keepWorld(worldFile: string, pid: number, rpc: Rpc, observer: Observer): Promise<WorldKeeper> {
  await disk('note', () => writeFile(pidFileOf(worldFile), `${pid}\n`))
  const ending = new AbortController()
  let saved: string | undefined
  const look = async (always: boolean) => {
    const block = await rpc.request(z.string(), 'eth_blockNumber', [], ending.signal)
    if (block === saved && !always) return
    await save(worldFile, await rpc.request(dumpSchema, 'anvil_dumpState', [], ending.signal))
    saved = block
  }
  // One save at a time: they write to the same place.
  let turn: Promise<void> = Promise.resolve()
  const keep = (always = false): Promise<void> => {
    const mine = turn.catch(() => {}).then(() => look(always))
    turn = mine
    return mine
  }
  const keepOn = async () => {
    while (!ending.signal.aborted) {
      const began = performance.now()
      try {
        await keep()
      } catch (error) {
        // A full disk must not end the chain: the next round tries again.
        if (!ending.signal.aborted) observer.log('world-not-saved', { why: error instanceof Error ? error.message : String(error) })
      }
      const tookMs = performance.now() - began
      await delay(Math.max(LOOK_EVERY_MS, tookMs * (SAVE_SHARE - 1)), undefined, { signal: ending.signal, ref: false }).catch(() => {
        // Aborted by end(): the loop's condition sees it.
      })
    }
  }
  const kept = keepOn()
  return {
    save: () => keep(true),
    async end() {
      ending.abort()
      await kept
      await disk('forget', () => rm(pidFileOf(worldFile), { force: true }))
    },
  }
}

const dumpSchema = z
  .string()
  .regex(/^0x[0-9a-f]+$/)
  .transform((dump) => dump as Hex)

/** anvil_dumpState gives gzip; --load-state reads what is inside. Replaced in one step, and on disk before it replaces. */
async function save(worldFile: string, dump: Hex): Promise<void> {
  const world = await promisify(gunzip)(Buffer.from(dump.slice(2), 'hex'))
  const fresh = `${worldFile}.new`
  await disk('save', () => writeFile(fresh, world))
  await replaceWorld(worldFile, fresh)
}

/** In this order: or a power cut could leave the new name with nothing behind it. */
async function replaceWorld(worldFile: string, fresh: string): Promise<void> {
  await disk('save', async () => {
    const file = await open(fresh, 'r+')
    try {
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(fresh, worldFile)
  })
}

/** A number may be reused by another program after a restart of the machine: then the wait is in vain, but bounded. */
async function awaitPredecessor(worldFile: string, signal?: AbortSignal): Promise<void> {
  const pid = Number(await readIfThere(pidFileOf(worldFile)))
  if (!Number.isInteger(pid) || pid <= 0) return
  for (let waited = 0; waited < PREDECESSOR_TIMEOUT_MS && isAlive(pid); waited += PREDECESSOR_LOOK_MS) {
    await pause(PREDECESSOR_LOOK_MS, signal)
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false // gone, or somebody else's process (EPERM) and so not our chain
  }
}

function isJson(text: Buffer): boolean {
  try {
    JSON.parse(text.toString())
    return true
  } catch {
    return false
  }
}

async function readIfThere(file: string): Promise<Buffer | undefined> {
  try {
    return await readFile(file)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw diskFailure('read', error)
  }
}

async function disk<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw diskFailure(what, error)
  }
}

function diskFailure(what: string, cause: unknown): BywayError {
  return new BywayError('DISK_FAILED', `cannot ${what} the world of the local chain`, {
    cause,
    hint: 'is the disk full, or the folder not ours?',
  })
}
