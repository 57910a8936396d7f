import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { type Book, bookOf } from './book.ts'
import { realDisk } from './disk.ts'
import { FakeDisk, type FakeDiskOptions, PowerCut } from './fake-disk.ts'
import { accepted, claimSent, claimSettled, closed, genesis, journals, opened, voucher } from './fixtures.ts'
import { Journal, readJournal } from './journal.ts'
import { ledgerOf } from './ledger.ts'
import type { JournalRecord } from './records.ts'

const PATH = '/home/journal.jsonl'
const MIB = 2n ** 20n

/** Two sessions on one channel, a claim between them. */
const STORY: JournalRecord[] = [
  genesis(),
  accepted(),
  opened(1),
  ...[1n, 2n, 3n, 4n, 5n, 6n].map((n) => voucher(1, n * MIB, 0n)),
  claimSent(1, voucher(1, 6n * MIB, 0n).cumulative),
  ...[7n, 8n, 9n].map((n) => voucher(1, n * MIB, 0n)),
  claimSettled(1, voucher(1, 6n * MIB, 0n).cumulative, 3n),
  closed(1, 10n * MIB, 0n),
  opened(2, { base: voucher(1, 9n * MIB, 0n).numerator }),
  ...[1n, 2n, 3n, 4n].map((n) => voucher(2, 0n, n * MIB, { base: voucher(1, 9n * MIB, 0n).numerator })),
]

/** A compacted journal has fewer records and the same book. */
function sameBook(a: Book, b: Book): boolean {
  b.length = a.length
  return isDeepStrictEqual(a, b)
}

async function written(records: readonly JournalRecord[], options = {}): Promise<{ disk: FakeDisk; bytes: Buffer }> {
  const disk = new FakeDisk()
  const { journal } = await Journal.open(disk, PATH, options)
  for (const record of records) await journal.append(record)
  await journal.close()
  return { disk, bytes: disk.files.get(PATH)! }
}

const opening = (bytes: Buffer) => Journal.open(new FakeDisk({}, new Map([[PATH, bytes]])), PATH)

suite('journal', () => {
  test('gives back exactly what was appended, on the real disk', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'byway-journal-'))
    try {
      const path = join(folder, 'journal.jsonl')
      const { journal } = await Journal.open(realDisk(), path)
      await Promise.all(STORY.map((record) => journal.append(record)))
      await journal.close()
      const again = await Journal.open(realDisk(), path)
      assert.deepEqual(again.records, STORY)
      assert.equal(again.tornBytes, 0)
      await again.journal.close()
      assert.deepEqual((await readJournal(realDisk(), path))?.records, STORY)
      assert.equal(await readJournal(realDisk(), join(folder, 'none')), undefined)
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  test('writes lines a person can check: crc32, a space, JSON', async () => {
    const { bytes } = await written([genesis()])
    const [sum, json] = [bytes.toString().slice(0, 8), bytes.toString().slice(9, -1)]
    assert.equal(sum, crc32(json).toString(16).padStart(8, '0'))
    assert.equal(JSON.parse(json).kind, 'genesis')
  })

  test('records queued while the disk is busy share one write and one fsync, and resolve in order', async () => {
    const disk = new FakeDisk()
    const { journal } = await Journal.open(disk, PATH)
    disk.log.length = 0
    const resolved: number[] = []
    await Promise.all(STORY.map(async (record, i) => journal.append(record).then(() => resolved.push(i))))
    assert.deepEqual(disk.log, ['append', 'sync'])
    assert.deepEqual(
      resolved,
      STORY.map((_, i) => i),
    )
    await journal.append({ kind: 'started', atMs: 9 })
    assert.deepEqual(disk.log, ['append', 'sync', 'append', 'sync'], 'a record appended later has its own')
  })

  test('refuses a record it could not read back, and goes on', async () => {
    const { journal } = await Journal.open(new FakeDisk(), PATH)
    await assert.rejects(journal.append({ ...genesis(), wallet: '0xABCDEF' }), { code: 'INTERNAL' })
    await journal.append(genesis())
    await journal.close()
    await assert.rejects(journal.append(genesis()), { code: 'DISK_FAILED' })
  })

  test('cuts off a torn tail of any length and says so', async () => {
    const { bytes } = await written(STORY)
    const lastLine = bytes.lastIndexOf(0x0a, bytes.length - 2) + 1
    for (let length = lastLine + 1; length < bytes.length; length++) {
      const { records, tornBytes, journal } = await opening(bytes.subarray(0, length))
      assert.equal(records.length, STORY.length - 1)
      assert.equal(tornBytes, length - lastLine)
      assert.equal(journal.size, lastLine)
    }
    const { records, tornBytes } = await opening(bytes)
    assert.deepEqual([records.length, tornBytes], [STORY.length, 0])
  })

  test('any flipped byte before the last write is STATE_CORRUPT naming line and byte', async () => {
    const { bytes } = await written(STORY.slice(0, 4))
    const lastLine = bytes.lastIndexOf(0x0a, bytes.length - 2) + 1
    for (let at = 0; at < lastLine; at++) {
      const damaged = Buffer.from(bytes)
      damaged[at]! ^= 0x01
      const line = bytes.subarray(0, at).toString().split('\n').length
      const start = bytes.lastIndexOf(0x0a, at - 1) + 1
      await assert.rejects(opening(damaged), (error: { code: string; facts: unknown }) => {
        assert.equal(error.code, 'STATE_CORRUPT')
        assert.deepEqual(error.facts, { path: PATH, line, byte: at === 0 ? 0 : start })
        return true
      })
    }
    assert.equal((await opening(bytes)).records.length, 4)
  })

  test('a hole in the last write is torn, the same hole before a later write is corrupt', async () => {
    const disk = new FakeDisk()
    const { journal } = await Journal.open(disk, PATH)
    await Promise.all(STORY.slice(0, 3).map((record) => journal.append(record)))
    const firstWrite = journal.size
    await Promise.all(STORY.slice(3, 6).map((record) => journal.append(record)))
    const lastWrite = Buffer.from(disk.files.get(PATH)!).fill(0, firstWrite, firstWrite + 100)
    assert.equal((await opening(lastWrite)).records.length, 3)
    await journal.append(STORY[6]!)
    const middle = Buffer.from(disk.files.get(PATH)!).fill(0, firstWrite, firstWrite + 100)
    await assert.rejects(opening(middle), { code: 'STATE_CORRUPT' })
  })

  test('a kind of record it does not know is STATE_CORRUPT even as the last line', async () => {
    const { bytes } = await written([genesis()])
    const json = '{"kind":"tribute","atMs":1}'
    const line = Buffer.from(`${crc32(json).toString(16).padStart(8, '0')} ${json}\n`)
    await assert.rejects(opening(Buffer.concat([bytes, line])), {
      code: 'STATE_CORRUPT',
      facts: { path: PATH, line: 2, byte: bytes.length },
    })
  })

  test('never throws anything but STATE_CORRUPT on random bytes', async () => {
    const { bytes } = await written(STORY)
    const pieces = fc.array(
      fc.oneof(
        fc.uint8Array({ maxLength: 40 }),
        fc.nat(bytes.length).map((at) => bytes.subarray(at, at + 500)),
      ),
      { maxLength: 4 },
    )
    await fc.assert(
      fc.asyncProperty(pieces, async (parts) => {
        await opening(Buffer.concat(parts)).catch((error) => assert.equal(error.code, 'STATE_CORRUPT'))
      }),
      { numRuns: 2_000 },
    )
  })
})

suite('journal, when the disk fails', () => {
  for (const [operation, errno] of [
    ['sync', 'EIO'],
    ['append', 'ENOSPC'],
  ] as const) {
    test(`acknowledges nothing after ${errno} from ${operation}, and touches the disk no more`, async () => {
      let broken = false
      const disk = new FakeDisk({
        onOperation(name) {
          if (broken && name === operation) throw Object.assign(new Error(errno), { code: errno })
        },
      })
      const { journal } = await Journal.open(disk, PATH)
      await journal.append(genesis())
      broken = true
      const both = await Promise.allSettled([journal.append(accepted()), journal.append(opened(1))])
      assert.deepEqual(
        both.map((result) => result.status === 'rejected' && result.reason.code),
        ['DISK_FAILED', 'DISK_FAILED'],
      )
      // The disk "recovers", as a kernel that dropped the dirty pages does.
      broken = false
      const operations = disk.log.length
      await assert.rejects(journal.append(accepted()), { code: 'DISK_FAILED' })
      assert.equal(disk.log.length, operations)
      // A restart finds what was durable and goes on.
      const again = await Journal.open(new FakeDisk({}, disk.files), PATH)
      await again.journal.append({ kind: 'started', atMs: 1 })
    })
  }
})

suite('journal compaction', () => {
  const options = { compactAboveBytes: 3_000 }

  test('drops vouchers that a later one of the same session replaced, and keeps the book', async () => {
    const many = [
      ...STORY,
      ...Array.from({ length: 200 }, (_, n) => voucher(2, 0n, BigInt(n + 5) * MIB, { base: voucher(1, 9n * MIB, 0n).numerator })),
    ]
    const { disk, bytes } = await written(many, options)
    const whole = await written(many)
    assert.ok(bytes.length < whole.bytes.length / 3, `${bytes.length} of ${whole.bytes.length} bytes`)
    const { records } = (await readJournal(disk, PATH))!
    assert.ok(records.length < many.length)
    assert.ok(sameBook(bookOf(records), bookOf(many)))
  })

  test('gives the same book and ledger for every legal journal', async () => {
    for (const role of ['provider', 'consumer'] as const) {
      let shorter = 0
      await fc.assert(
        fc.asyncProperty(journals(role, 120), async (records) => {
          const { disk } = await written(records, { compactAboveBytes: 1_000 })
          const compacted = (await readJournal(disk, PATH))!.records
          if (compacted.length < records.length) shorter++
          assert.ok(sameBook(bookOf(compacted), bookOf(records)))
          assert.deepEqual(ledgerOf(compacted), ledgerOf(records))
        }),
        { numRuns: 150 },
      )
      assert.ok(shorter > 10, `only ${shorter} journals were compacted`)
    }
  })

  test('goes on appending, compacting and reopening', async () => {
    const disk = new FakeDisk()
    const all: JournalRecord[] = [genesis(), accepted(), opened(1)]
    for (let round = 0; round < 5; round++) {
      const { journal, records } = await Journal.open(disk, PATH, options)
      if (round > 0) assert.ok(sameBook(bookOf(records), bookOf(all)))
      for (const record of round === 0 ? all : []) await journal.append(record)
      for (let n = 0; n < 30; n++) {
        const next = voucher(1, BigInt(round * 30 + n + 1) * MIB, 0n)
        all.push(next)
        await journal.append(next)
      }
      await journal.close()
      assert.ok(journal.size < 2 * options.compactAboveBytes)
    }
  })
})

suite('journal, when the power fails', () => {
  const options = { compactAboveBytes: 2_500 }

  /** Appends the story in small groups until the power fails; tells how many records were acknowledged. */
  async function run(disk: FakeDisk): Promise<number> {
    let acknowledged = 0
    try {
      let { journal } = await Journal.open(disk, PATH, options)
      for (let at = 0; at < STORY.length; at += 2) {
        const group = await Promise.allSettled(STORY.slice(at, at + 2).map((record) => journal.append(record)))
        acknowledged += group.filter(({ status }) => status === 'fulfilled').length
        if (group.some(({ status }) => status === 'rejected')) return acknowledged
        if (at !== 12) continue
        await journal.close()
        journal = (await Journal.open(disk, PATH, options)).journal
      }
    } catch (error) {
      assert.ok(error instanceof PowerCut)
    }
    return acknowledged
  }

  /** Records of the story the files tell of, or undefined when they tell of none. */
  async function recovered(files: Map<string, Buffer>): Promise<number | undefined> {
    const { records } = await Journal.open(new FakeDisk({}, files), PATH, options)
    const book = bookOf(records)
    for (let count = STORY.length; count >= 0; count--) if (sameBook(book, bookOf(STORY.slice(0, count)))) return count
    return undefined
  }

  async function matrix(fake: FakeDiskOptions): Promise<{ cuts: number; disks: number; lost: string[] }> {
    const whole = new FakeDisk(fake)
    assert.equal(await run(whole), STORY.length)
    assert.ok(whole.log.includes('rename'), 'the story is long enough to be compacted')
    const lost: string[] = []
    let disks = 0
    for (let cutAt = 0; cutAt <= whole.log.length; cutAt++) {
      const disk = new FakeDisk({ ...fake, cutAt })
      const acknowledged = await run(disk)
      for (const { fate, files } of disk.survivors()) {
        disks++
        const found = await recovered(files).catch((error: Error) => error.message)
        if (typeof found !== 'number' || found < acknowledged)
          lost.push(`cut at ${cutAt} (${fate}): ${acknowledged} acknowledged, ${found} found`)
      }
    }
    return { cuts: whole.log.length + 1, disks, lost }
  }

  test('at any operation, whatever unsynced part survives, no acknowledged record is lost', async () => {
    const { cuts, disks, lost } = await matrix({})
    assert.deepEqual(lost, [])
    assert.ok(cuts > 30 && disks > 150, `${cuts} cuts, ${disks} disks`)
  })

  test('and again while it recovers from a torn write', async () => {
    const { bytes } = await written(STORY)
    const torn = new Map([[PATH, bytes.subarray(0, bytes.length - 10)]])
    for (let cutAt = 0; cutAt < 6; cutAt++) {
      const disk = new FakeDisk({ cutAt }, torn)
      await Journal.open(disk, PATH).catch((error) => assert.ok(error instanceof PowerCut))
      for (const { files } of disk.survivors()) assert.equal(await recovered(files), STORY.length - 1)
    }
  })

  test('a disk that lies about fsync does lose records (positive control)', async () => {
    const { lost } = await matrix({ lies: true })
    assert.ok(lost.length > 0)
  })
})

suite('journal at full size', () => {
  /** The bar is a million; BYWAY_TEST_FULL=1 runs it all. */
  const VOUCHERS = process.env.BYWAY_TEST_FULL === '1' ? 1_000_000 : 60_000
  const SESSIONS = 100

  test(`opens in under 5 s and stays under 200 MB after ${VOUCHERS} vouchers`, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'byway-journal-'))
    try {
      const path = join(folder, 'journal.jsonl')
      const { journal } = await Journal.open(realDisk({ fsync: 'off' }), path)
      await journal.append(genesis())
      let largest = 0
      let base = 0n
      await journal.append(accepted(0, 10n ** 18n))
      for (let session = 0; session < SESSIONS; session++) {
        const batch: Promise<void>[] = [journal.append(opened(session, { base }))]
        for (let n = 1; n <= VOUCHERS / SESSIONS; n++) {
          const next = voucher(session, 0n, BigInt(n) * MIB, { base })
          batch.push(journal.append(next))
          if (n === VOUCHERS / SESSIONS) base = next.numerator
        }
        await Promise.all(batch)
        largest = Math.max(largest, journal.size)
      }
      await journal.close()
      assert.ok(largest < 200e6, `${largest} bytes`)
      const again = await Journal.open(realDisk(), path)
      const book = bookOf(again.records)
      await again.journal.close()
      assert.equal(book.sessions.size, SESSIONS)
      assert.equal(book.channel(accepted().rootId, 0)?.numerator, base)
      assert.ok((await readFile(path)).length < 200e6)
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  test('opens a file of 40,000 live lines', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'byway-journal-'))
    try {
      const path = join(folder, 'journal.jsonl')
      const { journal } = await Journal.open(realDisk({ fsync: 'off' }), path)
      const lines = Array.from({ length: 20_000 }, (_, n) => [opened(n), closed(n, 1n, 1n)]).flat()
      await Promise.all([genesis(), accepted(), ...lines].map((record) => journal.append(record)))
      await journal.close()
      const { records } = (await readJournal(realDisk(), path))!
      assert.equal(records.length, 40_002)
      await writeFile(path, '')
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})
