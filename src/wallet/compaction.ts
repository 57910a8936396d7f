/**
 * Which lines of a journal may be dropped: a voucher right before a later voucher of the same session.
 *
 * "Right before" means: nothing about that channel's money stands between them. A claim, a session or a high-water mark between two
 * vouchers needs the first one to make sense, so it stays; hence the fold over a compacted journal gives exactly the same book and ledger.
 */
import type { JournalRecord } from './records.ts'

interface Line {
  start: number
  end: number
}

export class Superseded {
  /** Where the droppable lines start. */
  readonly #starts = new Set<number>()
  #bytes = 0
  /** Newest voucher of a channel, as long as the next record about that channel may supersede it. */
  readonly #newest = new Map<string, Line & { sessionId: string }>()

  /** Bytes that compaction would free. */
  get bytes(): number {
    return this.#bytes
  }

  has(start: number): boolean {
    return this.#starts.has(start)
  }

  /** Takes note of the record whose line covers `start` to `end`, in the order of the file. */
  note(record: JournalRecord, start: number, end: number): void {
    if (record.kind === 'voucher') {
      const key = `${record.rootId}:${record.index}`
      const before = this.#newest.get(key)
      if (before?.sessionId === record.sessionId) {
        this.#starts.add(before.start)
        this.#bytes += before.end - before.start
      }
      this.#newest.set(key, { sessionId: record.sessionId, start, end })
      return
    }
    const channels = channelsOf(record)
    if (channels === 'all') this.#newest.clear()
    else for (const { rootId, index } of channels) this.#newest.delete(`${rootId}:${index}`)
  }

  /** The droppable lines are gone; `moved` gives the new place of a line that stayed. */
  dropped(moved: ReadonlyMap<number, Line>): void {
    this.#starts.clear()
    this.#bytes = 0
    for (const line of this.#newest.values()) Object.assign(line, moved.get(line.start))
  }
}

function channelsOf(record: JournalRecord): readonly { rootId: string; index: number }[] | 'all' {
  switch (record.kind) {
    // What it takes over depends on what every session of that payer had been paid by then.
    case 'session-opened':
      return record.carriedUp + record.carriedDown !== 0n ? 'all' : [record]
    case 'voucher':
    case 'channel-accepted':
    case 'session-closed':
    case 'high-water':
      return [record]
    case 'claim-sent':
      return record.vouchers
    case 'claim-settled':
      return record.channels
    // Rare, and about every channel of a root.
    case 'root-planned':
    case 'root-opened':
    case 'root-failed':
    case 'root-closed':
      return 'all'
    case 'genesis':
    case 'started':
    case 'claim-failed':
    case 'burn-seen':
      return []
  }
}
