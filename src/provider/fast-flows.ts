/**
 * The flows of a session that the carrying thread serves: what it cannot do itself, which is to decide. Destinations are checked and connected
 * here, and handed over as descriptors; what the thread says of its flows goes where the portable path's goes.
 */
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { asBywayError, BywayError, errorCode } from '../protocol/errors.ts'
import { FLOW_PROTOCOLS, farewell } from '../protocol/messages.ts'
import type { Observer } from '../protocol/observe.ts'
import { DIAL_TIMEOUT_MS } from '../tunnel/egress/dial.ts'
import { detach, type FastSession, type Plane, type SessionReport } from '../tunnel/fast/plane.ts'
import { Link, splice, type Wire } from '../tunnel/index.ts'
import type { Totals } from './exit.ts'
import type { Dialler } from './flows.ts'

/** A page asks for its parts within this time. Addresses of this machine are read anew less often, and no name's lifetime is shorter. */
const VERDICT_MS = 1_000

export interface FastFlowsNeeds {
  dialler: Dialler
  observer: Observer
  lost(flowId: number, totals: Totals): void
  /** A link that is served here after all. */
  serve(link: Link): void
  /** The meter moved. */
  onCounted(): void
  /** The thread is gone, and with it what its flows carried last. */
  onDead(error: BywayError): void
}

export class FastFlows {
  readonly session: FastSession
  readonly #plane: Plane
  readonly #needs: FastFlowsNeeds
  readonly #links = new Set<number>()
  readonly #dialling = new Map<number, AbortController>()
  readonly #closed = Promise.withResolvers<void>()
  #closing = false

  constructor(plane: Plane, needs: FastFlowsNeeds) {
    this.#plane = plane
    this.#needs = needs
    this.session = plane.session('provider', {
      onReport: (report) => this.#onReport(report),
      onDead: (error) => {
        this.#closed.resolve()
        this.#links.clear()
        needs.onDead(error)
      },
    })
  }

  get links(): number {
    return this.#links.size
  }

  get live(): number {
    return this.session.meter.live
  }

  /** Takes a link over; false when it has to be served here. */
  async serve(link: Link): Promise<boolean> {
    const number = await this.session.adopt(link)
    if (number === undefined) return false
    this.#links.add(number)
    return true
  }

  #onReport(report: SessionReport): void {
    const { observer } = this.#needs
    switch (report.say) {
      case 'counted':
        this.#needs.onCounted()
        break
      case 'asked':
        void this.#dial(report)
        break
      case 'cancelled':
        this.#dialling.get(report.flow)?.abort(new BywayError('CONNECTION_RESET', 'the flow was given up while it was being opened'))
        break
      case 'ended':
        observer.count('flows', report.count, { result: report.result === 'ok' ? 'ok' : errorCode(report.result, 'INTERNAL') })
        break
      case 'lost':
        this.#needs.lost(report.flow, report.totals)
        break
      case 'resumed':
        observer.count('flows_resumed')
        break
      case 'closed-link':
        this.#links.delete(report.link)
        if (report.trouble?.code.startsWith('MESSAGE_')) observer.count('malformed', 1, { where: 'link' })
        break
      case 'given-back':
        // The other thread seals; here it is a link like any other, which will never be asked for its keys.
        this.#needs.serve(new Link(new Socket({ fd: report.fd, allowHalfOpen: true }) as Duplex as Wire))
        break
      case 'closed-session':
        this.#closed.resolve()
        break
      default:
    }
  }

  async #dial({ flow, open, extend }: Extract<SessionReport, { say: 'asked' }>): Promise<void> {
    const { dialler } = this.#needs
    const given = new AbortController()
    this.#dialling.set(flow, given)
    try {
      if (open !== undefined && open.protocol !== FLOW_PROTOCOLS.tcp)
        throw new BywayError('MESSAGE_UNEXPECTED', 'a flow of an unknown protocol')
      // What can be resolved and checked here the other thread connects to itself.
      const addresses = open === undefined ? undefined : dialler.addresses?.(open.host, open.port, given.signal)
      if (addresses !== undefined) {
        const { host, port } = open!
        const checked = await addresses
        this.session.order({ do: 'connect', flow, addresses: checked, host, port, timeoutMs: DIAL_TIMEOUT_MS, goodMs: VERDICT_MS })
        return
      }
      const target = await (open === undefined
        ? dialler.extend(Buffer.from(extend!.offer), given.signal)
        : dialler.dial(open.host, open.port, given.signal))
      if (this.#closing || given.signal.aborted) {
        target.destroy()
        throw new BywayError('CONNECTION_RESET', 'the flow was given up while it was being opened')
      }
      this.session.order({ do: 'use', flow, ...this.#descriptorOf(target) })
    } catch (thrown) {
      const error = asBywayError(thrown, 'HOST_UNREACHABLE')
      // What a dialler throws unexpectedly may carry an address in its message; only the words of our own errors leave the node.
      const trouble = error === thrown ? farewell(error) : { code: error.code, message: 'the destination could not be reached' }
      this.session.order({ do: 'refuse-flow', flow, trouble })
    } finally {
      this.#dialling.delete(flow)
    }
  }

  /**
   * The destination's own descriptor, and what it said already; for a destination inside this node one end of a pair, whose other end is joined
   * to it.
   */
  #descriptorOf(target: Duplex): { fd: number; said: Uint8Array } {
    const { native } = this.#plane
    const detached = target instanceof Socket ? detach(native, target) : undefined
    if (detached !== undefined) return { fd: detached.fd, said: detached.early }
    const [theirs, ours] = native.socketPair()
    const bridge = new Socket({ fd: ours, allowHalfOpen: true })
    void splice(target, bridge)
    bridge.resume()
    target.resume()
    return { fd: theirs, said: new Uint8Array(0) }
  }

  /** Ends all flows so that the consumer hears of it. */
  reset(): void {
    this.session.order({ do: 'reset-flows' })
  }

  /** Ends all flows and links; afterwards every count is final. */
  close(): Promise<void> {
    this.#closing = true
    for (const given of this.#dialling.values()) given.abort(new BywayError('PROVIDER_LOST', 'the session closed'))
    this.session.order({ do: 'close-session' })
    return this.#closed.promise
  }
}
