/**
 * How much of a flow may be under way before the other end says that it has it.
 *
 * Too little holds a long fast line back; too much only waits in queues: memory that leaves the processor's cache (a third of the cost of a byte
 * on a fast machine), a longer way for whatever comes next, and more to send again when a link breaks. So: twice what a round trip carries when
 * nothing waits, as TCP's own model-based control has it (BBR), and never less than a short burst.
 *
 * Pure; the caller passes a monotonic clock in milliseconds.
 */
import { ASK_STEP_BYTES, LEAST_UNACKED_BYTES, MAX_UNACKED_BYTES, NO_BYTES } from '../protocol/flow.ts'

/** Acknowledgements come every {@link ASK_STEP_BYTES} and each end's loop needs its turn: a line without delay is full with this. */
export const LEAST_INFLIGHT_BYTES = 2 * ASK_STEP_BYTES
/** Twice what the line carries in a round trip: one is on its way, and what a late acknowledgement would leave idle. */
const GAIN = 2
/** The shortest round trip is believed this long, for routes change; then one is taken anew, with little under way that could wait in a queue. */
const SHORTEST_MS = 30_000
/** Below the resolution of clocks nothing is measured. */
const LEAST_ROUND_MS = 0.01

export class Inflight {
  limit = LEAST_INFLIGHT_BYTES
  #acked = NO_BYTES
  /** The round under way: it ends when what was sent at its beginning is acknowledged. */
  #round: { from: number; until: number; atMs: number; wasFull: boolean } | undefined
  #shortestMs = Number.POSITIVE_INFINITY
  #shortestAtMs: number | undefined

  /** Whether `unacked` bytes are as much as may be under way. */
  full(unacked: number): boolean {
    if (unacked < this.limit) return false
    if (this.#round !== undefined) this.#round.wasFull = true
    return true
  }

  /** `unacked` bytes are under way, the newest since now. */
  sent(unacked: number, nowMs: number): void {
    this.#round ??= { from: this.#acked, until: this.#acked + unacked, atMs: nowMs, wasFull: false }
  }

  acknowledged(bytes: number, nowMs: number): void {
    this.#acked += bytes
    const round = this.#round
    if (round === undefined || this.#acked < round.until) return
    this.#round = undefined
    this.#shortestAtMs ??= nowMs
    if (nowMs - this.#shortestAtMs > SHORTEST_MS) {
      this.#shortestMs = Number.POSITIVE_INFINITY
      this.#shortestAtMs = nowMs
      // Less would not make the other end acknowledge.
      this.limit = LEAST_UNACKED_BYTES
      return
    }
    const tookMs = Math.max(nowMs - round.atMs, LEAST_ROUND_MS)
    if (tookMs < this.#shortestMs) this.#shortestMs = tookMs
    // A flow with little to say shows nothing of its line.
    if (!round.wasFull) return
    const carried = ((this.#acked - round.from) * this.#shortestMs) / tookMs
    this.limit = Math.min(MAX_UNACKED_BYTES, LEAST_INFLIGHT_BYTES + Math.floor(GAIN * carried))
  }
}
