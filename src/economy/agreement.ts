/**
 * Service agreements, as contracts/src/libraries/Deviation.sol and ServiceAgreements.sol have them: what a missed objective costs, and who
 * gets the bonds of a dispute.
 */
import { minOf } from './stake.ts'

const WHOLE = 10_000n
/** Largest cap whatever the parameters say, in hundredths of a percent. */
const MAX_CAP = 2_500n

/** Part of `bond` that a consumer gets back, rounded down: one-sided, capped. Levels and cap in hundredths of a percent. */
export function deviationRefund(bond: bigint, objective: bigint, indicator: bigint, cap: bigint): bigint {
  if (indicator >= objective) return 0n
  const most = (bond * minOf(cap, MAX_CAP)) / WHOLE
  return minOf((bond * 2n * (objective - indicator)) / (objective + indicator), most)
}

/** Who gets what when two bonds met: the winner its own and half of the other, rounded in its favour. */
export function disputeBonds(bond: bigint): { winner: bigint; lost: bigint } {
  const lost = bond / 2n
  return { winner: 2n * bond - lost, lost }
}
