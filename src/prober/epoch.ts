/**
 * An epoch: providers are audited while it lasts; once it is over its budgets are minted, regions are reported, and a root a budget says what
 * each provider was ever awarded. A root is final after its challenge window, and paid by leaf from then on.
 *
 *     epoch n      audit: committee drawn, window measured, reports signed, audit brought
 *     epoch n + 1  turn, regions of n, leaves up to n, root proposed ... window ... settled: leaves published, providers claim
 */
import {
  BUDGETS,
  type BudgetKind,
  type EpochsClient,
  type RegionReport,
  type RewardLeaf,
  type RootsClient,
  rewardRoot,
} from '../chain/index.ts'
import type { Hex } from '../protocol/bytes.ts'
import { bringVerdict, type CommitteeNeeds, callCommittees, send } from './committee.ts'
import type { Window } from './measure.ts'
import {
  conclude,
  concludeLooks,
  type Looks,
  looksStatement,
  nextLeaves,
  type Observation,
  type ProviderSeen,
  type Report,
  reportStatement,
  type SignedLooks,
  type SignedReport,
} from './rewards.ts'

export interface EpochNeeds extends CommitteeNeeds {
  readonly epochs: EpochsClient
  /** Measures a provider by so many members at once; rejects when it cannot be reached. */
  measure(seen: ProviderSeen, members: number): Promise<Window>
  /** Leaves of a root that was proposed before; undefined when they are lost. */
  leavesOf(kind: BudgetKind, root: Hex): Promise<RewardLeaf[] | undefined>
  /** Makes leaves known: before they are proposed, and again when they are final. */
  publish(kind: BudgetKind, root: Hex, leaves: readonly RewardLeaf[], final: boolean): Promise<void>
}

/** What the probers found in an epoch, with the evidence. */
export interface Audited {
  readonly epoch: bigint
  readonly observations: Observation[]
  readonly evidence: SignedReport[]
  /** Whose word counts, of each operator. */
  readonly committees: ReadonlyMap<Hex, readonly Hex[]>
  /** Looks of the whole epoch; none before it is over. */
  readonly looks: SignedLooks[]
}

/** Budgets are minted a hundred epochs a call: after a long pause it takes several. */
const MAX_TURNS = 100
/** Calling takes a fraction of the shortest epoch there is. */
const MAX_TRIES = 2

/** Measures every provider in the epoch of now, and brings the audits. Who cannot be reached was not there. */
export async function auditProviders(needs: EpochNeeds, providers: readonly ProviderSeen[]): Promise<Audited> {
  const { epochs, economy } = needs
  const { epoch, committees } = await callAudits(needs, providers)
  const observations: Observation[] = []
  const evidence: SignedReport[] = []
  for (const [i, seen] of providers.entries()) {
    const members = committees[i]!
    const window = await needs.measure(seen, members.length).catch(() => undefined)
    if (window === undefined) {
      observations.push({ ...seen, uptime: 0n, rawMbps: 0n, guaranteedMbps: 0n, latencyMs: undefined })
      continue
    }
    const reports = members.map(
      (member, j): Report => ({
        member,
        operator: seen.operator,
        epoch,
        bytes: window.counts[j]!,
        windowMs: window.windowMs,
        latencyMs: window.latenciesMs[j],
      }),
    )
    for (const report of reports) {
      const prober = needs.probers.find(({ operator }) => operator === report.member)
      if (prober !== undefined) evidence.push({ ...report, ...economy.registry.signStatement(reportStatement(report), prober.key) })
    }
    const observation = conclude(seen, reports, members)
    observations.push(observation)
    await bringVerdict(needs, await epochs.askAudit(seen.operator, epoch, Number(observation.guaranteedMbps)), members)
  }
  const drawn = new Map(providers.map(({ operator }, i) => [operator, committees[i]!] as const))
  return { epoch, observations, evidence, committees: drawn, looks: [] }
}

/** What an epoch comes to that is over, with how often each member saw each provider in it. Members sign what they say. */
export function concludeEpoch({ economy, probers }: EpochNeeds, audited: Audited, looks: readonly Looks[]): Audited {
  const signed = looks.flatMap((one) => {
    const prober = probers.find(({ operator }) => operator === one.member)
    const { epoch } = audited
    if (prober === undefined || one.epoch !== epoch) return []
    return [{ ...one, ...economy.registry.signStatement(looksStatement(one), prober.key) }]
  })
  const observations = audited.observations.map((seen) => concludeLooks(seen, signed, audited.committees.get(seen.operator) ?? []))
  return { ...audited, observations, looks: signed }
}

/** An audit is of the epoch in which it is called: when that ends while they are called, those of the next one are. */
async function callAudits(
  needs: EpochNeeds,
  providers: readonly ProviderSeen[],
  triesLeft = MAX_TRIES,
): Promise<{ epoch: bigint; committees: Hex[][] }> {
  const epoch = await needs.epochs.epoch()
  try {
    const called = await Promise.all(providers.map(({ operator }) => needs.epochs.askAudit(operator, epoch, 0)))
    return { epoch, committees: await callCommittees(needs, called) }
  } catch (error) {
    if (triesLeft === 0 || (await needs.epochs.epoch()) === epoch) throw error
    return callAudits(needs, providers, triesLeft - 1)
  }
}

/** Mints the budgets of every epoch that is over. */
export async function mintBudgets({ epochs, ...needs }: EpochNeeds): Promise<void> {
  for (let turn = 0; turn < MAX_TURNS && (await epochs.nextEpoch()) < (await epochs.epoch()); turn++) await send(needs, epochs.turn())
}

/** Reports the regions of an epoch that is over. `demand`: bytes that were paid for in it, by operator. */
export async function reportRegions(needs: EpochNeeds, { epoch, observations }: Audited, demand: ReadonlyMap<Hex, bigint>): Promise<void> {
  const epochS = BigInt(await needs.epochs.epochS())
  const regions = [...new Set(observations.map(({ region }) => region))].map((region): RegionReport => {
    const inside = observations.filter((seen) => seen.region === region)
    const proven = inside.filter(({ guaranteedMbps }) => guaranteedMbps > 0n)
    const mbps = proven.reduce((sum, { guaranteedMbps }) => sum + guaranteedMbps, 0n)
    return {
      region,
      demand: inside.reduce((sum, { operator }) => sum + (demand.get(operator) ?? 0n), 0n),
      supply: (mbps * epochS * 1_000_000n) / 8n,
      nodes: proven.length,
      // A region gets as much of its budget as part of those who registered there proved to be there.
      progress: Math.floor((10_000 * proven.length) / inside.length),
    }
  })
  const asked = await needs.epochs.askRegions(epoch, regions)
  if (asked === undefined) return
  const [members] = await callCommittees(needs, [asked])
  await bringVerdict(needs, asked, members!)
}

/**
 * Proposes a root of each budget, unless one is waiting: for every epoch since the last root, so that an epoch that ended in its window is paid by
 * the next. The kinds that were proposed.
 */
export async function proposeRoots(needs: EpochNeeds, audited: readonly Audited[]): Promise<BudgetKind[]> {
  const proposed: BudgetKind[] = []
  const seen = new Set(audited.flatMap(({ observations }) => observations.map(({ region }) => region)))
  const regions = new Map(await Promise.all([...seen].map(async (region) => [region, await needs.epochs.region(region)] as const)))
  for (const kind of BUDGETS) {
    const { root, epoch: newest, pending } = await rootsOf(needs, kind).view()
    const due = audited.filter(({ epoch }) => root === undefined || epoch > newest)
    const number = due.at(-1)?.epoch
    if (pending !== undefined || number === undefined) continue
    let leaves = root === undefined ? [] : await needs.leavesOf(kind, root)
    // Without the leaves that are final nobody can say what to add to.
    if (leaves === undefined) continue
    for (const { epoch, observations } of due) leaves = nextLeaves(leaves, await needs.epochs.budget(kind, epoch), observations, regions)
    if (leaves.length === 0) continue
    const next = rewardRoot(leaves)
    await needs.publish(kind, next, leaves, false)
    const total = leaves.reduce((sum, { cumulative }) => sum + cumulative, 0n)
    const asked = await needs.epochs.askRoot(kind, number, next, total)
    const [members] = await callCommittees(needs, [asked])
    await bringVerdict(needs, asked, members!)
    proposed.push(kind)
  }
  return proposed
}

/** Ends the windows that are over. The kinds whose root is final now. */
export async function settleRoots(needs: EpochNeeds): Promise<BudgetKind[]> {
  const settled: BudgetKind[] = []
  for (const kind of BUDGETS) {
    const client = rootsOf(needs, kind)
    const { pending } = await client.view()
    if (pending === undefined || pending.endsAt > (await needs.economy.nowS())) continue
    await send(needs, client.settle())
    const { root } = await client.view()
    if (root === undefined) continue
    const leaves = await needs.leavesOf(kind, root)
    if (leaves !== undefined) await needs.publish(kind, root, leaves, true)
    settled.push(kind)
  }
  return settled
}

/** Settles the period of each region's vault that is over, with who proved to be there. */
export async function settleVaults(needs: EpochNeeds, observations: readonly Observation[]): Promise<string[]> {
  const settled: string[] = []
  for (const region of needs.economy.vaults.keys()) {
    const inside = observations.filter((seen) => seen.region === region)
    const proven = inside.filter(({ guaranteedMbps }) => guaranteedMbps > 0n).map(({ operator }) => operator)
    const known = inside.map(({ operator }) => operator)
    const asked = await needs.epochs.askVault(region, proven, known, await needs.economy.nowS())
    if (asked === undefined) continue
    const [members] = await callCommittees(needs, [asked])
    await bringVerdict(needs, asked, members!)
    settled.push(region)
  }
  return settled
}

const rootsOf = ({ economy }: EpochNeeds, kind: BudgetKind): RootsClient =>
  kind === 'capacity' ? economy.capacityRewards : economy.bootstrapRewards
