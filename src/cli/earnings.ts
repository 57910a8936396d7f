/**
 * What a provider has at stake and earned in WAY: usage is minted for what its dollars burnt, capacity and bootstrap are paid by epoch roots.
 *
 * For each: awarded = claimed + claimable. Stake and dollars are other columns; nothing is ever added up over units.
 */
import {
  type Action,
  BUDGETS,
  type BudgetKind,
  type Contracts,
  createEarnedReader,
  createEconomy,
  createRpc,
  type EarnedReader,
  type Economy,
  NETWORKS,
  type Network,
  proofIn,
} from '../chain/index.ts'
import type { Hex } from '../protocol/bytes.ts'
import type { Difference } from '../wallet/verify.ts'
import type { Leaves } from './leaves.ts'
import { contractsFor, type NetworkSettings } from './network.ts'

export interface RewardRow {
  source: 'usage' | BudgetKind
  awarded: bigint
  claimed: bigint
  claimable: bigint
}

export interface Earnings {
  /** Its own bond, all that stands behind it, and what is on its way out. */
  stake: { own: bigint; bonded: bigint; thawing: bigint }
  rewards: RewardRow[]
  identityHolds: boolean
}

/** Undefined where nobody said which contracts the economy of this chain has: dollars flow without them. */
export function economyContracts(settings: NetworkSettings, network: Network): Contracts | undefined {
  if (settings.contracts === undefined && network.channels !== NETWORKS.local!.channels) return undefined
  return contractsFor(settings, network)
}

export interface EarningsSource {
  economy: Economy
  earned: EarnedReader
}

export function earningsSource(settings: NetworkSettings, network: Network): EarningsSource | undefined {
  const contracts = economyContracts(settings, network)
  if (contracts === undefined) return undefined
  const rpc = createRpc({ urls: settings.rpc, chainId: network.chainId })
  return { economy: createEconomy({ rpc, network, contracts }), earned: createEarnedReader(rpc, contracts) }
}

export async function earningsOf({ economy, earned }: EarningsSource, leaves: Leaves, operator: Hex): Promise<Earnings> {
  const [{ own, bonded, thawing }, usage, ...roots] = await Promise.all([
    economy.registry.operator(operator),
    earned.usage(operator),
    ...BUDGETS.map((kind) => rootRow(economy, kind, leaves, operator)),
  ])
  const sum = (of: (epoch: (typeof usage)[number]) => bigint) => usage.reduce((total, epoch) => total + of(epoch), 0n)
  const [claimed, claimable] = [sum(({ minted }) => minted), sum(({ mintable }) => mintable)]
  const rewards = [{ source: 'usage' as const, awarded: claimed + claimable, claimed, claimable }, ...roots]
  const identityHolds = rewards.every((row) => row.awarded === row.claimed + row.claimable && row.claimable >= 0n)
  return { stake: { own, bonded, thawing }, rewards, identityHolds }
}

const rootsOf = (economy: Economy, kind: BudgetKind) => (kind === 'capacity' ? economy.capacityRewards : economy.bootstrapRewards)

/** Without leaves nobody can say what was awarded beyond what was claimed. */
async function rootRow(economy: Economy, kind: BudgetKind, leaves: Leaves, operator: Hex): Promise<RewardRow> {
  const client = rootsOf(economy, kind)
  const [{ root }, claimed] = await Promise.all([client.view(), client.claimed(operator)])
  const known = leaves[kind]
  const awarded = root === undefined || known === undefined ? claimed : (proofIn(known, root, operator)?.cumulative ?? 0n)
  return { source: kind, awarded, claimed, claimable: awarded - claimed }
}

/** What brings everything that roots awarded into the wallet; nothing when nothing is due. */
export async function claimsDue(economy: Economy, leaves: Leaves, operator: Hex): Promise<Action[]> {
  const { registry } = economy
  const claims: Action[] = []
  for (const kind of BUDGETS) {
    const client = rootsOf(economy, kind)
    const [{ root }, claimed] = await Promise.all([client.view(), client.claimed(operator)])
    const proof = root === undefined || leaves[kind] === undefined ? undefined : proofIn(leaves[kind], root, operator)
    if (proof !== undefined && proof.cumulative > claimed) claims.push(client.claim(proof))
  }
  if (claims.length === 0) return []
  return [...claims, registry.claimRewards(operator), registry.collect(operator)]
}

/** Recomputes the rewards from events of the contracts and the token. The first difference, if there is one. */
export async function verifyEarnings({ earned }: EarningsSource, operator: Hex, { rewards }: Earnings): Promise<Difference | undefined> {
  const same = (what: string, expected: bigint, found: bigint): Difference[] =>
    expected === found ? [] : [{ what, expected: String(expected), found: String(found) }]
  const claimedOf = (source: RewardRow['source']) => rewards.find((row) => row.source === source)!.claimed
  const [usage, created, capacity, bootstrap, distributed] = await Promise.all([
    earned.usage(operator),
    earned.created(operator),
    earned.paid('capacity', operator),
    earned.paid('bootstrap', operator),
    earned.distributed(operator),
  ])
  const above = usage.find(({ minted, mintable, most }) => minted + mintable > most)
  const differences = [
    ...same('usage reward: WAY that the token created for the wallet', created, claimedOf('usage')),
    ...(above === undefined
      ? []
      : [{ what: `usage reward of epoch ${above.epoch}`, expected: `at most ${above.most}`, found: `${above.minted + above.mintable}` }]),
    ...same('capacity reward: what the root contract paid', capacity, claimedOf('capacity')),
    ...same('bootstrap reward: what the root contract paid', bootstrap, claimedOf('bootstrap')),
    // Anybody may pay an operator a reward; roots are not the only ones.
    ...(distributed < capacity + bootstrap ? same('rewards that came to the registry', capacity + bootstrap, distributed) : []),
  ]
  return differences[0]
}
