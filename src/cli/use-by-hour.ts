/**
 * How much was used in which hour, by the journal. A session's bytes are known where a voucher or its end says them; between two such moments
 * they are taken to have come evenly. Compaction drops vouchers in between, so that long sessions of long ago look smoother than they were.
 */
import type { History } from '../economy/boost/index.ts'
import type { JournalRecord } from '../wallet/records.ts'

const HOUR_MS = 3_600_000
const BYTES_PER_GB = 1e9

/** From the first hour anything was used in until the one before `nowMs`. Hops of one route carry the same bytes: each counts. */
export function useByHour(records: readonly JournalRecord[], nowMs: number): History {
  /** Where each session stood last. */
  const last = new Map<string, { atMs: number; bytes: number }>()
  const gb = new Map<number, number>()
  for (const record of records) {
    // What was paid ahead before counted when it was paid.
    if (record.kind === 'session-opened')
      last.set(record.sessionId, { atMs: record.atMs, bytes: Math.max(0, Number(record.carriedUp + record.carriedDown)) })
    if (record.kind !== 'voucher' && record.kind !== 'session-closed') continue
    const before = last.get(record.sessionId)
    const bytes = Number(record.up + record.down)
    // A voucher without its session is one from before this folder was restored.
    if (before !== undefined) spread(gb, before.atMs, record.atMs, Math.max(0, bytes - before.bytes) / BYTES_PER_GB)
    last.set(record.sessionId, { atMs: record.atMs, bytes })
  }
  const begins = gb.keys().reduce((first, hour) => Math.min(first, hour), Math.floor(nowMs / HOUR_MS))
  return { begins, gb: Array.from({ length: Math.floor(nowMs / HOUR_MS) - begins }, (_, i) => gb.get(begins + i) ?? 0) }
}

function spread(gb: Map<number, number>, fromMs: number, toMs: number, amount: number): void {
  const add = (hour: number, part: number) => void gb.set(hour, (gb.get(hour) ?? 0) + part)
  if (toMs <= fromMs) {
    add(Math.floor(toMs / HOUR_MS), amount)
    return
  }
  for (let hour = Math.floor(fromMs / HOUR_MS); hour * HOUR_MS < toMs; hour++) {
    const inside = Math.min(toMs, (hour + 1) * HOUR_MS) - Math.max(fromMs, hour * HOUR_MS)
    add(hour, (amount * inside) / (toMs - fromMs))
  }
}
