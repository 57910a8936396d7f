/**
 * The devnet: an anvil process whose world outlives it.
 *
 * The world lies in one file that is always whole. anvil itself truncates and rewrites its state file, so a kill in the middle leaves half a
 * world and a chain that refuses to start; so it never touches ours: {@link keepWorld} saves it after new blocks, and what anvil dumps
 * beside it on a clean exit is adopted only when whole.
 *
 * What a crash costs: nothing when this process dies (anvil notices, dumps and exits), at most about a second of blocks when anvil itself
 * is killed or the power fails. Transactions of that second are gone as after a reorganisation; opening and claiming may be repeated.
 *
 * Time: a block is stamped with the computer's clock, also after a pause of days. Had the chain's time been moved ahead, it stays ahead.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'
import { asBywayError, BywayError } from '../protocol/errors.ts'
import { type Observer, silent } from '../protocol/observe.ts'
import { adoptExitDump, exitDumpOf, keepWorld, prepareWorld } from './anvil-world.ts'
import { createRpc, type Rpc } from './rpc.ts'

/** Chain id of every devnet: the one development tools expect. */
export const DEVNET_CHAIN_ID = 31_337

// --- Our choices. Safe to change. ---
/** From spawn to listening: 0.1 s for an empty world, about a second for one of 100,000 transactions, more on a busy machine. */
const START_TIMEOUT_MS = 60_000
/** From the request to stop until the process is gone; it writes its world meanwhile. */
const STOP_TIMEOUT_MS = 20_000
/** Blocks whose state can still be asked for. Receipts and logs are kept for all; older states would be spilled into the home folder. */
const STATES_KEPT = 64
/** What is kept of anvil's words for an error message. */
const WORDS_KEPT = 4_000

export interface AnvilOptions {
  /** Absent: a world in memory that ends with the process. */
  worldFile?: string
  /** Absent or 0: a free one. A busy one is PORT_BUSY. */
  port?: number
  chainId?: number
  /** The anvil program; absent: the one installed with this package. */
  program?: string
  observer?: Observer
}

export interface Anvil {
  readonly url: string
  readonly port: number
  readonly chainId: number
  /** Process group of anvil: only for signals that end it the hard way. */
  readonly pid: number
  readonly rpc: Rpc
  /** Settles once the process is gone: undefined after stop(), else CHILD_FAILED (or DISK_FAILED). Never rejects. */
  readonly ended: Promise<BywayError | undefined>
  /** Ends the process and waits until its world is on disk. May be called again. */
  stop(): Promise<void>
}

export async function startAnvil(options: AnvilOptions = {}, signal?: AbortSignal): Promise<Anvil> {
  const { worldFile, port = 0, chainId = DEVNET_CHAIN_ID, program = anvilProgram(), observer = silent } = options
  signal?.throwIfAborted()
  const loaded = worldFile === undefined ? false : await prepareWorld(worldFile, signal)

  const flags = [
    '--host',
    '127.0.0.1',
    '--port',
    `${port}`,
    '--chain-id',
    `${chainId}`,
    '--hardfork',
    'osaka',
    '--prune-history',
    `${STATES_KEPT}`,
  ]
  // Web pages of other sites could otherwise send transactions from the accounts that a devnet leaves unlocked.
  flags.push('--no-cors')
  if (worldFile !== undefined) flags.push('--dump-state', exitDumpOf(worldFile))
  if (worldFile !== undefined && loaded) flags.push('--load-state', worldFile)

  // A group of its own (detached), because Ctrl-C reaches the whole group of a terminal and the chain must outlive the daemons that use it.
  const child = spawn('/bin/sh', ['-c', GUARDED, 'anvil', program, ...flags], { detached: true, stdio: ['pipe', 'pipe', 'pipe'] })
  let stopping = false
  const gone = exitOf(child)
  const listening = listeningPort(child, port, program, gone)
  try {
    const heard = await settled(listening, AbortSignal.any([AbortSignal.timeout(START_TIMEOUT_MS), ...(signal ? [signal] : [])]))
    const url = `http://127.0.0.1:${heard}`
    const rpc = createRpc({ urls: [url], chainId })
    if (loaded) await catchUpTime(rpc, signal)
    const keeper = worldFile === undefined ? undefined : await keepWorld(worldFile, child.pid!, rpc, observer)

    const ended = gone.then(async (how) => {
      try {
        await keeper?.end()
        if (worldFile !== undefined) await adoptExitDump(worldFile)
      } catch (error) {
        return asBywayError(error, 'DISK_FAILED')
      }
      return stopping
        ? undefined
        : new BywayError('CHILD_FAILED', `the local chain ended (${how})`, { hint: 'start again: the same world continues' })
    })
    return {
      url,
      port: heard,
      chainId,
      pid: child.pid!,
      rpc,
      ended,
      async stop() {
        if (!stopping) await keeper?.save().catch((error: Error) => observer.log('world-not-saved', { why: error.message }))
        stopping = true
        await end(child, gone)
        await ended
      },
    }
  } catch (error) {
    await end(child, gone)
    throw error
  }
}

/**
 * anvil with a guard: when the pipe to our process closes (we asked it to, or we were killed), anvil gets SIGTERM, dumps its world and exits.
 * Without it a killed daemon would leave an orphan on the port. `$@` is the program and its flags; fd 3 is the pipe, which a background
 * job would otherwise lose (POSIX gives it /dev/null as stdin).
 */
const GUARDED = `
exec 3<&0
"$@" <&- 3<&- &
node=$!
{ read -r _ <&3; kill -TERM $node; } 2>&- &
guard=$!
wait $node
status=$?
kill $guard 2>&-
exit $status`

/** Path of the anvil that npm installed for this platform. */
function anvilProgram(): string {
  const architecture = process.arch === 'x64' ? 'amd64' : process.arch
  const name = `@foundry-rs/anvil-${process.platform}-${architecture}`
  try {
    // Resolved from anvil's own package: npm need not hoist its optional dependencies up to ours.
    const require = createRequire(createRequire(import.meta.url).resolve('@foundry-rs/anvil/package.json'))
    return require.resolve(`${name}/bin/anvil`)
  } catch (cause) {
    throw new BywayError('CHILD_FAILED', `the program of the local chain is not installed (${name})`, {
      cause,
      facts: { package: name },
      hint: 'run `npm install --include=optional`; on another platform point --rpc at a chain of your own',
    })
  }
}

/** How the process ended, in words. */
function exitOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message))
    // If only the shell was killed, anvil and the guard would live on: the group goes with it.
    child.once('exit', () => killGroup(child))
    // `close` comes after the last words were read.
    child.once('close', (code, by) => resolve(by === null ? `exit code ${code}` : `signal ${by}`))
  })
}

/** The port anvil says it listens on. Rejects with what anvil said when it ends before. */
function listeningPort(child: ChildProcess, port: number, program: string, gone: Promise<string>): Promise<number> {
  let words = ''
  const listening = Promise.withResolvers<number>()
  let heard: RegExpExecArray | null = null
  const hear = (part: Buffer) => {
    if (heard) return
    words = (words + part.toString()).slice(-WORDS_KEPT)
    heard = /Listening on 127\.0\.0\.1:(\d+)/.exec(words)
    if (heard) listening.resolve(Number(heard[1]))
  }
  // Read for ever, or anvil would block on a full pipe: it prints a line for each request.
  child.stdout?.on('data', hear)
  child.stderr?.on('data', hear)
  void gone.then((how) => listening.reject(startFailure(how, words.trim(), port, program)))
  return listening.promise
}

function startFailure(how: string, words: string, port: number, program: string): BywayError {
  if (/address already in use/i.test(words)) {
    return new BywayError('PORT_BUSY', `port ${port} for the local chain is in use`, { facts: { port }, hint: 'choose another port' })
  }
  if (words.includes('--load-state')) {
    return new BywayError('STATE_CORRUPT', 'the local chain cannot read its world', {
      facts: { said: words },
      hint: 'move the file away to begin a new world',
    })
  }
  return new BywayError('CHILD_FAILED', `the local chain did not start (${how})`, { facts: { said: words, program } })
}

/** `promise`, unless `signal` comes first. */
async function settled<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>()
  const onAbort = () => {
    const late = signal.reason instanceof DOMException && signal.reason.name === 'TimeoutError'
    aborted.reject(
      late ? new BywayError('CHILD_FAILED', `the local chain did not listen within ${START_TIMEOUT_MS / 1000} s`) : signal.reason,
    )
  }
  if (signal.aborted) onAbort()
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([promise, aborted.promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

async function end(child: ChildProcess, gone: Promise<string>): Promise<void> {
  child.stdin?.end()
  const timer = new AbortController()
  const late = delay(STOP_TIMEOUT_MS, true, { signal: timer.signal }).catch(() => false)
  if (await Promise.race([gone.then(() => false), late])) killGroup(child)
  timer.abort()
  await gone
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch {
    // Nobody is left in the group: what we wanted.
  }
}

const headSchema = z.object({ timestamp: z.string().transform(Number) })

/**
 * After a pause the newest block is old, and `latest` is what everybody reads the time from: one empty block brings it to now.
 * anvil forgets that its time was moved ahead; block times must not run backwards, so it is moved again.
 */
async function catchUpTime(rpc: Rpc, signal?: AbortSignal): Promise<void> {
  const head = await rpc.request(headSchema, 'eth_getBlockByNumber', ['latest', false], signal)
  const aheadS = head.timestamp - Math.floor(Date.now() / 1000)
  if (aheadS > 0) await rpc.request(z.unknown(), 'evm_increaseTime', [aheadS], signal)
  await rpc.request(z.unknown(), 'evm_mine', [], signal)
}
