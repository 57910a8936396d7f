/**
 * Payments of a session: watches the purse, signs vouchers as bytes arrive, and makes each durable before it is sent.
 *
 * One voucher is under way at a time; bytes that arrive meanwhile are paid by the next, so the rate follows the disk and never falls behind. Half a
 * window is paid at once, less than that not more often than some tens of times a second: a voucher costs both sides a signature and a write.
 */
import type { Hex } from '../protocol/bytes.ts'
import type { Clock } from '../protocol/clock.ts'
import { asBywayError, type BywayError } from '../protocol/errors.ts'
import type { Statement } from '../protocol/messages.ts'
import type { Observer } from '../protocol/observe.ts'
import { dueBytes, markSigned, nextStatement, type Purse, promptBytes, stepBytes } from '../protocol/purse.ts'
import { signDigest, voucherDigest } from '../protocol/voucher.ts'
import type { Vault } from '../wallet/vault.ts'
import type { PayingChannel } from './deposits.ts'

/** A step is paid this long after the voucher before. */
const STEP_MS = 20
/** Less than a step, the last bytes of a burst, may wait a little for more. */
const FLUSH_MS = 100

export interface PaymentNeeds {
  vault: Vault
  separator: Uint8Array
  clock: Clock
  observer: Observer
  send(statement: Statement): void
  /** The channel cannot pay for what is due, or soon will not: another is needed. */
  onShort(): void
  onError(error: BywayError): void
}

export class Payments {
  readonly #needs: PaymentNeeds
  #account: { channel: PayingChannel; sessionId: Hex; purse: Purse }
  #timer: NodeJS.Timeout | undefined
  #timerAtMs = 0
  #signing: Promise<void> | undefined
  #signedAtMs = Number.NEGATIVE_INFINITY
  /** Bytes that the voucher under way pays for. */
  #underWay = 0n
  #held = false

  constructor(account: { channel: PayingChannel; sessionId: Hex; purse: Purse }, needs: PaymentNeeds) {
    this.#account = account
    this.#needs = needs
  }

  /** Payable bytes that no voucher covers, nor the one under way. */
  get #due(): bigint {
    return dueBytes(this.#account.purse) - this.#underWay
  }

  /** Bytes that may still arrive before somebody who counts elsewhere should say so. */
  get untilPrompt(): bigint {
    const { purse } = this.#account
    const left = promptBytes(purse) - this.#due
    const step = stepBytes(purse)
    return left > step ? left : step
  }

  /** Bytes moved or the provider's count came: pays at once what should not wait, else soon. */
  changed(): void {
    const due = this.#due
    if (this.#held || due <= 0n) return
    const { purse } = this.#account
    if (due >= promptBytes(purse)) this.#pay()
    else if (due < stepBytes(purse)) this.#payWithin(FLUSH_MS)
    // The clock of the world may have been set back since.
    else this.#payWithin(Math.min(STEP_MS, this.#signedAtMs + STEP_MS - this.#needs.clock.nowMs()))
  }

  #payWithin(ms: number): void {
    if (ms <= 0) {
      this.#pay()
      return
    }
    const atMs = this.#needs.clock.nowMs() + ms
    if (this.#timer !== undefined && this.#timerAtMs <= atMs) return
    clearTimeout(this.#timer)
    this.#timerAtMs = atMs
    this.#timer = setTimeout(() => this.#pay(), ms)
  }

  #pay(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#held) return
    this.#signing ??= this.#signDue()
      .catch((thrown) => this.#needs.onError(asBywayError(thrown, 'DISK_FAILED')))
      .finally(() => {
        this.#signing = undefined
        this.#underWay = 0n
        // More may have come due meanwhile, or a used-up channel could not pay for all: never at once, or nothing else would have its turn.
        if (!this.#held && this.#due > 0n) this.#payWithin(this.#due < stepBytes(this.#account.purse) ? FLUSH_MS : STEP_MS)
      })
  }

  async #signDue(): Promise<void> {
    do {
      const { channel, sessionId, purse } = this.#account
      const statement = nextStatement(purse)
      if (statement === undefined) return
      if (statement.short) this.#needs.onShort()
      const { up, down, disputed, cumulative, numerator } = statement
      if (up === purse.paidUp && down === purse.paidDown) return
      const digest = voucherDigest(this.#needs.separator, { ...channel.ref, payee: channel.payee, cumulative })
      const signature = signDigest(digest, channel.privateKey)
      const atMs = this.#needs.clock.nowMs()
      this.#signedAtMs = atMs
      this.#underWay = up + down - purse.paidUp - purse.paidDown
      await this.#needs.vault.record({
        kind: 'voucher',
        ...channel.ref,
        sessionId,
        up,
        down,
        disputed,
        numerator,
        cumulative,
        signature,
        atMs,
      })
      this.#underWay = 0n
      markSigned(purse, statement)
      this.#needs.observer.count('vouchers')
      this.#needs.send({ sessionId, up, down, cumulative, signature })
    } while (!this.#held && this.#due >= promptBytes(this.#account.purse))
  }

  /** Stops signing and waits for the voucher under way. */
  async hold(): Promise<void> {
    this.#held = true
    clearTimeout(this.#timer)
    this.#timer = undefined
    await this.#signing
  }

  /** Goes on, on another channel. */
  resume(account: { channel: PayingChannel; sessionId: Hex; purse: Purse }): void {
    this.#account = account
    this.#held = false
    this.changed()
  }

  /** Pays all that is due, then stops for good. */
  async finish(): Promise<void> {
    if (!this.#held) {
      await this.#signing
      this.#pay()
      await this.#signing
    }
    await this.hold()
  }
}
