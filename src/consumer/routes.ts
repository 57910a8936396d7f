/**
 * Routes: which provider serves a request.
 *
 * The directory says who offers what was asked, best first; who is tried first is drawn, the better the likelier, and never the same twice in a row
 * while there is another. (While that one is made ready others serve: see readying.ts.) A named session stays with its provider while it lasts. A
 * provider that failed is left alone for a while, longer each time. Nothing is ever chosen that was not asked for: no match is an error, not
 * another country.
 */
import type { Directory, Listing, OfferQuery } from '../discovery/directory/index.ts'
import { drawOrder } from '../economy/utility.ts'
import type { Hex } from '../protocol/bytes.ts'
import type { Clock } from '../protocol/clock.ts'
import { BywayError } from '../protocol/errors.ts'
import type { SignedOffer } from '../protocol/offer.ts'
import { independent, sharedWith } from './diversity.ts'
import type { RouteParameters } from './proxy/index.ts'
import { Sticky } from './sticky.ts'

export interface RoutesNeeds {
  /** All offers that are paid here, as they are known now. */
  directory(): Promise<Directory>
  /** The owner's ceiling in units per GiB, whatever a request allows. */
  maxPricePerGib: bigint
  clock: Clock
  /** A number in [0, 1). */
  random(): number
  /** Others come first from now on: what was chosen before may be chosen otherwise. */
  onAvoided?(): void
  /** Where a node stands in the order of entries, in [0, 1): the same after a restart. Drawn once for each node when it is not given. */
  turnOf?: ((nodeKey: Hex) => number) | undefined
}

export interface Routes {
  /** Providers to try, first things first; `host` is where the request goes. Throws NO_PROVIDER with what stood in the way. */
  candidates(request: RouteParameters, host?: string): Promise<SignedOffer[]>
  /**
   * Nodes that may come before these on a route, best first: independent of each of them. The order stays, so that few
   * nodes ever learn the consumer's address. `among` leaves only these nodes. Throws NO_PROVIDER when there is none.
   */
  before(after: readonly SignedOffer[], among?: readonly Hex[]): Promise<SignedOffer[]>
  /** Whom the next such requests would try first, in turn, and how long that stays; undefined when each is to be chosen for. */
  turns(request: RouteParameters): Promise<{ exits: Hex[]; forMs: number } | undefined>
  /** What this node offers now. */
  newest(nodeKey: Hex): Promise<SignedOffer | undefined>
  /** Whether such requests keep the exit they get. */
  named(request: RouteParameters): boolean
  /** The request went through this provider: a named session stays with it. */
  used(request: RouteParameters, nodeKey: Hex, host?: string): void
  /** The provider failed: others first for a while. */
  failed(nodeKey: Hex, code: string): void
  /** Whether others come first for now. */
  avoided(nodeKey: Hex): boolean
  /** The provider worked: forgiven, once its pause is over. */
  worked(nodeKey: Hex): void
}

/** First pause after a failure; doubles up to the limit. A rebooting home router is back in a minute or two. */
const AVOID_MS = 2_000
const AVOID_LIMIT_MS = 300_000
/** One that counted falsely is not asked again today. */
const AVOID_CHEAT_MS = 86_400_000
/** A pause is up to a quarter shorter: what was left alone together is not asked again together. */
const AVOID_JITTER = 0.25
/** Of a country with more offers than this those below are as good as not there; above, one in sixty gets a request now and then. */
const MOST_CANDIDATES = 64
/** Entries are drawn from so many of the best: enough that two consumers have different ones, few enough that none is much worse. */
const MOST_ENTRIES = 256
/** Requests that are decided at once for those who choose without asking again. */
const TURNS = 32
/** Usernames of whom is remembered which exit they had last. */
const MAX_LAST = 10_000
/** An exit used lately makes others of its owner and network less welcome. */
const LATELY = 8

interface Avoided {
  untilMs: number
  pauseMs: number
}

export function createRoutes(needs: RoutesNeeds): Routes {
  const avoided = new Map<Hex, Avoided>()
  const sticky = new Sticky(needs.clock)
  /** The exit that requests with these parameters were given last. */
  const last = new Map<string, Hex>()
  let lately: SignedOffer[] = []
  /** A place in the order of entries, drawn once for each node. */
  const turns = new Map<Hex, number>()
  const { clock } = needs

  function turnOf(nodeKey: Hex): number {
    const turn = turns.get(nodeKey) ?? needs.turnOf?.(nodeKey) ?? needs.random()
    turns.set(nodeKey, turn)
    return turn
  }

  const isAvoided = (nodeKey: Hex) => (avoided.get(nodeKey)?.untilMs ?? 0) > clock.nowMs()
  const avoidedNow = ({ body }: SignedOffer) => (isAvoided(body.nodeKey) ? 1 : 0)

  /** Best first, drawn; those that are left alone last. */
  function draw(found: readonly Listing[]): SignedOffer[] {
    const utilities = found.map(({ offer, utility }) => utility - sharedWith(offer, lately))
    const order = drawOrder(utilities, needs.random).map((at) => found[at]!.offer)
    return [...order.filter((offer) => avoidedNow(offer) === 0), ...order.filter((offer) => avoidedNow(offer) === 1)]
  }

  /** The one before goes behind the next that is as good as any. */
  function rotate(order: readonly SignedOffer[], before: Hex | undefined): SignedOffer[] {
    const [first, second, ...others] = order
    const other = first?.body.nodeKey === before && second !== undefined && avoidedNow(second) === 0
    return other ? [second, first!, ...others] : [...order]
  }

  function remember(key: string, { body }: SignedOffer): void {
    last.delete(key)
    last.set(key, body.nodeKey)
    if (last.size > MAX_LAST) last.delete(last.keys().next().value!)
  }

  async function find(request: RouteParameters): Promise<Listing[]> {
    const directory = await needs.directory()
    const found = directory.find(queryOf(request, needs.maxPricePerGib), MOST_CANDIDATES)
    if (found.length === 0) throw explain(directory, request)
    return found
  }

  const routes: Routes = {
    async candidates(request, host) {
      const found = await find(request)
      const key = rotationKey(request)
      if (!sticky.holds(request)) {
        const order = rotate(draw(found), last.get(key))
        remember(key, order[0]!)
        return order
      }
      const kept = sticky.of(request, host)
      const others = sticky.others(request, host)
      const order = draw(found)
      // Flows that are spread over several exits should not meet in one.
      const apart = [...order.filter(({ body }) => !others.has(body.nodeKey)), ...order.filter(({ body }) => others.has(body.nodeKey))]
      if (kept === undefined) return apart
      const query = { ...queryOf(request, needs.maxPricePerGib), provider: kept.slice(2) }
      const mine = (await needs.directory()).find(query, 1).map(({ offer }) => offer)
      if (!request.strict) return [...mine, ...apart.filter(({ body }) => body.nodeKey !== kept)]
      if (mine.length === 0) throw new BywayError('NO_PROVIDER', 'the provider of this strict session is gone')
      return mine
    },
    async turns(request) {
      // Where a request goes decides too, or which exit is the session's is still open.
      if (request.split !== undefined) return undefined
      if (sticky.holds(request)) {
        const kept = sticky.of(request)
        const forMs = sticky.leftMs(request)
        return kept === undefined || isAvoided(kept) ? undefined : { exits: [kept], forMs }
      }
      const found = (await find(request)).filter(({ offer }) => avoidedNow(offer) === 0)
      const exits: Hex[] = []
      while (exits.length < TURNS && found.length > 0) exits.push(rotate(draw(found), exits.at(-1))[0]!.body.nodeKey)
      return { exits, forMs: Number.POSITIVE_INFINITY }
    },
    async newest(nodeKey) {
      return (await needs.directory()).get(nodeKey)
    },
    async before(after, among) {
      const directory = await needs.directory()
      const query = { dialled: true, maxPricePerGib: needs.maxPricePerGib }
      const known = among?.flatMap((nodeKey) => directory.find({ ...query, provider: nodeKey.slice(2) }, 1))
      const fitting = (known ?? directory.find(query, MOST_ENTRIES)).filter(({ offer }) =>
        after.every((other) => independent(offer, other)),
      )
      if (fitting.length === 0) {
        throw new BywayError('NO_PROVIDER', 'no node is independent of the others on the route', {
          facts: { hop: after.length },
          hint: 'Hops must differ in owner, network and ASN, and cost at most --max-price. Ask for fewer hops, or wait for more offers.',
        })
      }
      return fitting
        .map(({ offer }) => ({ offer, avoid: avoidedNow(offer), turn: turnOf(offer.body.nodeKey) }))
        .sort((a, b) => a.avoid - b.avoid || a.turn - b.turn)
        .map(({ offer }) => offer)
    },
    named: (request) => sticky.holds(request),
    used(request, nodeKey, host) {
      void needs.directory().then((directory) => {
        const offer = directory.get(nodeKey)
        if (offer !== undefined) lately = [offer, ...lately.filter(({ body }) => body.nodeKey !== nodeKey)].slice(0, LATELY)
      })
      if (sticky.holds(request)) sticky.keep(request, nodeKey, host)
    },
    failed(nodeKey, code) {
      const before = avoided.get(nodeKey)
      const pauseMs = code === 'METER_DIVERGED' ? AVOID_CHEAT_MS : Math.min((before?.pauseMs ?? AVOID_MS / 2) * 2, AVOID_LIMIT_MS)
      const early = code === 'METER_DIVERGED' ? 0 : needs.random() * AVOID_JITTER
      avoided.set(nodeKey, { pauseMs, untilMs: clock.nowMs() + pauseMs * (1 - early) })
      needs.onAvoided?.()
    },
    avoided: isAvoided,
    worked(nodeKey) {
      // What goes well while it is left alone, for want of others, says nothing yet: many a liar serves the first flow.
      if (!isAvoided(nodeKey)) avoided.delete(nodeKey)
    },
  }
  return routes
}

/** Requests with the same parameters rotate together. */
const rotationKey = ({ account, country, region, city, asn, type, provider }: RouteParameters): string =>
  [account, country, region, city, asn, type, provider].join(' ')

export function queryOf(request: RouteParameters, ceiling: bigint): OfferQuery {
  const { country, region, city, asn, type, maxPricePerGib: allowed = ceiling } = request
  const provider = request.provider?.toLowerCase().replace(/^0x/, '')
  return { country, region, city, asn, line: type, provider, maxPricePerGib: allowed < ceiling ? allowed : ceiling }
}

/** Why nothing was found, with what would help. */
function explain(directory: Directory, request: RouteParameters): BywayError {
  const { country } = request
  // Far above any price.
  const matching = directory.find(queryOf({ ...request, maxPricePerGib: 2n ** 96n }, 2n ** 96n), MOST_ENTRIES)
  const facts = { offers: directory.size, matching: matching.length, ...(country === undefined ? {} : { country }) }
  if (directory.size === 0)
    return new BywayError('NO_PROVIDER', 'no provider is known', { facts, hint: 'Name a folder of offers with --offers.' })
  if (matching.length === 0) {
    const hint = `Countries on offer: ${[...directory.countries.keys()].sort().join(', ')}.`
    return new BywayError('NO_PROVIDER', 'no provider offers what was asked', { facts, hint })
  }
  const cheapest = matching.map(({ offer }) => offer.body.pricePerGib).reduce((least, price) => (price < least ? price : least))
  return new BywayError('NO_PROVIDER', 'every matching provider asks more than the ceiling', {
    facts: { ...facts, cheapestPerGib: cheapest },
    hint: 'Raise maxprice or --max-price.',
  })
}
