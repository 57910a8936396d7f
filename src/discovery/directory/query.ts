/** What may be asked of the directory, and how it is told in numbers that columns can be compared with. */
import { DEFAULT_TASTE, standing, type Taste, utility } from '../../economy/utility.ts'
import type { Hex } from '../../protocol/bytes.ts'
import { LINES, type Line, type Offer, type SignedOffer } from '../../protocol/offer.ts'
import { lineTrait, MOST_PRICE, TRAITS } from './columns.ts'
import type { Limits } from './ranking.ts'

export interface OfferQuery {
  country?: string | undefined
  region?: string | undefined
  city?: string | undefined
  asn?: number | undefined
  line?: Line | undefined
  maxPricePerGib?: bigint | undefined
  /** By what was seen or proved, else by what it claims. */
  leastMbps?: number | undefined
  leastScore?: number | undefined
  /** How its key begins, in hex. */
  provider?: string | undefined
  /** It can be dialled: what every hop before the exit must be. */
  dialled?: boolean | undefined
  relay?: boolean | undefined
}

/** What was measured of a node by others than itself; whatever is not known is 0. */
export interface Merits {
  /** Bandwidth a committee proved, Mbit/s. */
  provenMbps: number
  /** From reputation, 0 to 1. */
  score: number
  /** Units at stake: whom it keeps when there is no room. It makes nobody come first. */
  stake: number
}
export const NO_MERITS: Merits = { provenMbps: 0, score: 0, stake: 0 }

/** What this consumer saw of it. */
export interface Seen {
  /** 95th percentile of round trips. */
  latencyMs?: number | undefined
  /** The most it carried in a second. */
  mbps?: number | undefined
}

/** An offer, and what makes it as good as it is. */
export interface Listing {
  readonly offer: SignedOffer
  readonly utility: number
  /** What was proved or seen. */
  readonly mbps: number
  readonly score: number
  readonly latencyMs: number | undefined
}

/** A worse latency counts as this one: it bounds how far down a search has to go. */
const MOST_LATENCY_MS = 2_000

/** Points of an offer for this consumer, before it is asked what else is in use. */
export function pointsOf({ pricePerGib }: Offer, { provenMbps, score }: Merits, seen: Seen | undefined, taste: Taste): number {
  const mbps = Math.max(provenMbps, seen?.mbps ?? 0)
  return withLatency(standing({ pricePerGib: Number(pricePerGib), provenMbps: mbps, score }, taste), seen?.latencyMs, taste)
}

function withLatency(stands: number, latencyMs: number | undefined, taste: Taste): number {
  const known = latencyMs === undefined ? undefined : Math.min(latencyMs, MOST_LATENCY_MS)
  return utility(stands, { latencyMs: known, sharedOwner: 0, sharedNetwork: 0, sharedAsn: 0 }, taste)
}

export function limitsOf(
  { maxPricePerGib, leastMbps, leastScore, line, dialled, relay }: OfferQuery,
  taste: Taste = DEFAULT_TASTE,
): Limits {
  const score = leastScore ?? 0
  // Nothing that matches is dearer, of a lower score, slower, or farther away than this.
  const worst =
    maxPricePerGib === undefined ? Number.NEGATIVE_INFINITY : standing({ pricePerGib: Number(maxPricePerGib), provenMbps: 0, score }, taste)
  return {
    mostPrice: maxPricePerGib === undefined ? MOST_PRICE : priceNumber(maxPricePerGib),
    leastMbps: leastMbps ?? 0,
    leastScore: score,
    lines: line === undefined ? TRAITS.anyLine : lineTrait(LINES.indexOf(line)),
    traits: TRAITS.live | (dialled === true ? TRAITS.dialled : 0) | (relay === true ? TRAITS.relay : 0),
    // A thousandth of a point for what is lost where numbers are narrow.
    leastUtility: withLatency(worst, MOST_LATENCY_MS, taste) - 0.001,
  }
}

/** What numbers tell only roughly, from the offer itself. */
export function matches({ body }: SignedOffer, query: OfferQuery): boolean {
  const { country = body.country, region = body.region, city = body.city, asn = body.asn, provider = '' } = query
  if (body.country !== country || body.region !== region || body.city !== city || body.asn !== asn) return false
  if (query.maxPricePerGib !== undefined && body.pricePerGib > query.maxPricePerGib) return false
  return body.nodeKey.slice(2).startsWith(provider.toLowerCase())
}

/** `de` as a number from 1; 0 is no country. */
export const countryNumber = (country: string): number =>
  /^[a-z]{2}$/.test(country) ? (country.charCodeAt(0) - 96) * 27 + (country.charCodeAt(1) - 96) : 0

export const COUNTRY_NUMBERS = 27 * 27
/** The country with this number. */
export const countryOf = (number: number): string => String.fromCharCode(96 + Math.floor(number / 27), 96 + (number % 27))

export const priceNumber = (price: bigint): number => (price > BigInt(MOST_PRICE) ? MOST_PRICE : Number(price))

/** Keys that begin so lie between these two, by their first four bytes. */
export function headsOf(provider: string): { low: number; high: number } {
  const digits = provider.slice(0, 8)
  return { low: Number.parseInt(digits.padEnd(8, '0'), 16), high: Number.parseInt(digits.padEnd(8, 'f'), 16) }
}

export type SeenOf = (nodeKey: Hex) => Seen | undefined
export type MeritsOf = (offer: Offer) => Merits
