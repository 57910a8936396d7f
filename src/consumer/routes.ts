/**
 * Routes: which provider serves a request.
 *
 * Offers are filtered by what was asked, then rotated; a named session stays with its provider while it lasts. A provider that failed is
 * left alone for a while, longer each time. Nothing is ever chosen that was not asked for: no match is an error, not another country.
 */
import type { Hex } from '../protocol/bytes.ts'
import type { Clock } from '../protocol/clock.ts'
import { BywayError } from '../protocol/errors.ts'
import type { SignedOffer } from '../protocol/offer.ts'
import type { RouteParameters } from './proxy/index.ts'

export interface RoutesNeeds {
  offers(): Promise<SignedOffer[]>
  /** Only offers that are paid here count. */
  chainId: number
  channels: Hex
  /** The owner's ceiling in units per GiB, whatever a request allows. */
  maxPricePerGib: bigint
  clock: Clock
  /** A number in [0, 1). */
  random(): number
}

export interface Routes {
  /** Providers to try, best first. Throws NO_PROVIDER with what stood in the way. */
  candidates(request: RouteParameters): Promise<SignedOffer[]>
  /** The request went through this provider: a named session stays with it. */
  used(request: RouteParameters, nodeKey: Hex): void
  /** The provider failed: others first for a while. */
  failed(nodeKey: Hex, code: string): void
  /** The provider worked: forgiven. */
  worked(nodeKey: Hex): void
}

/** First pause after a failure; doubles up to the limit. A rebooting home router is back in a minute or two. */
const AVOID_MS = 2_000
const AVOID_LIMIT_MS = 300_000
/** One that counted falsely is not asked again today. */
const AVOID_CHEAT_MS = 86_400_000
/** Named sessions remembered; the oldest is forgotten first. */
const MAX_STICKY = 100_000

interface Avoided {
  untilMs: number
  pauseMs: number
}

export function createRoutes(needs: RoutesNeeds): Routes {
  const avoided = new Map<Hex, Avoided>()
  const sticky = new Map<string, { nodeKey: Hex; untilMs: number }>()
  const { clock } = needs

  const stickyKey = (request: RouteParameters) =>
    [request.account, request.sessionId, request.country ?? '', request.asn ?? '', request.provider ?? ''].join('\0')

  function match({ body }: SignedOffer, request: RouteParameters): boolean {
    if (request.country !== undefined && body.country !== request.country) return false
    if (request.asn !== undefined && body.asn !== request.asn) return false
    if (request.provider !== undefined && !body.nodeKey.slice(2).startsWith(request.provider.toLowerCase())) return false
    return true
  }

  function explain(all: SignedOffer[], matching: SignedOffer[], request: RouteParameters): BywayError {
    const facts = { offers: all.length, matching: matching.length, ...(request.country === undefined ? {} : { country: request.country }) }
    if (all.length === 0)
      return new BywayError('NO_PROVIDER', 'no provider is known', { facts, hint: 'Name a folder of offers with --offers.' })
    if (matching.length === 0) {
      const countries = [...new Set(all.map((offer) => offer.body.country))].sort().join(', ')
      return new BywayError('NO_PROVIDER', 'no provider offers what was asked', { facts, hint: `Countries on offer: ${countries}.` })
    }
    const cheapest = matching.reduce(
      (least, { body }) => (body.pricePerGib < least ? body.pricePerGib : least),
      matching[0]!.body.pricePerGib,
    )
    return new BywayError('NO_PROVIDER', 'every matching provider asks more than the ceiling', {
      facts: { ...facts, cheapestPerGib: cheapest },
      hint: 'Raise maxprice or --max-price.',
    })
  }

  return {
    async candidates(request) {
      // City and kind of line are not in offers yet; serving another would be ignoring what was asked.
      if (request.city !== undefined || request.type !== undefined) {
        throw new BywayError('NO_PROVIDER', 'no offer states its city or kind of line yet', { hint: 'Ask by country, asn or provider.' })
      }
      const all = (await needs.offers()).filter(({ body }) => body.chainId === BigInt(needs.chainId) && body.channels === needs.channels)
      const matching = all.filter((offer) => match(offer, request))
      const ceiling = request.maxPricePerGib ?? needs.maxPricePerGib
      const limit = ceiling < needs.maxPricePerGib ? ceiling : needs.maxPricePerGib
      const affordable = matching.filter(({ body }) => body.pricePerGib <= limit)
      if (affordable.length === 0) throw explain(all, matching, request)
      const nowMs = clock.nowMs()
      const order = affordable
        .map((offer) => ({ offer, avoid: (avoided.get(offer.body.nodeKey)?.untilMs ?? 0) > nowMs ? 1 : 0, turn: needs.random() }))
        .sort((a, b) => a.avoid - b.avoid || a.turn - b.turn)
        .map(({ offer }) => offer)
      const kept = request.sessionId === undefined ? undefined : sticky.get(stickyKey(request))
      if (kept === undefined || kept.untilMs <= nowMs) return order
      const mine = order.filter(({ body }) => body.nodeKey === kept.nodeKey)
      if (!request.strict) return [...mine, ...order.filter((offer) => !mine.includes(offer))]
      if (mine.length === 0) throw new BywayError('NO_PROVIDER', 'the provider of this strict session is gone')
      return mine
    },
    used(request, nodeKey) {
      if (request.sessionId === undefined) return
      const key = stickyKey(request)
      const kept = sticky.get(key)
      // The session lasts from its first use; a later flow does not prolong it.
      if (kept?.nodeKey === nodeKey && kept.untilMs > clock.nowMs()) return
      sticky.delete(key)
      sticky.set(key, { nodeKey, untilMs: clock.nowMs() + request.sessionMinutes * 60_000 })
      if (sticky.size > MAX_STICKY) sticky.delete(sticky.keys().next().value!)
    },
    failed(nodeKey, code) {
      const before = avoided.get(nodeKey)
      const pauseMs = code === 'METER_DIVERGED' ? AVOID_CHEAT_MS : Math.min((before?.pauseMs ?? AVOID_MS / 2) * 2, AVOID_LIMIT_MS)
      avoided.set(nodeKey, { pauseMs, untilMs: clock.nowMs() + pauseMs })
    },
    worked(nodeKey) {
      avoided.delete(nodeKey)
    },
  }
}
