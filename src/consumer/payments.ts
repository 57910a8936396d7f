/**
 * Payments of a session: watches the purse, signs vouchers as bytes arrive, and makes each durable before it is sent.
 *
 * One voucher is under way at a time; bytes that arrive meanwhile are paid by the next, so the rate follows the disk and never falls behind.
 */
import type { Hex } from '../protocol/bytes.ts'
import type { Clock } from '../protocol/clock.ts'
import { asBywayError, type BywayError } from '../protocol/errors.ts'
import type { Statement } from '../protocol/messages.ts'
import type { Observer } from '../protocol/observe.ts'
import { aheadBytes, dueBytes, isRipe, type LeadBytes, markSigned, nextStatement, type Purse, unpaid } from '../protocol/purse.ts'
import { signDigest, voucherDigest } from '../protocol/voucher.ts'
import type { Vault } from '../wallet/vault.ts'
import type { PayingChannel } from './deposits.ts'
import { Lead } from './lead.ts'

/** What is not worth a voucher of its own yet is paid this soon, counted from when it was told here. */
export const SOON_MS = 100

export interface PaymentNeeds {
  vault: Vault
  separator: Uint8Array
  clock: Clock
  observer: Observer
  /** What the way to the provider takes there and back, once it is known. */
  roundTripMs(): number | undefined
  send(statement: Statement): void
  /** The channel cannot pay for what is due, or soon will not: another is needed. */
  onShort(): void
  onError(error: BywayError): void
}

export class Payments {
  readonly #needs: PaymentNeeds
  #account: { channel: PayingChannel; sessionId: Hex; purse: Purse }
  #timer: NodeJS.Timeout | undefined
  #signing: Promise<void> | undefined
  #signingBytes = 0n
  /** Bytes that the last voucher paid for and that had not come then. */
  #ahead = 0n
  #signedAtMs = 0
  readonly #lead = new Lead()
  #held = false
  #ending = false

  constructor(account: { channel: PayingChannel; sessionId: Hex; purse: Purse }, needs: PaymentNeeds) {
    this.#account = account
    this.#needs = needs
  }

  /** Bytes that the voucher under way to the disk pays for. */
  get signingBytes(): bigint {
    return this.#signingBytes
  }

  /** Undefined before the first payment, when there may be no control link yet. */
  get lead(): LeadBytes | undefined {
    return this.#signedAtMs === 0 ? undefined : this.#lead.bytes(this.#needs.roundTripMs())
  }

  /** Bytes moved or the provider's count came: paid at once when it is time, else soon. */
  changed(): void {
    if (this.#held) return
    if (isRipe(this.#account.purse, this.lead)) this.#pay()
    else this.#paySoon()
  }

  #paySoon(): void {
    this.#timer ??= setTimeout(() => this.#pay(), SOON_MS)
  }

  #pay(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#held) return
    this.#signing ??= this.#signDue()
      .catch((thrown) => this.#needs.onError(asBywayError(thrown, 'DISK_FAILED')))
      .finally(() => {
        this.#signing = undefined
        if (!this.#held && dueBytes(this.#account.purse) > 0n) this.#paySoon()
      })
  }

  /** Only while bytes go by so fast that they ask for it. What is left over after a pause, or at the end, is paid as it was counted. */
  #aheadBytes(purse: Purse): bigint {
    return this.#ending || !isRipe(purse, this.lead) ? 0n : aheadBytes(purse, this.lead)
  }

  async #signDue(): Promise<void> {
    do {
      const { channel, sessionId, purse } = this.#account
      const statement = nextStatement(purse, this.#aheadBytes(purse))
      if (statement === undefined) return
      if (statement.short) this.#needs.onShort()
      const { up, down, disputed, cumulative, numerator } = statement
      if (up === purse.paidUp && down === purse.paidDown) return
      const digest = voucherDigest(this.#needs.separator, { ...channel.ref, payee: channel.payee, cumulative })
      const signature = signDigest(digest, channel.privateKey)
      const atMs = this.#needs.clock.nowMs()
      this.#signingBytes = up + down - purse.paidUp - purse.paidDown
      const owed = unpaid(purse)
      this.#lead.signed(owed + this.#ahead, atMs - this.#signedAtMs)
      this.#ahead = this.#signingBytes - owed
      this.#signedAtMs = atMs
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
      this.#lead.durable(this.#needs.clock.nowMs() - atMs)
      markSigned(purse, statement)
      this.#signingBytes = 0n
      this.#needs.observer.count('vouchers')
      this.#needs.send({ sessionId, up, down, cumulative, signature })
    } while (!this.#held && isRipe(this.#account.purse, this.lead))
  }

  /** The session is about to be over: from here on nothing is paid ahead. */
  ending(): void {
    this.#ending = true
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
