/**
 * Regional multipliers, as contracts/src/libraries/Multipliers.sol has them: demand over supply, density and progress decide a region's
 * share of a fixed budget. They redistribute and never mint. Multipliers and progress are in ten-thousandths.
 */
import { maxOf, minOf } from './stake.ts'

const WHOLE = 10_000n
/** One new epoch counts for an eighth: a day of odd demand moves little, two weeks move most. */
const SMOOTHING = 8n

/** Demand over supply; no supply at all counts as the most there is. */
export function demandRatio(demand: bigint, supply: bigint, most: bigint): bigint {
  if (demand === 0n) return 0n
  return supply === 0n ? most : minOf((demand * WHOLE) / supply, most)
}

/** A ratio smoothed over epochs; `old` 0 means that there is none yet. */
export function smoothed(old: bigint, now: bigint): bigint {
  return old === 0n ? now : (old * (SMOOTHING - 1n) + now) / SMOOTHING
}

/** A ratio within the bounds of a multiplier. */
export function clampMultiplier(ratio: bigint, least: bigint, most: bigint): bigint {
  return minOf(maxOf(ratio, least), most)
}

/** How much a region of so many nodes counts (HIP-17 with target 1, two neighbours, limit 4): 1, 1, 1, 2, 3, 4, 4, 4 for 0 to 7. */
export function density(nodes: bigint): bigint {
  return nodes < 2n ? 1n : minOf(4n, nodes - 1n)
}

/** Weight of a region in the budget. */
export function regionWeight(multiplier: bigint, nodes: bigint, progress: bigint): bigint {
  return (multiplier * density(nodes) * minOf(progress, WHOLE)) / WHOLE
}

/** Parts of `budget` by weight, which add up to it exactly. All 0 if all weights are. */
export function splitByWeight(budget: bigint, weights: readonly bigint[]): bigint[] {
  const sum = weights.reduce((a, b) => a + b, 0n)
  if (sum === 0n) return weights.map(() => 0n)
  let running = 0n
  let given = 0n
  return weights.map((weight) => {
    running += weight
    const until = (budget * running) / sum
    const part = until - given
    given = until
    return part
  })
}

/** A line into the network: what was proved of it, and how long it was there. */
export interface Line {
  /** Everything behind one link, together: nodes on one link are measured together. */
  readonly link: string
  /** The sum the joint measurement guaranteed for this link, in Mbps. */
  readonly guaranteedMbps: bigint
  /** Hundredths of a percent of the epoch in which it answered. */
  readonly uptime: bigint
  readonly regionWeight: bigint
}

/** Capacity rewards of identities: each link earns by its guarantee, and the identities on it share that. So k identities on one line earn
 * what one would. */
export function capacityRewards(budget: bigint, identities: readonly Line[]): bigint[] {
  const links = [...new Map(identities.map((line) => [line.link, line])).values()]
  const ofLinks = splitByWeight(
    budget,
    links.map((line) => line.guaranteedMbps * line.uptime * line.regionWeight),
  )
  const rewards = new Map<string, bigint[]>()
  links.forEach(({ link }, i) => {
    const sharers = identities.filter((line) => line.link === link).map(() => 1n)
    rewards.set(link, splitByWeight(ofLinks[i] ?? 0n, sharers))
  })
  return identities.map(({ link }) => rewards.get(link)?.shift() ?? 0n)
}
