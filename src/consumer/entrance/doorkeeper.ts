/**
 * The entrance in the carrying thread: accepts connections of applications, and begins the flows of those whose route the main thread decided
 * before. All others it hands over with what they said so far.
 *
 * The rule it keeps: it decides nothing. A grant names the sessions the main thread would choose from; where there is none, where one ran out,
 * and for everything but a SOCKS5 CONNECT, the main thread serves as if it had accepted itself.
 */
import { isReserved } from '../../protocol/destination.ts'
import { MAX_EARLY_BYTES } from '../../protocol/flow.ts'
import type { Timer } from '../../tunnel/fast/loop.ts'
import { ERRNO } from '../../tunnel/fast/native.ts'
import type { EntranceSide, Trouble } from '../../tunnel/fast/orders.ts'
import type { Inside } from '../../tunnel/fast/thread.ts'
import { Answered } from '../answered.ts'
import { OPEN_TIMEOUT_MS } from '../flows.ts'
import { Count } from '../proxy/count.ts'
import { socksReply, socksSucceeded } from '../proxy/replies.ts'
import { parametersKey } from '../proxy/username.ts'
import { failure } from '../refusals.ts'
import { Arrival, type ArrivalNeeds, type SocksRequest } from './arrival.ts'
import type { Choice, EntranceOrder, EntranceReport, Grant } from './orders.ts'

/** A grant in use is asked for again after this long: offers are looked at as often while flows are opened one by one. */
const FRESH_MS = 1_000
/** Usernames of a scraper with a session each. */
const MAX_GRANTS = 1_024
/** Accepted before flows that are under way have their turn. */
const ACCEPTED_A_TURN = 64
/** No descriptors are left: some may be when this is over. */
const FULL_PAUSE_MS = 100

interface Known {
  readonly grant: Grant
  readonly sinceMs: number
  asked: boolean
  turn: number
}

export class Doorkeeper implements EntranceSide, ArrivalNeeds {
  readonly #inside: Inside
  readonly #grants = new Map<string, Known>()
  readonly #arrivals = new Set<Arrival>()
  readonly #answered: Answered
  readonly #worked = new Set<Choice['exit']>()
  #open: { fd: number; flows: Count; connections: Count; handshakeMs: number } | undefined
  #pause: Timer | undefined

  constructor(inside: Inside) {
    this.#inside = inside
    this.#answered = new Answered({ nowMs: () => inside.thread.loop.nowMs })
  }

  #say(report: EntranceReport): void {
    this.#inside.say(report)
  }

  obey(order: object, fd: number): void {
    const told = order as EntranceOrder
    if (told.enter === 'open') {
      const { flows, connections, handshakeMs } = told
      // Connections inherit it.
      this.#inside.thread.native.setNoDelay(fd)
      this.#open = { fd, flows: new Count(flows), connections: new Count(connections), handshakeMs }
      this.#listen()
    } else if (told.enter === 'grant') {
      this.#grants.delete(told.grant.key)
      this.#grants.set(told.grant.key, { grant: told.grant, sinceMs: this.#inside.thread.loop.nowMs, asked: false, turn: 0 })
      if (this.#grants.size > MAX_GRANTS) this.#grants.delete(this.#grants.keys().next().value!)
    } else if (told.enter === 'forget') this.#grants.clear()
    else this.close()
  }

  close(): void {
    const { loop, native } = this.#inside.thread
    loop.cancel(this.#pause)
    if (this.#open !== undefined) {
      loop.unwatch(this.#open.fd)
      native.close(this.#open.fd)
    }
    for (const arrival of this.#arrivals) arrival.leave()
    this.#open = undefined
  }

  // --- Arriving ---

  #listen(): void {
    this.#inside.thread.loop.watchReadable(this.#open!.fd, { onEvents: () => this.#accept() })
  }

  #accept(): void {
    const { native, loop } = this.#inside.thread
    for (let i = 0; i < ACCEPTED_A_TURN && this.#open !== undefined; i++) {
      const fd = native.accept(this.#open.fd)
      if (fd >= 0) this.#arrive(fd, this.#open)
      else if (fd === -ERRNO.EMFILE || fd === -ERRNO.ENFILE || fd === -ERRNO.ENOBUFS || fd === -ERRNO.ENOMEM) {
        loop.unwatch(this.#open.fd)
        this.#pause = loop.after(FULL_PAUSE_MS, () => this.#listen())
        return
      } else if (fd === -ERRNO.EAGAIN) return
    }
  }

  #arrive(fd: number, { connections, handshakeMs }: { connections: Count; handshakeMs: number }): void {
    const { native, loop } = this.#inside.thread
    if (!connections.take()) {
      native.close(fd)
      return
    }
    const arrival = new Arrival(this.#inside, fd, this)
    this.#arrivals.add(arrival)
    arrival.timer = loop.after(handshakeMs, () => arrival.leave())
    if (!loop.watch(fd, arrival)) arrival.leave()
  }

  onLeft(arrival: Arrival, served: boolean): void {
    this.#inside.thread.loop.cancel(arrival.timer)
    this.#arrivals.delete(arrival)
    // A flow is a connection as long as it lasts; the main thread counts those it is handed itself.
    if (!served) this.#open?.connections.give()
  }

  hand({ fd, told }: Arrival): void {
    this.#say({ entered: 'hand', fd, ...told })
  }

  // --- Serving ---

  serve(arrival: Arrival, { destination, parameters, rest }: SocksRequest, events: number): boolean {
    const { flows, connections } = this.#open ?? {}
    if (flows === undefined || connections === undefined || isReserved(destination) || rest.length > MAX_EARLY_BYTES) return false
    const choice = this.#choose(parametersKey(parameters))
    const side = choice && this.#inside.session(choice.session)
    // One too many is refused by the main thread, which knows the words.
    if (choice === undefined || side === undefined || !flows.take()) return false
    const { exit, others } = choice
    const { fd } = arrival
    const atOnce = this.#answered.has(exit, destination)
    // Kept until it is answered.
    let told = others && !atOnce ? arrival.told : undefined
    const begun = side.begin(
      destination,
      { fd, events, early: rest, reply: socksSucceeded, atOnce },
      {
        timeoutMs: OPEN_TIMEOUT_MS,
        asker: {
          onOpened: () => {
            told = undefined
            this.#answered.watch(exit, destination)
            this.#worked.add(exit)
          },
          onElsewhere: others ? (unanswered) => this.#say({ entered: 'hand', fd: unanswered, ...told! }) : undefined,
          onFailed: (trouble, unanswered) => {
            this.#answered.forget(exit, destination)
            this.#refuse(unanswered, trouble)
          },
          onOver: () => {
            flows.give()
            connections.give()
          },
        },
      },
    )
    if (!begun) flows.give()
    return begun
  }

  #refuse(fd: number, trouble: Trouble): void {
    const { code } = failure(trouble)
    if (fd >= 0) this.#inside.sayLast(fd, socksReply(code))
    this.#say({ entered: 'refused', code })
  }

  /** The session the main thread would choose now. */
  #choose(key: string): Choice | undefined {
    const known = this.#grants.get(key)
    if (known === undefined) return undefined
    const ageMs = this.#inside.thread.loop.nowMs - known.sinceMs
    const { grant } = known
    if (ageMs >= grant.goodMs) {
      this.#grants.delete(key)
      return undefined
    }
    if (ageMs >= FRESH_MS && !known.asked) {
      known.asked = true
      this.#say({ entered: 'renew', key, worked: [...this.#worked] })
      this.#worked.clear()
    }
    return grant.turns[known.turn++ % grant.turns.length]
  }
}
