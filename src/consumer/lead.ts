/**
 * How long before the window is used up a payment must begin: by as many bytes as go by while a voucher is on its way to our disk, over the line and
 * to the provider's disk. Each later begin saves vouchers, and each voucher wakes both ends; one that begins too late lets the line stand still.
 */

/** Of each new observation: half of what is believed is two vouchers old. */
const WEIGHT = 0.3
/** Longer without a voucher, and before the first: nothing moved, which says nothing of the pace. */
const PAUSE_MS = 1_000

export class Lead {
  #bytesPerMs: number | undefined
  #diskMs = 0

  /** A voucher for `bytes` is signed, `sinceMs` after the one before. */
  signed(bytes: bigint, sinceMs: number): void {
    if (sinceMs > PAUSE_MS) return
    const now = Number(bytes) / Math.max(sinceMs, 1)
    this.#bytesPerMs = this.#bytesPerMs === undefined ? now : this.#bytesPerMs + WEIGHT * (now - this.#bytesPerMs)
  }

  /** It is durable after so long. Clocks count whole milliseconds, which on average is right. */
  durable(tookMs: number): void {
    this.#diskMs += WEIGHT * (tookMs - this.#diskMs)
  }

  /** Undefined while too little is known. */
  bytes(roundTripMs: number | undefined): bigint | undefined {
    if (this.#bytesPerMs === undefined || roundTripMs === undefined) return undefined
    return BigInt(Math.ceil(this.#bytesPerMs * (2 * this.#diskMs + roundTripMs / 2)))
  }
}
