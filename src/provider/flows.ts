/**
 * The flows of a session, and the links that carry them: which flow is on which link, which wait for another, which are over.
 *
 * A flow outlives its link. Its destination stays connected while the consumer looks for another way, and what ended meanwhile is told when the
 * consumer asks for it again.
 */
import type { Duplex } from 'node:stream'
import { asBywayError, BywayError } from '../protocol/errors.ts'
import { type FlowMark, MAX_EARLY_BYTES, MAX_SESSION_FLOWS, type Outage } from '../protocol/flow.ts'
import { FLOW_PROTOCOLS, farewell, type Message, type MessageBody } from '../protocol/messages.ts'
import type { Observer } from '../protocol/observe.ts'
import { KeepingBudget, type Link } from '../tunnel/index.ts'
import { carryFlow, type Ended, type ExitNeeds, type ServedFlow, type Totals } from './exit.ts'

/** Ends of flows whose links did not show yet that `done` arrived. More links than this cannot break at once. */
const MAX_ENDED = MAX_SESSION_FLOWS
/** Flows of all sessions that wait for a link, as many as one may have: each holds a descriptor, and waiting costs its consumer nothing. */
const MAX_WAITING = MAX_SESSION_FLOWS
/** Links of all sessions: what they hold while idle fits half of the smallest machine's memory. */
const MAX_LINKS = 16_384
/** What flows of all sessions keep together: a quarter of the memory of the smallest machine this should run on. */
const MAX_KEPT_BYTES = 128 * 1024 * 1024

export interface Dialler {
  /** Opens the destination of a flow, or throws a BywayError; nothing is charged then. */
  dial(host: string, port: number, signal: AbortSignal): Promise<Duplex>
  /** Resolves and checks the destination of a flow, for whoever connects itself. Undefined where it has to be dialled. */
  addresses?(host: string, port: number, signal: AbortSignal): Promise<readonly string[]> | undefined
  /** Opens a stream of datagrams: see tunnel/egress/udp.ts. Throws PROVIDER_BUSY. */
  associate(): Duplex
  /** Opens the way to the next hop, which the offer names. */
  extend(offer: Uint8Array, signal: AbortSignal): Promise<Duplex>
}

/** What all sessions of a provider share. */
export interface Shared {
  waiting: number
  readonly mostWaiting: number
  /** Of one session, with or without a link: flows outlive links, so links alone would not bound them. */
  readonly mostFlows: number
  /** Of all sessions. */
  readonly mostLinks: number
  readonly budget: KeepingBudget
}

export const newShared = (limits: { mostWaiting?: number; mostFlows?: number; mostLinks?: number } = {}): Shared => ({
  waiting: 0,
  mostWaiting: MAX_WAITING,
  mostFlows: MAX_SESSION_FLOWS,
  mostLinks: MAX_LINKS,
  ...limits,
  budget: new KeepingBudget(MAX_KEPT_BYTES),
})

export interface FlowsNeeds extends Omit<ExitNeeds, 'budget'> {
  dialler: Dialler
  shared: Shared
  outage: Outage
  /** A flow was given up: the consumer must hear, over the control link, what it carried. */
  lost(flowId: number, totals: Totals): void
  /** The last flow is over. */
  onQuiet(): void
}

type Ask = { flowId: number; dial(signal: AbortSignal): Promise<Duplex> }
type LiveFlow = ServedFlow & { timer?: NodeJS.Timeout | undefined }
/** What a consumer is told that asks for a flow which is over. */
interface Farewell extends Ended {
  lastWord: 'end' | 'reset'
  received: number
  sent: number
}

export class Flows {
  readonly #needs: FlowsNeeds
  readonly #budget: KeepingBudget
  readonly #links = new Set<Link>()
  readonly #live = new Map<number, LiveFlow>()
  readonly #ended = new Map<number, Farewell>()
  readonly #dialling = new Set<number>()
  #closed = false

  constructor(needs: FlowsNeeds) {
    this.#needs = needs
    this.#budget = new KeepingBudget(undefined, needs.shared.budget)
  }

  get links(): number {
    return this.#links.size
  }

  get live(): number {
    return this.#live.size
  }

  /** Serves a link of the session until it closes. */
  serve(link: Link): void {
    this.#links.add(link)
    link.wire.once('close', () => this.#links.delete(link))
    this.#idle(link)
  }

  /** `before` is the flow it carried last: the next thing the consumer says shows that it heard `done`. */
  #idle(link: Link, before?: number): void {
    link.listen({
      onMessage: (message) => {
        // A consumer may say these in the moment the flow ended: they find the link idle.
        if (message.name === 'reset' || message.name === 'end' || message.name === 'ack') return
        if (before !== undefined) this.#ended.delete(before)
        this.#onIdleMessage(link, message)
      },
      onData: () => link.destroy(unexpected('data outside a flow')),
      onClose: (error) => countMalformed(error, this.#needs.observer),
    })
  }

  #onIdleMessage(link: Link, message: Message): void {
    const { dialler } = this.#needs
    if (message.name === 'open') {
      const { flowId, protocol, host, port } = message.body
      if (protocol === FLOW_PROTOCOLS.tcp) void this.#open(link, { flowId, dial: (signal) => dialler.dial(host, port, signal) })
      else if (protocol === FLOW_PROTOCOLS.udp) void this.#open(link, { flowId, dial: async () => dialler.associate() })
      else link.destroy(unexpected('a flow of an unknown protocol'))
    } else if (message.name === 'extend') {
      const { flowId, offer } = message.body
      void this.#open(link, { flowId, dial: (signal) => dialler.extend(offer, signal) })
    } else if (message.name === 'resume') this.#resume(link, message.body)
    else link.destroy(unexpected(`${message.name} has no place on an idle flow link`))
  }

  async #open(link: Link, { flowId, dial }: Ask): Promise<void> {
    if (this.#live.has(flowId) || this.#ended.has(flowId) || this.#dialling.has(flowId)) {
      link.destroy(unexpected('a flow id is used once'))
      return
    }
    const early = new Early()
    if (this.#live.size + this.#dialling.size >= this.#needs.shared.mostFlows) {
      link.send('failed', { code: 'PROVIDER_BUSY', message: `a session has at most ${this.#needs.shared.mostFlows} flows` })
      this.#afterFailed(link, early)
      return
    }
    this.#dialling.add(flowId)
    const target = await dialWhileListening(link, dial, early, this.#needs.observer)
    this.#dialling.delete(flowId)
    if (target === undefined) {
      this.#afterFailed(link, early)
      return
    }
    if (this.#closed) {
      target.destroy()
      return
    }
    link.send('opened', {})
    const carried = { link, target, early: early.chunks }
    const flow = carryFlow(carried, { ...this.#needs, budget: this.#budget }, (error) => this.#onSuspended(flowId, error))
    this.#live.set(flowId, flow)
    flow.ended.then(
      (ended) => this.#onEnded(flowId, flow, ended),
      (thrown) => this.#needs.observer.log('flow failed', { why: asBywayError(thrown).message }),
    )
  }

  /** What the consumer sent before it heard is thrown away, up to the `reset` that says it heard. */
  #afterFailed(link: Link, early: Early): void {
    link.listen({
      onMessage: (message) => {
        if (message.name === 'reset') this.#idle(link)
        else link.destroy(unexpected(`${message.name} has no place after failed`))
      },
      onData: (chunk) => early.add(chunk),
      onClose: (error) => countMalformed(error, this.#needs.observer),
    })
  }

  #onEnded(flowId: number, { stream }: ServedFlow, ended: Ended): void {
    this.#forget(flowId)
    const { received } = stream.mark
    const lastWord = ended.cut || stream.aborted ? 'reset' : 'end'
    this.#ended.set(flowId, { ...ended, lastWord, received, sent: Number(stream.sent) })
    if (this.#ended.size > MAX_ENDED) this.#ended.delete(this.#ended.keys().next().value!)
    const { link } = stream
    if (link === undefined) return
    if (ended.cut) link.send('reset', {})
    link.send('done', ended.totals)
    this.#idle(link, flowId)
  }

  #forget(flowId: number): void {
    const flow = this.#live.get(flowId)
    if (flow !== undefined) this.#noLongerWaits(flow)
    this.#live.delete(flowId)
    if (this.#live.size === 0) this.#needs.onQuiet()
  }

  #onSuspended(flowId: number, error: BywayError): void {
    countMalformed(error, this.#needs.observer)
    const flow = this.#live.get(flowId)
    if (flow === undefined || this.#closed) return
    const { shared, outage } = this.#needs
    // Whoever breaks the rules is not waited for.
    if (isBroken(error) || shared.waiting >= shared.mostWaiting) {
      this.#giveUp(flowId)
      return
    }
    shared.waiting++
    flow.timer = setTimeout(() => this.#giveUp(flowId), outage.limitMs)
  }

  #noLongerWaits(flow: LiveFlow): void {
    if (flow.timer === undefined) return
    clearTimeout(flow.timer)
    flow.timer = undefined
    this.#needs.shared.waiting--
  }

  #giveUp(flowId: number): void {
    const flow = this.#live.get(flowId)
    if (flow === undefined) return
    this.#forget(flowId)
    const totals = flow.abandon(new BywayError('PROVIDER_LOST', 'the flow found no other link'))
    this.#needs.lost(flowId, totals)
  }

  #resume(link: Link, { flowId, received, over }: MessageBody<'resume'>): void {
    const mark = { received: Number(received), over: over !== 0 }
    const flow = this.#live.get(flowId)
    const ended = this.#ended.get(flowId)
    if (ended !== undefined) this.#sayEnded(link, flowId, ended, mark)
    else if (flow === undefined) {
      link.send('failed', farewell(new BywayError('FLOW_UNKNOWN', 'no flow of this session has this id')))
      this.#idle(link)
    } else this.#continue(link, flowId, flow, mark)
  }

  /** The flow ended while the consumer was away: it has every byte, but perhaps not the last words. */
  #sayEnded(link: Link, flowId: number, ended: Farewell, mark: FlowMark): void {
    if (mark.received !== ended.sent) {
      link.destroy(unexpected('a flow cannot resume before what was acknowledged'))
      return
    }
    if (!mark.over || ended.cut) {
      link.send('resumed', { received: BigInt(ended.received), over: 1 })
      link.send(ended.lastWord, {})
    }
    link.send('done', ended.totals)
    this.#idle(link, flowId)
  }

  #continue(link: Link, flowId: number, flow: LiveFlow, mark: FlowMark): void {
    this.#noLongerWaits(flow)
    // Its old link may seem to live on: only the consumer knows that it does not.
    flow.stream.suspend()
    const mine = flow.stream.mark
    link.send('resumed', { received: BigInt(mine.received), over: mine.over ? 1 : 0 })
    try {
      flow.stream.continueOn(link, mark)
      this.#needs.observer.count('flows_resumed')
    } catch (thrown) {
      const error = asBywayError(thrown)
      link.unlisten()
      link.destroy(error)
      this.#onSuspended(flowId, error)
    }
  }

  /** Ends all flows so that the consumer hears of it. */
  reset(): void {
    for (const { stream } of this.#live.values()) stream.destroy(new BywayError('CONNECTION_RESET', 'the provider is stopping'))
  }

  /** Ends all flows and links at once; afterwards every count is final. */
  close(): void {
    this.#closed = true
    for (const [flowId, flow] of this.#live) {
      this.#forget(flowId)
      flow.abandon(new BywayError('PROVIDER_LOST', 'the session closed'))
    }
    for (const link of this.#links) link.destroy()
  }
}

/** First bytes of a flow that is not open yet: bounded, because nobody paid for them. */
class Early {
  readonly chunks: Buffer[] = []
  #bytes = 0

  add(chunk: Buffer): void {
    this.#bytes += chunk.length
    if (this.#bytes > MAX_EARLY_BYTES) throw unexpected('more data than allowed before the flow was open')
    this.chunks.push(chunk)
  }
}

/**
 * Dials while the consumer may still change its mind, and may send its first bytes. Undefined when the flow ended here: told to the consumer,
 * nothing charged, and the link waits for its `reset`.
 */
async function dialWhileListening(
  link: Link,
  dial: (signal: AbortSignal) => Promise<Duplex>,
  early: Early,
  observer: Observer,
): Promise<Duplex | undefined> {
  const given = new AbortController()
  link.listen({
    onMessage: (message) => {
      if (message.name === 'reset') given.abort()
      else link.destroy(unexpected(`${message.name} has no place before a flow is open`))
    },
    onData: (chunk) => early.add(chunk),
    // Whoever listens next hears of it again, and counts it.
    onClose: () => given.abort(),
  })
  try {
    const target = await dial(given.signal)
    if (!given.signal.aborted) return target
    target.destroy()
    link.send('failed', { code: 'CONNECTION_RESET', message: 'the flow was given up while it was being opened' })
  } catch (thrown) {
    const error = asBywayError(thrown, 'HOST_UNREACHABLE')
    observer.count('flows', 1, { result: error.code })
    // What a dialler throws unexpectedly may carry an address in its message; only the words of our own errors leave the node.
    const own = error === thrown
    link.send('failed', own ? farewell(error) : { code: error.code, message: 'the destination could not be reached' })
  }
  return undefined
}

/** Counts links that ended because of what came over them. */
export function countMalformed(error: BywayError | undefined, observer: Observer): void {
  if (error !== undefined && isBroken(error)) observer.count('malformed', 1, { where: 'link' })
}

/** The other end broke the rules. */
const isBroken = ({ code }: BywayError): boolean => code.startsWith('MESSAGE_')

function unexpected(what: string): BywayError {
  return new BywayError('MESSAGE_UNEXPECTED', what)
}
