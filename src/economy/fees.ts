/**
 * The base fee: what a GiB costs in a region at a tier when nobody asks for anything special. It follows use as EIP-1559 does, in whole
 * units, and anybody can recompute it: paid use is in the claims, capacity in the audits.
 */
import { maxOf, minOf } from './stake.ts'

const WHOLE = 10_000n
/** One GiB in bytes; prices are units for each. */
const GIB = 1n << 30n
const BYTES_PER_MBPS_SECOND = 125_000n

/** Step and target in hundredths of a percent: `feeStep` and `feeTarget` of the governed parameters. */
export interface FeeTerms {
  readonly floor: bigint
  readonly ceiling: bigint
  /** Use of the proven capacity at which the fee stays. */
  readonly target: bigint
  /** Largest change in one epoch. */
  readonly step: bigint
}

export const FEE_TERMS: FeeTerms = {
  floor: 100_000n, // a tenth of a dollar: what networks pay sellers; for less, few lines are shared
  ceiling: 4_000_000n, // what services charge buyers at most: above that they would leave
  target: 5_000n, // at 70 % it could rise by 5.4 % and fall by 12.5 % in an epoch
  step: 1_250n, // stable for elasticities below 8 when use is known an epoch late
}

/** Of one provider in one epoch: bytes it was paid for, and bytes its proven bandwidth could have carried. */
interface ProviderUse {
  readonly paid: bigint
  readonly capacity: bigint
}

/** The fee after one epoch, as EIP-1559 computes it, within no bounds but its step. `used` and `target` in one unit. */
export function nextFee(fee: bigint, used: bigint, target: bigint, step: bigint): bigint {
  if (used === target) return fee
  if (used > target) return fee + maxOf(1n, (((fee * minOf(used - target, target)) / target) * step) / WHOLE)
  return fee - (((fee * (target - used)) / target) * step) / WHOLE
}

/** What counts of the use of a region: of each provider as much as it could carry, so that nobody stands for more than his part. */
export function counted(uses: readonly ProviderUse[]): { used: bigint; capacity: bigint } {
  const sum = (of: (use: ProviderUse) => bigint) => uses.reduce((total, use) => total + of(use), 0n)
  return { used: sum(({ paid, capacity }) => minOf(paid, capacity)), capacity: sum(({ capacity }) => capacity) }
}

/** The fee of a region and tier after one epoch; where nothing is proven it stays. */
export function feeAfter(fee: bigint, uses: readonly ProviderUse[], terms: FeeTerms = FEE_TERMS): bigint {
  const { used, capacity } = counted(uses)
  const next = capacity === 0n ? fee : nextFee(fee, used * WHOLE, capacity * terms.target, terms.step)
  return minOf(maxOf(next, terms.floor), terms.ceiling)
}

/** What an epoch's claims and audits say of one provider; `claimed` in units, `mbps` proven. */
export interface ProviderEpoch {
  readonly epoch: bigint
  readonly provider: string
  readonly claimed: bigint
  readonly mbps: bigint
}

/**
 * The fee of one region and tier now, from what its providers claimed and proved in each epoch since `since`. What was claimed is turned into
 * bytes at the fee of then: who asked more than it counts as more use, for so much was paid.
 */
export function feeNow(
  providers: readonly ProviderEpoch[],
  { since, now, epochS, first, terms }: { since: bigint; now: bigint; epochS: bigint; first: bigint; terms: FeeTerms },
): bigint {
  const epochs = Map.groupBy(providers, ({ epoch }) => epoch)
  let fee = first
  for (let epoch = since; epoch < now; epoch++) {
    const uses = (epochs.get(epoch) ?? []).map(({ claimed, mbps }) => ({
      paid: (claimed * GIB) / fee,
      capacity: mbps * BYTES_PER_MBPS_SECOND * epochS,
    }))
    fee = feeAfter(fee, uses, terms)
  }
  return fee
}
