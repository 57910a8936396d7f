/**
 * The flows of a session: opened, counted, carried on over another link when theirs breaks, and settled.
 *
 * Nothing here knows money; the session is told what moved, what is over, and what a provider says of flows that were lost.
 */
import type { Clock } from '../protocol/clock.ts'
import { type Destination, UDP_NAME } from '../protocol/destination.ts'
import { asBywayError, BywayError, type ErrorCode } from '../protocol/errors.ts'
import type { Outage } from '../protocol/flow.ts'
import { FLOW_PROTOCOLS } from '../protocol/messages.ts'
import { type CountedWay, FlowStream, KeepingBudget, type Link } from '../tunnel/index.ts'
import { Attempts } from './attempts.ts'
import { BrokenFlows } from './broken.ts'
import { askToResume } from './links.ts'
import { pause } from './pause.ts'
import { failure } from './refusals.ts'

/** The exit itself gives up dialling after 10 s; this only catches an exit that does not. */
export const OPEN_TIMEOUT_MS = 20_000
/** No other attempt can have a better answer. */
export const HOPELESS: ReadonlySet<ErrorCode> = new Set(['FLOW_UNKNOWN', 'SESSION_UNKNOWN', 'MESSAGE_UNEXPECTED'])

export const OVER_LOOK_MS = 20

/** What a flow leads to: a destination, or the next hop of a route. */
export type Target = { destination: Destination } | { offer: Uint8Array }

interface Counts {
  sent: bigint
  received: bigint
}
interface Totals {
  up: bigint
  down: bigint
}

/** A flow that is over, as its end counted it. */
export interface OverFlow extends Counts {
  readonly aborted: boolean
  /** Of the bytes received: what came after this end had given the flow up. */
  readonly discarded: number
}

/** A flow that is not over. */
interface Live {
  /** Another one when it has to be opened anew. */
  flowId: number
  readonly flow: FlowStream
  /** Says on a link what the flow is for. */
  ask(link: Link, flowId: number): void
  /** Whether somebody waits for the answer; the others have the stream already. */
  readonly awaited: boolean
  readonly opened: PromiseWithResolvers<void>
  /** Its link broke: how far it had come by then, since when it has come no further, and the last attempt, in Unix milliseconds. */
  lost?: { progress: number; sinceMs: number; lastMs: number }
}

export interface FlowsNeeds {
  nextId(): number
  clock: Clock
  outage: Outage
  /** A link that carries nothing, attached to the session. */
  take(signal: AbortSignal): Promise<Link>
  put(link: Link): void
  /** The provider said something on a flow link. */
  onHeard(): void
  onCount(way: CountedWay, bytes: number): void
  onOver(flow: OverFlow, stated: Totals): void
  /** A flow ended without its link; what it had discarded counts. */
  onGivenUp(flow: { discarded: number }, error: BywayError): void
  /** Both counts of a flow that was lost are known. */
  onSettled(flow: Counts, stated: Totals): void
}

export class Flows {
  readonly #needs: FlowsNeeds
  readonly #budget = new KeepingBudget()
  readonly #live = new Map<number, Live>()
  readonly #broken: BrokenFlows
  readonly #attempts = new Attempts()

  constructor(needs: FlowsNeeds) {
    this.#needs = needs
    this.#broken = new BrokenFlows(needs.onSettled)
  }

  get size(): number {
    return this.#live.size
  }

  /** Whether an application holds a flow back: then bytes may stand still. */
  get heldBack(): boolean {
    return [...this.#live.values()].some(({ flow }) => flow.readableLength >= flow.readableHighWaterMark)
  }

  /**
   * Opens a flow. Resolves when the exit is connected, or at once when `early`: then a failure is a reset of the stream. Rejects with what the
   * exit said when it could not; nothing is paid then.
   */
  async open(target: Target, { signal, early }: { signal: AbortSignal; early: boolean }): Promise<FlowStream> {
    const link = await this.#needs.take(signal)
    const flowId = this.#needs.nextId()
    this.#broken.asked(flowId)
    const opened = Promise.withResolvers<void>()
    const ask = (on: Link, id: number) => {
      if ('offer' in target) on.send('extend', { flowId: id, offer: target.offer })
      else {
        const { host, port } = target.destination
        on.send('open', { flowId: id, protocol: host === UDP_NAME ? FLOW_PROTOCOLS.udp : FLOW_PROTOCOLS.tcp, host, port })
      }
    }
    const live = this.#begin(link, { flowId, ask, awaited: !early, opened })
    const { flow } = live
    ask(link, flowId)
    const timer = setTimeout(() => {
      flow.link?.destroy()
      this.#giveUp(live.flowId, new BywayError('SESSION_TIMEOUT', 'the provider did not answer in time'))
    }, OPEN_TIMEOUT_MS)
    const given = () => flow.destroy(new BywayError('CONNECTION_RESET', 'the application gave up'))
    signal.addEventListener('abort', given, { once: true })
    const answered = opened.promise.finally(() => {
      clearTimeout(timer)
      signal.removeEventListener('abort', given)
    })
    if (signal.aborted) given()
    if (!early) await answered
    else answered.catch(() => {})
    return flow
  }

  #begin(link: Link, asked: Omit<Live, 'flow'>): Live {
    const needs = this.#needs
    const broken = this.#broken
    const { opened, awaited } = asked
    const flow: FlowStream = new FlowStream({
      link,
      side: 'consumer',
      opening: true,
      budget: this.#budget,
      onHeard: needs.onHeard,
      onCount: needs.onCount,
      onOpened: () => {
        if (flow.destroyed) opened.reject(new BywayError('CONNECTION_RESET', 'the application gave up'))
        else opened.resolve()
      },
      onFailed: (body) => {
        this.#forget(live)
        broken.over(live.flowId)
        opened.reject(failure(body))
      },
      onDone: (stated) => {
        this.#forget(live)
        broken.over(live.flowId)
        needs.onOver(flow, stated!)
      },
      onSuspended: (error) => {
        // Whoever waits for the answer had better ask elsewhere. It may have been opened all the same: what the provider put on the link for
        // nobody is settled like any broken flow. And whoever breaks the rules gets no second link.
        if ((flow.opening && awaited) || error.code.startsWith('MESSAGE_')) this.#giveUp(live.flowId, error)
        else void this.#carryOn(live)
      },
    })
    // Whoever uses the flow listens for errors; until then one must not bring the process down.
    flow.on('error', () => {})
    const live: Live = { ...asked, flow }
    this.#live.set(live.flowId, live)
    return live
  }

  /** The flow is over; its link is free for the next. */
  #forget({ flowId, flow: { link } }: Live): void {
    this.#live.delete(flowId)
    if (link !== undefined) this.#needs.put(link)
  }

  #giveUp(flowId: number, error: BywayError): void {
    const live = this.#live.get(flowId)
    if (live === undefined) return
    const { flow, opened } = live
    this.#live.delete(flowId)
    flow.giveUp(error)
    opened.reject(error)
    this.#needs.onGivenUp(flow, error)
    this.#broken.broke(flowId, flow)
  }

  /** Looks for another link until one carries the flow on, or it is too late. */
  async #carryOn(live: Live): Promise<void> {
    const { clock, outage } = this.#needs
    if (!this.#live.has(live.flowId)) return
    const { flow } = live
    const nowMs = clock.nowMs()
    // A provider that lets it go on and breaks it off again and again, without a byte, does not carry it.
    const again = live.lost?.progress === flow.progress && nowMs - live.lost.lastMs < outage.limitMs
    if (!again || live.lost === undefined) live.lost = { progress: flow.progress, sinceMs: nowMs, lastMs: 0 }
    const deadline = live.lost.sinceMs + outage.limitMs
    if (nowMs - live.lost.lastMs < outage.againMs) await this.#attempts.pause(outage.againMs)
    while (this.#live.has(live.flowId)) {
      const { lost } = live
      const last = await this.#attempts.inTurn(() => {
        lost.lastMs = clock.nowMs()
        return this.#tryToResume(live)
      })
      if (last === undefined) return
      if (HOPELESS.has(last.code) || clock.nowMs() > deadline) {
        this.#giveUp(live.flowId, last)
        return
      }
      await this.#attempts.pause(outage.againMs)
    }
  }

  /** Undefined when the flow goes on, or turned out to be over. */
  async #tryToResume(live: Live): Promise<BywayError | undefined> {
    const { flow, flowId } = live
    let link: Link | undefined
    try {
      if (!this.#live.has(flowId)) return undefined
      link = await this.#needs.take(this.#attempts.signal())
      const { received, over } = flow.mark
      const answer = await askToResume(link, { flowId, received: BigInt(received), over: over ? 1 : 0 }, this.#attempts.closed)
      // It was given up in between: the provider hears of it when the link goes.
      if (!this.#live.has(flowId)) throw new BywayError('CONNECTION_RESET', 'the flow was given up while it looked for a link')
      if (answer.name === 'done') {
        flow.finish(answer.body)
        this.#needs.put(link)
      } else if (answer.name === 'resumed') {
        flow.continueOn(link, { received: Number(answer.body.received), over: answer.body.over !== 0 })
      } else if (flow.opening && !flow.destroyed) {
        this.#openAnew(live, link)
      } else {
        this.#needs.put(link)
        return new BywayError('FLOW_UNKNOWN', 'the provider gave the flow up')
      }
      return undefined
    } catch (thrown) {
      link?.destroy()
      return asBywayError(thrown)
    }
  }

  /**
   * The provider never heard of the flow, stopped dialling when the link broke, or opened it and gave it up: nobody knows which here, and its word
   * of the last may still be on the way. So what it carried is settled like any broken flow, under the old id, and all begins again under another.
   */
  #openAnew(live: Live, link: Link): void {
    const { flow, flowId } = live
    this.#live.delete(flowId)
    this.#broken.broke(flowId, flow)
    live.flowId = this.#needs.nextId()
    this.#live.set(live.flowId, live)
    this.#broken.asked(live.flowId)
    // The first bytes are sent once more. The provider may have delivered them before, and counts them again when it does so again.
    this.#needs.onCount('sent', Number(flow.sent))
    live.ask(link, live.flowId)
    flow.beginOn(link)
  }

  /** The way to the provider is dead. Whoever waits for an answer asks elsewhere; the others wait for the session to find a way. */
  away(): void {
    this.#attempts.hold()
    for (const [flowId, { flow, awaited }] of this.#live) {
      if (flow.opening && awaited) this.#giveUp(flowId, new BywayError('PROVIDER_LOST', 'the provider fell silent'))
    }
  }

  /** There is a way again: whoever waits for a pause or a dead way tries at once. */
  back(): void {
    this.#attempts.hurry()
  }

  /** The provider gave a flow up, and says what it carried. */
  onLost(flowId: number, stated: Totals): void {
    this.#giveUp(flowId, new BywayError('PROVIDER_LOST', 'the provider gave the flow up'))
    this.#broken.stated(flowId, stated)
  }

  /** Resets all flows; they are over when the provider says so. */
  reset(): void {
    for (const { flow } of this.#live.values()) flow.destroy()
  }

  /** Resolves when all flows are over and what the provider said last has come, at the latest after so long. */
  async over(limitMs: number): Promise<void> {
    const deadline = this.#needs.clock.nowMs() + limitMs
    const signal = this.#attempts.closed
    while (this.#live.size > 0 && !signal.aborted && this.#needs.clock.nowMs() < deadline) await pause(OVER_LOOK_MS, signal)
    // The provider's last count of uploads is on its way.
    await pause(OVER_LOOK_MS * 2, signal)
  }

  /** The session is over: whatever is still open ends with `error`. */
  close(error: BywayError): void {
    this.#attempts.close()
    for (const flowId of this.#live.keys()) this.#giveUp(flowId, error)
  }
}
