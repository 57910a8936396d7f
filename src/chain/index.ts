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
export { type Anvil, type AnvilOptions, DEVNET_CHAIN_ID, startAnvil } from './anvil.ts'
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
export type { Claimed } from './contract.ts'
export { type DevnetContracts, DOLLAR, deployDevnet, ETHER, fundDevnet } from './deploy.ts'
export { NETWORKS, type Network, type NetworkInput, parseNetwork } from './networks.ts'
export type { FeeOrder, FeeOrderTerms } from './orders.ts'
export { createRpc, type Rpc, type RpcOptions } from './rpc.ts'
export type { SendOptions } from './transactions.ts'
export { type Wallet, walletFromKey } from './wallet.ts'
