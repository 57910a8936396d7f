/**
 * The chain: typed clients of the contracts, and the devnet that runs by default.
 *
 * Rule: everything above this room speaks of roots, channels, vouchers and dollars; RPC, ABI encoding, gas, nonces and receipts stay in
 * here, and so does every type of the library that encodes. Nothing here keeps state on disk but the devnet's world: what must survive a
 * crash (the hash of a transaction) is handed out before it leaves. Every function that spends may be repeated after a crash, transfer
 * excepted.
 *
 * The session path never waits for this room: sessions carry on while no RPC answers.
 *
 * Start reading at {@link ChannelsClient} in channels.ts; then transactions.ts (how one is sent) and anvil.ts (the devnet).
 */

export type { Action, Actions, Done, Prepared, Step } from './actions.ts'
export { type Addresses, addressesText, parseAddresses } from './addresses.ts'
export { type Agreement, type AgreementTerms, metricOf } from './agreements.ts'
export { type Anvil, type AnvilOptions, DEVNET_CHAIN_ID, startAnvil } from './anvil.ts'
export { type Block, type BlockSource, blocksOf } from './blocks.ts'
export { endOf, type Line, type Right, startOf } from './capacity.ts'
export {
  type ChannelId,
  type ChannelsClient,
  type ChannelsOptions,
  type ClaimFate,
  createChannelsClient,
  type OpenedRoot,
  type RootState,
  type RootView,
} from './channels.ts'
export type { Activation, ChannelPaid, ClaimBatch, ClaimPlan, Holding, SkipReason } from './claims.ts'
export { type CommitteeClient, type Question, type Verdict, verdictOf } from './committee.ts'
export type { Claimed } from './contract.ts'
export { absentContracts, deploy } from './deploy.ts'
export { DOLLAR, deployDevnet, devnetContracts, ETHER, type Funds, fundDevnet, wakeDevnet } from './devnet.ts'
export { createEarnedReader, type EarnedReader } from './earned.ts'
export { type Balances, createEconomy, type Economy } from './economy.ts'
export { type Asked, BUDGETS, type BudgetKind, createEpochsClient, type EpochsClient, type RegionReport } from './epochs.ts'
export {
  type ChainEvent,
  type ChainLog,
  type EventArgs,
  type EventValue,
  eventReader,
  type NamedContracts,
  namedContracts,
  readableContracts,
} from './events.ts'
export type {
  GovernedParameter,
  Proposal,
  VoteKind,
  VotingPower,
  VotingRules,
} from './governance.ts'
export { type MarketRound, makeMarket } from './market-maker.ts'
export { NETWORKS, type Network, type NetworkInput, parseNetwork } from './networks.ts'
export type { FeeOrder, FeeOrderTerms } from './orders.ts'
export { type Contracts, type Plan, planOf } from './plan.ts'
export { type Reading, readBack } from './readback.ts'
export {
  type Operator,
  type OperatorRole,
  type Profile,
  ROLES,
  type SignedStatement,
  type StakeHolding,
  type Statement,
  sharesFor,
  type Thaw,
} from './registry.ts'
export { followRegistry, type Registered, type RegistryFeed } from './registry-feed.ts'
export { proofIn, type RewardLeaf, type RootsClient, rewardRoot, type UsageReward } from './rewards.ts'
export { createRpc, type Rpc, type RpcOptions } from './rpc.ts'
export { followSaid, type SaidFeed } from './said.ts'
export type { SubscriptionPlan, SubscriptionTerm } from './subscription.ts'
export { parseTerms, type Terms } from './terms.ts'
export { createTransactions, type SendOptions, type Turn } from './transactions.ts'
export { readUse, type UseReadings } from './use.ts'
export type { VaultClient, VaultHolding } from './vaults.ts'
export { type Wallet, walletFromKey } from './wallet.ts'
