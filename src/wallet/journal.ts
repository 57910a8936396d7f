/**
 * The voucher journal: an append-only file that survives power cuts, and the only store of a node's money.
 *
 *     3f9a01c2 {"kind":"genesis",…}        crc32 of the rest of the line, a space, the record as JSON
 *     77b0e1d4 {"kind":"voucher",…}
 *     0a94bb10  {"kind":"voucher",…}       a second space: written in one go with the line before it
 *
 * A record's promise resolves when it is durable, and only then may anything be sent or acknowledged because of it. Records queued while
 * the disk is busy share the next write and the next fsync (group commit), so the rate of vouchers is not bound to the rate of fsyncs.
 *
 * One write follows the other only after an fsync, so a crash can damage the last write alone. A damaged line is therefore cut off when
 * no later write follows it; if one does, the file was damaged some other way and opening it is STATE_CORRUPT.
 */
import { dirname } from 'node:path'
import { crc32 } from 'node:zlib'
import { BywayError } from '../protocol/errors.ts'
import { Superseded } from './compaction.ts'
import type { Disk, LogFile } from './disk.ts'
import { type JournalRecord, journalRecord, recordText } from './records.ts'

export interface JournalOptions {
  /** Below this size the file is never compacted. */
  compactAboveBytes?: number
}

export interface JournalContent {
  records: JournalRecord[]
  /** Bytes after the last whole line: a write that a crash cut short. Nothing in it was ever acknowledged. */
  tornBytes: number
}

/** About 20,000 vouchers: a tenth of a second to open, and compaction (tens of milliseconds) is rare. */
const COMPACT_ABOVE_BYTES = 8 * 1024 * 1024
const CRC_DIGITS = 8
const NEWLINE = 0x0a
const SPACE = 0x20

interface Entry {
  record: JournalRecord
  text: string
  resolve: () => void
  reject: (error: BywayError) => void
}

export class Journal {
  readonly #disk: Disk
  readonly #path: string
  readonly #compactAboveBytes: number
  readonly #superseded: Superseded
  #file: LogFile
  #queue: Entry[] = []
  #writing: Promise<void> | undefined
  #failure: BywayError | undefined
  readonly #failed = Promise.withResolvers<BywayError>()

  /** Reads the file, cuts off a torn tail, and opens it for appending. Makes an empty one if there is none. */
  static async open(disk: Disk, path: string, options: JournalOptions = {}): Promise<JournalContent & { journal: Journal }> {
    const file = await disk.open(path, 'append')
    try {
      const superseded = new Superseded()
      const bytes = await file.readAll()
      const { records, tornBytes } = parse(path, bytes, (record, start, end) => superseded.note(record, start, end))
      if (tornBytes > 0) {
        await file.truncate(bytes.length - tornBytes)
        await file.sync()
      }
      await disk.remove(compactedPath(path))
      await disk.syncFolder(dirname(path))
      return { records, tornBytes, journal: new Journal(disk, path, file, superseded, options) }
    } catch (error) {
      await file.close()
      throw error
    }
  }

  private constructor(disk: Disk, path: string, file: LogFile, superseded: Superseded, options: JournalOptions) {
    this.#disk = disk
    this.#path = path
    this.#file = file
    this.#superseded = superseded
    this.#compactAboveBytes = options.compactAboveBytes ?? COMPACT_ABOVE_BYTES
  }

  get size(): number {
    return this.#file.size
  }

  /** Resolves when the disk failed. Whoever holds money here must stop then: memory is ahead of the file. */
  get failed(): Promise<BywayError> {
    return this.#failed.promise
  }

  /**
   * Resolves when the record is durable. Promises of one write resolve together, in the order of the calls.
   * After any failure of the disk every call rejects with DISK_FAILED: what the file holds is then known only after a restart.
   */
  append(record: JournalRecord): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    let text: string
    try {
      text = recordText(record)
    } catch (thrown) {
      return Promise.reject(thrown)
    }
    return new Promise((resolve, reject) => {
      this.#queue.push({ record, text, resolve, reject })
      this.#writing ??= this.#write()
    })
  }

  /** Waits for what was appended, then lets the file go. Whatever is appended later is refused. */
  async close(): Promise<void> {
    await this.#writing
    this.#failure ??= new BywayError('DISK_FAILED', `${this.#path} is closed`, { facts: { path: this.#path } })
    await this.#file.close()
  }

  async #write(): Promise<void> {
    // Callers of the same turn of the event loop join the first write.
    await Promise.resolve()
    while (this.#queue.length > 0) {
      const batch = this.#queue
      this.#queue = []
      try {
        await this.#writeBatch(batch)
        for (const entry of batch) entry.resolve()
        if (this.#compactionIsDue()) await this.#compact()
      } catch (error) {
        this.#fail(error, batch)
      }
    }
    this.#writing = undefined
  }

  async #writeBatch(batch: readonly Entry[]): Promise<void> {
    const lines = batch.map((entry, position) => encodeLine(position === 0 ? entry.text : ` ${entry.text}`))
    let start = this.#file.size
    await this.#file.append(Buffer.concat(lines))
    await this.#file.sync()
    for (const [position, line] of lines.entries()) {
      this.#superseded.note(batch[position]!.record, start, start + line.length)
      start += line.length
    }
  }

  #fail(error: unknown, batch: readonly Entry[]): void {
    const failure =
      error instanceof BywayError && error.code === 'DISK_FAILED'
        ? error
        : new BywayError('DISK_FAILED', `could not write ${this.#path}`, { cause: error, facts: { path: this.#path } })
    this.#failure = failure
    this.#failed.resolve(failure)
    for (const entry of [...batch, ...this.#queue.splice(0)]) entry.reject(failure)
  }

  #compactionIsDue(): boolean {
    return this.#file.size > this.#compactAboveBytes && this.#superseded.bytes * 2 >= this.#file.size
  }

  /**
   * Writes the lines that still count to a second file and gives it the journal's name. Until the rename is durable the old file holds
   * everything, after it the new one does, and nothing is acknowledged in between.
   */
  async #compact(): Promise<void> {
    const { bytes, moved } = keepOnly(await this.#file.readAll(), this.#superseded)
    const temporary = compactedPath(this.#path)
    const file = await this.#disk.open(temporary, 'fresh')
    await file.append(bytes)
    await file.sync()
    await this.#disk.rename(temporary, this.#path)
    await this.#disk.syncFolder(dirname(this.#path))
    await this.#file.close()
    this.#file = file
    this.#superseded.dropped(moved)
  }
}

/** Reads a journal that a daemon may be appending to. Changes nothing; undefined when there is none. */
export async function readJournal(disk: Pick<Disk, 'read'>, path: string): Promise<JournalContent | undefined> {
  const bytes = await disk.read(path)
  return bytes === undefined ? undefined : parse(path, bytes, () => {})
}

const compactedPath = (path: string) => `${path}.compacted`

function encodeLine(text: string): Buffer {
  return Buffer.from(`${crc32(text).toString(16).padStart(CRC_DIGITS, '0')} ${text}\n`)
}

/** The text of a line whose checksum is right, else undefined. `end` is behind the newline. */
function textOf(bytes: Buffer, start: number, end: number): Buffer | undefined {
  const textStart = start + CRC_DIGITS + 1
  if (end <= textStart || bytes[textStart - 1] !== SPACE || bytes[end - 1] !== NEWLINE) return undefined
  const text = bytes.subarray(textStart, end - 1)
  const digits = bytes.toString('latin1', start, textStart - 1)
  return /^[0-9a-f]{8}$/.test(digits) && Number.parseInt(digits, 16) === crc32(text) ? text : undefined
}

function* linesOf(bytes: Buffer): Generator<{ start: number; end: number }> {
  for (let start = 0; start < bytes.length; ) {
    const newline = bytes.indexOf(NEWLINE, start)
    const end = newline < 0 ? bytes.length : newline + 1
    yield { start, end }
    start = end
  }
}

function parse(path: string, bytes: Buffer, note: (record: JournalRecord, start: number, end: number) => void): JournalContent {
  const records: JournalRecord[] = []
  let line = 0
  for (const { start, end } of linesOf(bytes)) {
    line++
    const text = textOf(bytes, start, end)
    if (text === undefined) {
      if (laterWriteFollows(bytes, start + 1)) throw corrupt(path, line, start, 'its checksum is wrong and whole lines follow')
      return { records, tornBytes: bytes.length - start }
    }
    const record = decode(text)
    if (record === undefined) throw corrupt(path, line, start, 'it is no record this version knows')
    records.push(record)
    note(record, start, end)
  }
  return { records, tornBytes: 0 }
}

/** How a line looks that began a write: one space, then JSON. A continuation has two. */
const WRITE_BEGINS = /[0-9a-f]{8} \{/g

/** Whether a whole line that began a write of its own stands behind `from`, be it behind a newline that was damaged too. */
function laterWriteFollows(bytes: Buffer, from: number): boolean {
  for (const { index } of bytes.toString('latin1', from).matchAll(WRITE_BEGINS)) {
    const start = from + index
    const newline = bytes.indexOf(NEWLINE, start)
    if (newline >= 0 && textOf(bytes, start, newline + 1) !== undefined) return true
  }
  return false
}

function decode(text: Buffer): JournalRecord | undefined {
  let json: unknown
  try {
    json = JSON.parse(text.toString())
  } catch {
    return undefined // The caller names line and byte, which says more than the parser's message.
  }
  const result = journalRecord.safeParse(json)
  return result.success ? result.data : undefined
}

function corrupt(path: string, line: number, byte: number, why: string): BywayError {
  return new BywayError('STATE_CORRUPT', `line ${line} (byte ${byte}) of ${path} cannot be used: ${why}`, {
    facts: { path, line, byte },
    hint: 'Keep a copy of the folder. If a newer Byway wrote it, run that one; else check the disk and restore the latest backup: peers and chain are asked for what it lacks.',
  })
}

/** The journal without its superseded lines. Each line stands alone in it: all of them are durable already. */
function keepOnly(bytes: Buffer, superseded: Superseded): { bytes: Buffer; moved: Map<number, { start: number; end: number }> } {
  const kept: Buffer[] = []
  const moved = new Map<number, { start: number; end: number }>()
  let size = 0
  for (const { start, end } of linesOf(bytes)) {
    if (superseded.has(start)) continue
    const text = textOf(bytes, start, end)
    if (text === undefined) throw new BywayError('DISK_FAILED', `the journal changed on disk at byte ${start}`, { facts: { byte: start } })
    const line = text[0] === SPACE ? encodeLine(text.toString('utf8', 1)) : bytes.subarray(start, end)
    moved.set(start, { start: size, end: size + line.length })
    kept.push(line)
    size += line.length
  }
  return { bytes: Buffer.concat(kept), moved }
}
