/** For tests of this room: a devnet with contracts, wallets from fixed seeds, trees and vouchers in one line each. */
import { z } from 'zod'
import { type Hex, keccak } from '../protocol/bytes.ts'
import { buildTree, type FanoutTree, type Leaf } from '../protocol/tree.ts'
import { addressOf, type Descriptor, domainSeparator, rootIdOf, signDigest, type Voucher, voucherDigest } from '../protocol/voucher.ts'
import { type Anvil, startAnvil } from './anvil.ts'
import { type ChannelsClient, createChannelsClient } from './channels.ts'
import type { Activation } from './claims.ts'
import { DOLLAR, deployDevnet, ETHER, type Funds, fundDevnet } from './devnet.ts'
import { parseNetwork } from './networks.ts'
import type { Contracts } from './plan.ts'
import type { Rpc } from './rpc.ts'
import { type Wallet, walletFromKey } from './wallet.ts'

export const keyOf = (seed: string) => Buffer.from(keccak(Buffer.from(seed)).slice(2), 'hex')
export const walletOf = (seed: string): Wallet => walletFromKey(keyOf(seed))

export interface Devnet {
  anvil: Anvil
  rpc: Rpc
  contracts: Contracts
  client: ChannelsClient
  /** A wallet of that name with 1 ether and 1,000 dollars, or as told. */
  funded: (seed: string, target?: Funds) => Promise<Wallet>
  /** A call of anvil's own. */
  tell: (method: string, ...params: unknown[]) => Promise<unknown>
}

/** Stop it with `anvil.stop()`. */
export async function startDevnet(patienceMs = 2_000): Promise<Devnet> {
  const anvil = await startAnvil()
  const { rpc } = anvil
  const contracts = await deployDevnet(rpc)
  const { channels, dollar } = contracts
  const network = parseNetwork({ chainId: rpc.chainId, channels, dollar, confirmations: 1, pollMs: 10 })
  return {
    anvil,
    rpc,
    contracts,
    client: createChannelsClient({ rpc, network, patienceMs }),
    async funded(seed, target = { ether: ETHER, dollars: 1_000n * DOLLAR }) {
      const wallet = walletOf(seed)
      await fundDevnet(rpc, contracts, wallet.address, target)
      return wallet
    },
    tell: (method, ...params) => rpc.request(z.unknown(), method, params),
  }
}

/** A root that is not open yet, with the means to use it. */
export interface TestRoot {
  descriptor: Descriptor
  rootId: Hex
  leaves: Leaf[]
  tree: FanoutTree
  activation(index: number): Activation
  voucher(index: number, cumulative: bigint): Voucher
}

/** `payees` in the order of the leaves, each with the same cap. The session key is derived from payer and nonce. */
export function makeRoot(
  client: Pick<ChannelsClient, 'network'>,
  payer: Hex,
  payees: readonly Hex[],
  expiry: number,
  cap = 10n * DOLLAR,
  nonce = 0n,
): TestRoot {
  const key = keyOf(`session ${payer} ${nonce}`)
  const leaves = payees.map((payee, i): Leaf => ({ payee, cap, salt: keccak(Buffer.from(`salt ${i}`)) }))
  const tree = buildTree(leaves)
  const descriptor: Descriptor = { payer, signer: addressOf(key), root: tree.root, sum: tree.sum, expiry, depth: tree.depth, nonce }
  const rootId = rootIdOf(descriptor)
  const separator = domainSeparator({ chainId: client.network.chainId, channels: client.network.channels })
  return {
    descriptor,
    rootId,
    leaves,
    tree,
    activation: (index) => ({ descriptor, ...tree.proof(index) }),
    voucher(index, cumulative) {
      const named = { rootId, index, payee: leaves[index]!.payee, cumulative }
      return { ...named, signature: signDigest(voucherDigest(separator, named), key) }
    },
  }
}
