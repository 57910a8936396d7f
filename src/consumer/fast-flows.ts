/**
 * The flows of a session that the carrying thread carries: applications' sockets handed over whole, on links handed over before.
 *
 * Opening, counting, going on over another link and settling are the same as in flows.ts; only the bytes are elsewhere. Flows that begin in that
 * thread (see entrance/) are known here only once something is left to decide.
 *
 * Longer than 400 lines because what begins, breaks and ends a flow is told of in one stream of reports.
 */
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Clock } from '../protocol/clock.ts'
import { asBywayError, BywayError, errorCode } from '../protocol/errors.ts'
import { MAX_EARLY_BYTES, type Outage } from '../protocol/flow.ts'
import { encodeMessage, type MessageBody } from '../protocol/messages.ts'
import { detach, ENDLESS, type FastSession, type Plane, type SessionReport } from '../tunnel/fast/plane.ts'
import type { CountedWay, Link } from '../tunnel/index.ts'
import { Attempts } from './attempts.ts'
import { BrokenFlows } from './broken.ts'
import { HOPELESS, OPEN_TIMEOUT_MS, OVER_LOOK_MS, type OverFlow } from './flows.ts'
import { pause } from './pause.ts'
import { failure } from './refusals.ts'

interface Totals {
  up: bigint
  down: bigint
}

export interface FastFlowsNeeds {
  clock: Clock
  outage: Outage
  nextId(): number
  /** A fresh link of the portable path, attached to the session. */
  fresh(signal: AbortSignal): Promise<Link>
  /** Gives one back that stays there. */
  put(link: Link): void
  onCount(way: CountedWay, bytes: number): void
  /** Downloaded bytes until a payment must not wait any longer. */
  untilPayment(): bigint
  onOver(flow: OverFlow, stated: Totals): void
  /** So many flows of the other thread are over: their counts are in the meter, and agree with the provider's. */
  onEnded(inOrder: boolean, count: number): void
  onGivenUp(flow: { discarded: number }, error: BywayError): void
  onSettled(flow: { sent: bigint; received: bigint }, stated: Totals): void
  /** Somebody who could ask elsewhere waits long for an answer. */
  onUnanswered(): void
  onDead(error: BywayError): void
}

export interface CarryOptions {
  /** What the application gets to hear. */
  answers: {
    connected: Uint8Array
    failed(error: BywayError): Uint8Array
    /** It said nothing and heard nothing: whose way is dead may ask another exit. Absent where there is none. */
    elsewhere?: ((client: Socket) => void) | undefined
  }
  atOnce: boolean
  signal: AbortSignal
}

export interface Carried {
  /** Rejects with what the exit said when it could not open it, or why nobody knows. The application was told. */
  opened: Promise<void>
  over: Promise<void>
}

interface Live {
  opened: PromiseWithResolvers<void>
  over: PromiseWithResolvers<void>
  /** Undefined: a link is at this end, or an application that was answered. */
  answers: CarryOptions['answers'] | undefined
  timer: NodeJS.Timeout | undefined
  error: BywayError | undefined
}

/** A provider answers at once whether a flow goes on. */
const ANSWER_LIMIT_MS = 6_000
/** A session whose links cannot be handed over is asked again after this long: its way may have changed. */
const UNABLE_MS = 30_000

const NOTHING = new Uint8Array(0)

export class FastFlows {
  readonly session: FastSession
  readonly #plane: Plane
  readonly #needs: FastFlowsNeeds
  /** With when they were made, and who wants to hear that one was lost. */
  readonly #links = new Map<number, { madeMs: number; onLost: Link['onLost'] }>()
  /** Those that began here, and those that lost their link. Others are the other thread's alone. */
  readonly #live = new Map<number, Live>()
  readonly #broken: BrokenFlows
  readonly #attempts = new Attempts()
  readonly #closed = Promise.withResolvers<void>()
  readonly #seen = { up: 0n, down: 0n, discarded: 0n }
  /** Questions for an idle link. */
  readonly #wanting = new Map<number, (link: number | undefined) => void>()
  #unableUntilMs = 0
  #nextAsk = 1
  #error: BywayError | undefined
  /** Flows that asked to go on, and wait for the answer. */
  readonly #asking = new Map<number, PromiseWithResolvers<void>>()

  constructor(plane: Plane, needs: FastFlowsNeeds) {
    this.#plane = plane
    this.#needs = needs
    this.#broken = new BrokenFlows(needs.onSettled)
    this.session = plane.session('consumer', {
      onReport: (report) => this.#onReport(report),
      onDead: (error) => {
        this.#over()
        // Nobody says any more what became of them: what was counted is all there is.
        this.refresh()
        for (let i = this.session.meter.live; i > 0; i--) needs.onGivenUp({ discarded: 0 }, error)
        this.session.meter.setLive(0)
        this.#links.clear()
        for (const [flow, live] of this.#live) {
          this.#forget(flow)
          live.opened.reject(error)
          needs.onGivenUp({ discarded: 0 }, error)
        }
        needs.onDead(error)
      },
    })
    this.session.meter.tellAt({ up: ENDLESS, down: needs.untilPayment() })
  }

  get size(): number {
    return this.#live.size + this.session.meter.live
  }

  /** Whether there are more links than flows. */
  get linked(): boolean {
    return this.#links.size > this.size
  }

  /** Links cannot be handed over for now: flows are carried here. */
  get unable(): boolean {
    return this.#needs.clock.nowMs() < this.#unableUntilMs
  }

  /** Whether an application holds a flow back: then bytes may stand still. */
  get heldBack(): boolean {
    return this.session.meter.held > 0
  }

  /**
   * Asks for a flow and hands the application's socket over with it; undefined when the socket or the link cannot be handed over, and everything
   * is as before. `atOnce`: the application need not wait for the exit.
   */
  async carry(open: Omit<MessageBody<'open'>, 'flowId'>, client: Duplex, options: CarryOptions): Promise<Carried | undefined> {
    const { answers, atOnce, signal } = options
    if (!(client instanceof Socket)) return undefined
    const link = await this.#take(signal)
    if (link === undefined) return undefined
    const ready = !signal.aborted && client.readableLength <= MAX_EARLY_BYTES
    const taken = ready ? detach(this.#plane.native, client) : undefined
    if (taken === undefined) {
      this.#put(link)
      return undefined
    }
    const flow = this.#needs.nextId()
    const live = this.#begin(flow, link, answers)
    const frame = encodeMessage('open', { flowId: flow, ...open })
    const others = answers.elsewhere !== undefined
    this.session.order({ do: 'open', link, flow, frame, ...taken, reply: answers.connected, atOnce, others })
    return { opened: live.opened.promise, over: live.over.promise }
  }

  /**
   * Asks for the next hop; the stream is for a link to it, which can be handed over in turn. It is there at once, and fails when the hop does.
   * Undefined when no link of this session can be handed over.
   */
  async extend(offer: Uint8Array, signal: AbortSignal): Promise<Duplex | undefined> {
    const link = await this.#take(signal)
    if (link === undefined) return undefined
    const flow = this.#needs.nextId()
    const { fd, carrier } = this.session.carrier(flow)
    const live = this.#begin(flow, link, undefined)
    // Whoever uses it listens for errors; until then one must not bring the process down.
    carrier.on('error', () => {})
    live.opened.promise.catch((error) => carrier.destroy(error))
    void live.over.promise.then(() => {
      if (live.error !== undefined) carrier.destroy(live.error)
    })
    const frame = encodeMessage('extend', { flowId: flow, offer })
    this.session.order({ do: 'open', link, flow, frame, fd, early: NOTHING, reply: NOTHING, atOnce: true, others: false })
    return carrier
  }

  #begin(flow: number, link: number, answers: CarryOptions['answers'] | undefined): Live {
    this.#broken.asked(flow)
    const live: Live = { opened: Promise.withResolvers(), over: Promise.withResolvers(), answers, timer: undefined, error: undefined }
    // One that does not answer has lost the link with it.
    live.timer = setTimeout(() => {
      live.error = new BywayError('SESSION_TIMEOUT', 'the provider did not answer in time')
      this.#drop(link)
    }, OPEN_TIMEOUT_MS)
    this.#live.set(flow, live)
    return live
  }

  /** Makes a link for the next flow. False when it cannot be handed over. */
  async prepare(signal: AbortSignal): Promise<boolean> {
    const link = await this.#take(signal)
    if (link !== undefined) this.#put(link)
    return link !== undefined
  }

  /** An idle link, or a new one; undefined when it cannot be handed over. */
  async #take(signal: AbortSignal): Promise<number | undefined> {
    const idle = await this.#idle()
    if (idle !== undefined) return idle
    if (this.unable) return undefined
    const link = await this.#needs.fresh(signal)
    const number = await this.session.adopt(link)
    if (number !== undefined) {
      this.#links.set(number, { madeMs: this.#needs.clock.nowMs(), onLost: link.onLost })
      return number
    }
    // It runs inside something else: the next will too, until the way changes.
    this.#unableUntilMs = this.#needs.clock.nowMs() + UNABLE_MS
    this.#needs.put(link)
    return undefined
  }

  /** One that the other thread keeps warm. */
  #idle(): Promise<number | undefined> {
    if (this.#links.size === 0 || this.#attempts.closed.aborted) return Promise.resolve(undefined)
    const ask = this.#nextAsk++
    return new Promise((resolve) => {
      this.#wanting.set(ask, resolve)
      this.session.order({ do: 'take-link', ask })
    })
  }

  #onTaken(ask: number, link: number | undefined): void {
    const wanted = this.#wanting.get(ask)
    this.#wanting.delete(ask)
    wanted?.(link)
  }

  #put(link: number): void {
    this.session.order({ do: 'put-link', link })
  }

  /** Every count is final, and no question is answered any more. */
  #over(): void {
    this.#closed.resolve()
    for (const ask of [...this.#wanting.keys()]) this.#onTaken(ask, undefined)
  }

  /** Closes a link: no loss of anybody's. */
  #drop(link: number): void {
    this.#letGo(link)
    this.session.order({ do: 'drop-link', link })
  }

  #letGo(link: number): void {
    const known = this.#links.get(link)
    if (known !== undefined) known.onLost = undefined
  }

  /** Puts what was carried since into the purse. */
  refresh(): void {
    const { meter } = this.session
    const { up, down, discarded } = meter
    const moved = { sent: up - this.#seen.up, received: down - this.#seen.down, discarded: discarded - this.#seen.discarded }
    Object.assign(this.#seen, { up, down, discarded })
    for (const [way, bytes] of Object.entries(moved)) {
      if (bytes > 0n) this.#needs.onCount(way as keyof typeof moved, Number(bytes))
    }
    // What was sent to a destination that then failed.
    if (moved.sent < 0n) this.#needs.onCount('unsent', Number(-moved.sent))
    // Uploads are paid when the provider says that it delivered them; then everything is counted anyway.
    meter.tellAt({ up: ENDLESS, down: down + this.#needs.untilPayment() })
  }

  #onReport(report: SessionReport): void {
    switch (report.say) {
      case 'counted':
        this.refresh()
        break
      case 'unanswered':
        this.#needs.onUnanswered()
        break
      case 'opened':
        this.#onOpened(report.flow)
        break
      case 'failed':
        this.#onFailed(report)
        break
      case 'over':
        this.#onOver(report)
        break
      case 'suspended':
        this.#onSuspended(report)
        break
      case 'carried-on':
        this.#onCarriedOn(report)
        break
      case 'given-up':
        this.#onGivenUp(report)
        break
      case 'ended':
        this.#needs.onEnded(report.result === 'ok', report.count)
        break
      case 'stated':
        this.#broken.stated(report.flow, report.stated)
        break
      case 'link-taken':
        this.#onTaken(report.ask, report.link)
        break
      case 'let-go':
        this.#letGo(report.link)
        break
      case 'closed-link':
        this.#onClosedLink(report)
        break
      case 'closed-session':
        this.refresh()
        this.#over()
        break
      default:
    }
  }

  #onOpened(flow: number): void {
    const live = this.#live.get(flow)
    if (live === undefined) return
    clearTimeout(live.timer)
    live.answers = undefined
    live.opened.resolve()
  }

  #onFailed({ flow, fd, trouble }: Extract<SessionReport, { say: 'failed' }>): void {
    const live = this.#forget(flow)
    this.#broken.over(flow)
    const error = failure(trouble)
    if (fd >= 0) this.#plane.refuse(fd, live?.answers?.failed(error) ?? new Uint8Array(0))
    live?.opened.reject(error)
  }

  #onOver({ flow, sent, received, discarded, aborted, stated }: Extract<SessionReport, { say: 'over' }>): void {
    this.refresh()
    this.#forget(flow)
    this.#broken.over(flow)
    this.#needs.onOver({ sent: BigInt(sent), received: BigInt(received), discarded, aborted }, stated)
  }

  #onSuspended({ flow, opening, trouble }: Extract<SessionReport, { say: 'suspended' }>): void {
    const live = this.#live.get(flow) ?? this.#adopt(flow)
    if (opening) {
      // It may have been opened all the same: what the provider put on the link for nobody is settled like any broken flow.
      live.error ??= new BywayError(errorCode(trouble.code, 'PROVIDER_LOST'), trouble.message)
      this.session.order({ do: 'give-up', flow })
    } else void this.#carryOn(flow, live)
  }

  /** It began in the other thread, and lost its link: from now on it is looked after here. */
  #adopt(flow: number): Live {
    const live: Live = {
      opened: Promise.withResolvers(),
      over: Promise.withResolvers(),
      answers: undefined,
      timer: undefined,
      error: undefined,
    }
    live.opened.resolve()
    this.#live.set(flow, live)
    return live
  }

  #onGivenUp({ flow, sent, received, discarded, fd, trouble, elsewhere }: Extract<SessionReport, { say: 'given-up' }>): void {
    this.refresh()
    const live = this.#forget(flow)
    const told = trouble && new BywayError(errorCode(trouble.code, 'PROVIDER_LOST'), trouble.message)
    const error = live?.error ?? told ?? this.#error ?? new BywayError('PROVIDER_LOST', 'the tunnel connection broke')
    if (fd >= 0 && elsewhere && live?.answers?.elsewhere !== undefined) live.answers.elsewhere(new Socket({ fd, allowHalfOpen: true }))
    else if (fd >= 0) this.#plane.refuse(fd, live?.answers?.failed(error) ?? NOTHING)
    live?.opened.reject(error)
    this.#needs.onGivenUp({ discarded }, error)
    this.#broken.asked(flow)
    this.#broken.broke(flow, { sent: BigInt(sent), received: BigInt(received) })
  }

  #onClosedLink({ link, garbled }: Extract<SessionReport, { say: 'closed-link' }>): void {
    const known = this.#links.get(link)
    this.#links.delete(link)
    known?.onLost?.({ garbled })
  }

  #forget(flow: number): Live | undefined {
    const live = this.#live.get(flow)
    this.#live.delete(flow)
    clearTimeout(live?.timer)
    live?.over.resolve()
    return live
  }

  /** Looks for another link until one carries the flow on, or it is too late. */
  async #carryOn(flow: number, live: Live): Promise<void> {
    const { clock, outage } = this.#needs
    const deadline = clock.nowMs() + outage.limitMs
    while (!this.#attempts.closed.aborted && this.#live.get(flow) === live) {
      try {
        await this.#attempts.inTurn(() => this.#resume(flow))
        return
      } catch (thrown) {
        live.error = asBywayError(thrown)
      }
      if (HOPELESS.has(live.error.code) || clock.nowMs() > deadline) break
      await this.#attempts.pause(outage.againMs)
    }
    this.session.order({ do: 'give-up', flow })
  }

  /** The way to the provider is dead: flows wait for the session to find another. */
  away(): void {
    this.#attempts.hold()
    this.session.order({ do: 'away' })
  }

  /** There is a way again: whoever waits for a pause or a dead way tries at once. */
  back(): void {
    this.#attempts.hurry()
    this.session.order({ do: 'back' })
  }

  /** Resolves when all flows are over and what the provider said last has come, at the latest after so long. */
  async over(limitMs: number): Promise<void> {
    const deadline = this.#needs.clock.nowMs() + limitMs
    const signal = this.#attempts.closed
    while (this.size > 0 && !signal.aborted && this.#needs.clock.nowMs() < deadline) await pause(OVER_LOOK_MS, signal)
  }

  async #resume(flow: number): Promise<void> {
    const signal = this.#attempts.signal()
    const link = await this.#take(signal)
    if (link === undefined) throw new BywayError('PROVIDER_LOST', 'no new link could be handed over')
    if (!this.#live.has(flow)) {
      this.#put(link)
      return
    }
    const answer = Promise.withResolvers<void>()
    this.#asking.set(flow, answer)
    this.session.order({ do: 'resume', flow, link })
    const timer = setTimeout(() => this.#drop(link), ANSWER_LIMIT_MS)
    await answer.promise.finally(() => {
      clearTimeout(timer)
      this.#asking.delete(flow)
    })
  }

  #onCarriedOn({ flow, trouble }: Extract<SessionReport, { say: 'carried-on' }>): void {
    if (trouble === undefined) this.#asking.get(flow)?.resolve()
    else this.#asking.get(flow)?.reject(new BywayError(errorCode(trouble.code, 'PROVIDER_LOST'), trouble.message))
  }

  /** The provider gave a flow up, and says what it carried. */
  onLost(flow: number, stated: Totals): void {
    this.session.order({ do: 'lost', flow, stated })
  }

  /** The way that links made before then go is dead: flows on them look for others. */
  cut(beforeMs: number): void {
    for (const [link, { madeMs }] of this.#links) if (madeMs < beforeMs) this.#drop(link)
  }

  /** Resets all flows; they are over when the provider says so. */
  reset(): void {
    this.session.order({ do: 'reset-flows' })
  }

  /** The session is over. Resolves when every count is final. */
  close(error: BywayError): Promise<void> {
    this.#attempts.close()
    this.#error = error
    for (const live of this.#live.values()) live.error = error
    this.session.order({ do: 'close-session' })
    return this.#closed.promise
  }
}
