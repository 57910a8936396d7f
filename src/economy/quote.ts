/**
 * A quote: the price of a GiB as lines, so that nobody wonders what he pays for. The lines add up to the price in the offer, which is what
 * vouchers are counted by; a consumer's ceiling on the one is a ceiling on the other.
 */
import { maxOf, minOf } from './stake.ts'

const WHOLE = 10_000n
/** A tenth of a second is where people begin to notice; what is nearer than that is worth something. */
const NEAR_MS = 100n
/** Premium for no latency at all, as a part of the base fee; it falls in a line to nothing at a tenth of a second. */
const NEAREST = 2_000n

/** Units per GiB by line; premiums go into an offer by these names. */
export interface Quote {
  readonly base: bigint
  readonly latency: bigint
  readonly scarcity: bigint
}

/** What the exchange knows of a provider and its region. */
export interface QuoteFacts {
  readonly baseFee: bigint
  /** 95th percentile a committee saw; undefined when nobody measured it. */
  readonly latencyMs: bigint | undefined
  /** The region's multiplier in ten-thousandths: who asks for scarcity pays what the node gets for it. */
  readonly multiplier: bigint
}

/** What a provider asks that asks nothing of its own, and no more than `ceiling` in all: premiums give way to it first. */
export function quoteOf({ baseFee, latencyMs, multiplier }: QuoteFacts, ceiling: bigint): Quote {
  const near = latencyMs === undefined ? 0n : maxOf(0n, NEAR_MS - maxOf(0n, latencyMs))
  const base = minOf(baseFee, ceiling)
  const latency = minOf((baseFee * near * NEAREST) / (NEAR_MS * WHOLE), ceiling - base)
  return { base, latency, scarcity: minOf((baseFee * maxOf(0n, multiplier - WHOLE)) / WHOLE, ceiling - base - latency) }
}

export const totalOf = ({ base, latency, scarcity }: Quote): bigint => base + latency + scarcity
