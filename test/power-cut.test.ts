/**
 * Real processes, killed with SIGKILL while they write vouchers: nothing they acknowledged may be missing afterwards.
 *
 * A kill alone proves little, as the kernel keeps what a dead process wrote. The power-cut disk keeps unsynced bytes in the process, so
 * that the kill takes them along; run once more without fsync it must lose vouchers, or this test could not see a loss at all.
 * BYWAY_TEST_KILLS sets the kills of each disk; the release bar is 1,000 (0 lost in N means less than 3/N a kill).
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { bookOf } from '../src/wallet/book.ts'
import { realDisk } from '../src/wallet/disk.ts'
import { ROOT } from '../src/wallet/fixtures.ts'
import { readJournal } from '../src/wallet/journal.ts'

const KILLS = Number(process.env.BYWAY_TEST_KILLS ?? 8)
/** A process is killed after a random number of acknowledgements up to this: from its first write to several compactions. */
const MOST_ACKS = 600

const module = (path: string) => JSON.stringify(new URL(path, import.meta.url).href)

/** Opens the journal argv[1], goes on from what it finds, and writes vouchers, ten at a time; says `ack N` once one is durable. */
const WRITER = `
  import { writeSync } from 'node:fs'
  import { bookOf } from ${module('../src/wallet/book.ts')}
  import { diskFromEnvironment } from ${module('../src/wallet/disk.ts')}
  import { accepted, genesis, opened, ROOT, voucher } from ${module('../src/wallet/fixtures.ts')}
  import { Journal } from ${module('../src/wallet/journal.ts')}

  const { journal, records } = await Journal.open(diskFromEnvironment(process.env), process.argv[1], { compactAboveBytes: 64 * 1024 })
  if (records.length === 0) await journal.append(genesis())
  const book = bookOf(records.length === 0 ? [genesis()] : records)
  if (book.channel(ROOT, 0) === undefined) await journal.append(accepted())
  const base = book.channel(ROOT, 0)?.numerator ?? 0n
  const session = 's' + book.sessions.size
  await journal.append(opened(session, { base, pricePerGib: 2n ** 30n }))
  for (let n = 1n; ; n++) {
    // One unit a byte: the amount of a voucher is its number.
    const next = voucher(session, n, 0n, { base, pricePerGib: 2n ** 30n })
    const durable = journal.append(next).then(() => writeSync(1, 'ack ' + next.cumulative + '\\n'))
    if (n % 10n === 0n) await durable
  }
`

/** Runs a writer, kills it after some acknowledgements, and returns the last one it printed. */
async function writeUntilKilled(path: string, env: Record<string, string>, acks: number): Promise<bigint> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', WRITER, path], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  let seen = 0
  for await (const chunk of child.stdout) {
    output += String(chunk)
    seen += String(chunk).split('\n').length - 1
    if (seen >= acks && !child.killed) child.kill('SIGKILL')
  }
  assert.ok(child.killed, `the writer ended by itself: ${output.slice(-200)}`)
  // What the pipe still held counts: it was said. Half a line was not.
  const last = output.slice(0, output.lastIndexOf('\n')).split('\n').at(-1) ?? ''
  return BigInt(last.replace('ack ', ''))
}

/** Kills a writer `kills` times on one journal; how many acknowledged vouchers were gone after each. */
async function losses(env: Record<string, string>, kills: number): Promise<bigint[]> {
  const folder = await mkdtemp(join(tmpdir(), 'byway-power-'))
  try {
    const path = join(folder, 'journal.jsonl')
    const lost: bigint[] = []
    for (let kill = 0; kill < kills; kill++) {
      const acknowledged = await writeUntilKilled(path, env, 1 + Math.floor(Math.random() * MOST_ACKS))
      const { records } = (await readJournal(realDisk(), path)) ?? { records: [] }
      const found = bookOf(records).channel(ROOT, 0)?.cumulative ?? 0n
      lost.push(acknowledged > found ? acknowledged - found : 0n)
    }
    return lost
  } finally {
    await rm(folder, { recursive: true })
  }
}

test(`${KILLS} kills on the real disk lose no acknowledged voucher`, async () => {
  assert.deepEqual(
    (await losses({}, KILLS)).filter((lost) => lost > 0n),
    [],
  )
})

test(`${KILLS} power cuts lose no acknowledged voucher`, async () => {
  assert.deepEqual(
    (await losses({ BYWAY_DEBUG_POWER_CUT: '1' }, KILLS)).filter((lost) => lost > 0n),
    [],
  )
})

test('power cuts without fsync do lose acknowledged vouchers (positive control)', async () => {
  const kills = 3
  const lost = await losses({ BYWAY_DEBUG_POWER_CUT: '1', BYWAY_DEBUG_FSYNC: 'off' }, kills)
  assert.ok(
    lost.some((count) => count > 0n),
    `lost ${lost.join(', ')}`,
  )
})
