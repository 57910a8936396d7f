/** How fast bytes move, as far as that says what will go by while somebody is waited for. */

/** Of each new observation: half of what is believed is two observations old. */
export const PACE_WEIGHT = 0.3
/** Longer without a byte, and before the first: nothing moved, which says nothing of the pace. */
const PAUSE_MS = 1_000

export class Pace {
  #bytesPerMs: number | undefined

  /** So many bytes moved in the time since the last were told, which clocks count in whole milliseconds. */
  moved(bytes: bigint, sinceMs: number): void {
    if (sinceMs > PAUSE_MS) return
    const now = Number(bytes) / Math.max(sinceMs, 1)
    this.#bytesPerMs = this.#bytesPerMs === undefined ? now : this.#bytesPerMs + PACE_WEIGHT * (now - this.#bytesPerMs)
  }

  /** What goes by in this time; undefined while too little is known. */
  bytesIn(ms: number): bigint | undefined {
    return this.#bytesPerMs === undefined ? undefined : BigInt(Math.ceil(this.#bytesPerMs * ms))
  }
}
