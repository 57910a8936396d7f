/**
 * The lease: the part of a session's room that is lent to the thread that carries bytes, so that it asks nobody for each piece.
 *
 * All room may be lent; whoever else wants to carry takes it back first. The till stays the one truth: what the thread carried is put into it
 * before anything is decided from it, and what is lent is always what the till had room for beyond that.
 */
import type { Meter } from '../tunnel/fast/plane.ts'

export class Lease {
  readonly #meter: Meter
  /** Given to the thread since the beginning, less what was taken back; and how much of it is known to be carried. */
  #given = 0n
  #carried = 0n
  #up = 0n

  constructor(meter: Meter) {
    this.#meter = meter
  }

  /**
   * Bytes the thread carried since it was last asked. The sum is exact. Uploads of this instant may be called downloads until the next time, which
   * is then negative; read in this order, what was collected so far never is.
   */
  collect(): { up: bigint; down: bigint } {
    const up = this.#meter.up - this.#up
    const bytes = this.#given - this.#meter.left - this.#carried
    this.#carried += bytes
    this.#up += up
    return { up, down: bytes - up }
  }

  /** Lends what there is room for beyond all that was collected. Less than before is taken back, as far as it is not carried yet. */
  lend(room: bigint): void {
    const more = this.#carried + room - this.#given
    if (more === 0n) return
    this.#given += more
    this.#meter.give(more)
  }

  /** Takes everything back. {@link collect} then tells the last of what was carried. */
  revoke(): void {
    this.#given -= this.#meter.close()
  }
}
