/** What both ends of a session have in the carrying thread: its meter, its links, its flows, and telling the main thread of counts. */
import { COUNTED_WITHIN_MS } from '../../protocol/credit.ts'
import { asBywayError, type BywayError } from '../../protocol/errors.ts'
import type { Message } from '../../protocol/messages.ts'
import { CarriedFlow, type FlowEvents } from './carried-flow.ts'
import { FlowCarrier } from './flow-carrier.ts'
import type { Standing } from './handover.ts'
import { KeptBudget } from './kept.ts'
import type { Timer } from './loop.ts'
import { Meter } from './meter.ts'
import type { Memory } from './native.ts'
import type { Report, Trouble } from './orders.ts'
import { RecordError } from './records.ts'
import { SealedLink } from './sealed-link.ts'
import type { Thread } from './shared.ts'
import { SocketCarrier } from './socket-carrier.ts'
import { Waiters } from './waiters.ts'

/** After the end of the last flow sooner: what it carried is still to be paid before the session says goodbye. */
const TELL_OF_END_MS = 15

export interface Carrying {
  readonly thread: Thread
  /** At the end of this turn. */
  say(report: Report): void
  /** What was said so far, at once: a turn may last milliseconds. */
  tell(): void
}

export const troubleOf = (thrown: unknown): Trouble => {
  const { code, message } = asBywayError(thrown)
  return { code, message }
}

/** One end of a session. The two ends differ in what an idle link may hear and in what a flow's end means. */
export abstract class Side {
  readonly session: number
  readonly flows = new Map<number, CarriedFlow>()
  readonly links = new Map<number, SealedLink>()
  protected readonly carrying: Carrying
  protected readonly meter: Meter
  protected readonly waiters: Waiters
  readonly #budget: KeptBudget
  readonly #numbers = new WeakMap<SealedLink, number>()
  /** How flows ended since the other thread was last told. */
  #results = new Map<string, number>()
  #telling: Timer | undefined
  /** Uploads that the other thread was told of. */
  #toldUp = 0n

  constructor(session: number, shared: SharedArrayBuffer, carrying: Carrying) {
    this.session = session
    this.carrying = carrying
    this.meter = new Meter(shared)
    this.#budget = new KeptBudget(this.meter)
    this.waiters = new Waiters(this.meter, carrying.thread.loop, () => this.#onStopped())
  }

  protected abstract readonly side: 'consumer' | 'provider'
  protected abstract readonly events: FlowEvents
  /** How long this end waits with an answer that means nothing for one that does. */
  protected abstract readonly answerMs: number
  /** A message on a link that carries nothing. Throwing closes it. */
  protected abstract onIdleMessage(link: SealedLink, message: Message): void

  /** `outer`: the flow at the other end of the descriptor, when it is one of this thread. */
  addLink(id: number, fd: number, standing: Standing, outer: CarriedFlow | undefined): void {
    const { thread } = this.carrying
    const inside = outer && FlowCarrier.over(thread, outer, fd)
    const carrier = inside ?? new SocketCarrier(thread.native, thread.loop, fd)
    const link = new SealedLink(thread, carrier, standing, this.answerMs)
    link.onGone = (error) => {
      this.links.delete(id)
      this.onLinkGone(link)
      this.carrying.say({
        say: 'closed-link',
        session: this.session,
        link: id,
        trouble: error === undefined ? undefined : troubleOf(error),
        garbled: error?.cause instanceof RecordError,
      })
    }
    this.links.set(id, link)
    this.#numbers.set(link, id)
    this.idle(link)
    carrier.start(link)
  }

  protected onLinkGone(_link: SealedLink): void {}

  protected idOf(link: SealedLink | undefined): number | undefined {
    return link === undefined ? undefined : this.#numbers.get(link)
  }

  /** Nobody uses the link. */
  protected idle(link: SealedLink): void {
    link.listen({
      onMessage: (message) => this.onIdleMessage(link, message),
      onData: (_memory: Memory, _at, bytes) => {
        if (bytes > 0) link.destroy(unexpected('data outside a flow'))
      },
      onBatch: () => false,
      onRoom: () => {},
      onClosed: () => {},
    })
  }

  protected newFlow(id: number): CarriedFlow {
    const flow = new CarriedFlow(id, {
      thread: this.carrying.thread,
      side: this.side,
      meter: this.meter,
      waiters: this.waiters,
      budget: this.#budget,
      events: this.events,
    })
    this.flows.set(id, flow)
    return flow
  }

  /**
   * Lets the other thread know of counts. Where a payment cannot wait, that thread said at which count it wants to be told; else it hears soon: oftener
   * only wakes it, and there may be dozens of sessions.
   */
  protected readonly onCounted = (): void => {
    const { loop } = this.carrying.thread
    if (this.meter.reached()) {
      loop.cancel(this.#telling)
      this.#tell()
      // A payment is due, and the line stands still when it comes too late.
      this.carrying.tell()
      return
    }
    if (this.#telling === undefined) this.#tellWithin(COUNTED_WITHIN_MS)
  }

  #tellWithin(ms: number): void {
    const { loop } = this.carrying.thread
    if (this.#telling !== undefined && this.#telling.dueMs <= loop.nowMs + ms) return
    loop.cancel(this.#telling)
    this.#telling = loop.after(ms, () => this.#tell())
  }

  /** Flows wait for a payment. For uploads it comes when the consumer hears of them, and nobody has told it yet. */
  #onStopped(): void {
    if (this.meter.up === this.#toldUp) return
    this.carrying.thread.loop.cancel(this.#telling)
    this.#tell()
  }

  #tell(): void {
    this.#telling = undefined
    this.#toldUp = this.meter.up
    for (const [result, count] of this.#results) this.carrying.say({ say: 'ended', session: this.session, result, count })
    this.#results.clear()
    this.carrying.say({ say: 'counted', session: this.session })
  }

  /** A flow ended, with `ok` or a code of the table of errors. The other thread hears soon. */
  protected ended(result: string): void {
    this.#results.set(result, (this.#results.get(result) ?? 0) + 1)
    this.#tellWithin(this.flows.size === 0 ? TELL_OF_END_MS : COUNTED_WITHIN_MS)
  }

  room(): void {
    this.waiters.wake()
  }

  reset(): void {
    for (const flow of this.flows.values()) flow.reset()
  }

  close(): void {
    this.carrying.thread.loop.cancel(this.#telling)
    for (const flow of this.flows.values()) flow.giveUp()
    this.flows.clear()
    this.meter.setLive(0)
    for (const link of this.links.values()) link.destroy(undefined)
    this.#tell()
  }
}

export function unexpected(what: string): BywayError {
  return asBywayError(new Error(what), 'MESSAGE_UNEXPECTED')
}
