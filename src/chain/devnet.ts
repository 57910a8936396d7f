/**
 * The contracts of a devnet (terms.ts says with which numbers), and its faucet.
 *
 * Only for devnets: it uses anvil's unlocked account and its power to set balances.
 */
import { decodeFunctionResult, encodeFunctionData } from 'viem/utils'
import { z } from 'zod'
import type { Hex } from '../protocol/bytes.ts'
import { BywayError } from '../protocol/errors.ts'
import { dollarAbi, wayAbi } from './abi.ts'
import { deploy } from './deploy.ts'
import { pause } from './pause.ts'
import { type Contracts, planOf } from './plan.ts'
import { type Rpc, RpcRefusal } from './rpc.ts'
import { codeSchema, hashSchema, quantitySchema, receiptSchema } from './schemas.ts'
import { DEV_ACCOUNT, devnetTerms } from './terms.ts'

/** What one call of the faucet may mint (TestDollar.MINT_LIMIT), in units. */
const MINT_LIMIT = 10_000_000_000n

/** Looks for a receipt: ten seconds, for a machine that is very busy. */
const RECEIPT_LOOKS = 500
const RECEIPT_PAUSE_MS = 20
/** What anvil says when another transaction of the account has the number already. */
const NUMBER_TAKEN = /already imported|underpriced|nonce too low/

/** Wei in one ether. */
export const ETHER = 10n ** 18n
/** Units in one dollar. */
export const DOLLAR = 1_000_000n

/** Where the contracts are on every devnet. */
export const devnetContracts = (graceS?: number): Contracts => planOf(devnetTerms(graceS)).contracts

/** Deploys what is not there yet. Deploying twice finds everything there. */
export async function deployDevnet(rpc: Rpc, graceS?: number, signal?: AbortSignal): Promise<Contracts> {
  const deliver = (_doing: string, to: Hex, data: Hex, until?: AbortSignal) => sendFromDevAccount(rpc, to, data, until)
  return deploy(rpc, planOf(devnetTerms(graceS)), deliver, { signal })
}

export interface Funds {
  /** Wei. */
  ether?: bigint
  /** Units of the test dollar. */
  dollars?: bigint
  /** Smallest units of WAY, out of the genesis. */
  way?: bigint
}

/** Tops an account up to at least `target`: what it has is counted, so a second call changes nothing. */
export async function fundDevnet(
  rpc: Rpc,
  { dollar, way }: Pick<Contracts, 'dollar' | 'way'>,
  address: Hex,
  target: Funds,
  signal?: AbortSignal,
): Promise<void> {
  const { ether = 0n } = target
  if (ether > (await rpc.request(quantitySchema, 'eth_getBalance', [address, 'latest'], signal))) {
    await devnetOnly(rpc.request(z.unknown(), 'anvil_setBalance', [address, `0x${ether.toString(16)}`], signal))
  }
  const missingOf = async (token: Hex, wanted: bigint): Promise<bigint> => {
    const data = encodeFunctionData({ abi: dollarAbi, functionName: 'balanceOf', args: [address] })
    const held = await devnetCall(rpc, token, data, signal)
    return wanted - decodeFunctionResult({ abi: dollarAbi, functionName: 'balanceOf', data: held })
  }
  for (let missing = target.dollars ? await missingOf(dollar, target.dollars) : 0n; missing > 0n; missing -= MINT_LIMIT) {
    const amount = missing < MINT_LIMIT ? missing : MINT_LIMIT
    await sendFromDevAccount(rpc, dollar, encodeFunctionData({ abi: dollarAbi, functionName: 'mint', args: [address, amount] }), signal)
  }
  const missing = target.way ? await missingOf(way, target.way) : 0n
  if (missing <= 0n) return
  await sendFromDevAccount(rpc, way, encodeFunctionData({ abi: wayAbi, functionName: 'transfer', args: [address, missing] }), signal)
}

/**
 * Mines an empty block, so that the chain's time is that of now: between transactions a devnet stands still, and a contract asked in between
 * would answer for the past (a vote would not have opened, a thaw not have ended).
 */
export async function wakeDevnet(rpc: Rpc, signal?: AbortSignal): Promise<void> {
  await devnetOnly(rpc.request(z.unknown(), 'evm_mine', [], signal))
}

/** Asks a contract. */
export const devnetCall = (rpc: Rpc, to: Hex, data: Hex, signal?: AbortSignal): Promise<Hex> =>
  rpc.request(codeSchema, 'eth_call', [{ to, data }, 'latest'], signal)

/** Sends from anvil's unlocked account and waits until it is mined. TRANSACTION_FAILED when it was reverted. */
export async function sendFromDevAccount(rpc: Rpc, to: Hex, data: Hex, signal?: AbortSignal, gas?: number): Promise<void> {
  const tx = await devnetOnly(takeTurn(rpc, to, data, signal, gas))
  // anvil mines at once, but may answer a moment before.
  for (let look = 0; look < RECEIPT_LOOKS; look++) {
    const receipt = await rpc.request(receiptSchema, 'eth_getTransactionReceipt', [tx], signal)
    if (receipt?.status === true) return
    if (receipt !== null) throw new BywayError('TRANSACTION_FAILED', 'a devnet transaction was reverted', { facts: { tx, to } })
    await pause(RECEIPT_PAUSE_MS, signal)
  }
  throw new BywayError('TRANSACTION_FAILED', 'the devnet does not mine', {
    facts: { tx, to },
    hint: 'was its automatic mining switched off?',
  })
}

/**
 * Sends as soon as the number is ours. The chain gives the unlocked account's transactions their numbers, and two callers at one moment are
 * given the same one: the second is refused, in one of these words, until the first is mined.
 */
async function takeTurn(rpc: Rpc, to: Hex, data: Hex, signal?: AbortSignal, gas?: number): Promise<Hex> {
  const call = { from: DEV_ACCOUNT, to, data }
  for (let look = 1; ; look++) {
    try {
      const limit = gas === undefined ? await gasFor(rpc, call, signal) : BigInt(gas)
      return await rpc.request(hashSchema, 'eth_sendTransaction', [{ ...call, gas: `0x${limit.toString(16)}` }], signal)
    } catch (error) {
      if (look === RECEIPT_LOOKS || !(error instanceof RpcRefusal && NUMBER_TAKEN.test(error.message))) throw error
      await pause(RECEIPT_PAUSE_MS, signal)
    }
  }
}

/**
 * Without a limit a transaction may take a whole block, and one that deploys what somebody else has just deployed does: after a hundred of those in a
 * row the base fee is more than the account has. A quarter more than the estimate, for what others change before it is mined.
 */
async function gasFor(rpc: Rpc, call: { from: Hex; to: Hex; data: Hex }, signal?: AbortSignal): Promise<bigint> {
  const estimate = await rpc.request(quantitySchema, 'eth_estimateGas', [call, 'latest'], signal)
  return estimate + estimate / 4n
}

async function devnetOnly<T>(request: Promise<T>): Promise<T> {
  try {
    return await request
  } catch (error) {
    if (!(error instanceof RpcRefusal)) throw error
    throw new BywayError('TRANSACTION_FAILED', `the chain refused what only a devnet allows: ${error.message}`, {
      hint: 'deploying and funding by themselves work on the local chain only',
    })
  }
}
