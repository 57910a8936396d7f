/** Offers as a consumer would rank them, for people: what each asks, what is known of it, and why it stands where it stands. */

import type { Directory, Listing } from '../discovery/directory/index.ts'
import { ordinal } from '../economy/reputation/index.ts'
import { DEFAULT_TASTE, standing, utility } from '../economy/utility.ts'
import type { Hex } from '../protocol/bytes.ts'
import { formatDollars } from '../protocol/dollars.ts'
import { basePrice, LINES, type Line } from '../protocol/offer.ts'
import type { RouteParameters } from './proxy/index.ts'
import { queryOf } from './routes.ts'

export interface OfferView {
  /** 1 is the best. */
  rank: number
  provider: Hex
  country: string
  region: string
  city: string
  line: Line
  asn: number
  /** All there is to pay, and of what it is made up. */
  pricePerGib: bigint
  basePerGib: bigint
  premiums: { name: string; perGib: bigint }[]
  /** Doublings of the price: of two offers, the one a point better is still as good at twice the price. */
  utility: number
  /** Proved or seen, Mbit/s; 0 when neither. */
  mbps: number
  score: number
  /** 95th percentile of what this consumer saw; undefined when it never tried. */
  latencyMs?: number
  /** Its place, and what costs it most beside the best: `37th: p95 latency 210 ms`. */
  why: string
}

/** What a request with these parameters would choose from, best first. */
export function offerViews(directory: Directory, request: RouteParameters, limits: { ceiling: bigint; most: number }): OfferView[] {
  const found = directory.find(queryOf(request, limits.ceiling), limits.most)
  return found.map((listing, at) => {
    const { offer, latencyMs } = listing
    const { nodeKey, country, region, city, line, asn, pricePerGib, premiums } = offer.body
    return {
      rank: at + 1,
      provider: nodeKey,
      ...{ country, region, city, line: LINES[line] ?? 'unstated', asn },
      pricePerGib,
      basePerGib: basePrice(offer.body),
      premiums,
      utility: Math.round(listing.utility * 100) / 100,
      mbps: Math.round(listing.mbps),
      score: listing.score,
      ...(latencyMs === undefined ? {} : { latencyMs }),
      why: `${ordinal(at + 1)}: ${whyOf(listing, found[0]!)}`,
    }
  })
}

/** Smaller differences are none. */
const SAME_POINTS = 0.01

/** Which of its merits would raise it most, were it that of the best. */
export function whyOf(listing: Listing, best: Listing): string {
  if (listing === best) return 'best'
  const own = meritsOf(listing)
  const top = meritsOf(best)
  const points = (changes: Partial<Merits>) => pointsOf({ ...own, ...changes }) - pointsOf(own)
  const reasons: [number, string][] = [
    [points({ pricePerGib: top.pricePerGib }), `asks ${formatDollars(listing.offer.body.pricePerGib)} a GiB`],
    [
      points({ provenMbps: top.provenMbps }),
      own.provenMbps === 0 ? 'no speed was proved or seen' : `carries ${Math.round(own.provenMbps)} Mbit/s`,
    ],
    [points({ score: top.score }), own.score === 0 ? 'has no score yet' : `score ${own.score.toFixed(2)}`],
    [points({ latencyMs: top.latencyMs }), own.latencyMs === undefined ? 'was never tried' : `p95 latency ${Math.round(own.latencyMs)} ms`],
  ]
  const [most, why] = reasons.reduce((worst, reason) => (reason[0] > worst[0] ? reason : worst))
  return most > SAME_POINTS ? why : 'as good as the best'
}

interface Merits {
  pricePerGib: number
  provenMbps: number
  score: number
  latencyMs: number | undefined
}

const meritsOf = ({ offer, mbps, score, latencyMs }: Listing): Merits => ({
  pricePerGib: Number(offer.body.pricePerGib),
  provenMbps: mbps,
  score,
  latencyMs,
})

const pointsOf = ({ latencyMs, ...merits }: Merits): number =>
  utility(standing(merits, DEFAULT_TASTE), { latencyMs, sharedOwner: 0, sharedNetwork: 0, sharedAsn: 0 })
