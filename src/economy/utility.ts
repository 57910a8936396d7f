/**
 * Utility: how well an offer serves a consumer, as one number, and the order in which offers are tried because of it.
 *
 * It is counted in doublings of the price: of two offers, the one a point better is still as good a choice at twice the price. What is
 * the same for everybody, price, proven speed and score, makes up an offer's standing, which an index keeps sorted. What only this consumer
 * knows, latency and what it uses already, can only subtract. So standing is an upper bound: who walks down an index may stop as soon as
 * it is below the worst utility kept. Stake is no part of it: who owns more does not serve better.
 */

/** What is known of an offer by anybody. */
export interface Merits {
  /** Units per GiB. */
  readonly pricePerGib: number
  /** Bandwidth a committee proved, not what is claimed; 0 when none did lately. */
  readonly provenMbps: number
  /** From reputation, 0 to 1. */
  readonly score: number
}

/** What this consumer knows of it. */
export interface Circumstances {
  /** 95th percentile this consumer saw; undefined when it never tried. */
  readonly latencyMs: number | undefined
  /** Exits in use now that share its owner, its network (/24, /48), its ASN. */
  readonly sharedOwner: number
  readonly sharedNetwork: number
  readonly sharedAsn: number
}

/** What a consumer asks for, and what it would give for it. */
export interface Taste {
  /** More than this is worth nothing more. */
  readonly wantedMbps: number
  /** Points for each halving of speed below that. */
  readonly speed: number
  /** Points for each halving of the score. */
  readonly score: number
  /** Points for the first 100 ms of latency, and for each doubling of 100 ms + latency after. */
  readonly latency: number
  /** Points for each exit in use of the same ASN; twice that for the same network, four times for the same owner. */
  readonly diversity: number
}

export const DEFAULT_TASTE: Taste = {
  wantedMbps: 50, // two pictures in 4K; what a household asks of one exit
  speed: 1, // half the speed is worth half the price
  score: 2, // flows that break have to be carried and paid twice
  latency: 1, // at 100 ms a page takes about twice as long as at none
  diversity: 0.5, // four exits of one ASN are worth a quarter of four that are strangers
}

/** The price at which a perfect offer stands at 0: a dollar per GiB. Only differences count. */
const PAR = 1_000_000
/** Whatever was not proven counts as a 64th of what is wanted: a stranger is tried, by one request in sixty or so. */
const LEAST_PART = 1 / 64
const LATENCY_REFERENCE_MS = 100
/** Assumed before the first try: across an ocean, so that a known good one is left only for something cheaper. */
const UNKNOWN_LATENCY_MS = 150

/** A utility by what it comes from. */
export interface Points {
  readonly price: number
  readonly speed: number
  readonly score: number
  readonly latency: number
  readonly diversity: number
}

/** What everybody knows of an offer, as points; 0 for a perfect one at a dollar per GiB. Finite for any input. */
export function standing({ pricePerGib, provenMbps, score }: Merits, taste: Taste = DEFAULT_TASTE): number {
  return pricePoints(pricePerGib) + taste.speed * Math.log2(part(provenMbps / taste.wantedMbps)) + taste.score * Math.log2(part(score))
}

/** Standing and what this consumer adds to it; never more than standing. */
export function utility(standing: number, seen: Circumstances, taste: Taste = DEFAULT_TASTE): number {
  return standing + latencyPoints(seen, taste) + diversityPoints(seen, taste)
}

/** The same, apart: what speaks for and against an offer. */
export function pointsOf(merits: Merits, seen: Circumstances, taste: Taste = DEFAULT_TASTE): Points {
  return {
    price: pricePoints(merits.pricePerGib),
    speed: taste.speed * Math.log2(part(merits.provenMbps / taste.wantedMbps)),
    score: taste.score * Math.log2(part(merits.score)),
    latency: latencyPoints(seen, taste),
    diversity: diversityPoints(seen, taste),
  }
}

const pricePoints = (pricePerGib: number): number => -Math.log2(Math.max(1, pricePerGib) / PAR)

const latencyPoints = ({ latencyMs }: Circumstances, taste: Taste): number =>
  -taste.latency * Math.log2(1 + Math.max(0, latencyMs ?? UNKNOWN_LATENCY_MS) / LATENCY_REFERENCE_MS)

const diversityPoints = ({ sharedAsn, sharedNetwork, sharedOwner }: Circumstances, taste: Taste): number =>
  -taste.diversity * (sharedAsn + 2 * sharedNetwork + 4 * sharedOwner)

/**
 * Indexes of the offers in the order in which to try them. Each comes first with a chance proportional to 2^(utility / heat): at heat 1 that
 * is the price at which it would be worth as much as the others, so that a better one is used more and none is used always; at 0 the
 * best comes first. `random` gives numbers in [0, 1).
 */
export function drawOrder(utilities: readonly number[], random: () => number, heat = 1): number[] {
  // Each rings after an exponential wait, the sooner the better it is: who rings first is drawn by those chances, and so is the next.
  const waits = utilities.map((points) => (heat === 0 ? -points : Math.log(-Math.log(1 - random())) - (points * Math.LN2) / heat))
  return waits.map((_, index) => index).sort((a, b) => waits[a]! - waits[b]! || a - b)
}

const part = (ratio: number): number => (ratio > LEAST_PART ? Math.min(1, ratio) : LEAST_PART)
