/** The Channels contract and its dollar, in our words: what nodes read from the chain and what they send to it. */
import { decodeFunctionResult, encodeEventTopics, encodeFunctionData } from 'viem/utils'
import type { Hex } from '../protocol/bytes.ts'
import { BywayError } from '../protocol/errors.ts'
import { type Descriptor, rootIdOf } from '../protocol/voucher.ts'
import { channelsAbi, dollarAbi } from './abi.ts'
import {
  belongTogether,
  type ChannelPaid,
  type ClaimBatch,
  type ClaimPlan,
  claimsHash,
  type Holding,
  newestHoldings,
  packVouchers,
  planBatches,
} from './claims.ts'
import { activationOnChain, type Claimed, type Contract, claimedIn, costOf, eventsOf, inspect, onChain, openedIn } from './contract.ts'
import { logsOf } from './logs.ts'
import type { Network } from './networks.ts'
import { type FeeOrder, type FeeOrderTerms, signFeeOrder, signOpenOrder, signPermit } from './orders.ts'
import type { Rpc } from './rpc.ts'
import { blockSchema, codeSchema, type Log, quantitySchema, receiptSchema } from './schemas.ts'
import { createTransactions, type SendOptions, type Turn } from './transactions.ts'
import { splitSignature, type Wallet } from './wallet.ts'

// --- Our choices. Safe to change. ---
/** Life of a permit and of an open order, by the chain's clock: longer than any transaction waits for its block. */
const PERMIT_LIFE_S = 3_600
/** Channels or roots asked for in one eth_call: 2,100 gas each, a tenth of what nodes let a call use. */
const VIEWS_PER_CALL = 1_000

/**
 * The first permit is for good, so that every later root costs no permit: a quarter less gas. The contract has no owner and takes a deposit
 * only for a descriptor that the payer sends or signs, so an allowance that stands adds no way to lose money.
 */
const PERMIT_VALUE = 2n ** 256n - 1n

export type RootState = 'none' | 'open' | 'closed'

export interface RootView {
  state: RootState
  /** Part of the deposit that no activated channel holds. */
  remaining: bigint
}

/** A channel in full, as the contract keys it. */
export interface ChannelId {
  rootId: Hex
  index: number
  payee: Hex
  signer: Hex
}

export interface OpenedRoot {
  rootId: Hex
  /** Undefined when it was open already and the node does not find by which transaction. */
  tx: Hex | undefined
  /** Gas paid for it now; 0 when it was open already. */
  costWei: bigint
}

/** What became of a claim whose transaction is known by its hash only. */
export type ClaimFate = { fate: 'unknown' } | { fate: 'reverted' } | ({ fate: 'mined' } & Claimed)

/** `signal` comes last; every function may throw RPC_UNREACHABLE, RPC_WRONG_CHAIN, CONTRACT_MISSING. */
export interface ChannelsClient {
  readonly network: Network
  /** Endpoint, chain id and both contracts. Done by itself before first use, so that a daemon starts while its chain is down. */
  check(signal?: AbortSignal): Promise<void>
  /** Unix seconds of the newest block. On a chain that mines on demand it may be long past: take the later of this and the clock. */
  blockTime(signal?: AbortSignal): Promise<number>
  /** Seconds from a root's expiry until it may be closed. */
  graceS(signal?: AbortSignal): Promise<number>
  balances(address: Hex, signal?: AbortSignal): Promise<{ etherWei: bigint; dollars: bigint }>
  /** Sends dollars. Not repeatable: see the hash given to beforeSend before trying again. */
  transfer(to: Hex, amount: bigint, wallet: Wallet, options?: SendOptions, signal?: AbortSignal): Promise<{ tx: Hex; costWei: bigint }>

  rootStates(rootIds: readonly Hex[], signal?: AbortSignal): Promise<RootView[]>
  rootState(rootId: Hex, signal?: AbortSignal): Promise<RootView>
  /**
   * One transaction from wallet to open root: the token permit and the order are signed by the payer's wallet and travel with it (96k gas;
   * 70k when the wallet approved the deposit before).
   * Repeatable: a root that is open already counts as opened, by whichever transaction. `sender` pays the gas, by default the payer.
   */
  openRoot(descriptor: Descriptor, wallet: Wallet, options?: SendOptions & { sender?: Wallet }, signal?: AbortSignal): Promise<OpenedRoot>
  /** Roots this payer opened, oldest first, as far back as the node tells: some only know the newest blocks, or nothing. */
  rootsOf(payer: Hex, signal?: AbortSignal): Promise<Descriptor[]>
  /** From expiry + grace on. Returns to the payer what is left, and of the channels listed what they did not spend. Repeatable. */
  close(
    descriptor: Descriptor,
    channels: readonly { index: number; payee: Hex }[],
    wallet: Wallet,
    options?: SendOptions,
    signal?: AbortSignal,
  ): Promise<{ tx: Hex; refund: bigint; costWei: bigint }>

  /** What the chain has paid on each channel, in the order asked. */
  channelsPaid(ids: readonly ChannelId[], signal?: AbortSignal): Promise<ChannelPaid[]>
  /** What was ever burnt of a payee's claims. */
  burntOf(payee: Hex, signal?: AbortSignal): Promise<bigint>
  /** Asks the chain what it owes and cuts it into batches, one transaction each. */
  planClaims(holdings: readonly Holding[], signal?: AbortSignal): Promise<ClaimPlan>
  /** Repeatable: what was paid already is not paid again. Any wallet may send it, the payee is paid. */
  claim(payee: Hex, batch: ClaimBatch, wallet: Wallet, options?: SendOptions, signal?: AbortSignal): Promise<Claimed>
  /** A payee's offer to whoever submits this batch. Signed off line. */
  signFeeOrder(batch: ClaimBatch, terms: FeeOrderTerms, payeeWallet: Wallet): FeeOrder
  /** Submits somebody else's batch for the fee of its order. */
  claimFor(order: FeeOrder, batch: ClaimBatch, wallet: Wallet, options?: SendOptions, signal?: AbortSignal): Promise<Claimed>
  /** After a crash: what became of a claim. `unknown`: never arrived, or not mined yet. */
  claimedBy(tx: Hex, signal?: AbortSignal): Promise<ClaimFate>
}

export interface ChannelsOptions {
  rpc: Rpc
  network: Network
  /** Until a transaction is sent again with a higher fee. */
  patienceMs?: number | undefined
  /** Needed where another process may send from the same wallet. */
  turn?: Turn | undefined
}

/** The same wallet must send through one client of a process at a time: the queue of its transactions is the client's. */
export function createChannelsClient({ rpc, network, patienceMs, turn }: ChannelsOptions): ChannelsClient {
  const { channels, dollar, confirmations, pollMs } = network
  if (rpc.chainId !== network.chainId) {
    throw new BywayError('RPC_WRONG_CHAIN', `the RPC is for chain ${rpc.chainId}, the network for ${network.chainId}`)
  }
  const domain = { chainId: network.chainId, channels }
  const transactions = createTransactions({ rpc, confirmations, pollMs, patienceMs, turn })

  const call = (to: Hex, data: Hex, signal?: AbortSignal) => rpc.request(codeSchema, 'eth_call', [{ to, data }, 'latest'], signal)

  // A failure is not remembered: the chain may come up later.
  let known: Contract | undefined
  const ready = async (signal?: AbortSignal): Promise<Contract> => {
    known ??= await inspect(rpc, network, call, signal)
    return known
  }

  const blockTime = async (signal?: AbortSignal) =>
    (await rpc.request(blockSchema, 'eth_getBlockByNumber', ['latest', false], signal)).timestamp

  const rootStates = async (rootIds: readonly Hex[], signal?: AbortSignal): Promise<RootView[]> => {
    await ready(signal)
    const views = await inChunks(rootIds, async (chunk) => {
      const data = encodeFunctionData({ abi: channelsAbi, functionName: 'rootsOf', args: [chunk] })
      return decodeFunctionResult({ abi: channelsAbi, functionName: 'rootsOf', data: await call(channels, data, signal) })
    })
    return views.map(({ state, remaining }) => ({ state: ROOT_STATES[state] ?? 'closed', remaining }))
  }
  const rootState = async (rootId: Hex, signal?: AbortSignal) => (await rootStates([rootId], signal))[0]!

  const channelsPaid = async (ids: readonly ChannelId[], signal?: AbortSignal): Promise<ChannelPaid[]> => {
    await ready(signal)
    const views = await inChunks(ids, async (chunk) => {
      const data = encodeFunctionData({ abi: channelsAbi, functionName: 'channelsOf', args: [chunk] })
      return decodeFunctionResult({ abi: channelsAbi, functionName: 'channelsOf', data: await call(channels, data, signal) })
    })
    return views.map(({ cap, paid }) => ({ cap, paid, active: cap !== 0n }))
  }

  /** Events of openings, oldest first, as far back as the node tells. */
  const openings = (args: { rootId?: Hex; payer?: Hex }, signal?: AbortSignal): Promise<Log[]> =>
    logsOf(rpc, { address: channels, topics: encodeEventTopics({ abi: channelsAbi, eventName: 'RootOpened', args }) }, signal)

  /** The transaction that opened a root; undefined when the node does not find it. */
  const openedBy = async (rootId: Hex, signal?: AbortSignal) => (await openings({ rootId }, signal))[0]?.transactionHash

  const buildOpen = async (descriptor: Descriptor, { token }: Contract, wallet: Wallet, signal?: AbortSignal) => {
    const allowanceData = encodeFunctionData({ abi: dollarAbi, functionName: 'allowance', args: [wallet.address, channels] })
    const allowance = decodeFunctionResult({ abi: dollarAbi, functionName: 'allowance', data: await call(dollar, allowanceData, signal) })
    if (allowance >= descriptor.sum) {
      return { to: channels, data: encodeFunctionData({ abi: channelsAbi, functionName: 'open', args: [onChain(descriptor)] }) }
    }
    if (token === undefined) {
      throw new BywayError('TRANSACTION_FAILED', 'this token takes no permit, and the wallet has not approved the deposit', {
        facts: { allowance, needed: descriptor.sum, spender: channels },
        hint: `approve ${channels} as a spender of the token`,
      })
    }
    const deadline = BigInt((await blockTime(signal)) + PERMIT_LIFE_S)
    const noncesData = await call(dollar, encodeFunctionData({ abi: dollarAbi, functionName: 'nonces', args: [wallet.address] }), signal)
    const nonce = decodeFunctionResult({ abi: dollarAbi, functionName: 'nonces', data: noncesData })
    const permit = signPermit(wallet, token, channels, PERMIT_VALUE, nonce, deadline)
    const { r, vs } = splitSignature(signOpenOrder(wallet, domain, descriptor, deadline))
    const args = [onChain(descriptor), permit, deadline, r, vs] as const
    return { to: channels, data: encodeFunctionData({ abi: channelsAbi, functionName: 'openWithPermit', args }) }
  }

  return {
    network,
    blockTime,
    rootStates,
    rootState,
    channelsPaid,

    async check(signal) {
      await ready(signal)
    },

    async graceS(signal) {
      return (await ready(signal)).graceS
    },

    async balances(address, signal) {
      await ready(signal)
      const data = encodeFunctionData({ abi: dollarAbi, functionName: 'balanceOf', args: [address] })
      const [etherWei, held] = await Promise.all([
        rpc.request(quantitySchema, 'eth_getBalance', [address, 'latest'], signal),
        call(dollar, data, signal),
      ])
      return { etherWei, dollars: decodeFunctionResult({ abi: dollarAbi, functionName: 'balanceOf', data: held }) }
    },

    async transfer(to, amount, wallet, options, signal) {
      await ready(signal)
      const data = encodeFunctionData({ abi: dollarAbi, functionName: 'transfer', args: [to, amount] })
      const receipt = await transactions.send(wallet, 'a transfer of dollars', async () => ({ to: dollar, data }), options, signal)
      return { tx: receipt.transactionHash, costWei: costOf(receipt) }
    },

    async openRoot(descriptor, wallet, { sender = wallet, ...options } = {}, signal) {
      if (wallet.address !== descriptor.payer) {
        throw new BywayError('ARGUMENT_INVALID', 'a root is opened by its payer only', {
          facts: { payer: descriptor.payer, wallet: wallet.address },
        })
      }
      const contract = await ready(signal)
      const rootId = rootIdOf(descriptor)
      const asOpen = async (): Promise<OpenedRoot | undefined> => {
        const { state } = await rootState(rootId, signal)
        if (state === 'closed')
          throw new BywayError('ROOT_NOT_OPEN', 'this root was closed and cannot be opened again', { facts: { rootId } })
        return state === 'open' ? { rootId, tx: await openedBy(rootId, signal), costWei: 0n } : undefined
      }
      const before = await asOpen()
      if (before !== undefined) return before
      try {
        const build = () => buildOpen(descriptor, contract, wallet, signal)
        const receipt = await transactions.send(sender, 'opening a root', build, options, signal)
        return { rootId, tx: receipt.transactionHash, costWei: costOf(receipt) }
      } catch (error) {
        // An earlier try of the same root may have been mined first: then this one was refused, and all is well.
        if (!(error instanceof BywayError) || error.code !== 'TRANSACTION_FAILED') throw error
        const after = await asOpen()
        if (after === undefined) throw error
        return after
      }
    },

    async rootsOf(payer, signal) {
      await ready(signal)
      return (await openings({ payer }, signal)).map(openedIn)
    },

    async close(descriptor, refs, wallet, options, signal) {
      await ready(signal)
      const data = encodeFunctionData({ abi: channelsAbi, functionName: 'close', args: [onChain(descriptor), refs] })
      const receipt = await transactions.send(wallet, 'closing a root', async () => ({ to: channels, data }), options, signal)
      const refund = eventsOf(receipt, channels).reduce(
        (sum, event) => (event.eventName === 'RootClosed' || event.eventName === 'ChannelsSwept' ? sum + event.args.refund : sum),
        0n,
      )
      return { tx: receipt.transactionHash, refund, costWei: costOf(receipt) }
    },

    async burntOf(payee, signal) {
      await ready(signal)
      const data = await call(channels, encodeFunctionData({ abi: channelsAbi, functionName: 'burnOf', args: [payee] }), signal)
      const [, total] = decodeFunctionResult({ abi: channelsAbi, functionName: 'burnOf', data })
      return total
    },

    async planClaims(all, signal) {
      const strangers = all.find((holding) => !belongTogether(holding))
      if (strangers) {
        const { rootId, index } = strangers.voucher
        throw new BywayError('PROOF_NOT_OURS', 'a voucher came with the proof of another channel', { facts: { rootId, index } })
      }
      const holdings = newestHoldings(all)
      const rootIds = [...new Set(holdings.map(({ voucher }) => voucher.rootId))]
      const [paid, roots] = await Promise.all([
        channelsPaid(
          holdings.map(({ activation, voucher: { rootId, index, payee } }) => ({
            rootId,
            index,
            payee,
            signer: activation.descriptor.signer,
          })),
          signal,
        ),
        rootStates(rootIds, signal),
      ])
      const open = new Set(rootIds.filter((_, i) => roots[i]!.state === 'open'))
      return planBatches(
        holdings,
        paid,
        holdings.map(({ voucher }) => open.has(voucher.rootId)),
      )
    },

    async claim(payee, batch, wallet, options, signal) {
      await ready(signal)
      const args = [payee, batch.activations.map(activationOnChain), packVouchers(somethingIn(batch).vouchers)] as const
      const data = encodeFunctionData({ abi: channelsAbi, functionName: 'claim', args })
      const receipt = await transactions.send(wallet, 'a claim', async () => ({ to: channels, data }), options, signal)
      return claimedIn(receipt, channels)
    },

    signFeeOrder(batch, terms, payeeWallet) {
      return signFeeOrder(payeeWallet, domain, claimsHash(somethingIn(batch).vouchers), terms)
    },

    async claimFor(order, batch, wallet, options, signal) {
      await ready(signal)
      const { r, vs } = splitSignature(order.signature)
      const terms = { fee: order.fee, submitter: order.submitter, deadline: BigInt(order.deadline) }
      const args = [order.payee, batch.activations.map(activationOnChain), packVouchers(somethingIn(batch).vouchers), terms, r, vs] as const
      const data = encodeFunctionData({ abi: channelsAbi, functionName: 'claimFor', args })
      const receipt = await transactions.send(wallet, 'a claim for a fee', async () => ({ to: channels, data }), options, signal)
      return claimedIn(receipt, channels)
    },

    async claimedBy(tx, signal) {
      await ready(signal)
      const receipt = await rpc.request(receiptSchema, 'eth_getTransactionReceipt', [tx], signal)
      if (receipt === null) return { fate: 'unknown' }
      return receipt.status ? { fate: 'mined', ...claimedIn(receipt, channels) } : { fate: 'reverted' }
    },
  }
}

/** The contract's enum, in its order. */
const ROOT_STATES: readonly RootState[] = ['none', 'open', 'closed']

function somethingIn(batch: ClaimBatch): ClaimBatch {
  if (batch.vouchers.length === 0) throw new BywayError('CLAIM_NOTHING', 'there is nothing to claim')
  return batch
}

async function inChunks<T, R>(items: readonly T[], ask: (chunk: readonly T[]) => Promise<readonly R[]>): Promise<R[]> {
  const answers: R[] = []
  for (let at = 0; at < items.length; at += VIEWS_PER_CALL) answers.push(...(await ask(items.slice(at, at + VIEWS_PER_CALL))))
  return answers
}
