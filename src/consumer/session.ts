/**
 * A session: one provider reached over one control link and a pool of flow links, paid from one channel at a time.
 *
 * Flows count their bytes into the purse, payments.ts pays from it. When the provider's count and ours cannot both be true the session ends
 * at once and nothing more is signed for it.
 *
 * Longer than 400 lines because one object owns the life of a session, and each end of it touches all of its parts.
 */
import type { Duplex } from 'node:stream'
import type { Hex } from '../protocol/bytes.ts'
import type { Clock } from '../protocol/clock.ts'
import type { Destination } from '../protocol/destination.ts'
import { asBywayError, BywayError } from '../protocol/errors.ts'
import { OUTAGE, type Outage } from '../protocol/flow.ts'
import { EXPORTER_LABEL, FLOW_PROTOCOLS, type Message, type MessageBody, type Statement } from '../protocol/messages.ts'
import type { Observer } from '../protocol/observe.ts'
import type { SignedOffer } from '../protocol/offer.ts'
import { bytesWithin } from '../protocol/price.ts'
import {
  checkDone,
  movedPurse,
  onDiscard,
  onDiscarded,
  onLost,
  onMeter,
  onPaid,
  type Purse,
  promptBytes,
  witnessed,
} from '../protocol/purse.ts'
import { type Domain, domainSeparator } from '../protocol/voucher.ts'
import type { Plane } from '../tunnel/fast/plane.ts'
import type { FlowStream, Link } from '../tunnel/index.ts'
import type { CloseReason } from '../wallet/records.ts'
import type { Vault } from '../wallet/vault.ts'
import type { Budget } from './budget.ts'
import { Control } from './control.ts'
import type { Deposits, PayingChannel } from './deposits.ts'
import { type Carried, type CarryOptions, FastFlows } from './fast-flows.ts'
import { Flows, type FlowsNeeds, type OverFlow, type Target } from './flows.ts'
import { askForSession, askToRejoin, LinkPool } from './links.ts'
import { Moving } from './moving.ts'
import { beginSession, recordClosed, sessionMessage } from './opening.ts'
import { pause } from './pause.ts'
import { Payments } from './payments.ts'
import { Question } from './question.ts'
import { refusal } from './refusals.ts'
import { Stalls } from './stalls.ts'
import type { Peer, Ways } from './ways.ts'

/** A better way that takes longer is not better. */
const BETTER_WAY_LIMIT_MS = 5_000

export interface SessionNeeds {
  vault: Vault
  deposits: Deposits
  domain: Domain
  clock: Clock
  observer: Observer
  /** What attempts to find a way back may cost, all sessions together. */
  budget: Budget
  /** A number in [0, 1). */
  random(): number
  /** How long to look for another way to a provider when one broke. */
  outage?: Outage
  /** The thread that carries bytes, where there is one; asked anew for each session. */
  plane?: (() => Plane | undefined) | undefined
  /** What was chosen before may be chosen otherwise: a session is over, or its way is dead for now. */
  onChanged?(): void
  /** The way to the provider died, and another is looked for. */
  onAway?(session: ConsumerSession): void
}

/** Carried with the application's socket by the thread that carries bytes, where there is one, or dialled as a stream: each needs links of its own. */
export type FlowKind = 'carried' | 'dialled'

export class ConsumerSession {
  readonly offer: SignedOffer
  readonly openedAtMs: number
  closed: BywayError | undefined
  readonly #ended = Promise.withResolvers<void>()
  /** We ended it, in order: nothing speaks against the provider. */
  left = false
  readonly #control: Control
  readonly #pool: LinkPool
  /** Somebody who could ask elsewhere has used it since its way was last replaced. */
  #doubted = false
  readonly #stalls = new Stalls()
  readonly #ways: Ways
  #channel: PayingChannel
  #purse: Purse
  #payments: Payments
  #token: Hex
  #sessionId: Hex
  readonly #moving: Moving
  /** The last count for a session this side has not entered yet. */
  #early: MessageBody<'meter'> | undefined
  #lastStatement: Statement | undefined
  #question: Question | undefined
  readonly #needs: SessionNeeds
  readonly #outage: Outage
  readonly #separator: Uint8Array
  readonly #flows: Flows
  readonly #fast: FastFlows | undefined
  #nextFlow = 1
  /** Flows and bytes at the last look that found others than before. */
  #lastLook = { flows: 0, bytes: 0n, movedAtMs: 0 }
  readonly #onClosed: (session: ConsumerSession) => void

  /** Connects, agrees on terms and high-water mark, and returns the open session. */
  static async open({ offer, ways }: Peer, needs: SessionNeeds, onClosed: (session: ConsumerSession) => void): Promise<ConsumerSession> {
    const { payee, pricePerGib, nodeKey, country } = offer.body
    const channel = await needs.deposits.channelFor(payee)
    const control = await ways.connect({ signal: new AbortController().signal, use: 'control' })
    try {
      const exporter = control.wire.exportKeyingMaterial(32, EXPORTER_LABEL, Buffer.alloc(0))
      const message = sessionMessage(channel, { domain: needs.domain, pricePerGib, exporter }, needs.vault)
      const answer = await askForSession(control, message)
      const separator = domainSeparator(needs.domain)
      const purse = await beginSession(channel, answer, { nodeKey, country, pricePerGib, separator, moved: false }, needs)
      const session = new ConsumerSession({ offer, ways, control, channel, purse, answer, separator, needs, onClosed })
      if (needs.deposits.nearlyUsed(channel.book)) await session.#leaveUsedUp()
      return session
    } catch (thrown) {
      control.destroy()
      throw thrown
    }
  }

  private constructor(open: {
    offer: SignedOffer
    ways: Ways
    control: Link
    channel: PayingChannel
    purse: Purse
    answer: MessageBody<'accepted'>
    separator: Uint8Array
    needs: SessionNeeds
    onClosed: (session: ConsumerSession) => void
  }) {
    const { offer, control, channel, purse, answer, separator, needs, onClosed } = open
    this.offer = offer
    this.#ways = open.ways
    this.#outage = needs.outage ?? OUTAGE
    // A provider that started anew says so to whoever comes first: a flow or the control link.
    this.#pool = new LinkPool(
      (signal) => this.#ways.connect({ signal, use: 'flows' }),
      needs.clock,
      (error) => this.fail(error),
    )
    this.#channel = channel
    this.#purse = purse
    this.#sessionId = answer.sessionId
    this.#token = answer.token
    this.#separator = separator
    this.#needs = needs
    this.#onClosed = onClosed
    this.openedAtMs = needs.clock.nowMs()
    this.#lastLook.movedAtMs = this.openedAtMs
    this.#payments = new Payments(this.#account(), {
      ...needs,
      separator,
      roundTripMs: () => this.#control.shortestRoundTripMs,
      send: (statement) => {
        this.#control.send('pay', statement)
        this.#lastStatement = statement
        needs.observer.voucher?.('sent', { ...this.#channel.ref, ...statement })
      },
      onShort: () => void this.#moving.now(),
      onError: (error) => this.fail(error),
    })
    const flowsNeeds = this.#flowsNeeds()
    this.#flows = new Flows(flowsNeeds)
    this.#fast = this.#newFastFlows(flowsNeeds)
    this.#moving = new Moving({
      move: () => this.#move(),
      due: () => this.closed === undefined && needs.deposits.nearlyUsed(this.#channel.book),
      onFailed: (error) => {
        needs.observer.warn('DEPOSIT_LOW', { code: error.code })
        needs.observer.log('no further channel', { code: error.code, why: error.message })
      },
    })
    this.#control = new Control(control, {
      clock: needs.clock,
      outage: this.#outage,
      budget: needs.budget,
      random: needs.random,
      connect: (signal) => this.#ways.connect({ signal, use: 'control' }),
      rejoin: (link, signal) => askToRejoin(link, this.#credentials, signal),
      activity: () => this.#activity(),
      onMessage: (message) => this.#onMessage(message),
      onAway: (why) => {
        this.#flows.away()
        this.#fast?.away()
        needs.onChanged?.()
        if (why === 'silent' && this.#doubted) this.#pool.away()
        if (why !== 'cut off') needs.onAway?.(this)
      },
      onBack: () => {
        this.#flows.back()
        this.#fast?.back()
      },
      onRejoined: (rejoined, lostAtMs) => this.#onRejoined(rejoined, lostAtMs),
      onGone: (error) => this.fail(error),
    })
    // What an earlier session left unpaid is due now.
    this.#payments.changed()
  }

  get id(): Hex {
    return this.#sessionId
  }

  /** It is over because the provider knows it no more: one that started anew, say. Another with the same provider may go well at once. */
  get forgotten(): boolean {
    return this.closed?.code === 'SESSION_UNKNOWN'
  }

  /** By which the thread that carries bytes knows it; undefined where none does. */
  get number(): number | undefined {
    return this.#fast?.session.number
  }

  get purse(): Readonly<Purse> {
    return this.#purse
  }

  /** Resolves once nothing more is signed and all of it is on disk: only then may another session with this provider begin. */
  get ended(): Promise<void> {
    return this.#ended.promise
  }

  get flows(): number {
    return this.#flows.size + (this.#fast?.size ?? 0)
  }

  /** Looked at twice a second: what moved since the last look moved now. */
  #activity(): { flows: boolean; quietMs: number } {
    const nowMs = this.#needs.clock.nowMs()
    this.#fast?.refresh()
    const { flows } = this
    const bytes = this.#purse.sent + this.#purse.received
    if (flows !== this.#lastLook.flows || bytes !== this.#lastLook.bytes) this.#lastLook = { flows, bytes, movedAtMs: nowMs }
    return { flows: flows > 0, quietMs: nowMs - this.#lastLook.movedAtMs }
  }

  #account() {
    return { channel: this.#channel, sessionId: this.#sessionId, purse: this.#purse }
  }

  get #credentials() {
    return { sessionId: this.#sessionId, token: this.#token }
  }

  /** The way to the provider is dead for now: flows that are open wait, new ones should go elsewhere. */
  get away(): boolean {
    return this.#control.away
  }

  /** Somebody waits for an answer and could ask elsewhere: if nothing at all is heard in a moment the way is taken for dead. */
  doubt(): void {
    this.#doubted = true
    this.#control.doubt()
  }

  /** The node that carried its links is gone: another way is looked for at once. */
  lostWay = (): void => this.#control.lostWay()

  /** Replaces its links when what the provider put on them stands still; true if so. */
  relinkStalled(): boolean {
    const nowMs = this.#needs.clock.nowMs()
    this.#fast?.refresh()
    if (!this.#stalls.look(nowMs, this.#purse) || this.away || this.#flows.heldBack || this.#fast?.heldBack === true) return false
    this.#pool.cut(nowMs)
    this.#fast?.cut(nowMs)
    return true
  }

  /** How its links reach the provider now. */
  get way(): string | undefined {
    return this.#ways.current
  }

  /** Moves to a better way if there is one by now. Flows go on over it. */
  async seekBetterWay(): Promise<void> {
    if (this.closed !== undefined || this.away) return
    const link = await this.#ways.better(AbortSignal.timeout(BETTER_WAY_LIMIT_MS))
    if (link !== undefined)
      await this.#control.moveTo(link).catch((thrown) => this.#needs.observer.log('no better way', { why: asBywayError(thrown).code }))
  }

  get roundTripMs(): number | undefined {
    return this.#control.roundTripMs
  }

  get unansweredMs(): number {
    return this.#control.unansweredMs
  }

  #newFastFlows(needs: FlowsNeeds): FastFlows | undefined {
    const plane = this.#needs.plane?.()
    if (plane === undefined) return undefined
    return new FastFlows(plane, {
      ...needs,
      fresh: (signal) => this.#pool.fresh(this.#credentials, signal),
      untilPayment: () => {
        const { signingBytes: signing, lead } = this.#payments
        return promptBytes(this.#purse, { signing, lead })
      },
      onEnded: (inOrder, count) => this.#needs.observer.count('flows', count, { result: inOrder ? 'ok' : 'CONNECTION_RESET' }),
      onUnanswered: () => this.doubt(),
      onDead: (error) => this.fail(error),
    })
  }

  #flowsNeeds(): FlowsNeeds {
    const { clock, observer } = this.#needs
    return {
      clock,
      // The other thread numbers flows as well.
      nextId: () => this.#fast?.session.meter.nextFlow() ?? this.#nextFlow++,
      take: (signal) => this.#pool.take(this.#credentials, signal),
      put: (link) => this.#pool.put(link),
      outage: this.#outage,
      onHeard: () => this.#control.heard(),
      onCount: (way, bytes) => {
        if (way === 'unsent') {
          this.#purse.sent -= BigInt(bytes)
          return
        }
        // What is sent is no sign that anybody is there.
        if (way !== 'sent') this.#control.heard()
        if (way === 'discarded') this.#onDiscard(BigInt(bytes))
        else this.#purse[way] += BigInt(bytes)
        if (bytes > 0) observer.count('bytes', bytes, { direction: way === 'sent' ? 'up' : 'down' })
        this.#payments.changed()
      },
      onOver: (flow, stated) => {
        onDiscarded(this.#purse, BigInt(flow.discarded))
        this.#onFlowOver(flow, stated)
      },
      onGivenUp: (flow, error) => {
        observer.count('flows', 1, { result: error.code })
        onDiscarded(this.#purse, BigInt(flow.discarded))
      },
      onSettled: (flow, stated) => {
        if (onLost(this.#purse, flow, stated) !== undefined) this.#diverged(stated)
        else this.#payments.changed()
      },
    }
  }

  /** Whether a link is there for the next flow of this kind. */
  linked(kind: FlowKind): boolean {
    const fast = kind === 'carried' ? this.#fast : undefined
    return fast === undefined || fast.unable ? this.#pool.idle > 0 : fast.linked
  }

  /** Makes one where there is none: a handshake, through each hop before. */
  async prepare(kind: FlowKind, signal: AbortSignal): Promise<void> {
    if (this.closed !== undefined) throw this.closed
    if (this.linked(kind) || (kind === 'carried' && (await this.#fast?.prepare(signal)))) return
    if (this.#pool.idle === 0) this.#pool.put(await this.#pool.fresh(this.#credentials, signal))
  }

  /** Hands an application's socket over with its flow; see {@link FastFlows.carry}. */
  async carryFlow({ host, port }: Destination, client: Duplex, options: CarryOptions): Promise<Carried | undefined> {
    if (this.closed !== undefined) throw this.closed
    return this.#fast?.carry({ protocol: FLOW_PROTOCOLS.tcp, host, port }, client, options)
  }

  /** Opens a flow; see {@link Flows.open}. */
  openFlow(target: Target, options: { signal: AbortSignal; early: boolean }): Promise<FlowStream> {
    if (this.closed !== undefined) return Promise.reject(this.closed)
    return this.#flows.open(target, options)
  }

  /** A stream to the next hop, for a link to it; it is there at once, and fails when the hop does. */
  async carrierTo(offer: Uint8Array, signal: AbortSignal): Promise<Duplex> {
    if (this.closed !== undefined) throw this.closed
    return (await this.#fast?.extend(offer, signal)) ?? this.#flows.open({ offer }, { signal, early: true })
  }

  /** The session goes on over another way: flows leave the links of the old one, and the provider hears our newest statement again. */
  #onRejoined({ window }: MessageBody<'rejoined'>, lostAtMs: number): void {
    onPaid(this.#purse, window)
    if (this.#lastStatement?.sessionId === this.#sessionId) this.#control.send('pay', this.#lastStatement)
    // After the statement, so that the channel is left with all that was paid on it.
    this.#question?.ask()
    this.#pool.cut(lostAtMs)
    this.#doubted = false
    this.#flows.back()
    this.#fast?.cut(lostAtMs)
    this.#fast?.back()
    this.#payments.changed()
    this.#needs.observer.log('session rejoined', { session: this.#sessionId })
  }

  #onDiscard(bytes: bigint): void {
    if (onDiscard(this.#purse, bytes) !== undefined) this.#diverged({ up: this.#purse.statedUp, down: this.#purse.received })
  }

  #onFlowOver(flow: OverFlow, stated: { up: bigint; down: bigint }): void {
    this.#needs.observer.count('flows', 1, { result: flow.aborted ? 'CONNECTION_RESET' : 'ok' })
    if (checkDone(flow, stated) !== undefined) this.#diverged(stated)
    else this.#payments.changed()
  }

  #onMeter(stated: MessageBody<'meter'>): void {
    this.#stalls.stated = stated.down
    // What was sent is counted in the other thread: the provider may have heard of it sooner than we have here.
    this.#fast?.refresh()
    if (onMeter(this.#purse, stated) !== undefined) this.#diverged(stated)
    else this.#payments.changed()
  }

  #diverged(stated: { up: bigint; down: bigint }): void {
    const { nodeKey } = this.offer.body
    const { sent, received, paidUp, paidDown, widest } = this.#purse
    const facts = { up: stated.up, down: stated.down, sent, received, paid: paidUp + paidDown, window: widest }
    this.#needs.observer.warn('METER_DIVERGED', { provider: nodeKey })
    this.fail(new BywayError('METER_DIVERGED', 'the provider counted other bytes than arrived', { facts }))
  }

  #onMessage(message: Message): void {
    switch (message.name) {
      case 'meter':
        if (message.body.sessionId === this.#sessionId) this.#onMeter(message.body)
        // The provider may be on the next channel already. It may not count again before it is paid, so its last word there must not be lost.
        else this.#early = message.body
        break
      case 'paid':
        onPaid(this.#purse, message.body.window)
        if (this.#needs.deposits.nearlyUsed(this.#channel.book)) void this.#moving.now()
        break
      case 'lost':
        this.#flows.onLost(message.body.flowId, message.body)
        this.#fast?.onLost(message.body.flowId, message.body)
        break
      case 'accepted':
        // A question that was asked again may be answered twice.
        if (this.#question === undefined && message.body.sessionId !== this.#sessionId)
          throw new BywayError('MESSAGE_UNEXPECTED', 'accepted without a question')
        this.#question?.answered(message.body)
        break
      case 'bye':
        this.fail(refusal(message.body))
        break
      case 'ping':
        this.#control.send('pong', message.body)
        break
      default:
        throw new BywayError('MESSAGE_UNEXPECTED', `${message.name} has no place in an open session`)
    }
  }

  /** The session began on a channel that is nearly used up. Stays there if there is no other, as long as it can pay for anything. */
  async #leaveUsedUp(): Promise<void> {
    const error = await this.#moving.now()
    if (this.closed !== undefined) throw this.closed
    const { cap, base, pricePerGib } = this.#purse
    if (error === undefined || bytesWithin(cap, base, pricePerGib) !== 0n) return
    this.fail(error)
    throw error
  }

  /** Moves the session to a channel with more room. Flows go on; what is unpaid is paid there. */
  async #move(): Promise<void> {
    const channel = await this.#needs.deposits.channelFor(this.offer.body.payee, this.#channel.ref)
    if (this.closed !== undefined) return
    await this.#payments.hold()
    try {
      if (this.closed !== undefined) return
      this.#entering = this.#enter(channel)
      await this.#entering
    } catch (thrown) {
      // Payments are held and the provider may be on the new channel already: there is no way back.
      this.fail(asBywayError(thrown))
      throw thrown
    }
  }
  /** The last move to another channel, from when it is asked for until the session is there. */
  #entering: Promise<void> = Promise.resolve()

  async #enter(channel: PayingChannel): Promise<void> {
    const { pricePerGib, nodeKey, country } = this.offer.body
    const ask = () => {
      const terms = { domain: this.#needs.domain, pricePerGib, exporter: this.#control.exportKeyingMaterial() }
      this.#control.send('session', sessionMessage(channel, terms, this.#needs.vault))
    }
    this.#question = new Question(ask, () => this.#control.away)
    const answer = await this.#question.answer
    const terms = { nodeKey, country, pricePerGib, separator: this.#separator, moved: true }
    const fresh = await beginSession(channel, answer, terms, this.#needs)
    // Only now: if the answer was refused, what is unpaid or ahead has not moved along.
    await this.#recordClosed('done', { up: this.#purse.paidUp, down: this.#purse.paidDown })
    // Bytes count all the time: no await may stand between these lines.
    this.#purse = movedPurse(this.#purse, fresh, answer.carried)
    this.#channel = channel
    this.#sessionId = answer.sessionId
    this.#question = undefined
    // It ended while the new row was written: whoever ended it waits, and closes that one. Nothing more is signed.
    if (this.closed !== undefined) return
    this.#payments.resume(this.#account())
    if (this.#early?.sessionId === this.#sessionId) this.#onMeter(this.#early)
    this.#needs.observer.log('moved to another channel', { session: this.#sessionId, rootId: channel.ref.rootId })
  }

  #recordClosed(reason: CloseReason, counts: { up: bigint; down: bigint }): Promise<void> {
    return recordClosed({ ref: this.#channel.ref, sessionId: this.#sessionId, reason, counts }, this.#needs)
  }

  /** Ends the session because of `error`; flows are reset, nothing more is signed. */
  fail(error: BywayError): void {
    const reason: CloseReason = error.code === 'METER_DIVERGED' ? 'meter-diverged' : error.code === 'UNPAID' ? 'unpaid' : 'peer-lost'
    void this.#end(error, reason)
  }

  /** Ends the session in order: flows are reset, all that is due is paid, the provider is told. */
  async close(reason: 'done' | 'idle' | 'shutdown'): Promise<void> {
    if (this.closed !== undefined) return
    this.left = true
    this.#payments.ending()
    this.#flows.reset()
    this.#fast?.reset()
    await this.over(CLOSE_WAIT_MS)
    // What is due is paid where the session moves to, if it gets there.
    const late = new AbortController()
    await Promise.race([this.#entering.catch(() => {}), pause(CLOSE_WAIT_MS, late.signal)])
    late.abort()
    // What the other thread counted and has not told yet is due as well.
    this.#fast?.refresh()
    await this.#payments.finish()
    this.#control.send('bye', { code: 'SESSION_UNKNOWN', message: reason })
    await this.#end(new BywayError('PROVIDER_LOST', 'the session was closed'), reason)
  }

  /** Resolves when all flows are over, at the latest after so long. */
  async over(limitMs: number): Promise<void> {
    await Promise.all([this.#flows.over(limitMs), this.#fast?.over(limitMs)])
  }

  async #end(error: BywayError, reason: CloseReason): Promise<void> {
    if (this.closed !== undefined) return
    this.closed = error
    this.#needs.onChanged?.()
    this.#moving.stop()
    this.#question?.givenUp(error)
    this.#flows.close(error)
    const counted = this.#fast?.close(error)
    this.#pool.close()
    this.#control.close()
    this.#onClosed(this)
    this.#needs.observer.count('sessions', 1, { reason })
    this.#needs.observer.log('session closed', { session: this.#sessionId, reason, code: error.code, why: error.message })
    try {
      await Promise.all([this.#payments.hold(), counted, this.#entering.catch(() => {})])
      await this.#recordClosed(reason, witnessed(this.#purse))
    } catch (thrown) {
      this.#needs.observer.log('session not recorded', { session: this.#sessionId, why: asBywayError(thrown).code })
    }
    this.#ended.resolve()
  }
}

/** Resets settle within a round trip; a provider that does not answer is not waited for. */
const CLOSE_WAIT_MS = 2_000
