/**
 * A session: one provider reached over one control link and a pool of flow links, paid from one channel at a time.
 *
 * Flows count their bytes into the purse, payments.ts pays from it. When the provider's count and ours cannot both be true the session ends
 * at once and nothing more is signed for it.
 */
import type { Hex } from '../protocol/bytes.ts'
import type { Clock } from '../protocol/clock.ts'
import type { Destination } from '../protocol/destination.ts'
import { asBywayError, BywayError } from '../protocol/errors.ts'
import { EXPORTER_LABEL, type Message, type MessageBody } from '../protocol/messages.ts'
import type { Observer } from '../protocol/observe.ts'
import type { SignedOffer, Transport } from '../protocol/offer.ts'
import { bytesWithin } from '../protocol/price.ts'
import { checkDone, movedPurse, onDiscard, onDiscarded, onLost, onMeter, onPaid, type Purse, witnessed } from '../protocol/purse.ts'
import { type Domain, domainSeparator } from '../protocol/voucher.ts'
import { connectLink, FlowStream, type Link } from '../tunnel/index.ts'
import type { CloseReason } from '../wallet/records.ts'
import type { Vault } from '../wallet/vault.ts'
import { BrokenFlows } from './broken.ts'
import type { Deposits, PayingChannel } from './deposits.ts'
import { Heartbeat } from './heartbeat.ts'
import { askForFlow, askForSession, LinkPool, OPEN_TIMEOUT_MS } from './links.ts'
import { beginSession, sessionMessage } from './opening.ts'
import { Payments } from './payments.ts'
import { refusal } from './refusals.ts'

/** A wallet that is empty now, or a chain that is silent, is not asked again with every packet. */
const MOVE_AGAIN_MS = 3_000

export interface SessionNeeds {
  vault: Vault
  deposits: Deposits
  domain: Domain
  clock: Clock
  observer: Observer
}

export class ConsumerSession {
  readonly offer: SignedOffer
  readonly openedAtMs: number
  closed: BywayError | undefined
  readonly #ended = Promise.withResolvers<void>()
  /** We ended it, in order: nothing speaks against the provider. */
  left = false
  #control: Link
  #pool: LinkPool
  #channel: PayingChannel
  #purse: Purse
  #payments: Payments
  #token: Hex
  #sessionId: Hex
  #nextFlow = 1
  readonly #heartbeat: Heartbeat
  #moving: Promise<BywayError | undefined> | undefined
  #notMoved: BywayError | undefined
  #movingAgain: NodeJS.Timeout | undefined
  /** The last count for a session this side has not entered yet. */
  #early: MessageBody<'meter'> | undefined
  #answer: PromiseWithResolvers<MessageBody<'accepted'>> | undefined
  readonly #needs: SessionNeeds
  readonly #separator: Uint8Array
  readonly #flows = new Map<number, FlowStream>()
  readonly #broken = new BrokenFlows((flow, stated) => {
    if (onLost(this.#purse, flow, stated) !== undefined) this.#diverged(stated)
    else this.#payments.changed()
  })
  readonly #onClosed: (session: ConsumerSession) => void

  /** Connects, agrees on terms and high-water mark, and returns the open session. */
  static async open(offer: SignedOffer, needs: SessionNeeds, onClosed: (session: ConsumerSession) => void): Promise<ConsumerSession> {
    const { payee, pricePerGib, nodeKey, country } = offer.body
    const transport = offer.body.transports.find(({ kind }) => kind === 'tls')
    if (transport === undefined) throw new BywayError('PROVIDER_UNREACHABLE', 'the offer names no TLS address')
    const channel = await needs.deposits.channelFor(payee)
    const control = await connectLink(transport)
    try {
      const exporter = control.wire.exportKeyingMaterial(32, EXPORTER_LABEL, Buffer.alloc(0))
      const message = sessionMessage(channel, { domain: needs.domain, pricePerGib, exporter }, needs.vault)
      const answer = await askForSession(control, message)
      const separator = domainSeparator(needs.domain)
      const purse = await beginSession(channel, answer, { nodeKey, country, pricePerGib, separator, moved: false }, needs)
      const session = new ConsumerSession({ offer, transport, control, channel, purse, answer, separator, needs, onClosed })
      if (needs.deposits.nearlyUsed(channel.book)) await session.#leaveUsedUp()
      return session
    } catch (thrown) {
      control.destroy()
      throw thrown
    }
  }

  private constructor(open: {
    offer: SignedOffer
    transport: Transport
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
    this.#control = control
    this.#pool = new LinkPool(open.transport)
    this.#channel = channel
    this.#purse = purse
    this.#sessionId = answer.sessionId
    this.#token = answer.token
    this.#separator = separator
    this.#needs = needs
    this.#onClosed = onClosed
    this.openedAtMs = needs.clock.nowMs()
    this.#payments = new Payments(this.#account(), {
      ...needs,
      separator,
      send: (statement) => {
        this.#control.send('pay', statement)
        needs.observer.voucher?.('sent', { ...this.#channel.ref, ...statement })
      },
      onShort: () => void this.#move(),
      onError: (error) => this.fail(error),
    })
    this.#heartbeat = new Heartbeat(
      needs.clock,
      (nonce) => this.#control.send('ping', { nonce }),
      () => this.fail(new BywayError('PROVIDER_LOST', 'the provider fell silent')),
    )
    control.listen({
      onMessage: (message) => this.#onMessage(message),
      onData: () => this.fail(new BywayError('MESSAGE_UNEXPECTED', 'data on a control link')),
      onClose: (error) => this.fail(error ?? new BywayError('PROVIDER_LOST', 'the provider closed the session')),
    })
    // What an earlier session left unpaid is due now.
    this.#payments.changed()
  }

  get id(): Hex {
    return this.#sessionId
  }

  get purse(): Readonly<Purse> {
    return this.#purse
  }

  /** Resolves once nothing more is signed and all of it is on disk: only then may another session with this provider begin. */
  get ended(): Promise<void> {
    return this.#ended.promise
  }

  get flows(): number {
    return this.#flows.size
  }

  #account() {
    return { channel: this.#channel, sessionId: this.#sessionId, purse: this.#purse }
  }

  /** Opens a flow to a destination. Rejects with what the exit said when it could not; nothing is paid then. */
  async openFlow(destination: Destination, signal: AbortSignal): Promise<FlowStream> {
    if (this.closed !== undefined) throw this.closed
    const link = await this.#pool.take({ sessionId: this.#sessionId, token: this.#token }, signal)
    const flowId = this.#nextFlow++
    this.#broken.asked(flowId)
    const failed = await askForFlow(link, { flowId, ...destination }, signal).catch((thrown) => {
      // The destination may have spoken already: what the provider put on the link for nobody is settled like any broken flow.
      this.#broken.broke(flowId, { sent: 0n, received: 0n })
      throw thrown
    })
    if (failed !== undefined) {
      this.#broken.over(flowId)
      this.#pool.put(link)
      throw failed
    }
    const flow: FlowStream = new FlowStream({
      link,
      side: 'consumer',
      onCount: (way, bytes) => {
        if (way === 'discarded') this.#onDiscard(BigInt(bytes))
        else this.#purse[way] += BigInt(bytes)
        this.#needs.observer.count('bytes', bytes, { direction: way === 'sent' ? 'up' : 'down' })
        this.#payments.changed()
      },
      onDone: (stated) => {
        this.#flows.delete(flowId)
        this.#broken.over(flowId)
        onDiscarded(this.#purse, flow.discarded)
        this.#onFlowOver(flow, stated!)
        this.#pool.put(link)
      },
      onBroken: (error) => {
        this.#flows.delete(flowId)
        this.#needs.observer.count('flows', 1, { result: error.code })
        onDiscarded(this.#purse, flow.discarded)
        this.#broken.broke(flowId, flow)
      },
    })
    // Whoever uses the flow listens for errors; until then one must not bring the process down.
    flow.on('error', () => {})
    this.#flows.set(flowId, flow)
    return flow
  }

  #onDiscard(bytes: bigint): void {
    if (onDiscard(this.#purse, bytes) !== undefined) this.#diverged({ up: this.#purse.statedUp, down: this.#purse.received })
  }

  #onFlowOver(flow: FlowStream, stated: { up: bigint; down: bigint }): void {
    this.#needs.observer.count('flows', 1, { result: flow.aborted ? 'CONNECTION_RESET' : 'ok' })
    if (checkDone(flow, stated) !== undefined) this.#diverged(stated)
    else this.#payments.changed()
  }

  #onMeter(stated: MessageBody<'meter'>): void {
    if (onMeter(this.#purse, stated) !== undefined) this.#diverged(stated)
    else this.#payments.changed()
  }

  #diverged(stated: { up: bigint; down: bigint }): void {
    const { nodeKey } = this.offer.body
    this.#needs.observer.warn('METER_DIVERGED', { provider: nodeKey })
    this.fail(
      new BywayError('METER_DIVERGED', 'the provider counted other bytes than arrived', { facts: { up: stated.up, down: stated.down } }),
    )
  }

  #onMessage(message: Message): void {
    this.#heartbeat.heard()
    switch (message.name) {
      case 'meter':
        if (message.body.sessionId === this.#sessionId) this.#onMeter(message.body)
        // The provider may be on the next channel already. It may not count again before it is paid, so its last word there must not be lost.
        else this.#early = message.body
        break
      case 'paid':
        onPaid(this.#purse, message.body.window)
        if (this.#needs.deposits.nearlyUsed(this.#channel.book)) void this.#move()
        break
      case 'lost':
        this.#broken.stated(message.body.flowId, message.body)
        break
      case 'accepted':
        if (this.#answer === undefined) throw new BywayError('MESSAGE_UNEXPECTED', 'accepted without a question')
        this.#answer.resolve(message.body)
        break
      case 'bye':
        this.fail(refusal(message.body))
        break
      case 'ping':
        this.#control.send('pong', message.body)
        break
      case 'pong':
        break
      default:
        throw new BywayError('MESSAGE_UNEXPECTED', `${message.name} has no place in an open session`)
    }
  }

  /** The session began on a channel that is nearly used up. Stays there if there is no other, as long as it can pay for anything. */
  async #leaveUsedUp(): Promise<void> {
    const error = await this.#move()
    if (this.closed !== undefined) throw this.closed
    const { cap, base, pricePerGib } = this.#purse
    if (error === undefined || bytesWithin(cap, base, pricePerGib) !== 0n) return
    this.fail(error)
    throw error
  }

  /** Moves the session to a channel with more room. Flows go on; what is unpaid is paid there. Says why it could not. */
  #move(): Promise<BywayError | undefined> {
    if (this.#notMoved !== undefined) return Promise.resolve(this.#notMoved)
    this.#moving ??= this.#moveNow()
      .then(
        () => undefined,
        (thrown: unknown) => {
          const error = asBywayError(thrown)
          this.#moveLater(error)
          this.#needs.observer.warn('DEPOSIT_LOW', { code: error.code })
          this.#needs.observer.log('no further channel', { code: error.code, why: error.message })
          return error
        },
      )
      .finally(() => {
        this.#moving = undefined
      })
    return this.#moving
  }

  /** What is stuck at the end of a channel gives no sign of life by itself: the wallet is looked at again after a while. */
  #moveLater(error: BywayError): void {
    this.#notMoved = error
    this.#movingAgain = setTimeout(() => {
      this.#notMoved = undefined
      if (this.closed === undefined && this.#needs.deposits.nearlyUsed(this.#channel.book)) void this.#move()
    }, MOVE_AGAIN_MS)
  }

  async #moveNow(): Promise<void> {
    const channel = await this.#needs.deposits.channelFor(this.offer.body.payee, this.#channel.ref)
    if (this.closed !== undefined) return
    await this.#payments.hold()
    try {
      if (this.closed === undefined) await this.#enter(channel)
    } catch (thrown) {
      // Payments are held and the provider may be on the new channel already: there is no way back.
      this.fail(asBywayError(thrown))
      throw thrown
    }
  }

  async #enter(channel: PayingChannel): Promise<void> {
    const { pricePerGib, nodeKey, country } = this.offer.body
    this.#answer = Promise.withResolvers()
    const exporter = this.#control.wire.exportKeyingMaterial(32, EXPORTER_LABEL, Buffer.alloc(0))
    this.#control.send('session', sessionMessage(channel, { domain: this.#needs.domain, pricePerGib, exporter }, this.#needs.vault))
    const tooLate = () => this.#answer?.reject(new BywayError('SESSION_TIMEOUT', 'the provider did not answer the move'))
    const late = setTimeout(tooLate, OPEN_TIMEOUT_MS)
    const answer = await this.#answer.promise.finally(() => clearTimeout(late))
    this.#answer = undefined
    await this.#recordClosed('done', { up: this.#purse.paidUp, down: this.#purse.paidDown })
    const terms = { nodeKey, country, pricePerGib, separator: this.#separator, moved: true }
    const fresh = await beginSession(channel, answer, terms, this.#needs)
    // Bytes count all the time: no await may stand between these lines.
    this.#purse = movedPurse(this.#purse, fresh, answer.carried.up)
    this.#channel = channel
    this.#sessionId = answer.sessionId
    if (this.closed !== undefined) {
      // It ended while the new row was written: that one has to be closed too, and nothing more is signed.
      await this.#recordClosed('peer-lost', witnessed(this.#purse))
      return
    }
    this.#payments.resume(this.#account())
    if (this.#early?.sessionId === this.#sessionId) this.#onMeter(this.#early)
    this.#needs.observer.log('moved to another channel', { session: this.#sessionId, rootId: channel.ref.rootId })
  }

  async #recordClosed(reason: CloseReason, counts: { up: bigint; down: bigint }): Promise<void> {
    await this.#needs.vault.record({
      kind: 'session-closed',
      ...this.#channel.ref,
      sessionId: this.#sessionId,
      ...counts,
      reason,
      atMs: this.#needs.clock.nowMs(),
    })
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
    for (const flow of this.#flows.values()) flow.destroy()
    await this.#flowsOver()
    await this.#payments.finish()
    this.#control.send('bye', { code: 'SESSION_UNKNOWN', message: reason })
    await this.#end(new BywayError('PROVIDER_LOST', 'the session was closed'), reason)
  }

  /** Resets settle within a round trip; a provider that does not answer is not waited for. */
  async #flowsOver(): Promise<void> {
    const deadline = this.#needs.clock.nowMs() + CLOSE_WAIT_MS
    while (this.#flows.size > 0 && this.closed === undefined && this.#needs.clock.nowMs() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, CLOSE_POLL_MS))
    }
    // The provider's last count of uploads is on its way.
    await new Promise((resolve) => setTimeout(resolve, CLOSE_POLL_MS * 2))
  }

  async #end(error: BywayError, reason: CloseReason): Promise<void> {
    if (this.closed !== undefined) return
    this.closed = error
    this.#heartbeat.stop()
    clearTimeout(this.#movingAgain)
    this.#answer?.reject(error)
    this.#pool.close()
    this.#control.close()
    this.#onClosed(this)
    this.#needs.observer.count('sessions', 1, { reason })
    this.#needs.observer.log('session closed', { session: this.#sessionId, reason, code: error.code, why: error.message })
    try {
      await this.#payments.hold()
      await this.#recordClosed(reason, witnessed(this.#purse))
    } catch (thrown) {
      this.#needs.observer.log('session not recorded', { session: this.#sessionId, why: asBywayError(thrown).code })
    }
    this.#ended.resolve()
  }
}

const CLOSE_WAIT_MS = 2_000
const CLOSE_POLL_MS = 20
