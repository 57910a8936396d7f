/**
 * A session: one consumer served over one control link and its flow links, paid from one channel at a time.
 *
 * The till decides what may be carried; this file moves messages and makes vouchers durable. Order for each statement: check, write to the
 * journal, wait for the disk, then raise the limit and acknowledge. Statements that arrive while the disk works are merged: only the newest
 * of a channel counts.
 *
 * Longer than 400 lines because one object owns the life of a session, and each end of it touches all of its parts.
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Hex } from '../protocol/bytes.ts'
import { toHex } from '../protocol/bytes.ts'
import type { Clock } from '../protocol/clock.ts'
import { boughtBytes, creditWindow, keptAhead, type PeakRate } from '../protocol/credit.ts'
import { asBywayError, BywayError, type ErrorCode } from '../protocol/errors.ts'
import { MAX_SESSION_FLOWS, type Outage } from '../protocol/flow.ts'
import { farewell, type Message, type MessageBody, type MessageName, type Statement } from '../protocol/messages.ts'
import type { Observer } from '../protocol/observe.ts'
import { nearlyUsed } from '../protocol/price.ts'
import {
  acceptStatement,
  carriedOver,
  checkStatement,
  type Direction,
  giveBackBytes,
  roomBytes,
  type Till,
  unpaidBytes,
  windowOver,
} from '../protocol/till.ts'
import { recoverSigner, voucherDigest } from '../protocol/voucher.ts'
import { ENDLESS, type Meter, type Plane } from '../tunnel/fast/plane.ts'
import type { Link } from '../tunnel/index.ts'
import type { CloseReason } from '../wallet/records.ts'
import type { Vault } from '../wallet/vault.ts'
import type { Totals } from './exit.ts'
import { FastFlows } from './fast-flows.ts'
import { type Dialler, Flows, type Shared } from './flows.ts'
import { Gate } from './gate.ts'
import { Lease } from './lease.ts'
import { recordClosed, recordStatement } from './rows.ts'
import { Stall } from './stall.ts'
import { Acknowledging, Telling } from './telling.ts'
import { EXPIRY_MARGIN_S, type PresentedChannel } from './terms.ts'

/** A consumer that pays nothing for this long while flows wait is gone or broke; others want the line. */
export const UNPAID_LIMIT_MS = 30_000
/**
 * Consumers ping every 30 s at least, and wait 15 s for an answer. One that says nothing for that long lost its line or its power, and has a while
 * to come back.
 */
export const SILENT_MS = 45_000
/** While bytes move they ping twice a second: after this long a consumer that does not pay perhaps cannot. */
const UNHEARD_MS = 5_000
/** Given-up flows that are told again when the consumer comes back. More than a session can have at once it need not hear. */
const MAX_LOST = MAX_SESSION_FLOWS
/** A session may go on into the margin in which none is opened any more, and move; what is earned later could not be claimed in peace. */
const SERVED_MARGIN_S = EXPIRY_MARGIN_S / 2
/** Consumers leave a root two hours before it expires; clocks differ. */
const LEAVABLE_BEFORE_EXPIRY_S = 3 * EXPIRY_MARGIN_S
/** What the ledger calls the ends of sessions; all others are peers lost. */
const REASONS: { readonly [code in ErrorCode]?: CloseReason } = { UNPAID: 'unpaid', CAP_EXCEEDED: 'cap-reached', ROOT_EXPIRED: 'expired' }

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
  leastPerGib(): bigint
  /** Opens destinations for a session, whose id may change. */
  dialler(sessionId: () => Hex): Dialler
  /** How fast this payer's traffic was of late, over its sessions. */
  peakOf(payer: Hex): PeakRate
  /** What flows of all sessions have in common. */
  shared: Shared
  /** Flow links of all sessions. */
  allLinks(): number
  outage: Outage
  onClosed(session: ProviderSession): void
  /** The thread that carries bytes, where there is one. */
  plane?: (() => Plane | undefined) | undefined
}

/** Writes the row of a session down that moved, with what it takes along and what may be unpaid there. */
type Enter = (carried: { up: bigint; down: bigint }, window: bigint) => Promise<Till>

export class ProviderSession {
  readonly token = toHex(randomBytes(32))
  /** Changes when the session moves to another channel: each has its own row in the ledger. */
  id: Hex
  channel: PresentedChannel
  readonly openedAtMs: number
  till: Till
  closed = false
  /** The last move to another channel, and what was answered once it was made. */
  move: { readonly to: string; answer?: MessageBody<'accepted'> } | undefined
  #control: Link
  readonly #needs: SessionNeeds
  readonly #flows: Flows
  readonly #gate: Gate
  readonly #fast: { flows: FastFlows; lease: Lease } | undefined
  readonly #peak: PeakRate
  readonly #telling: Telling
  readonly #acknowledging: Acknowledging
  #pending: Statement | undefined
  #writing: Promise<void> | undefined
  readonly #stall = new Stall()
  #tickedMs: number
  #givenBack = { up: 0n, down: 0n }
  #moving: Promise<void> | undefined
  #closing: Promise<void> | undefined
  #lastHeardMs: number
  #awaySinceMs: number | undefined
  /** What was said of flows that were given up: it may have been said to a link that was dead already. */
  readonly #lost = new Map<number, Totals>()

  constructor(control: Link, channel: PresentedChannel, id: Hex, till: Till, needs: SessionNeeds) {
    this.#control = control
    this.id = id
    this.channel = channel
    this.till = till
    this.#needs = needs
    this.#peak = needs.peakOf(channel.descriptor.payer)
    this.openedAtMs = needs.clock.nowMs()
    this.#lastHeardMs = this.openedAtMs
    this.#tickedMs = this.openedAtMs
    this.#telling = new Telling(needs.clock, () => this.#sendMeter())
    this.#acknowledging = new Acknowledging(needs.clock, (statement, window) => this.#sendPaid(statement, window))
    this.#gate = new Gate(till, (direction, bytes) => this.#onTake(direction, bytes))
    const dialler = needs.dialler(() => this.id)
    const lost = (flowId: number, totals: Totals) => this.#onLost(flowId, totals)
    this.#flows = new Flows({
      dialler,
      shared: needs.shared,
      outage: needs.outage,
      observer: needs.observer,
      gate: (direction, bytes, signal) => this.#take(direction, bytes, signal),
      giveBack: (direction, bytes) => this.#giveBack(direction, bytes),
      lost,
      onQuiet: () => this.refresh(),
    })
    const plane = needs.plane?.()
    if (plane === undefined) return
    const flows = new FastFlows(plane, {
      dialler,
      observer: needs.observer,
      lost,
      serve: (link) => (this.closed ? link.destroy() : this.#flows.serve(link)),
      onCounted: () => this.refresh(),
      onDead: (error) => this.fail(error),
    })
    this.#fast = { flows, lease: new Lease(flows.session.meter) }
    this.#lend()
  }

  get payer(): Hex {
    return this.channel.descriptor.payer
  }

  get links(): number {
    return this.#flows.links + (this.#fast?.flows.links ?? 0)
  }

  get flows(): number {
    return this.#flows.live + (this.#fast?.flows.live ?? 0)
  }

  /** Carries one more flow link. */
  attach(link: Link): void {
    const { mostFlows, mostLinks } = this.#needs.shared
    const full =
      this.links >= mostFlows
        ? `a session has at most ${mostFlows} flow links`
        : this.#needs.allLinks() >= mostLinks && `this node has at most ${mostLinks} flow links`
    if (full !== false) {
      link.send('bye', { code: 'PROVIDER_BUSY', message: full })
      link.close()
      return
    }
    link.send('attached', {})
    if (this.#fast === undefined) this.#flows.serve(link)
    else void this.#serveFast(link, this.#fast.flows)
  }

  async #serveFast(link: Link, fast: FastFlows): Promise<void> {
    link.unlisten()
    if (await fast.serve(link)) return
    if (this.closed) link.destroy()
    else this.#flows.serve(link)
  }

  /** For a flow that is carried here: what the other thread has not used of its lease comes back first. */
  #take(direction: Direction, bytes: number, signal: AbortSignal): true | Promise<void> {
    const shared = this.#fast !== undefined && !this.#gate.held
    if (shared) {
      this.#fast.lease.revoke()
      this.refresh()
    }
    const granted = this.#gate.take(direction, bytes, signal)
    if (granted !== true) this.#telling.stopped(this.till)
    if (shared) this.#lend()
    return granted
  }

  /** Puts what the other thread carried into the till, and lets the consumer know when it is time. */
  refresh(): void {
    const { up } = this.till
    const bytes = this.#collect()
    // What was called a download an instant ago may turn out to be an upload: no byte more, but the consumer pays for it only once it hears so.
    if (bytes > 0n || this.till.up > up) this.#onCarried(bytes)
    if (this.#waiting || this.flows === 0) this.#telling.stopped(this.till)
  }

  #collect(): bigint {
    if (this.#fast === undefined) return 0n
    const { up, down } = this.#fast.lease.collect()
    this.till.up += up
    this.till.down += down
    if (up > 0n) this.#needs.observer.count('bytes', Number(up), { direction: 'up' })
    if (down > 0n) this.#needs.observer.count('bytes', Number(down), { direction: 'down' })
    return up + down
  }

  /** Flows wait for a voucher, here or there. */
  get #waiting(): boolean {
    return this.#gate.waiting > 0 || (this.#fast?.flows.session.meter.waiting ?? false)
  }

  /** Lends the other thread what there is room for; flows that wait here come first. */
  #lend(): void {
    if (this.#fast === undefined || this.#gate.held || this.closed) return
    const { flows, lease } = this.#fast
    const { meter } = flows.session
    meter.setWindow(this.till.window)
    lease.lend(this.#gate.waiting > 0 ? 0n : roomBytes(this.till))
    this.#tellAt(meter)
    if (meter.waiting) flows.session.order({ do: 'room' })
  }

  /** The control link is gone, in the middle of things: the consumer may come back on another. */
  lostControl(): void {
    if (this.closed) return
    this.#awaySinceMs ??= this.#needs.clock.nowMs()
  }

  /** The consumer came back: `link` is the control link from now on. What matters is said again. */
  rejoin(link: Link): void {
    const old = this.#control
    this.#control = link
    this.#heard()
    old.unlisten()
    old.destroy()
    link.send('rejoined', { cumulative: this.till.cumulative, window: this.till.window })
    for (const [flowId, totals] of this.#lost) link.send('lost', { flowId, ...totals })
    this.#sendMeter()
  }

  /** On the control link of this moment; lost while the consumer is away. */
  send<N extends MessageName>(name: N, body: MessageBody<N>): void {
    this.#control.send(name, body)
  }

  #heard(): void {
    this.#awaySinceMs = undefined
    this.#lastHeardMs = this.#needs.clock.nowMs()
  }

  #onLost(flowId: number, totals: Totals): void {
    if (this.closed) return
    this.#lost.set(flowId, totals)
    if (this.#lost.size > MAX_LOST) this.#lost.delete(this.#lost.keys().next().value!)
    this.#control.send('lost', { flowId, ...totals })
    this.#sendMeter()
  }

  #onTake(direction: Direction, bytes: number): void {
    this.#needs.observer.count('bytes', bytes, { direction })
    this.#onCarried(BigInt(bytes))
  }

  #onCarried(bytes: bigint): void {
    this.#peak.add(this.#needs.clock.nowMs(), bytes)
    this.#telling.carried(this.till)
  }

  /** The other thread speaks of its counts now and then; of uploads also when it is time that the consumer hears of them. */
  #tellAt(meter: Meter): void {
    meter.tellAt({ up: meter.up + this.#telling.promptBytes(this.till), down: ENDLESS })
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
    this.#lend()
    this.#sendMeter()
  }

  #sendMeter(): void {
    this.#telling.stop()
    if (this.closed) return
    const bytes = this.#collect()
    if (bytes > 0n) this.#peak.add(this.#needs.clock.nowMs(), bytes)
    this.#telling.told(this.till)
    if (this.#fast !== undefined) this.#tellAt(this.#fast.flows.session.meter)
    this.#control.together(() => {
      // What is paid first: it says how much may be counted beyond it.
      this.#acknowledging.flush()
      this.#control.send('meter', { sessionId: this.id, up: this.till.up, down: this.till.down })
    })
  }

  /** A message on the control link, after the session was opened. */
  onMessage(message: Message): void {
    this.#heard()
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
        // What was carried meanwhile says how wide the window may be.
        if (this.#waiting) this.#peak.waited(this.#needs.clock.nowMs(), this.till.window)
        this.refresh()
        acceptStatement(this.till, statement, this.window())
        this.#telling.paid(this.till)
        this.#stall.end()
        // Said before it is used: what flows that waited carry now is counted to the consumer at once, and must not be more than it heard of.
        this.#acknowledging.durable(statement, this.till.window)
        // The consumer may leave the channel once it knows that this much is paid.
        if (nearlyUsed(this.till)) this.#acknowledging.flush()
        this.#gate.release()
        this.#lend()
        if (this.#gate.waiting > 0) this.#telling.stopped(this.till)
      }
    } catch (thrown) {
      this.fail(asBywayError(thrown, 'DISK_FAILED'))
    } finally {
      this.#writing = undefined
    }
  }

  #sendPaid(statement: Statement, window: bigint): void {
    this.#control.send('paid', { cumulative: statement.cumulative, window })
    this.#needs.observer.voucher?.('acknowledged', { rootId: this.channel.rootId, index: this.channel.proof.index, ...statement })
  }

  /** Waits until every statement received so far is durable. */
  async settled(): Promise<void> {
    await this.#writing
    this.#acknowledging.flush()
  }

  /** What this consumer may owe now. */
  window(): bigint {
    const paidBytes = boughtBytes(this.#needs.vault.book.counterparty(this.payer), this.#needs.leastPerGib())
    return creditWindow({ paidBytes, unpaidBytes: 0n, peakBytes: this.#peak.bytes })
  }

  /**
   * Moves to another channel of the same payer: waits for statements under way, holds all flows, closes this channel's row, and takes what is
   * unpaid along. `enter` writes the new row down. Flows notice nothing but a pause.
   */
  moveTo(channel: PresentedChannel, id: Hex, enter: Enter): Promise<void> {
    this.#moving = this.#move(channel, id, enter).finally(() => {
      this.#moving = undefined
    })
    return this.#moving
  }

  async #move(channel: PresentedChannel, id: Hex, enter: Enter): Promise<void> {
    await this.settled()
    if (this.closed) throw new BywayError('SESSION_UNKNOWN', 'the session ended before it could move')
    if (!this.#mayLeave()) throw new BywayError('MESSAGE_UNEXPECTED', 'a channel is left when it is nearly used up, or its root runs out')
    this.#gate.hold()
    // The other thread carries nothing from here on, and what it carried belongs to the channel that is left.
    this.#fast?.lease.revoke()
    this.refresh()
    const carried = carriedOver(this.till, keptAhead(this.#needs.vault.session(this.id)!))
    await recordClosed(this.#needs, this.channel, this.id, this.till, 'done')
    const till = await enter(carried, windowOver(this.window(), carried.up + carried.down))
    this.channel = channel
    this.id = id
    this.till = till
    giveBackBytes(till, 'up', this.#givenBack.up)
    giveBackBytes(till, 'down', this.#givenBack.down)
    this.#givenBack = { up: 0n, down: 0n }
    this.#gate.release(till)
    this.#lend()
    this.#sendMeter()
  }

  /** Each move writes rows that stay, and each channel gives away part of a unit: neither is to be had for nothing. */
  #mayLeave(): boolean {
    const secondsLeft = this.channel.descriptor.expiry - this.#needs.clock.nowMs() / 1000
    return nearlyUsed(this.till) || secondsLeft < LEAVABLE_BEFORE_EXPIRY_S
  }

  /** Called now and then: ends a session that fell silent, whose root runs out, or whose flows wait for a voucher that does not come. */
  tick(nowMs: number): void {
    const sinceMs = nowMs - this.#tickedMs
    this.#tickedMs = nowMs
    const { limitMs } = this.#needs.outage
    if (nowMs - this.#lastHeardMs > SILENT_MS + limitMs || nowMs - (this.#awaySinceMs ?? nowMs) > limitMs) {
      void this.close('peer-lost')
      return
    }
    if (nowMs / 1000 > this.channel.descriptor.expiry - SERVED_MARGIN_S) {
      this.fail(new BywayError('ROOT_EXPIRED', 'the root of this session runs out; move to another, or open a new session'))
      return
    }
    this.refresh()
    const away = this.#awaySinceMs !== undefined || nowMs - this.#lastHeardMs > UNHEARD_MS
    this.#stall.pass(sinceMs, { waiting: this.#waiting, away, excusableMs: limitMs })
    if (this.#stall.waitedMs <= UNPAID_LIMIT_MS) return
    const exhausted = this.till.cumulative >= this.till.cap
    this.fail(new BywayError(exhausted ? 'CAP_EXCEEDED' : 'UNPAID', 'flows waited for a voucher that did not come'))
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
    this.#telling.stop()
    // Flows say what they really carried; only then is the count final.
    this.#flows.close()
    const closed = this.#fast?.flows.close()
    this.#acknowledging.flush()
    this.#control.close()
    this.#needs.observer.count('sessions', 1, { reason })
    try {
      await closed
      this.refresh()
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
    this.#flows.reset()
    this.#fast?.flows.reset()
    this.#sendMeter()
    const deadline = this.#needs.clock.nowMs() + DRAIN_LIMIT_MS
    while ((unpaidBytes(this.till) > 0n || this.flows > 0) && !this.closed && this.#needs.clock.nowMs() < deadline)
      await delay(DRAIN_LOOK_MS)
    await this.close('shutdown')
  }
}
