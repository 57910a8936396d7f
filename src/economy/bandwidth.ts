/**
 * Proven bandwidth: what a committee may conclude from the bytes its members verified in one common window (economics 1.3).
 *
 * The sum of the n - f smallest counts is never above the truth, whatever f members say: those n - f counts are at most the counts of some n - f
 * honest members, who together cannot have verified more than the line carried. It must not be divided by the discount to make up for it: a
 * prover that colludes with f members starves them and serves the others at full speed, and already has the full rate.
 */

/** Members out of `n` that may lie without the result being more than the truth: fewer than a third. */
export const mostCorrupt = (n: number): number => Math.max(0, Math.floor((n - 1) / 3))

/** Sum of the n - f smallest counts. */
export function guaranteedBytes(counts: readonly bigint[], corrupt: number): bigint {
  const rising = [...counts].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0))
  return rising.slice(0, Math.max(0, counts.length - corrupt)).reduce((sum, count) => sum + count, 0n)
}

/** Bytes each of `members` asks for, so that the n - f smallest shares are what a line of `mbps` carries in the window. */
export function shareOf(mbps: bigint, windowMs: bigint, members: number): bigint {
  const counted = BigInt(Math.max(1, members - mostCorrupt(members)))
  return ((mbps * windowMs * 1_000n) / 8n + counted - 1n) / counted
}

/** What one window showed. Both rates are published: only the guaranteed one is paid for. */
export interface ProvenBandwidth {
  readonly rawMbps: bigint
  readonly guaranteedMbps: bigint
  readonly members: number
  readonly corrupt: number
}

/** Rates of the counts of one window, which is the same for all members; rounded down. */
export function provenBandwidth(counts: readonly bigint[], windowMs: bigint, corrupt = mostCorrupt(counts.length)): ProvenBandwidth {
  const mbps = (bytes: bigint) => (windowMs <= 0n ? 0n : (bytes * 8n) / (windowMs * 1_000n))
  return {
    rawMbps: mbps(guaranteedBytes(counts, 0)),
    guaranteedMbps: mbps(guaranteedBytes(counts, corrupt)),
    members: counts.length,
    corrupt,
  }
}
