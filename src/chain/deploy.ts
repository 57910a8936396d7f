/**
 * A devnet's contracts and its faucet.
 *
 * Both contracts go through the CREATE2 factory that anvil has from genesis: their addresses are a function of their code, so they are known
 * before any chain runs, are the same on every devnet, and deploying twice finds them there. Other code means another address: an old
 * world never answers with old code under a new name.
 * Only for devnets: it uses anvil's unlocked account and its power to set balances.
 */
import { encodeDeployData, encodeFunctionData, getCreate2Address } from 'viem/utils'
import { z } from 'zod'
import type { Hex } from '../protocol/bytes.ts'
import { BywayError } from '../protocol/errors.ts'
import { channelsAbi, channelsBytecode, dollarAbi, dollarBytecode } from './abi.ts'
import { pause } from './pause.ts'
import { type Rpc, RpcRefusal } from './rpc.ts'
import { codeSchema, hashSchema, quantitySchema, receiptSchema } from './schemas.ts'

/** Arachnid's deterministic deployment proxy, at this address on nearly every chain; anvil has it from the first block. */
const CREATE2_FACTORY = '0x4e59b44847b379578588920cA78FbF26c0B4956C'
const SALT: Hex = `0x${'00'.repeat(32)}`
/** First account of the well-known test mnemonic; anvil signs for it. */
const DEV_ACCOUNT = '0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266'
/** What one call of the faucet may mint (TestDollar.MINT_LIMIT), in units. */
const MINT_LIMIT = 10_000_000_000n
/** Between expiry and the first close: short, because nobody censors a claim on a devnet. Real deployments take two days or more. */
export const DEVNET_GRACE_S = 3_600

/** Looks for a receipt: ten seconds, for a machine that is very busy. */
const RECEIPT_LOOKS = 500
const RECEIPT_PAUSE_MS = 20

/** Wei in one ether. */
export const ETHER = 10n ** 18n
/** Units in one dollar. */
export const DOLLAR = 1_000_000n

export interface DevnetContracts {
  channels: Hex
  dollar: Hex
}

const dollarInit = (): Hex => encodeDeployData({ abi: dollarAbi, bytecode: dollarBytecode })
const channelsInit = (dollar: Hex, graceS: number): Hex =>
  encodeDeployData({ abi: channelsAbi, bytecode: channelsBytecode, args: [dollar, BigInt(graceS)] })
const addressOfInit = (bytecode: Hex): Hex => getCreate2Address({ from: CREATE2_FACTORY, salt: SALT, bytecode }).toLowerCase() as Hex

/** Where the contracts are on every devnet. */
export function devnetContracts(graceS = DEVNET_GRACE_S): DevnetContracts {
  const dollar = addressOfInit(dollarInit())
  return { dollar, channels: addressOfInit(channelsInit(dollar, graceS)) }
}

/** Deploys what is not there yet. Safe to repeat, also after a crash in between or while somebody else does the same. */
export async function deployDevnet(rpc: Rpc, graceS = DEVNET_GRACE_S, signal?: AbortSignal): Promise<DevnetContracts> {
  const contracts = devnetContracts(graceS)
  if (!(await hasCode(rpc, CREATE2_FACTORY, signal))) {
    throw new BywayError('CONTRACT_MISSING', 'this chain has no CREATE2 factory, so it is no devnet of ours', {
      facts: { factory: CREATE2_FACTORY },
      hint: 'name the addresses of contracts that are deployed there',
    })
  }
  await deployOne(rpc, 'TestDollar', contracts.dollar, dollarInit(), signal)
  await deployOne(rpc, 'Channels', contracts.channels, channelsInit(contracts.dollar, graceS), signal)
  return contracts
}

async function deployOne(rpc: Rpc, name: string, address: Hex, initCode: Hex, signal?: AbortSignal): Promise<void> {
  if (await hasCode(rpc, address, signal)) return
  try {
    await sendFromDevAccount(rpc, CREATE2_FACTORY, `${SALT}${initCode.slice(2)}`, signal)
  } catch (error) {
    // Somebody deployed it in between: the factory refuses the second time.
    if (await hasCode(rpc, address, signal)) return
    throw error
  }
  if (!(await hasCode(rpc, address, signal))) {
    throw new BywayError('TRANSACTION_FAILED', `${name} was deployed to another address than expected`, { facts: { address } })
  }
}

/**
 * Tops an account up to at least `ether` (wei) and `dollars` (units): what it has is counted, so a second call changes nothing.
 */
export async function fundDevnet(
  rpc: Rpc,
  dollar: Hex,
  address: Hex,
  target: { ether?: bigint; dollars?: bigint },
  signal?: AbortSignal,
): Promise<void> {
  const { ether = 0n, dollars = 0n } = target
  if (ether > (await rpc.request(quantitySchema, 'eth_getBalance', [address, 'latest'], signal))) {
    await devnetOnly(rpc.request(z.unknown(), 'anvil_setBalance', [address, `0x${ether.toString(16)}`], signal))
  }
  const balance = encodeFunctionData({ abi: dollarAbi, functionName: 'balanceOf', args: [address] })
  const held = BigInt(await rpc.request(wordSchema, 'eth_call', [{ to: dollar, data: balance }, 'latest'], signal))
  for (let missing = dollars - held; missing > 0n; missing -= MINT_LIMIT) {
    const amount = missing < MINT_LIMIT ? missing : MINT_LIMIT
    await sendFromDevAccount(rpc, dollar, encodeFunctionData({ abi: dollarAbi, functionName: 'mint', args: [address, amount] }), signal)
  }
}

const wordSchema = z.string().regex(/^0x[0-9a-f]{64}$/)

async function hasCode(rpc: Rpc, address: Hex, signal?: AbortSignal): Promise<boolean> {
  return (await rpc.request(codeSchema, 'eth_getCode', [address, 'latest'], signal)) !== '0x'
}

async function sendFromDevAccount(rpc: Rpc, to: Hex, data: Hex, signal?: AbortSignal): Promise<void> {
  const tx = await devnetOnly(rpc.request(hashSchema, 'eth_sendTransaction', [{ from: DEV_ACCOUNT, to, data }], signal))
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
