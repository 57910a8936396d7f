/**
 * What is to be known of a line before it is paid for in time, and ahead where it must be.
 *
 * How long before the window is used up a payment must begin: by as many bytes as go by while a voucher is on its way to our disk, over the line and
 * to the provider's disk. Each later begin saves vouchers, and each voucher wakes both ends; one that begins too late lets the line stand still.
 */
import { PACE_WEIGHT, Pace } from '../protocol/pace.ts'
import type { LeadBytes } from '../protocol/purse.ts'

/** A voucher should last this long: each wakes both ends and costs a signature, a check and two writes, and a dozen a second cost nothing. */
const LASTING_MS = 100

export class Lead {
  readonly #pace = new Pace()
  #diskMs = 0

  /** A voucher is signed, `sinceMs` after the one before; so many bytes went by in between. */
  signed(bytes: bigint, sinceMs: number): void {
    this.#pace.moved(bytes, sinceMs)
  }

  /** It is durable after so long. Clocks count whole milliseconds, which on average is right. */
  durable(tookMs: number): void {
    this.#diskMs += PACE_WEIGHT * (tookMs - this.#diskMs)
  }

  /** `roundTripMs`: of the line alone. Undefined while too little is known. */
  bytes(roundTripMs: number | undefined): LeadBytes | undefined {
    if (roundTripMs === undefined) return undefined
    const voucher = this.#pace.bytesIn(2 * this.#diskMs + roundTripMs / 2)
    const inFlight = this.#pace.bytesIn(roundTripMs / 2)
    const lasting = this.#pace.bytesIn(LASTING_MS)
    return voucher === undefined || inFlight === undefined || lasting === undefined ? undefined : { voucher, inFlight, lasting }
  }
}
