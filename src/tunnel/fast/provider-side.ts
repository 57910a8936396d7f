/** The exit end of a session in the carrying thread: flows asked for, dialled, served, and gone on with on another link. */
import { type FlowMark, MAX_EARLY_BYTES, MAX_SESSION_FLOWS, onResume, RESUME_LIMIT_MS } from '../../protocol/flow.ts'
import { encodeMessage, FLOW_PROTOCOLS, farewell, type Message, type MessageBody } from '../../protocol/messages.ts'
import { Asked, withinEarly } from './asked.ts'
import type { CarriedFlow, FlowEvents } from './carried-flow.ts'
import { addressBytes, Dial } from './dial.ts'
import type { Timer } from './loop.ts'
import type { Order, Trouble } from './orders.ts'
import { PlainPipe } from './plain-pipe.ts'
import type { SealedLink } from './sealed-link.ts'
import { Side, unexpected } from './side.ts'
import { type Verdict, Verdicts } from './verdicts.ts'

/** Totals of flows that are over, for consumers whose link broke before `done` arrived. More links than this cannot break at once. */
const MAX_ENDED = MAX_SESSION_FLOWS

/**
 * Whoever sends a request before it heard `opened` waits for the answer, not for that word: the two go together where the destination is so near that
 * its answer comes within this.
 */
const ANSWER_MS = 2
/** More than this is the beginning of an upload, which stops at {@link MAX_EARLY_BYTES} until it hears `opened`. */
const EARLY_REQUEST_BYTES = MAX_EARLY_BYTES / 2
const OPENED = encodeMessage('opened', {})

/** What a consumer is told that asks for a flow which is over. */
interface Ended {
  readonly totals: { up: bigint; down: bigint }
  readonly cut: boolean
  readonly lastWord: 'end' | 'reset'
  readonly received: number
  readonly sent: number
}

export class ProviderSide extends Side {
  protected readonly side = 'provider'
  protected readonly answerMs = ANSWER_MS
  readonly #asked = new Map<number, Asked>()
  readonly #ended = new Map<number, Ended>()
  /** The flow each idle link carried last. */
  readonly #before = new WeakMap<SealedLink, number>()
  readonly #suspended = new Map<number, Timer>()
  readonly #verdicts = new Verdicts()

  protected readonly events: FlowEvents = {
    onCounted: this.onCounted,
    onOver: (flow) => {
      this.flows.delete(flow.id)
      const { received, sent, aborted } = flow.state
      const lastWord = flow.cut || aborted ? 'reset' : 'end'
      this.#ended.set(flow.id, { totals: flow.totals, cut: flow.cut, lastWord, received, sent })
      if (this.#ended.size > MAX_ENDED) this.#ended.delete(this.#ended.keys().next().value!)
      if (flow.link !== undefined) {
        this.#before.set(flow.link, flow.id)
        this.idle(flow.link)
      }
      this.#served(flow.state.aborted ? 'CONNECTION_RESET' : 'ok')
    },
    onSuspended: (flow) => {
      this.#suspended.set(
        flow.id,
        this.carrying.thread.loop.after(RESUME_LIMIT_MS, () => this.giveUp(flow.id)),
      )
    },
  }

  #served(result: string): void {
    this.#count()
    this.ended(result)
  }

  #count(): void {
    this.meter.setLive(this.flows.size + this.#asked.size)
  }

  protected override onIdleMessage(link: SealedLink, message: Message): void {
    // A consumer may say these in the moment the flow ended: they find the link idle.
    if (message.name === 'reset' || message.name === 'end' || message.name === 'ack') return
    // Anything else shows that it heard `done`.
    const before = this.#before.get(link)
    if (before !== undefined) this.#ended.delete(before)
    this.#before.delete(link)
    if (message.name === 'open' && message.body.protocol !== FLOW_PROTOCOLS.tcp) {
      this.#giveBack(link, encodeMessage('open', message.body))
    } else if (message.name === 'open') this.#ask(link, message.body.flowId, message.body, undefined)
    else if (message.name === 'extend') this.#ask(link, message.body.flowId, undefined, message.body)
    else if (message.name === 'resume') this.#resume(link, message.body)
    else throw unexpected(`${message.name} has no place on an idle flow link`)
  }

  /** Carries something else than a stream of bytes: the main thread's. */
  #giveBack(link: SealedLink, first: Buffer): void {
    const { thread } = this.carrying
    const [own, theirs] = thread.native.socketPair()
    new PlainPipe(thread, link, own, first)
    this.carrying.say({ say: 'given-back', session: this.session, link: this.idOf(link)!, fd: theirs })
  }

  #ask(link: SealedLink, flow: number, open: MessageBody<'open'> | undefined, extend: MessageBody<'extend'> | undefined): void {
    if (this.flows.has(flow) || this.#asked.has(flow) || this.#ended.has(flow)) throw unexpected('a flow id is used once')
    const full = this.flows.size + this.#asked.size >= MAX_SESSION_FLOWS
    const asked = new Asked(flow, link, this.#cancelled)
    this.#asked.set(flow, asked)
    this.#count()
    link.listen(asked)
    const known = open === undefined ? undefined : this.#verdicts.of(open, this.carrying.thread.loop.nowMs)
    if (full) this.#fail(flow, TOO_MANY)
    else if (known !== undefined) this.#dial(flow, asked, known)
    else this.carrying.say({ say: 'asked', session: this.session, flow, open, extend })
  }

  readonly #cancelled = ({ flow, dial }: Asked): void => {
    if (dial === undefined) this.carrying.say({ say: 'cancelled', session: this.session, flow })
    else {
      dial.cancel()
      this.#fail(flow, GIVEN_UP)
    }
  }

  /** The addresses were checked: connects to exactly these. */
  connect({ flow, addresses, host, port, timeoutMs, goodMs }: Extract<Order, { do: 'connect' }>): void {
    const verdict = { host, port, addresses: addresses.map(addressBytes), timeoutMs }
    this.#verdicts.add(verdict, this.carrying.thread.loop.nowMs + goodMs)
    const asked = this.#asked.get(flow)
    if (asked === undefined) return
    if (asked.cancelled) this.#fail(flow, GIVEN_UP)
    else this.#dial(flow, asked, verdict)
  }

  #dial(flow: number, asked: Asked, verdict: Verdict): void {
    asked.dial = new Dial(this.carrying.thread, verdict, (result) => {
      if ('fd' in result) this.use(flow, result.fd, undefined, result.events)
      else {
        // Perhaps it moved: the next one asks again.
        this.#verdicts.forget(verdict)
        this.#fail(flow, farewell(result.error))
      }
    })
    asked.dial.start()
  }

  /** The destination is connected, and said this already. */
  use(id: number, fd: number, said: Uint8Array = new Uint8Array(0), events = 0): void {
    const asked = this.#asked.get(id)
    const { loop } = this.carrying.thread
    if (asked === undefined || asked.cancelled || asked.link.closed) {
      loop.close(fd)
      if (asked !== undefined) this.#fail(id, GIVEN_UP)
      return
    }
    this.#asked.delete(id)
    const { link } = asked
    const flow = this.newFlow(id)
    link.sendFrame(OPENED)
    if (asked.earlyBytes > 0 && asked.earlyBytes < EARLY_REQUEST_BYTES) link.flushWithin(ANSWER_MS)
    else link.flushSoon()
    flow.link = link
    flow.join(fd, events)
    if (said.length > 0) flow.saidBefore(said)
    if (asked.early.length > 0) flow.early(asked.early.length === 1 ? asked.early[0]! : Buffer.concat(asked.early))
    if (asked.ended) flow.onMessage({ name: 'end', body: {} })
    flow.start(link)
  }

  refuse(flow: number, trouble: Trouble): void {
    this.#fail(flow, trouble)
  }

  /** What the consumer sent before it heard is thrown away, up to the `reset` that says it heard. */
  #fail(flow: number, trouble: Trouble): void {
    const asked = this.#asked.get(flow)
    if (asked === undefined) return
    this.#asked.delete(flow)
    this.#served(trouble.code)
    const { link } = asked
    if (link.closed) return
    link.send('failed', { code: trouble.code, message: trouble.message })
    link.listen({
      onMessage: (message) => {
        if (message.name === 'reset') this.idle(link)
        else if (message.name !== 'end') throw unexpected(`${message.name} has no place after failed`)
      },
      onData: (_memory, _at, bytes) => {
        asked.earlyBytes = withinEarly(asked.earlyBytes + bytes)
      },
      onBatch: () => false,
      onRoom: () => {},
      onClosed: () => {},
    })
  }

  #resume(link: SealedLink, { flowId, received, over }: MessageBody<'resume'>): void {
    const flow = this.flows.get(flowId)
    const ended = this.#ended.get(flowId)
    if (ended !== undefined) this.#sayEnded(link, flowId, ended, { received: Number(received), over: over !== 0 })
    // One that is carried by the main thread, or never was: that is for it to say.
    else if (flow === undefined) this.#giveBack(link, encodeMessage('resume', { flowId, received, over }))
    else this.#continue(link, flow, { received: Number(received), over: over !== 0 })
  }

  /** The flow ended while the consumer was away: it has every byte, but perhaps not the last words. */
  #sayEnded(link: SealedLink, flow: number, ended: Ended, mark: FlowMark): void {
    if (mark.received !== ended.sent) throw unexpected('a flow cannot resume before what was acknowledged')
    if (!mark.over || ended.cut) {
      link.send('resumed', { received: BigInt(ended.received), over: 1 })
      link.send(ended.lastWord, {})
    }
    link.send('done', ended.totals)
    this.#before.set(link, flow)
  }

  #continue(link: SealedLink, flow: CarriedFlow, mark: FlowMark): void {
    // For a place that cannot be this throws, before anything is let go: the flow goes on waiting, and not for ever.
    onResume({ ...flow.state }, mark)
    // Its old link may seem to live on: only the consumer knows that it does not.
    flow.link?.destroy(undefined)
    this.carrying.thread.loop.cancel(this.#suspended.get(flow.id))
    this.#suspended.delete(flow.id)
    const mine = flow.mark
    link.send('resumed', { received: BigInt(mine.received), over: mine.over ? 1 : 0 })
    this.carrying.say({ say: 'resumed', session: this.session })
    flow.continueOn(link, mark)
  }

  giveUp(id: number): void {
    const flow = this.flows.get(id)
    if (flow === undefined) return
    this.#end(flow)
    this.#served('PROVIDER_LOST')
  }

  #end(flow: CarriedFlow): void {
    this.carrying.thread.loop.cancel(this.#suspended.get(flow.id))
    this.#suspended.delete(flow.id)
    this.flows.delete(flow.id)
    flow.giveUp()
    this.carrying.say({ say: 'lost', session: this.session, flow: flow.id, totals: flow.totals })
  }

  override close(): void {
    for (const [flow, asked] of this.#asked) {
      asked.dial?.cancel()
      if (asked.dial === undefined && !asked.cancelled) this.carrying.say({ say: 'cancelled', session: this.session, flow })
      asked.cancelled = true
    }
    this.#asked.clear()
    for (const flow of this.flows.values()) this.#end(flow)
    super.close()
  }
}

const GIVEN_UP: Trouble = { code: 'CONNECTION_RESET', message: 'the flow was given up while it was being opened' }
const TOO_MANY: Trouble = { code: 'PROVIDER_BUSY', message: `a session has at most ${MAX_SESSION_FLOWS} flows` }
