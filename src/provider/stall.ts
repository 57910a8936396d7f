/** How long flows have waited for a voucher that did not come, by the consumer's own fault. */

export class Stall {
  #waits = false
  #waitedMs = 0
  #excusedMs = 0

  /** 0 when nothing waits. */
  get waitedMs(): number {
    return this.#waitedMs
  }

  /**
   * So much time went by. One that is away cannot pay, and is excused for as long as an outage may last; whoever only keeps silent now and then
   * gains no more than that.
   */
  pass(ms: number, { waiting, away, excusableMs }: { waiting: boolean; away: boolean; excusableMs: number }): void {
    if (!waiting) this.end()
    // It began to wait some time in this interval.
    else if (!this.#waits) this.#waits = true
    else if (away && this.#excusedMs < excusableMs) this.#excusedMs += ms
    else this.#waitedMs += ms
  }

  /** A voucher came. */
  end(): void {
    this.#waits = false
    this.#waitedMs = 0
    this.#excusedMs = 0
  }
}
