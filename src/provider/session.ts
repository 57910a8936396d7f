/**
 * A session: one consumer served over one control link and its flow links, paid from one channel at a time.
 *
 * The till decides what may be carried; this file moves messages and makes vouchers durable. Order for each statement: check, write to the
 * journal, wait for the disk, then raise the limit and acknowledge. Statements that arrive while the disk works are merged: only the newest
 * of a channel counts.
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Hex } from '../protocol/bytes.ts'
import { toHex } from '../protocol/bytes.ts'
import type { Clock } from '../protocol/clock.ts'
import { boughtBytes, creditWindow, type PeakRate } from '../protocol/credit.ts'
import { asBywayError, BywayError, type ErrorCode } from '../protocol/errors.ts'
import { farewell, type Message, type Statement } from '../protocol/messages.ts'
import type { Observer } from '../protocol/observe.ts'
import { nearlyUsed } from '../protocol/price.ts'
import {
  acceptStatement,
  carriedBytes,
  carriedOver,
  checkStatement,
  type Direction,
  giveBackBytes,
  statementDebt,
  type Till,
  unpaidBytes,
} from '../protocol/till.ts'
import { recoverSigner, voucherDigest } from '../protocol/voucher.ts'
import type { Link } from '../tunnel/index.ts'
import type { CloseReason } from '../wallet/records.ts'
import type { Vault } from '../wallet/vault.ts'
import { type ExitNeeds, serveFlows } from './exit.ts'
import { Gate } from './gate.ts'
import { EXPIRY_MARGIN_S, type PresentedChannel } from './terms.ts'

/** The consumer learns the provider's count this often at least while bytes move: it pays uploads by it. */
const METER_STEPS_PER_WINDOW = 16n
const LEAST_METER_STEP_BYTES = 16n * 1024n
/** After the last byte of a burst the final count leaves this soon, so that the last voucher follows at once. */
const METER_FLUSH_MS = 10
/** A consumer that pays nothing for this long while flows wait is gone or broke; others want the line. */
export const UNPAID_LIMIT_MS = 30_000
/** Consumers ping every 5 s. One that says nothing for this long lost its line or its power, and nobody will tell us. */
export const SILENCE_LIMIT_MS = 30_000
/** A session may go on into the margin in which none is opened any more, and move; what is earned later could not be claimed in peace. */
const SERVED_MARGIN_S = EXPIRY_MARGIN_S / 2
/** Consumers leave a root two hours before it expires; clocks differ. */
const LEAVABLE_BEFORE_EXPIRY_S = 3 * EXPIRY_MARGIN_S
/** What the ledger calls the ends of sessions; all others are peers lost. */
const REASONS: { readonly [code in ErrorCode]?: CloseReason } = { UNPAID: 'unpaid', CAP_EXCEEDED: 'cap-reached', ROOT_EXPIRED: 'expired' }
/** Enough for a browser with many tabs; more flows than this on one line is abuse. */
const MAX_LINKS = 1_024

/** A last voucher takes a round trip and two fsyncs; what it does not pay is carried into the next session. */
const DRAIN_LIMIT_MS = 1_000
const DRAIN_LOOK_MS = 10

export interface SessionNeeds {
  vault: Vault
  separator: Uint8Array
  payee: Hex
  clock: Clock
  observer: Observer
  /** What this provider asks: credit counts history at this price. */
  pricePerGib: bigint
  /** Opens destinations for a session, whose id may change. */
  dial(sessionId: () => Hex): ExitNeeds['dial']
  /** How fast this payer's traffic was of late, over its sessions. */
  peakOf(payer: Hex): PeakRate
  onClosed(session: ProviderSession): void
}

export class ProviderSession {
  readonly token = toHex(randomBytes(32))
  /** Changes when the session moves to another channel: each has its own row in the ledger. */
  id: Hex
  channel: PresentedChannel
  readonly openedAtMs: number
  till: Till
  closed = false
  readonly #control: Link
  readonly #needs: SessionNeeds
  readonly #links = new Set<Link>()
  readonly #gate: Gate
  readonly #peak: PeakRate
  #meteredAt = 0n
  #meterTimer: NodeJS.Timeout | undefined
  #pending: Statement | undefined
  #writing: Promise<void> | undefined
  #stalledSinceMs: number | undefined
  #givenBack = { up: 0n, down: 0n }
  #moving: Promise<void> | undefined
  #closing: Promise<void> | undefined
  #lastHeardMs: number

  constructor(control: Link, channel: PresentedChannel, id: Hex, till: Till, needs: SessionNeeds) {
    this.#control = control
    this.id = id
    this.channel = channel
    this.till = till
    this.#needs = needs
    this.#peak = needs.peakOf(channel.descriptor.payer)
    this.openedAtMs = needs.clock.nowMs()
    this.#lastHeardMs = this.openedAtMs
    this.#gate = new Gate(till, (direction, bytes) => this.#onTake(direction, bytes))
  }

  get payer(): Hex {
    return this.channel.descriptor.payer
  }

  get links(): number {
    return this.#links.size
  }

  /** Carries one more flow link. */
  attach(link: Link): void {
    if (this.#links.size >= MAX_LINKS) {
      link.send('bye', { code: 'PROVIDER_BUSY', message: `a session has at most ${MAX_LINKS} flow links` })
      link.close()
      return
    }
    this.#links.add(link)
    link.wire.once('close', () => this.#links.delete(link))
    link.send('attached', {})
    const { dial, observer } = this.#needs
    serveFlows(link, {
      dial: dial(() => this.id),
      observer,
      gate: (direction, bytes, signal) => this.#gate.take(direction, bytes, signal),
      giveBack: (direction, bytes) => this.#giveBack(direction, bytes),
      lost: (flowId, totals) => {
        if (!this.closed) this.#control.send('lost', { flowId, ...totals })
        this.#sendMeter()
      },
    })
  }

  #onTake(direction: Direction, bytes: number): void {
    this.#needs.observer.count('bytes', bytes, { direction })
    this.#peak.add(this.#needs.clock.nowMs(), BigInt(bytes))
    const step = this.till.window / METER_STEPS_PER_WINDOW
    const since = carriedBytes(this.till) - this.#meteredAt
    if (since >= (step > LEAST_METER_STEP_BYTES ? step : LEAST_METER_STEP_BYTES)) this.#sendMeter()
    else this.#meterTimer ??= setTimeout(() => this.#sendMeter(), METER_FLUSH_MS)
  }

  #giveBack(direction: Direction, bytes: bigint): void {
    if (bytes === 0n) return
    if (this.#gate.held) {
      // Between two channels the old till is already closed: the bytes come off the new one.
      this.#givenBack[direction] += bytes
      return
    }
    giveBackBytes(this.till, direction, bytes)
    this.#gate.release()
    this.#sendMeter()
  }

  #sendMeter(): void {
    clearTimeout(this.#meterTimer)
    this.#meterTimer = undefined
    if (this.closed) return
    this.#meteredAt = carriedBytes(this.till)
    this.#control.send('meter', { sessionId: this.id, up: this.till.up, down: this.till.down })
  }

  /** A message on the control link, after the session was opened. */
  onMessage(message: Message): void {
    this.#lastHeardMs = this.#needs.clock.nowMs()
    switch (message.name) {
      case 'pay':
        this.#onStatement(message.body)
        break
      case 'ping':
        this.#control.send('pong', message.body)
        break
      case 'bye':
        void this.close('done')
        break
      default:
        throw new BywayError('MESSAGE_UNEXPECTED', `${message.name} has no place in an open session`)
    }
  }

  #onStatement(statement: Statement): void {
    // While the session moves the old row is closed already: a statement for it would pay for nothing, or worse, for the new one.
    if (statement.sessionId !== this.id || this.closed || this.#moving !== undefined) return
    const digest = voucherDigest(this.#needs.separator, {
      rootId: this.channel.rootId,
      index: this.channel.proof.index,
      payee: this.#needs.payee,
      cumulative: statement.cumulative,
    })
    const refusal: ErrorCode | undefined =
      recoverSigner(digest, statement.signature) === this.channel.descriptor.signer
        ? checkStatement(this.till, statement)
        : 'VOUCHER_SIGNER'
    if (refusal !== undefined) {
      this.#needs.observer.count('vouchers_refused', 1, { reason: refusal })
      this.fail(new BywayError(refusal, 'the voucher was refused', { facts: { cumulative: statement.cumulative } }))
      return
    }
    // Nothing new: answered, but not worth a write. Else a consumer that stopped paying could keep the disk busy and its session alive.
    if (statement.up === this.till.paidUp && statement.down === this.till.paidDown) {
      this.#control.send('paid', { cumulative: statement.cumulative, window: this.till.window })
      return
    }
    this.#pending = statement
    this.#writing ??= this.#writePending()
  }

  /** Makes statements durable, newest only, until none is left; then the till and the consumer hear. */
  async #writePending(): Promise<void> {
    try {
      while (this.#pending !== undefined) {
        const statement = this.#pending
        this.#pending = undefined
        await recordStatement(this.#needs, this.channel, this.till, statement)
        this.#needs.observer.count('vouchers')
        acceptStatement(this.till, statement, this.window())
        this.#stalledSinceMs = undefined
        this.#control.send('paid', { cumulative: statement.cumulative, window: this.till.window })
        this.#needs.observer.voucher?.('acknowledged', { rootId: this.channel.rootId, index: this.channel.proof.index, ...statement })
        this.#gate.release()
      }
    } catch (thrown) {
      this.fail(asBywayError(thrown, 'DISK_FAILED'))
    } finally {
      this.#writing = undefined
    }
  }

  /** Waits until every statement received so far is durable. */
  async settled(): Promise<void> {
    await this.#writing
  }

  /** What this consumer may owe now. */
  window(): bigint {
    const paidBytes = boughtBytes(this.#needs.vault.book.counterparty(this.payer), this.#needs.pricePerGib)
    return creditWindow({ paidBytes, unpaidBytes: 0n, peakBytes: this.#peak.bytes })
  }

  /**
   * Moves to another channel of the same payer: waits for statements under way, holds all flows, closes this channel's row, and takes what is
   * unpaid along. `enter` writes the new row down. Flows notice nothing but a pause.
   */
  moveTo(channel: PresentedChannel, id: Hex, enter: (carried: { up: bigint; down: bigint }) => Promise<Till>): Promise<void> {
    this.#moving = this.#move(channel, id, enter).finally(() => {
      this.#moving = undefined
    })
    return this.#moving
  }

  async #move(channel: PresentedChannel, id: Hex, enter: (carried: { up: bigint; down: bigint }) => Promise<Till>): Promise<void> {
    await this.settled()
    if (this.closed) throw new BywayError('SESSION_UNKNOWN', 'the session ended before it could move')
    if (!this.#mayLeave()) throw new BywayError('MESSAGE_UNEXPECTED', 'a channel is left when it is nearly used up, or its root runs out')
    this.#gate.hold()
    const { paidUp, paidDown } = this.till
    const carried = carriedOver(this.till)
    await recordClosed(this.#needs, this.channel, this.id, { up: paidUp, down: paidDown }, 'done')
    const till = await enter(carried)
    this.channel = channel
    this.id = id
    this.till = till
    giveBackBytes(till, 'up', this.#givenBack.up)
    giveBackBytes(till, 'down', this.#givenBack.down)
    this.#givenBack = { up: 0n, down: 0n }
    this.#meteredAt = 0n
    this.#gate.release(till)
    this.#sendMeter()
  }

  /** Each move writes rows that stay, and each channel gives away part of a unit: neither is to be had for nothing. */
  #mayLeave(): boolean {
    const secondsLeft = this.channel.descriptor.expiry - this.#needs.clock.nowMs() / 1000
    return nearlyUsed(this.till) || secondsLeft < LEAVABLE_BEFORE_EXPIRY_S
  }

  /** Called now and then: ends a session that fell silent, whose root runs out, or whose flows wait for a voucher that does not come. */
  tick(nowMs: number): void {
    if (nowMs - this.#lastHeardMs > SILENCE_LIMIT_MS) {
      void this.close('peer-lost')
      return
    }
    if (nowMs / 1000 > this.channel.descriptor.expiry - SERVED_MARGIN_S) {
      this.fail(new BywayError('ROOT_EXPIRED', 'the root of this session runs out; move to another, or open a new session'))
      return
    }
    if (this.#gate.waiting === 0) {
      this.#stalledSinceMs = undefined
      return
    }
    this.#stalledSinceMs ??= nowMs
    if (nowMs - this.#stalledSinceMs > UNPAID_LIMIT_MS) {
      const exhausted = this.till.cumulative >= this.till.cap
      this.fail(new BywayError(exhausted ? 'CAP_EXCEEDED' : 'UNPAID', 'flows waited for a voucher that did not come'))
    }
  }

  /** Ends the session because of `error`, telling the consumer. */
  fail(error: BywayError): void {
    if (this.closed) return
    this.#control.send('bye', farewell(error))
    void this.close(REASONS[error.code] ?? 'peer-lost')
  }

  /** Ends the session: links go, the row in the ledger closes with what was carried. Never throws; resolves once that is durable. */
  close(reason: CloseReason): Promise<void> {
    this.#closing ??= this.#close(reason)
    return this.#closing
  }

  async #close(reason: CloseReason): Promise<void> {
    this.closed = true
    clearTimeout(this.#meterTimer)
    // Links say what they really carried when they close; only then is the count final.
    const gone = [...this.#links].map((link) => new Promise((resolve) => link.wire.once('close', resolve)))
    for (const link of this.#links) link.destroy()
    this.#control.close()
    this.#needs.observer.count('sessions', 1, { reason })
    try {
      await Promise.all(gone)
      await this.settled()
      // In the middle of a move the row to close is the next one. If the move failed its own caller says so.
      await this.#moving?.catch(() => {})
      await recordClosed(this.#needs, this.channel, this.id, this.till, reason)
    } catch (thrown) {
      // The journal refuses everything after a disk error; there is nobody left to tell here.
      this.#needs.observer.log('session not recorded', { session: this.id, why: asBywayError(thrown).code })
    }
    this.#needs.observer.log('session closed', { session: this.id, reason, unpaidBytes: Number(unpaidBytes(this.till)) })
    this.#needs.onClosed(this)
  }

  /** Ends in order: flows are reset, and the consumer gets a moment to pay for the last bytes. */
  async drain(): Promise<void> {
    for (const link of this.#links) link.close()
    this.#sendMeter()
    const deadline = this.#needs.clock.nowMs() + DRAIN_LIMIT_MS
    while (unpaidBytes(this.till) > 0n && !this.closed && this.#needs.clock.nowMs() < deadline) await delay(DRAIN_LOOK_MS)
    await this.close('shutdown')
  }
}

export function recordStatement(
  { vault, clock }: Pick<SessionNeeds, 'vault' | 'clock'>,
  channel: PresentedChannel,
  till: Pick<Till, 'base' | 'pricePerGib'>,
  statement: Statement,
): Promise<void> {
  return vault.record({
    kind: 'voucher',
    rootId: channel.rootId,
    index: channel.proof.index,
    sessionId: statement.sessionId,
    up: statement.up,
    down: statement.down,
    disputed: 0n,
    numerator: statementDebt(till, statement),
    cumulative: statement.cumulative,
    signature: statement.signature,
    atMs: clock.nowMs(),
  })
}

export function recordClosed(
  { vault, clock }: Pick<SessionNeeds, 'vault' | 'clock'>,
  channel: PresentedChannel,
  sessionId: Hex,
  till: Pick<Till, 'up' | 'down'>,
  reason: CloseReason,
): Promise<void> {
  const { up, down } = till
  return vault.record({
    kind: 'session-closed',
    rootId: channel.rootId,
    index: channel.proof.index,
    sessionId,
    up,
    down,
    reason,
    atMs: clock.nowMs(),
  })
}
