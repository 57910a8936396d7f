/** The contracts behind a network: found and checked once, their arguments encoded, their events read. */
import { decodeEventLog, decodeFunctionResult, encodeFunctionData } from 'viem/utils'
import type { Hex } from '../protocol/bytes.ts'
import { BywayError } from '../protocol/errors.ts'
import type { Descriptor } from '../protocol/voucher.ts'
import { channelsAbi, dollarAbi } from './abi.ts'
import type { Activation } from './claims.ts'
import type { Network } from './networks.ts'
import type { TokenDomain } from './orders.ts'
import { refusalError } from './reverts.ts'
import type { Rpc } from './rpc.ts'
import { codeSchema, type Log, type Receipt } from './schemas.ts'

export interface Claimed {
  tx: Hex
  /** All that was newly paid, fee included. */
  amount: bigint
  /** The part the submitter kept. */
  fee: bigint
  /** The part that burns WAY; the payee received the rest. */
  burnt: bigint
  costWei: bigint
}

/** What never changes about the contracts of a network. */
export interface Contract {
  graceS: number
  /** Undefined for a token without permits, or one that does not tell its domain (ERC-5267). */
  token: TokenDomain | undefined
}

type EthCall = (to: Hex, data: Hex, signal?: AbortSignal) => Promise<Hex>

/** Both addresses hold what they should: code, and a Channels that holds this very dollar. */
export async function inspect(rpc: Rpc, { channels, dollar }: Network, call: EthCall, signal?: AbortSignal): Promise<Contract> {
  for (const [name, address] of Object.entries({ Channels: channels, dollar })) {
    if ((await rpc.request(codeSchema, 'eth_getCode', [address, 'latest'], signal)) !== '0x') continue
    throw new BywayError('CONTRACT_MISSING', `there is no contract at the ${name} address ${address}`, {
      facts: { contract: name, address, host: rpc.hosts[0]! },
      hint: 'check the address and the chain',
    })
  }
  try {
    const [tokenData, graceData, token] = await Promise.all([
      call(channels, encodeFunctionData({ abi: channelsAbi, functionName: 'token' }), signal),
      call(channels, encodeFunctionData({ abi: channelsAbi, functionName: 'grace' }), signal),
      tokenDomain(dollar, call, signal),
    ])
    const held = decodeFunctionResult({ abi: channelsAbi, functionName: 'token', data: tokenData })
    if (held.toLowerCase() !== dollar) {
      throw new BywayError('CONTRACT_MISMATCH', 'the Channels contract holds another token than the one named', {
        facts: { held: held.toLowerCase(), dollar },
      })
    }
    return { graceS: Number(decodeFunctionResult({ abi: channelsAbi, functionName: 'grace', data: graceData })), token }
  } catch (error) {
    if (error instanceof BywayError) throw error
    throw new BywayError('CONTRACT_MISSING', 'the contracts named do not answer like Channels and its dollar', {
      cause: refusalError(error, 'a question to the contracts'),
      facts: { channels, dollar },
      hint: 'check the addresses and the chain',
    })
  }
}

async function tokenDomain(dollar: Hex, call: EthCall, signal?: AbortSignal): Promise<TokenDomain | undefined> {
  try {
    const data = await call(dollar, encodeFunctionData({ abi: dollarAbi, functionName: 'eip712Domain' }), signal)
    const [, name, version, chainId, verifyingContract] = decodeFunctionResult({ abi: dollarAbi, functionName: 'eip712Domain', data })
    return { name, version, chainId, verifyingContract }
  } catch (error) {
    if (error instanceof BywayError || signal?.aborted) throw error
    return undefined // reverted or answered nothing: no such function
  }
}

/** Numbers as the ABI wants them. */
export const onChain = (descriptor: Descriptor) => ({ ...descriptor, expiry: BigInt(descriptor.expiry) })

export const activationOnChain = ({ descriptor, index, cap, salt, siblings }: Activation) => ({
  descriptor: onChain(descriptor),
  index,
  cap,
  salt,
  siblingHashes: siblings.map(({ hash }) => hash),
  siblingSums: siblings.map(({ sum }) => sum),
})

/** Events of the contract itself: a receipt also holds the token's. */
export function eventsOf(receipt: Receipt, channels: Hex) {
  return receipt.logs
    .filter(({ address }) => address === channels)
    .map(({ topics, data }) => decodeEventLog({ abi: channelsAbi, topics: topics as [Hex, ...Hex[]], data }))
}

/** The descriptor that the event of an opening carries. */
export function openedIn({ topics, data }: Log): Descriptor {
  const { args } = decodeEventLog({ abi: channelsAbi, eventName: 'RootOpened', topics: topics as [Hex, ...Hex[]], data })
  const { payer, signer, root, sum, expiry, depth, nonce } = args
  return { payer: payer.toLowerCase() as Hex, signer: signer.toLowerCase() as Hex, root, sum, expiry: Number(expiry), depth, nonce }
}

/** No event means that all was paid before: 0. */
export function claimedIn(receipt: Receipt, channels: Hex): Claimed {
  const claimed: Claimed = { tx: receipt.transactionHash, amount: 0n, fee: 0n, burnt: 0n, costWei: costOf(receipt) }
  for (const event of eventsOf(receipt, channels)) {
    if (event.eventName !== 'Claimed') continue
    claimed.amount += event.args.amount
    claimed.fee += event.args.fee
    claimed.burnt += event.args.burnt
  }
  return claimed
}

export const costOf = ({ gasUsed, effectiveGasPrice }: Receipt) => gasUsed * effectiveGasPrice
