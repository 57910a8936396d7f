/**
 * The application end of a session in the carrying thread: flows opened on idle links, carried, and gone on with on another link.
 *
 * Flows begin in two ways. The main thread hands an application over and hears each thing that becomes of it; or an {@link Asker} in this thread
 * does, and the main thread hears of it only when something is left for it to decide: a link broke, or a count is wrong.
 */
import { BywayError } from '../../protocol/errors.ts'
import { IDLE_LIMIT_MS, KEPT_IDLE } from '../../protocol/flow.ts'
import { encodeMessage, FLOW_PROTOCOLS, type Message } from '../../protocol/messages.ts'
import { checkDone } from '../../protocol/purse.ts'
import type { CarriedFlow, FlowEvents } from './carried-flow.ts'
import type { Timer } from './loop.ts'
import type { Order, Trouble } from './orders.ts'
import type { SealedLink } from './sealed-link.ts'
import { Side, troubleOf, unexpected } from './side.ts'
import { Unanswered } from './unanswered.ts'

/** A browser's burst of connections, or a scraper's; more idle links only hold memory. */
const MAX_IDLE = 256

/**
 * An application that was answered at once speaks at once, mostly: its first words go out with the request for its flow, in one packet. One that waits
 * for the other side to speak loses this much, and no person notices.
 */
const FIRST_WORDS_MS = 1

const FELL_SILENT: Trouble = { code: 'PROVIDER_LOST', message: 'the provider fell silent' }

/** Who, in this thread, asked for a flow. */
export interface Asker {
  onOpened(): void
  /**
   * The way is dead. The application at `fd`, which said nothing and was told nothing, is the asker's again, to ask somebody else. Absent where nobody
   * else could serve: then it waits.
   */
  onElsewhere?: ((fd: number) => void) | undefined
  /** `fd`: the application, which was not answered yet and is the asker's again; -1 when it was answered. */
  onFailed(trouble: Trouble, fd: number): void
  /** It ended, one way or the other. Called once. */
  onOver(): void
}

interface Asked {
  readonly asker: Asker
  /** The main thread does not know it. */
  own: boolean
  readonly timer: Timer
}

export class ConsumerSide extends Side {
  protected readonly side = 'consumer'
  protected readonly answerMs = 0
  /** What each application that waits is told once its flow is open. */
  readonly #replies = new Map<CarriedFlow, Uint8Array>()
  readonly #askers = new Map<CarriedFlow, Asked>()
  #own = 0
  /** Those of whoever could ask elsewhere. */
  readonly #waiting = new Unanswered(this.carrying.thread.loop, {
    onLong: () => this.carrying.say({ say: 'unanswered', session: this.session }),
    // What an application said may have arrived: it decides whether it says it again.
    onAway: (flow, still) => {
      if (still || this.#canGoElsewhere(flow)) this.giveUp(flow.id, FELL_SILENT)
    },
  })
  readonly #idle: { link: SealedLink; sinceMs: number }[] = []
  #sweeping: Timer | undefined

  protected readonly events: FlowEvents = {
    onCounted: this.onCounted,
    onOpened: (flow) => {
      const reply = this.#replies.get(flow)
      if (reply !== undefined) {
        this.#replies.delete(flow)
        this.#say(flow.descriptor, reply)
      }
      const asked = this.#askers.get(flow)
      this.carrying.thread.loop.cancel(asked?.timer)
      this.#waiting.delete(flow)
      if (asked === undefined) this.carrying.say({ say: 'opened', session: this.session, flow: flow.id })
      else asked.asker.onOpened()
    },
    onFailed: (flow, trouble) => {
      this.#release(flow)
      const fd = this.#unanswered(flow)
      flow.abandon()
      const asked = this.#askers.get(flow)
      if (asked === undefined) this.carrying.say({ say: 'failed', session: this.session, flow: flow.id, fd, trouble })
      else {
        asked.asker.onFailed(trouble, fd)
        this.#dismiss(flow)
      }
    },
    onOver: (flow, stated) => {
      this.#release(flow)
      const { discarded } = flow
      const { sent, received, aborted } = flow.state
      const counts = { sent: BigInt(sent), received: BigInt(received), aborted }
      const own = this.#dismiss(flow)
      if (own && discarded === 0 && checkDone(counts, stated!) === undefined) this.ended(aborted ? 'CONNECTION_RESET' : 'ok')
      else this.carrying.say({ say: 'over', session: this.session, flow: flow.id, sent, received, discarded, aborted, stated: stated! })
    },
    onSuspended: (flow, error) => {
      const trouble = troubleOf(error)
      const asked = this.#askers.get(flow)
      if (asked?.own === true) {
        if (flow.opening) {
          this.giveUp(flow.id, trouble)
          return
        }
        // From here on it is the main thread's, like any other.
        this.#count(asked)
      }
      this.carrying.say({ say: 'suspended', session: this.session, flow: flow.id, opening: flow.opening, trouble })
    },
  }

  // --- Idle links ---

  /** Keeps a link for the next flow. */
  put(link: SealedLink | undefined): void {
    if (link === undefined || link.closed) return
    if (this.#idle.length >= MAX_IDLE) {
      this.#letGo(link)
      return
    }
    const { loop } = this.carrying.thread
    this.idle(link)
    this.#idle.push({ link, sinceMs: loop.nowMs })
    this.#sweeping ??= loop.after(IDLE_LIMIT_MS / 4, () => this.#sweep())
  }

  #take(): SealedLink | undefined {
    return this.#idle.pop()?.link
  }

  /** For the main thread. */
  takeFor(ask: number): void {
    this.carrying.say({ say: 'link-taken', session: this.session, ask, link: this.idOf(this.#take()) })
  }

  #sweep(): void {
    const { loop } = this.carrying.thread
    while (this.#idle.length > KEPT_IDLE && this.#idle[0]!.sinceMs < loop.nowMs - IDLE_LIMIT_MS) this.#letGo(this.#idle[0]!.link)
    this.#sweeping = this.#idle.length <= KEPT_IDLE ? undefined : loop.after(IDLE_LIMIT_MS / 4, () => this.#sweep())
  }

  #letGo(link: SealedLink): void {
    this.carrying.say({ say: 'let-go', session: this.session, link: this.idOf(link)! })
    link.close()
  }

  protected override onLinkGone(link: SealedLink): void {
    const at = this.#idle.findIndex((idle) => idle.link === link)
    if (at >= 0) this.#idle.splice(at, 1)
  }

  protected override onIdleMessage(_link: SealedLink, message: Message): void {
    // The provider may acknowledge, or reset, in the moment before it said done.
    if (message.name !== 'ack') throw unexpected(`${message.name} has no place on an idle flow link`)
  }

  // --- Beginning ---

  /** A flow of the main thread's. */
  open({ link: linkId, flow: id, frame, fd, early, reply, atOnce, others }: Extract<Order, { do: 'open' }>): void {
    const link = this.links.get(linkId)
    if (link === undefined || link.closed) {
      const nothing = { sent: 0, received: 0, discarded: 0, trouble: undefined }
      this.carrying.say({ say: 'given-up', session: this.session, flow: id, ...nothing, fd, elsewhere: early.length === 0 })
      return
    }
    this.carrying.thread.native.setNonBlocking(fd)
    this.#begin(id, link, { frame, fd, early, reply, atOnce, others, events: 0 })
  }

  /**
   * Begins a flow for an application at `fd`, which the loop watches and told `events` of. False, and nothing done, when no link is idle or the way is
   * dead. `reply` is written once the flow is open, or at once.
   */
  begin(
    destination: { host: string; port: number },
    application: { fd: number; events: number; early: Uint8Array; reply: Uint8Array; atOnce: boolean },
    { asker, timeoutMs }: { asker: Asker; timeoutMs: number },
  ): boolean {
    const link = this.#waiting.away ? undefined : this.#take()
    if (link === undefined) return false
    const flowId = this.meter.nextFlow()
    const { host, port } = destination
    const frame = encodeMessage('open', { flowId, protocol: FLOW_PROTOCOLS.tcp, host, port })
    const timer = this.carrying.thread.loop.after(timeoutMs, () =>
      link.destroy(new BywayError('SESSION_TIMEOUT', 'the provider did not answer in time')),
    )
    this.#begin(flowId, link, { ...application, frame, others: asker.onElsewhere !== undefined }, { asker, own: true, timer })
    return true
  }

  #begin(
    id: number,
    link: SealedLink,
    {
      frame,
      fd,
      events,
      early,
      reply,
      atOnce,
      others,
    }: { frame: Uint8Array; fd: number; events: number } & Pick<Extract<Order, { do: 'open' }>, 'early' | 'reply' | 'atOnce' | 'others'>,
    asked?: Asked,
  ): void {
    // Before anything else: it thinks of its first words while we do the rest.
    if (atOnce) this.#say(fd, reply)
    const flow = this.newFlow(id)
    if (asked !== undefined) {
      this.#askers.set(flow, asked)
      this.meter.setLive(++this.#own)
    }
    if (others) this.#waiting.add(flow)
    flow.opening = true
    link.begin()
    link.sendFrame(frame)
    flow.link = link
    if (early.length > 0) flow.sendEarly(early)
    if (atOnce && early.length === 0) link.flushWithin(FIRST_WORDS_MS)
    else link.flushSoon()
    if (!atOnce) this.#replies.set(flow, reply)
    flow.join(fd, events)
    flow.start(link)
  }

  /** What an application waits for, unless it is gone, or waits for nothing. */
  #say(fd: number, words: Uint8Array): void {
    if (fd >= 0 && words.length > 0) this.carrying.thread.say(fd, words)
  }

  /** The way is dead, as far as the main thread knows. Who can ask somebody else does. */
  away(): void {
    this.#waiting.goneAway()
  }

  /** There is a way again. */
  back(): void {
    this.#waiting.back()
  }

  /** Its application waits for somebody's answer, and said nothing that could be said twice. */
  #canGoElsewhere(flow: CarriedFlow): boolean {
    return this.#waiting.has(flow) && this.#replies.has(flow) && flow.untold
  }

  // --- Ending ---

  /** The flow is over: its link is idle again. */
  #release(flow: CarriedFlow): void {
    this.flows.delete(flow.id)
    const { link } = flow
    flow.link = undefined
    this.put(link)
  }

  /** Takes an application off its flow that was not answered; -1 when it was. An answered one hears a reset. */
  #unanswered(flow: CarriedFlow): number {
    return this.#replies.delete(flow) ? flow.leave() : -1
  }

  #count(asked: Asked): void {
    if (!asked.own) return
    asked.own = false
    this.meter.setLive(--this.#own)
  }

  /** Whoever asked for it hears that it is over. True when the main thread does not know it. */
  #dismiss(flow: CarriedFlow): boolean {
    this.#waiting.delete(flow)
    const asked = this.#askers.get(flow)
    if (asked === undefined) return false
    const { own } = asked
    this.#askers.delete(flow)
    this.carrying.thread.loop.cancel(asked.timer)
    this.#count(asked)
    asked.asker.onOver()
    return own
  }

  giveUp(id: number, trouble?: Trouble): void {
    const flow = this.flows.get(id)
    if (flow === undefined) return
    this.flows.delete(id)
    const elsewhere = this.#canGoElsewhere(flow)
    const fd = this.#unanswered(flow)
    flow.giveUp()
    const asker = this.#askers.get(flow)?.asker
    if (fd >= 0 && !elsewhere) asker?.onFailed(trouble ?? { code: 'PROVIDER_LOST', message: 'the session ended' }, fd)
    const { sent, received } = flow.state
    const counts = { sent, received, discarded: flow.discarded }
    this.carrying.say({
      say: 'given-up',
      session: this.session,
      flow: id,
      ...counts,
      fd: asker === undefined ? fd : -1,
      trouble,
      elsewhere,
    })
    this.#dismiss(flow)
    if (fd >= 0 && elsewhere) asker?.onElsewhere?.(fd)
  }

  /** The provider gave it up, and says what it carried. */
  lost(id: number, stated: { up: bigint; down: bigint }): void {
    this.giveUp(id)
    this.carrying.say({ say: 'stated', session: this.session, flow: id, stated })
  }

  override close(): void {
    const { loop } = this.carrying.thread
    loop.cancel(this.#sweeping)
    this.#waiting.close()
    for (const id of [...this.flows.keys()]) this.giveUp(id)
    super.close()
  }

  // --- Another link ---

  /** Asks on another link for the flow to go on, and goes on there. */
  resume({ link: linkId, flow: id }: Extract<Order, { do: 'resume' }>): void {
    const flow = this.flows.get(id)
    const link = this.links.get(linkId)
    const answer = (trouble?: Trouble) => this.carrying.say({ say: 'carried-on', session: this.session, flow: id, trouble })
    if (link === undefined || flow === undefined || flow.link !== undefined) {
      this.put(link)
      answer({ code: 'PROVIDER_LOST', message: 'the flow or its new link is gone' })
      return
    }
    const { received, over } = flow.mark
    link.send('resume', { flowId: id, received: BigInt(received), over: over ? 1 : 0 })
    let answered = false
    link.listen({
      onMessage: (message) => {
        // It was given up meanwhile, and the provider knows it only when its link goes.
        if (message.name === 'resumed' && flow.over) {
          link.destroy(undefined)
          return
        }
        answered = true
        if (message.name === 'resumed') {
          try {
            flow.continueOn(link, { received: Number(message.body.received), over: message.body.over !== 0 })
          } catch (thrown) {
            answer(troubleOf(thrown))
            throw thrown
          }
          answer()
        } else if (message.name === 'done') {
          this.put(link)
          flow.finish(message.body)
          answer()
        } else if (message.name === 'failed') {
          this.put(link)
          answer(message.body)
        } else {
          answered = false
          throw unexpected(`${message.name} is no answer to resume`)
        }
      },
      onData: (_memory, _at, bytes) => {
        if (bytes > 0) throw unexpected('data before a flow was resumed')
      },
      onBatch: () => false,
      onRoom: () => {},
      onClosed: (error) => {
        if (!answered) answer(error === undefined ? { code: 'PROVIDER_LOST', message: 'the new link broke' } : troubleOf(error))
      },
    })
  }
}
