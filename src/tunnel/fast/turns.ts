/**
 * How long what comes for the carrying thread has to wait: the turns of its loop, summed by their length, in memory both threads see.
 *
 * The thread only adds; whoever reads keeps what it saw last. Buckets are a quarter of a doubling wide.
 */
const SHORTEST_MS = 0.0625
const STEPS_A_DOUBLING = 4
/** Up to three seconds; a longer turn counts as one. */
const BUCKETS = 64

export const TURNS_BYTES = 8 * BUCKETS

const bucketOf = (ms: number): number =>
  ms <= SHORTEST_MS ? 0 : Math.min(BUCKETS - 1, Math.ceil(STEPS_A_DOUBLING * Math.log2(ms / SHORTEST_MS)))
/** The longest turn of a bucket. */
const boundMs = (bucket: number): number => SHORTEST_MS * 2 ** (bucket / STEPS_A_DOUBLING)

export class Turns {
  readonly shared: SharedArrayBuffer
  /** Milliseconds spent in turns of each length, since the thread began. One thread writes, and each word is read whole. */
  readonly #spentMs: Float64Array
  readonly #seenMs = new Float64Array(BUCKETS)

  constructor(shared: SharedArrayBuffer = new SharedArrayBuffer(TURNS_BYTES)) {
    this.shared = shared
    this.#spentMs = new Float64Array(shared)
  }

  add(ms: number): void {
    this.#spentMs[bucketOf(ms)]! += ms
  }

  /**
   * In so many milliseconds, which went by since this was last asked: the length of a turn than which longer ones took at most a hundredth of the time. So
   * whatever came at any moment waited no longer with a probability of 99 %.
   */
  p99Ms(elapsedMs: number): number {
    const spent = Float64Array.from(this.#spentMs, (ms, i) => ms - this.#seenMs[i]!)
    this.#seenMs.set(this.#spentMs)
    let left = elapsedMs / 100
    for (let i = BUCKETS - 1; i >= 0; i--) {
      left -= spent[i]!
      if (left < 0) return boundMs(i)
    }
    return 0
  }
}
