/** The whole economy of a network behind one handle: a client for each contract, and one way to send what they propose. */
import type { Hex } from '../protocol/bytes.ts'
import { dollarAbi } from './abi.ts'
import { type Action, type Actions, createActions } from './actions.ts'
import { type AgreementsClient, createAgreementsClient } from './agreements.ts'
import { type AuditsClient, createAuditsClient } from './audits.ts'
import { contractAt } from './calls.ts'
import { type CapacityClient, createCapacityClient } from './capacity.ts'
import { type CommitteeClient, createCommitteeClient } from './committee.ts'
import { createGovernanceClient, type GovernanceClient } from './governance.ts'
import type { Network } from './networks.ts'
import type { Contracts } from './plan.ts'
import { createRegistryClient, type RegistryClient } from './registry.ts'
import { createRootsClient, createUsageClient, type RootsClient, type UsageClient } from './rewards.ts'
import type { Rpc } from './rpc.ts'
import { blockSchema, quantitySchema } from './schemas.ts'
import { createSubscriptionClient, type SubscriptionClient } from './subscription.ts'
import { createTransactions, type Turn } from './transactions.ts'
import { createVaultClient, type VaultClient } from './vaults.ts'

export interface Economy {
  readonly contracts: Contracts
  readonly actions: Actions
  readonly registry: RegistryClient
  readonly committee: CommitteeClient
  readonly audits: AuditsClient
  readonly usage: UsageClient
  /** Epoch roots of proven capacity, and of the first years. */
  readonly capacityRewards: RootsClient
  readonly bootstrapRewards: RootsClient
  /** By region. */
  readonly vaults: ReadonlyMap<string, VaultClient>
  readonly market: CapacityClient
  readonly agreements: AgreementsClient
  readonly governance: GovernanceClient
  readonly subscription: SubscriptionClient
  balances(address: Hex, signal?: AbortSignal): Promise<Balances>
  /** Unix seconds of the newest block: what contracts go by. */
  nowS(signal?: AbortSignal): Promise<number>
  sendDollars(to: Hex, units: bigint): Action
  sendWay(to: Hex, amount: bigint): Action
}

export interface Balances {
  etherWei: bigint
  dollars: bigint
  way: bigint
}

export interface EconomyOptions {
  rpc: Rpc
  network: Pick<Network, 'confirmations' | 'pollMs'>
  contracts: Contracts
  /** Needed where another process may send from the same wallet. */
  turn?: Turn | undefined
}

export function createEconomy({ rpc, network, contracts, turn }: EconomyOptions): Economy {
  const { dollar, way } = contracts
  const dollarAt = contractAt(rpc, dollar, dollarAbi)
  const wayAt = contractAt(rpc, way, dollarAbi)
  return {
    contracts,
    actions: createActions(rpc, createTransactions({ rpc, confirmations: network.confirmations, pollMs: network.pollMs, turn })),
    registry: createRegistryClient(rpc, way, contracts.registry),
    committee: createCommitteeClient(rpc, contracts.committee),
    audits: createAuditsClient(rpc, contracts.audits),
    usage: createUsageClient(rpc, contracts),
    capacityRewards: createRootsClient(rpc, way, contracts.capacityRewards),
    bootstrapRewards: createRootsClient(rpc, way, contracts.bootstrapRewards),
    vaults: new Map(Object.entries(contracts.vaults).map(([region, address]) => [region, createVaultClient(rpc, dollar, address)])),
    market: createCapacityClient(rpc, dollar, contracts.capacityMarket),
    agreements: createAgreementsClient(rpc, dollar, contracts.serviceAgreements),
    governance: createGovernanceClient(rpc, contracts),
    subscription: createSubscriptionClient(rpc, dollar, contracts.subscription),
    async balances(address, signal) {
      const [etherWei, dollars, held] = await Promise.all([
        rpc.request(quantitySchema, 'eth_getBalance', [address, 'latest'], signal),
        dollarAt.read('balanceOf', [address], signal),
        wayAt.read('balanceOf', [address], signal),
      ])
      return { etherWei, dollars, way: held }
    },
    nowS: async (signal) => (await rpc.request(blockSchema, 'eth_getBlockByNumber', ['latest', false], signal)).timestamp,
    sendDollars: (to, units) => dollarAt.action('sending dollars', 'transfer', [to, units]),
    sendWay: (to, amount) => wayAt.action('sending WAY', 'transfer', [to, amount]),
  }
}
