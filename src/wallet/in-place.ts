/**
 * Whether a small write is waited for in place. The way to another thread and back takes a busy machine several times as long as a disk that answers
 * at once; one that does not must not hold up the event loop. Pure.
 */

/** Above this, on average, the way to another thread is the lesser evil. */
const SLOW_MS = 1
/** Of each new write: one that takes as long as a disk turns is enough, one during which the processor was somebody else's for a moment is not. */
const WEIGHT = 1 / 8
/** A disk that was slow is tried again after so many times as long as it took: seconds for one that turns, hours for one that has to be woken up. */
const REST = 1_000

export class InPlace {
  #averageMs = 0
  #againMs = Number.NEGATIVE_INFINITY

  /** `nowMs`: any monotonic clock. */
  isWorthIt(nowMs: number): boolean {
    return nowMs >= this.#againMs
  }

  /** A write in place was over at `nowMs`. */
  took(ms: number, nowMs: number): void {
    this.#averageMs += WEIGHT * (ms - this.#averageMs)
    if (this.#averageMs <= SLOW_MS) return
    this.#averageMs = 0
    this.#againMs = nowMs + REST * ms
  }
}
