/**
 * Sending transactions: one after the other for each wallet, never lost sight of.
 *
 * A wallet has one transaction in flight. It takes the lowest nonce that is not mined (`latest`, not `pending`): what a crashed run left
 * in the mempool is thereby replaced, not queued behind. A transaction that is not mined in time is signed again with the same nonce and a
 * higher fee; whichever copy is mined counts, and the same nonce means that only one can be. The hash of every copy is told before it
 * leaves, so that a crash at any moment leaves a trace whose fate can be asked.
 */
import { serializeTransaction } from 'viem/utils'
import { type Hex, hashBytes, toHex } from '../protocol/bytes.ts'
import { BywayError } from '../protocol/errors.ts'
import { pause } from './pause.ts'
import { refusalError } from './reverts.ts'
import { type Rpc, RpcRefusal } from './rpc.ts'
import { blockSchema, codeSchema, hashSchema, quantitySchema, type Receipt, receiptSchema } from './schemas.ts'
import { splitSignature, type Wallet } from './wallet.ts'

// --- Our choices. Safe to change. ---
/** Until a transaction is sent again with a higher fee: some blocks on any chain we know. */
const PATIENCE_MS = 60_000
/** Copies of one transaction before giving up: with the patience above, eight minutes. */
const MAX_COPIES = 8
/** After the patience: nodes refuse a replacement that raises both fees by less than a tenth, and a quarter follows a rising base fee. */
const RAISE_PERCENT = 125n
/** After a refusal as underpriced: something of this wallet with a higher fee waits at this nonce. */
const OUTBID_PERCENT = 200n
/** Most a fee is raised above the first quote, so that neither a stuck wallet nor a lying node empties it. */
const MAX_RAISE = 8n
/** Gas is estimated on the newest block and used on a later one; what is not used is not paid. */
const GAS_MARGIN_PERCENT = 120n
/**
 * Beyond that: WAY keeps one checkpoint of votes a second. A transfer estimated in the second of the last one changes a slot for either side, and
 * mined a second later it makes two new ones, 22,100 gas each.
 */
const GAS_RESERVE = 50_000n
/** For chains whose nodes do not suggest a tip: 0.1 gwei. */
const DEFAULT_TIP_WEI = 100_000_000n
/** A node may know that a nonce is used before it knows the receipt: looks granted to it. */
const RECEIPT_LAG_LOOKS = 10

export interface SendOptions {
  /** Told the hash of each signed copy before it leaves: what must be durable first goes here. */
  beforeSend?: (tx: Hex) => void | Promise<void>
}

export interface Call {
  to: Hex
  data: Hex
}

export interface TransactionsOptions {
  rpc: Rpc
  /** Blocks, the transaction's own included, before a receipt counts. */
  confirmations: number
  pollMs: number
  patienceMs?: number | undefined
  /** Absent: this process is the only one that sends. */
  turn?: Turn | undefined
}

export interface Transactions {
  /**
   * Sends what `build` makes once it is this transaction's turn, and waits until it is mined. `doing` names it in errors.
   * When waiting fails (RPC gone, signal), the transaction may still be mined: ask by the hash given to beforeSend.
   */
  send(wallet: Wallet, doing: string, build: () => Promise<Call>, options?: SendOptions, signal?: AbortSignal): Promise<Receipt>
}

interface Fees {
  maxFeePerGas: bigint
  maxPriorityFeePerGas: bigint
}

/** Runs work while no other process sends from this wallet: two that take the same nonce would replace each other's transactions. */
export type Turn = <T>(work: () => Promise<T>) => Promise<T>

export function createTransactions(options: TransactionsOptions): Transactions {
  const { rpc, confirmations, pollMs, patienceMs = PATIENCE_MS, turn: alone = (work) => work() } = options
  /** The end of the last transaction of each wallet. */
  const turns = new Map<Hex, Promise<unknown>>()

  const deliver = async (wallet: Wallet, doing: string, call: Call, options: SendOptions, signal?: AbortSignal): Promise<Receipt> => {
    const gas = ((await estimateGas(rpc, wallet.address, call, doing, signal)) * GAS_MARGIN_PERCENT) / 100n + GAS_RESERVE
    const first = await quoteFees(rpc, signal)
    let fees = first
    await requireEther(rpc, wallet.address, gas * fees.maxFeePerGas, signal)
    let nonce = await nextNonce(rpc, wallet.address, signal)
    const sent: Hex[] = []
    for (let copy = 0; copy < MAX_COPIES; copy++) {
      const { raw, tx } = signTransaction(wallet, { chainId: rpc.chainId, nonce, gas, ...fees, ...call })
      await options.beforeSend?.(tx)
      const outcome = await submit(rpc, wallet.address, raw, doing, signal)
      if (outcome === 'sent') {
        sent.push(tx)
        const receipt = await awaitReceipt(sent, Math.ceil(patienceMs / pollMs), signal)
        if (receipt) return receipt
      }
      if (outcome === 'nonce-used') {
        if (sent.length > 0) {
          const receipt = await awaitReceipt(sent, RECEIPT_LAG_LOOKS, signal)
          if (receipt) return receipt
          throw new BywayError('TRANSACTION_FAILED', `${doing} was replaced by another transaction of this wallet`, {
            facts: { tx, nonce },
            hint: 'does another program use this wallet?',
          })
        }
        // Ours never entered: the node that told us the nonce was behind, or another program was faster.
        await pause(pollMs, signal)
        nonce = await nextNonce(rpc, wallet.address, signal)
        continue
      }
      fees = raised(fees, outcome === 'underpriced' ? OUTBID_PERCENT : RAISE_PERCENT, first)
    }
    throw new BywayError('TRANSACTION_FAILED', `${doing} was not mined`, {
      facts: { tx: sent.at(-1) ?? 'none accepted', nonce, copies: sent.length },
      hint: 'it may still be mined; the same request later takes its place',
    })
  }

  /** The receipt of whichever copy was mined; undefined after `looks` without one. Once mined, it waits for the confirmations. */
  const awaitReceipt = async (sent: readonly Hex[], looks: number, signal?: AbortSignal): Promise<Receipt | undefined> => {
    for (let look = 0; look < looks; look++) {
      if (look > 0) await pause(pollMs, signal)
      for (const tx of sent) {
        const receipt = await rpc.request(receiptSchema, 'eth_getTransactionReceipt', [tx], signal)
        if (receipt === null) continue
        if (await isConfirmed(receipt, signal)) return receipt
        // Mined, not yet deep enough: patience starts anew; should a reorganisation drop it, it runs out as usual.
        look = 0
      }
    }
    return undefined
  }

  const isConfirmed = async (receipt: Receipt, signal?: AbortSignal): Promise<boolean> => {
    if (confirmations <= 1) return true
    const head = await rpc.request(quantitySchema, 'eth_blockNumber', [], signal)
    return head - receipt.blockNumber + 1n >= BigInt(confirmations)
  }

  return {
    send(wallet, doing, build, options = {}, signal) {
      const work = async () => {
        signal?.throwIfAborted()
        const call = await build()
        const receipt = await alone(() => deliver(wallet, doing, call, options, signal))
        if (!receipt.status) throw await revertReason(rpc, wallet.address, call, receipt, doing, signal)
        return receipt
      }
      const turn = (turns.get(wallet.address) ?? Promise.resolve()).then(work)
      // The next one waits for this one's end, not for its success.
      turns.set(
        wallet.address,
        turn.catch(() => {}),
      )
      return turn
    },
  }
}

function raised(fees: Fees, percent: bigint, first: Fees): Fees {
  const raise = (now: bigint, quoted: bigint) => {
    const next = (now * percent) / 100n + 1n
    return next < quoted * MAX_RAISE ? next : quoted * MAX_RAISE
  }
  return {
    maxFeePerGas: raise(fees.maxFeePerGas, first.maxFeePerGas),
    maxPriorityFeePerGas: raise(fees.maxPriorityFeePerGas, first.maxPriorityFeePerGas),
  }
}

/** Runs the transaction without sending it: a refusal is found here, before it costs anything. */
async function estimateGas(rpc: Rpc, from: Hex, call: Call, doing: string, signal?: AbortSignal): Promise<bigint> {
  try {
    // Without a gas price, so that an empty wallet is told apart from a refusal. On the newest block, because the pending one may hold the
    // very transaction that this one replaces, and would make it look cheaper than it is.
    return await rpc.request(quantitySchema, 'eth_estimateGas', [{ from, ...call }, 'latest'], signal)
  } catch (error) {
    throw refusalError(error, doing)
  }
}

/** Twice the base fee lasts through six full blocks, each of which raises it by an eighth. */
export async function quoteFees(rpc: Rpc, signal?: AbortSignal): Promise<Fees> {
  const { baseFeePerGas = 0n } = await rpc.request(blockSchema, 'eth_getBlockByNumber', ['latest', false], signal)
  let tip = DEFAULT_TIP_WEI
  try {
    tip = await rpc.request(quantitySchema, 'eth_maxPriorityFeePerGas', [], signal)
  } catch (error) {
    if (!(error instanceof RpcRefusal)) throw error // not every node has the method
  }
  return { maxFeePerGas: 2n * baseFeePerGas + tip, maxPriorityFeePerGas: tip }
}

async function requireEther(rpc: Rpc, address: Hex, needed: bigint, signal?: AbortSignal): Promise<void> {
  const has = await rpc.request(quantitySchema, 'eth_getBalance', [address, 'latest'], signal)
  if (has < needed) throw walletEmpty(address, has, needed)
}

function walletEmpty(address: Hex, has?: bigint, needed?: bigint): BywayError {
  return new BywayError('WALLET_EMPTY', 'the wallet has too little ether for the gas of a transaction', {
    facts: { address, ...(has === undefined ? {} : { hasWei: has }), ...(needed === undefined ? {} : { neededWei: needed }) },
    hint: `send ether to ${address}; a claim may also be submitted by somebody else for a fee`,
  })
}

async function nextNonce(rpc: Rpc, address: Hex, signal?: AbortSignal): Promise<number> {
  return Number(await rpc.request(quantitySchema, 'eth_getTransactionCount', [address, 'latest'], signal))
}

function signTransaction(wallet: Wallet, fields: Call & Fees & { chainId: number; nonce: number; gas: bigint }): { raw: Hex; tx: Hex } {
  const unsigned = { type: 'eip1559', ...fields } as const
  const digest = hashBytes(Buffer.from(serializeTransaction(unsigned).slice(2), 'hex'))
  const { r, s, yParity } = splitSignature(wallet.sign(digest))
  const raw = serializeTransaction(unsigned, { r, s, yParity })
  return { raw, tx: toHex(hashBytes(Buffer.from(raw.slice(2), 'hex'))) }
}

/** Nodes have codes for none of this; their words differ little (geth, reth, erigon, nethermind, anvil). */
async function submit(
  rpc: Rpc,
  address: Hex,
  raw: Hex,
  doing: string,
  signal?: AbortSignal,
): Promise<'sent' | 'nonce-used' | 'underpriced'> {
  try {
    await rpc.request(hashSchema, 'eth_sendRawTransaction', [raw], signal)
    return 'sent'
  } catch (error) {
    if (!(error instanceof RpcRefusal)) throw error
    // A retried request may arrive twice.
    if (/already known|already imported|known transaction|already in mempool/i.test(error.message)) return 'sent'
    if (/nonce (is )?too low|old ?nonce|invalid nonce/i.test(error.message)) return 'nonce-used'
    if (/underpriced|fee too low|less than block base fee|fee cap/i.test(error.message)) return 'underpriced'
    if (/insufficient funds/i.test(error.message)) throw walletEmpty(address)
    throw refusalError(error, doing)
  }
}

/** Mined but reverted: something changed after the estimate. The same call on the state after its block says what. */
async function revertReason(rpc: Rpc, from: Hex, call: Call, receipt: Receipt, doing: string, signal?: AbortSignal): Promise<unknown> {
  const facts = { tx: receipt.transactionHash, gasUsed: receipt.gasUsed }
  try {
    await rpc.request(codeSchema, 'eth_call', [{ from, ...call }, `0x${receipt.blockNumber.toString(16)}`], signal)
  } catch (error) {
    const reason = refusalError(error, doing)
    if (!(reason instanceof BywayError) || !(error instanceof RpcRefusal)) return reason
    const options = { facts: { ...reason.facts, ...facts } }
    return new BywayError(reason.code, reason.message, reason.hint === undefined ? options : { ...options, hint: reason.hint })
  }
  return new BywayError('TRANSACTION_FAILED', `${doing} was mined but reverted`, { facts, hint: 'try again' })
}
