/** Why the chain refused: the contract's own error, by name and arguments, as one of our codes. */
import { decodeErrorResult } from 'viem/utils'
import type { Hex } from '../protocol/bytes.ts'
import { BywayError, type ErrorCode, type Facts } from '../protocol/errors.ts'
import { channelsAbi, dollarAbi } from './abi.ts'
import { RpcRefusal } from './rpc.ts'

/** Errors of the contracts that have a meaning of their own here; every other is TRANSACTION_FAILED. */
const CODES: Readonly<Record<string, { code: ErrorCode; hint?: string }>> = {
  RootNotOpen: { code: 'ROOT_NOT_OPEN' },
  ExpiryOutOfBounds: { code: 'ROOT_EXPIRED' },
  ZeroCap: { code: 'PROOF_INVALID' },
  IndexOutOfTree: { code: 'PROOF_INVALID' },
  ProofLengthWrong: { code: 'PROOF_INVALID' },
  ProofInvalid: { code: 'PROOF_INVALID' },
  SignatureInvalid: { code: 'VOUCHER_SIGNER' },
  ChannelUnknown: { code: 'VOUCHER_SIGNER' },
  CumulativeAboveCap: { code: 'CAP_EXCEEDED' },
  FeeAboveAmount: { code: 'CLAIM_FEE_TOO_HIGH' },
  ERC20InsufficientBalance: { code: 'WALLET_EMPTY', hint: 'send dollars to the wallet, or deposit less' },
}

/** Only errors: functions and events of both contracts would make the lookup ambiguous. */
const errorsAbi = [...channelsAbi, ...dollarAbi].filter((item) => item.type === 'error')

/** What `data` of a revert says; undefined when it is no error of ours (empty, a panic, another contract's). */
export function contractErrorOf(data: Hex | undefined): { name: string; facts: Facts } | undefined {
  if (data === undefined) return undefined
  try {
    const { errorName, args, abiItem } = decodeErrorResult({ abi: errorsAbi, data })
    const inputs: readonly { name?: string }[] = 'inputs' in abiItem ? abiItem.inputs : []
    const values: readonly unknown[] = args ?? []
    return { name: errorName, facts: Object.fromEntries(values.map((value, i) => [inputs[i]?.name || `argument${i}`, fact(value)])) }
  } catch {
    return undefined // another contract's error, or none at all: the caller shows the node's words instead
  }
}

function fact(value: unknown): string | number | bigint | boolean {
  return typeof value === 'bigint' || typeof value === 'number' || typeof value === 'boolean' ? value : String(value).toLowerCase()
}

/** `doing` completes the sentence "… was refused". Anything but a node's refusal is passed on unchanged. */
export function refusalError(thrown: unknown, doing: string): unknown {
  if (!(thrown instanceof RpcRefusal)) return thrown
  const known = contractErrorOf(thrown.data)
  if (known === undefined)
    return new BywayError('TRANSACTION_FAILED', `${doing} was refused: ${thrown.message}`, { facts: { rpcCode: thrown.rpcCode } })
  const { code, hint } = CODES[known.name] ?? { code: 'TRANSACTION_FAILED' }
  const options = { facts: { ...known.facts, error: known.name } }
  return new BywayError(code, `${doing} was refused by the contract: ${known.name}`, hint === undefined ? options : { ...options, hint })
}
