/**
 * Sessions: one for each place and provider, opened when a flow needs it, shared by all flows that do, closed when nobody does.
 *
 * A session of a later hop reaches its provider through a session of the hop before. Which node that is may change while it lasts: when the
 * entry dies, the exit's session rejoins through another, and its flows go on.
 *
 * Longer than 400 lines because which session is reached through which, and with whom it may share a route, is one question with many askers.
 */
import type { Duplex } from 'node:stream'
import type { Hex } from '../protocol/bytes.ts'
import { asBywayError, BywayError, type ErrorCode } from '../protocol/errors.ts'
import type { Observer } from '../protocol/observe.ts'
import { relaysOf, type SignedOffer } from '../protocol/offer.ts'
import type { Link } from '../tunnel/index.ts'
import { Budget } from './budget.ts'
import type { Deposits } from './deposits.ts'
import { independent } from './diversity.ts'
import { Faults, isGarbled } from './faults.ts'
import { OPEN_TIMEOUT_MS } from './links.ts'
import { within } from './pause.ts'
import { lanesFrom, type Place, placeBefore, RELAY_PLACE } from './places.ts'
import type { Routes } from './routes.ts'
import { calledThrough, keyIn, keyOf, type Seat, serves } from './seats.ts'
import type { Seen } from './seen.ts'
import { ConsumerSession, type FlowKind, type SessionNeeds } from './session.ts'
import { type Attempt, DIALLED, directly, linkThrough, type Peer, through, type Way, Ways } from './ways.ts'

/** A goodbye that goes through another hop takes a round trip or two; who does not answer it is not waited for. */
const LAST_WORDS_MS = 500
/** Sessions nobody uses are closed after this long, so that the provider can claim and forget them. */
const IDLE_LIMIT_MS = 600_000
const TICK_MS = 5_000
/** How often links are looked at that carry nothing though they should. */
const WATCH_MS = 1_000
/** A way through another node is looked for this often at most in one attempt: each may take seconds to fail. */
const MAX_HOPS_TRIED = 3
/** A hop that has not reached the next by then, and four of its own round trips more, is passed over for another. */
const HESITATION_MS = 2_500
/** On a route that fell silent, whoever answers is not the reason: most answer within this. */
const UNANSWERED_MS = 1_000
/** Our own impatience is told as the application's, and a hop that forgot its session says nothing of those it carried. */
const NOT_OF_THE_NEXT: ReadonlySet<ErrorCode> = new Set(['CONNECTION_RESET', 'SESSION_UNKNOWN'])

export interface SessionsNeeds extends Omit<SessionNeeds, 'deposits' | 'onAway' | 'budget'> {
  /** What attempts to find ways back may cost. Absent: less than a megabyte an hour. */
  budget?: Budget | undefined
  /** Where what is seen of nodes is written down. */
  seen: Seen
  /** What pays at a place. */
  deposits(place: Place): Promise<Deposits>
}

interface Entry {
  readonly place: Place
  readonly offer: SignedOffer
  opening: Promise<ConsumerSession>
  session?: ConsumerSession
  idleSinceMs?: number
  /** Later hops that are reached through it, and earlier ones it was reached through: all of them must be independent. */
  readonly after: Set<SignedOffer>
  readonly via: Map<string, Seat>
  /** The one before it that carried its newest link. */
  carriedBy?: Seat
  readonly faults: Faults
}

interface Hop extends Seat {
  session: ConsumerSession
}

export class Sessions {
  readonly #needs: SessionsNeeds
  readonly #routes: Routes
  readonly #entries = new Map<string, Entry>()
  /** Sessions that are over but still write their last voucher down. */
  readonly #endings = new Map<string, Promise<void>>()
  /** Failures that say nothing against the node they happened to: there was no way to it. */
  readonly #wayless = new WeakSet<BywayError>()
  /** For all that nobody asked for. */
  readonly budget: Budget
  readonly #ticking: NodeJS.Timeout
  readonly #watching: NodeJS.Timeout
  #closing = false

  constructor(needs: SessionsNeeds, routes: Routes) {
    this.#needs = needs
    this.#routes = routes
    this.budget = needs.budget ?? new Budget(needs.clock)
    this.#ticking = setInterval(() => this.#tick(), TICK_MS)
    this.#watching = setInterval(() => this.#replaceStalled(), WATCH_MS)
  }

  get closing(): boolean {
    return this.#closing
  }

  /** Open sessions with their places, and the sessions that carry their links. */
  list(): { place: Place; session: ConsumerSession; through: ConsumerSession | undefined }[] {
    return [...this.#entries.values()].flatMap(({ place, session, carriedBy }) => {
      const through = carriedBy === undefined ? undefined : this.#entries.get(keyIn(carriedBy))?.session
      return session === undefined ? [] : [{ place, session, through }]
    })
  }

  /** Whether a session with this provider is open here and its way is dead for now. */
  away(place: Place, nodeKey: Hex): boolean {
    const entry = this.#entries.get(keyOf(place, nodeKey))
    if (entry?.session === undefined) return false
    const { session, carriedBy } = entry
    // It may not have noticed yet that the node before it is gone.
    return session.away || (carriedBy !== undefined && this.away(carriedBy.place, carriedBy.offer.body.nodeKey))
  }

  /** The number of the session that is open here, and not away, in the thread that carries bytes. */
  numberOf(place: Place, nodeKey: Hex): number | undefined {
    return this.stands(place, nodeKey) ? this.#entries.get(keyOf(place, nodeKey))!.session!.number : undefined
  }

  /**
   * Whether this node does not answer: somewhere, and not because of a node before it that does not; or it is on a route that fell silent and was asked
   * itself, too, without an answer so far.
   */
  #isSilent(nodeKey: Hex): boolean {
    const onSilentRoute = ({ via }: Entry): boolean =>
      [...via].some(([key, { offer }]) => {
        const earlier = this.#entries.get(key)
        if (offer.body.nodeKey === nodeKey) return (earlier?.session?.unansweredMs ?? 0) > UNANSWERED_MS
        return earlier !== undefined && onSilentRoute(earlier)
      })
    return [...this.#entries.values()].some((entry) => {
      if (entry.session?.away !== true) return false
      const { offer, carriedBy } = entry
      if (offer.body.nodeKey !== nodeKey) return onSilentRoute(entry)
      return carriedBy === undefined || !this.away(carriedBy.place, carriedBy.offer.body.nodeKey)
    })
  }

  /** Whether a session with this provider is open here, away or not. */
  holds(place: Place, nodeKey: Hex): boolean {
    const session = this.#entries.get(keyOf(place, nodeKey))?.session
    return session !== undefined && session.closed === undefined
  }

  /** Whether one is open here and not away. */
  stands(place: Place, nodeKey: Hex): boolean {
    return this.holds(place, nodeKey) && !this.away(place, nodeKey)
  }

  /** What a flow there waits for: 0 nothing, 1 a link, 2 a session as well; undefined while the way to the node is dead. */
  stepsTo(place: Place, nodeKey: Hex, kind: FlowKind): 0 | 1 | 2 | undefined {
    if (this.away(place, nodeKey)) return undefined
    if (!this.holds(place, nodeKey)) return 2
    return this.#entries.get(keyOf(place, nodeKey))!.session!.linked(kind) ? 0 : 1
  }

  /** Whether a session with this node can be opened here without locking a deposit for it. */
  async pays(place: Place, { body }: SignedOffer): Promise<boolean> {
    return (await this.#needs.deposits(place)).pays(body.payee)
  }

  /** Whether this failure of {@link with} says something against the node, or only that there was no way to it. */
  blames(error: BywayError): boolean {
    return !this.#wayless.has(error)
  }

  /** Counts the bytes of a place by its hop as well. */
  #observerOf({ position, hops }: Place): Observer {
    const { observer } = this.#needs
    const hop = `${position + 1}/${hops}`
    const count: Observer['count'] = (name, by, labels) => {
      observer.count(name, by, labels)
      if (name === 'bytes') observer.count('hop_bytes', by, { hop, ...labels })
    }
    // It may be an instance of a class: its methods are not its own properties.
    return Object.assign(Object.create(observer) as Observer, { count })
  }

  /** The session with this provider at this place; opens it, and what it needs before it, when there is none. */
  async with(place: Place, offer: SignedOffer, after: readonly SignedOffer[] = []): Promise<ConsumerSession> {
    const key = keyOf(place, offer.body.nodeKey)
    const known = this.#entries.get(key)
    const entry = known !== undefined && known.session?.closed === undefined ? known : this.#begin(place, offer, key)
    this.#serveFor(entry, after)
    return entry.opening
  }

  /** From now on this node, and all that it is reached through, serve on a route with these later ones. */
  #serveFor(entry: Entry, after: readonly SignedOffer[]): void {
    for (const later of after) entry.after.add(later)
    for (const key of entry.via.keys()) {
      const earlier = this.#entries.get(key)
      if (earlier !== undefined) this.#serveFor(earlier, after)
    }
  }

  #begin(place: Place, offer: SignedOffer, key: string): Entry {
    const { nodeKey } = offer.body
    const begun = Promise.withResolvers<ConsumerSession>()
    const entry: Entry = { place, offer, opening: begun.promise, after: new Set(), via: new Map(), faults: new Faults(this.#needs.clock) }
    this.#entries.set(key, entry)
    this.#open(entry, key).then(begun.resolve, begun.reject)
    entry.opening.then(
      (session) => {
        entry.session = session
        if (this.#closing) void session.close('shutdown')
        const facts = { session: session.id, provider: nodeKey, country: offer.body.country }
        this.#needs.observer.log('session opened', { ...facts, hop: place.position + 1, hops: place.hops })
      },
      () => this.#forget(key, entry),
    )
    return entry
  }

  async #open(entry: Entry, key: string): Promise<ConsumerSession> {
    await this.#endings.get(key)
    const { offer } = entry
    const deposits = await this.#needs.deposits(entry.place)
    const peer: Peer = { offer, ways: new Ways(() => this.#waysTo(entry)) }
    const observer = this.#observerOf(entry.place)
    const onAway = () => this.#cutOff(entry)
    return ConsumerSession.open(peer, { ...this.#needs, budget: this.budget, deposits, observer, onAway }, (closed) => {
      this.#forget(key, entry)
      const ended = closed.ended.finally(() => {
        if (this.#endings.get(key) === ended) this.#endings.delete(key)
      })
      this.#endings.set(key, ended)
      if (closed.closed !== undefined && !closed.left) this.#routes.failed(offer.body.nodeKey, closed.closed.code)
    })
  }

  /** The way to this node died: those it carries need not wait until they notice. They do not pass it on, for theirs is found in a moment. */
  #cutOff(entry: Entry): void {
    for (const { carriedBy, session } of this.#entries.values())
      if (carriedBy !== undefined && keyIn(carriedBy) === keyIn(entry)) session?.lostWay()
  }

  async #waysTo(entry: Entry): Promise<Way[]> {
    const before = placeBefore(entry.place)
    if (before === undefined) return this.#firstHop(entry)
    return [{ name: 'hop', connect: (attempt) => this.#throughHop(before, entry, attempt) }]
  }

  /** Straight to its addresses, or called through its relays: the offer it has now decides. */
  async #firstHop(entry: Entry): Promise<Way[]> {
    const offer = (await this.#routes.newest(entry.offer.body.nodeKey)) ?? entry.offer
    const dialled = DIALLED.flatMap((kind) => offer.body.transports.filter((transport) => transport.kind === kind))
    // A relay is dialled: two tucked nodes that name each other would wait for each other for ever.
    const named = entry.place.index === RELAY_PLACE.index ? [] : relaysOf(offer)
    const relays = named.map((relay) => through(`relay ${relay.slice(2, 12)}`, offer, () => this.#relay(relay, entry)))
    return [...dialled.map((transport) => directly(offer, transport)), ...relays]
  }

  /** A relay is an ordinary first hop, paid by a payer of its own. It learns who asks, so it must be independent of the later hops too. */
  async #relay(nodeKey: Hex, entry: Entry): Promise<ConsumerSession> {
    const offer = await this.#routes.newest(nodeKey)
    if (offer === undefined) throw new BywayError('PROVIDER_UNREACHABLE', 'the relay of this node makes no offer')
    if (this.away(RELAY_PLACE, nodeKey)) throw new BywayError('PROVIDER_UNREACHABLE', 'the way to the relay is dead for now')
    if (![...entry.after].every((later) => independent(offer, later))) {
      throw new BywayError('PROVIDER_UNREACHABLE', 'the relay of this node is not independent of the others on the route')
    }
    const seat = { place: RELAY_PLACE, offer }
    entry.via.set(keyIn(seat), seat)
    return this.with(RELAY_PLACE, offer, [entry.offer, ...entry.after])
  }

  /** A link through the first node before it that gets there. Those that did not, while another did, are left alone for a while. */
  async #throughHop(place: Place, entry: Entry, attempt: Attempt): Promise<Link> {
    const { signal } = attempt
    const tried: Hop[] = []
    let slow: Hop | undefined
    let last: BywayError | undefined
    for await (const hop of this.#hopsBefore(place, entry, signal)) {
      const { session } = hop
      const patience = AbortSignal.timeout(HESITATION_MS + 4 * (session.roundTripMs ?? 0))
      try {
        const link = await this.#linkOver(hop, entry, { ...attempt, signal: AbortSignal.any([signal, patience]) })
        for (const { offer: passedOver } of tried)
          this.#failed(passedOver, 'PROVIDER_UNREACHABLE', 'it did not reach the next hop, another did')
        return link
      } catch (thrown) {
        const { code, message } = asBywayError(thrown)
        last = new BywayError(NOT_OF_THE_NEXT.has(code) ? 'PROVIDER_UNREACHABLE' : code, `through the hop before: ${message}`)
        if (session.away || session.closed !== undefined) continue
        tried.push(hop)
        if (patience.aborted) slow ??= hop
      }
    }
    // Nobody was faster: the line is slow, or this machine.
    if (slow !== undefined && !signal.aborted) return this.#linkOver(slow, entry, attempt)
    throw last ?? new BywayError('PROVIDER_UNREACHABLE', 'the attempt was given up')
  }

  async #linkOver(hop: Hop, entry: Entry, attempt: Attempt): Promise<Link> {
    const { link, carrier } = await linkThrough(hop.session, entry.offer, attempt)
    this.#watch(entry, hop, link, carrier)
    entry.carriedBy = hop
    return link
  }

  /** Holds against a hop what it does to the links it carries. */
  #watch(entry: Entry, { offer, session }: Hop, link: Link, carrier: Duplex): void {
    const { nodeKey } = offer.body
    const { faults } = entry
    const garbled = () => {
      const unreadable = new BywayError('PROVIDER_LOST', 'what comes from it cannot be read, whoever carries it')
      if (faults.garbled(nodeKey)) entry.session?.fail(unreadable)
      this.#failed(offer, 'PROVIDER_LOST', 'bytes were changed on their way')
    }
    link.wire.once('error', (cause) => {
      if (isGarbled(cause)) garbled()
    })
    const broke = () => {
      const well = !session.away && session.closed === undefined && entry.session?.closed === undefined && !this.#closing
      if (well && faults.broke(nodeKey)) this.#failed(offer, 'PROVIDER_LOST', 'links through it break again and again')
    }
    link.onLost = (lost) => (lost.garbled ? garbled() : broke())
    carrier.once('error', broke)
    // An end that is no answer to ours, heard before the link answers it.
    link.wire.prependOnceListener('end', function (this: Duplex) {
      if (!this.writableEnded) broke()
    })
  }

  /** Links through a hop that holds back what it carries are replaced by links through another. */
  #replaceStalled(): void {
    for (const { session, carriedBy } of this.#entries.values()) {
      if (session?.relinkStalled() && carriedBy !== undefined)
        this.#failed(carriedBy.offer, 'PROVIDER_LOST', 'what it carries stands still')
    }
  }

  #failed({ body: { nodeKey } }: SignedOffer, code: ErrorCode, why: string): void {
    this.#routes.failed(nodeKey, code)
    this.#needs.observer.log('provider failed', { provider: nodeKey, code, why })
  }

  /**
   * Sessions at the place before, best first, each opened when it is asked for; one that takes long to open comes after the others. Throws what stood in
   * the way of the last when there is none.
   */
  async *#hopsBefore(place: Place, entry: Entry, signal: AbortSignal): AsyncGenerator<Hop> {
    let found = 0
    let last: BywayError | undefined
    const slow = new Map<Seat, Promise<Seat | undefined>>()
    const failed = ({ offer }: Seat, thrown: unknown): undefined => {
      last = asBywayError(thrown)
      if (this.blames(last)) this.#failed(offer, last.code, last.message)
    }
    const seats = await this.#seatsBefore(place, entry)
    const later = new Set<Seat>()
    // The list grows while it is read.
    for (const seat of seats) {
      if (found + slow.size === MAX_HOPS_TRIED || signal.aborted || this.#closing) break
      // Whoever does not answer at one place hardly does at another. It may have fallen silent while others were tried.
      if (!later.has(seat) && this.#isSilent(seat.offer.body.nodeKey)) {
        later.add(seat)
        seats.push(seat)
        continue
      }
      // Routes that began meanwhile may have changed what fits.
      const after = [entry.offer, ...entry.after]
      if (!this.#free(seat, place, after)) continue
      const key = keyIn(seat)
      const before = entry.via.has(key)
      entry.via.set(key, seat)
      const opening = this.with(seat.place, seat.offer, after)
      try {
        const session = await within(opening, HESITATION_MS, signal)
        if (session === undefined) {
          if (!before) entry.via.delete(key)
          const open = opening.then(
            () => seat,
            (thrown: unknown) => failed(seat, thrown),
          )
          slow.set(
            seat,
            open.finally(() => slow.delete(seat)),
          )
          continue
        }
        found++
        this.#routes.worked(seat.offer.body.nodeKey)
        yield { ...seat, session }
        if (session.forgotten) yield { ...seat, session: await this.with(seat.place, seat.offer, after) }
      } catch (thrown) {
        if (!before) entry.via.delete(key)
        failed(seat, thrown)
      }
    }
    while (slow.size > 0 && !signal.aborted && !this.#closing) {
      const seat = await within(Promise.race(slow.values()), OPEN_TIMEOUT_MS, signal)
      const after = [entry.offer, ...entry.after]
      if (seat === undefined || !this.#free(seat, place, after)) continue
      entry.via.set(keyIn(seat), seat)
      try {
        // Again, for what began meanwhile: it serves on those routes too.
        const session = await this.with(seat.place, seat.offer, after)
        found++
        yield { ...seat, session }
      } catch (thrown) {
        entry.via.delete(keyIn(seat))
        failed(seat, thrown)
      }
    }
    if (found > 0) return
    // Nobody was asked: all that would fit serve on routes that stand, and on both at once they would not be independent.
    last ??=
      signal.aborted || this.#closing
        ? new BywayError('PROVIDER_UNREACHABLE', 'the attempt was given up')
        : new BywayError('NO_PROVIDER', 'every node that fits before it serves on a route it would not be independent of', {
            hint: 'Ask for fewer hops, or wait for more offers.',
          })
    this.#wayless.add(last)
    throw last
  }

  /** Nodes that may carry its links, in every lane from its own on. The one that does comes first, or last when links through it fell silent. */
  async #seatsBefore(place: Place, { offer, after, carriedBy, session }: Entry): Promise<Seat[]> {
    const offers = await this.#routes.before([offer, ...after], calledThrough(offer)).catch((thrown) => {
      const error = asBywayError(thrown)
      this.#wayless.add(error)
      throw error
    })
    const seats = lanesFrom(place).flatMap((lane) => offers.map((candidate): Seat => ({ place: lane, offer: candidate })))
    const at = carriedBy === undefined ? -1 : seats.findIndex((seat) => keyIn(seat) === keyIn(carriedBy))
    if (at < 0) return seats
    const [current] = seats.splice(at, 1) as [Seat]
    const well = session?.away !== true && !this.#routes.avoided(current.offer.body.nodeKey)
    return well ? [current, ...seats] : [...seats, current]
  }

  /** Whether this seat may carry links of a route with these later nodes now. A further lane is for nodes that do not fit in those before it. */
  #free({ place, offer }: Seat, first: Place, after: readonly SignedOffer[]): boolean {
    const { nodeKey } = offer.body
    const taken = lanesFrom(first).filter(({ lane }) => lane < place.lane)
    if (taken.some((lane) => this.#fits({ place: lane, offer }, after))) return false
    return !this.away(place, nodeKey) && this.#fits({ place, offer }, after)
  }

  /** Whether a node may serve on a route with these later ones: it, and all it is reached through already, must be independent of each. */
  #fits(seat: Seat, after: readonly SignedOffer[]): boolean {
    if (!after.every((later) => independent(seat.offer, later))) return false
    const entry = this.#entries.get(keyIn(seat))
    if (entry === undefined) return true
    // While it looks for the node before it, a second route could leave it none that is independent of both.
    if (entry.via.size === 0 && seat.place.position > 0 && after.some((later) => !serves(entry.after, later))) return false
    return [...entry.via.values()].every((earlier) => this.#fits(earlier, after))
  }

  #forget(key: string, entry: Entry): void {
    if (this.#entries.get(key) === entry) this.#entries.delete(key)
  }

  #tick(): void {
    const nowMs = this.#needs.clock.nowMs()
    for (const entry of this.#entries.values()) {
      if (entry.session === undefined) continue
      if (entry.place.position === 0) {
        void entry.session.seekBetterWay()
        // Of later hops it would say nothing: what is seen there is the route.
        const { purse, roundTripMs } = entry.session
        this.#needs.seen.saw(entry.offer.body.nodeKey, { atMs: nowMs, roundTripMs, bytes: purse.sent + purse.received })
      }
      if (entry.session.flows > 0) delete entry.idleSinceMs
      else entry.idleSinceMs ??= nowMs
      if (entry.idleSinceMs !== undefined && nowMs - entry.idleSinceMs > IDLE_LIMIT_MS) void entry.session.close('idle')
    }
  }

  /** Ends all sessions in order, the exits first: their last words go through the hops before. */
  async close(): Promise<void> {
    this.#closing = true
    clearInterval(this.#ticking)
    clearInterval(this.#watching)
    for (const position of [2, 1, 0]) {
      const entries = [...this.#entries.values()].filter(({ place }) => place.position === position)
      // What the hops behind it said last is still on its way through the flows of this one.
      await Promise.all(entries.map(async ({ session, after }) => (after.size > 0 ? session?.over(LAST_WORDS_MS) : undefined)))
      await Promise.all(entries.map(async ({ session }) => session?.close('shutdown')))
    }
    await Promise.all(this.#endings.values())
  }
}
