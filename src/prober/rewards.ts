/** From reports to leaves: what an epoch adds to what each operator was ever awarded. Pure; anybody with the reports computes the same. */

import type { RewardLeaf, SignedStatement, Statement } from '../chain/index.ts'
import { mostCorrupt, provenBandwidth } from '../economy/bandwidth.ts'
import { capacityRewards, regionWeight } from '../economy/multiplier.ts'
import { type Hex, keccak } from '../protocol/bytes.ts'

/** What one member of a committee says of one operator in one epoch. */
export interface Report {
  readonly member: Hex
  readonly operator: Hex
  readonly epoch: bigint
  /** Bytes it verified, and the window, which is the same for all members. */
  readonly bytes: bigint
  readonly windowMs: bigint
  /** Until an answer began, over a session that stood: 95th percentile of its looks. Undefined when nothing answered. */
  readonly latencyMs: bigint | undefined
}

/** With the words it signed: their content is the hash of the numbers. */
export type SignedReport = Report & SignedStatement

/** How often one member of a committee looked whether an operator is there, in one epoch, and how often it was. */
export interface Looks {
  readonly member: Hex
  readonly operator: Hex
  readonly epoch: bigint
  readonly asked: bigint
  readonly answered: bigint
}

export type SignedLooks = Looks & SignedStatement

/** A provider as the probers found it. */
export interface ProviderSeen {
  readonly operator: Hex
  readonly region: string
  /** Providers behind one link are measured together and share what it earns. */
  readonly link: string
  readonly claimedMbps: bigint
}

export interface Observation extends ProviderSeen {
  /** Hundredths of a percent of the looks at which it answered. */
  readonly uptime: bigint
  readonly rawMbps: bigint
  readonly guaranteedMbps: bigint
  /** What no minority of the committee can bend; undefined when too few of them say. */
  readonly latencyMs: bigint | undefined
}

const REPORT = keccak(Buffer.from('report'))
const LOOKS = keccak(Buffer.from('looks'))
/** All of it, in hundredths of a percent. */
const WHOLE = 10_000n

/** One thing a member says of an operator in an epoch: another at the same place, and it equivocates. */
function statement(kind: Hex, { operator, epoch }: { operator: Hex; epoch: bigint }, numbers: readonly bigint[]): Statement {
  const words = numbers.map((value) => value.toString(16).padStart(64, '0')).join('')
  const stream = keccak(Buffer.from(operator.slice(2).padStart(64, '0'), 'hex'))
  return { kind, stream, counter: epoch, content: keccak(Buffer.from(words, 'hex')) }
}

/** What a member signs of its window. */
export function reportStatement({ bytes, windowMs, latencyMs, ...of }: Report): Statement {
  // Zero stands for no latency, so that none at all is one millisecond more than nothing said.
  return statement(REPORT, of, [bytes, windowMs, latencyMs === undefined ? 0n : latencyMs + 1n])
}

/** What a member signs of its looks. */
export function looksStatement({ asked, answered, ...of }: Looks): Statement {
  return statement(LOOKS, of, [asked, answered])
}

/**
 * What the reports of one operator and epoch prove. A member counts once, its first report; only members of `committee` count, and one that says
 * nothing counts as zero.
 */
export function conclude(seen: ProviderSeen, reports: readonly Report[], committee: readonly Hex[]): Observation {
  const first = new Map<Hex, Report>()
  for (const report of reports) if (report.operator === seen.operator && !first.has(report.member)) first.set(report.member, report)
  const said = committee.map((member) => first.get(member))
  // Members who disagree about the window did not measure in it: the longest that any of them says is the safe one.
  const windowMs = said.reduce((most, report) => (report !== undefined && report.windowMs > most ? report.windowMs : most), 0n)
  const counts = said.map((report) => report?.bytes ?? 0n)
  const { rawMbps, guaranteedMbps } = provenBandwidth(counts, windowMs, mostCorrupt(committee.length))
  // It answered its audit; how it went on is known when the epoch is over.
  return { ...seen, uptime: WHOLE, rawMbps, guaranteedMbps, latencyMs: provenLatency(said, committee.length) }
}

/**
 * The observation after its epoch, with the uptime its committee saw: the lower middle of the members' shares, which a third of them cannot bend. As
 * it was when too few looked.
 */
export function concludeLooks(observation: Observation, looks: readonly Looks[], committee: readonly Hex[]): Observation {
  const shares = committee.flatMap((member) => {
    const first = looks.find((one) => one.operator === observation.operator && one.member === member)
    if (first === undefined || first.asked <= 0n || first.answered < 0n) return []
    return [first.answered < first.asked ? (first.answered * WHOLE) / first.asked : WHOLE]
  })
  if (shares.length <= 2 * mostCorrupt(committee.length)) return observation
  return { ...observation, uptime: shares.toSorted((a, b) => Number(a - b))[Math.floor((shares.length - 1) / 2)]! }
}

/** The higher middle of what members say: where two thirds are honest it lies between what two of those saw. */
function provenLatency(said: readonly (Report | undefined)[], members: number): bigint | undefined {
  const latencies = said.map((report) => report?.latencyMs).filter((latencyMs) => latencyMs !== undefined)
  if (latencies.length <= 2 * mostCorrupt(members)) return undefined
  return latencies.toSorted((a, b) => Number(a - b))[Math.floor(latencies.length / 2)]
}

/** What a region counts for in the budget. */
export interface RegionWeight {
  readonly multiplier: bigint
  readonly nodes: bigint
  readonly progress: bigint
}

/** Leaves after the epoch: those before, and the budget by bandwidth x uptime x region. Sorted, so that everybody's tree is the same. */
export function nextLeaves(
  before: readonly RewardLeaf[],
  budget: bigint,
  observations: readonly Observation[],
  regions: ReadonlyMap<string, RegionWeight>,
): RewardLeaf[] {
  const parts = capacityRewards(
    budget,
    observations.map(({ link, guaranteedMbps, claimedMbps, uptime, region }) => {
      const { multiplier, nodes, progress } = regions.get(region) ?? { multiplier: 0n, nodes: 0n, progress: 0n }
      // Paid for what was proven, and never for more than was claimed: the bond covers the claim.
      const paidMbps = guaranteedMbps < claimedMbps ? guaranteedMbps : claimedMbps
      return { link, guaranteedMbps: paidMbps, uptime, regionWeight: regionWeight(multiplier, nodes, progress) }
    }),
  )
  const cumulative = new Map(before.map((leaf) => [leaf.operator, leaf.cumulative]))
  for (const [i, { operator }] of observations.entries()) cumulative.set(operator, (cumulative.get(operator) ?? 0n) + parts[i]!)
  return [...cumulative]
    .filter(([, amount]) => amount > 0n)
    .map(([operator, amount]) => ({ operator, cumulative: amount }))
    .sort((a, b) => (a.operator < b.operator ? -1 : 1))
}
