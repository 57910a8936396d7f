/**
 * Prober: measures what providers can carry, and with other probers says once an epoch what each of them is paid for it.
 *
 * The rule it keeps: a number that somebody is paid by follows from bytes that were verified, in one window, by members of whom fewer than a third can
 * bend it; anybody with the reports comes to the same root.
 *
 * Start reading at {@link auditProviders} in epoch.ts (an epoch from its audits to its roots); then measure.ts (the window), looking.ts
 * (signs of life) and rewards.ts (from reports to leaves, pure).
 *
 * What is not here yet: a prober as a process of its own that finds others; a sustained test of 30 seconds a week; location.
 */
export type { Prober } from './committee.ts'
export {
  type Audited,
  auditProviders,
  concludeEpoch,
  type EpochNeeds,
  mintBudgets,
  proposeRoots,
  reportRegions,
  settleRoots,
  settleVaults,
} from './epoch.ts'
export { Looking } from './looking.ts'
export { lookAt, measureTogether, type Window } from './measure.ts'
export { conclude, type Looks, type ProviderSeen, reportStatement } from './rewards.ts'
