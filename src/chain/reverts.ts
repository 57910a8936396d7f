/** Why the chain refused: the contract's own error, by name and arguments, as one of our codes. */
import type { Abi } from 'viem'
import { decodeErrorResult, toFunctionSelector } from 'viem/utils'
import type { Hex } from '../protocol/bytes.ts'
import { BywayError, type ErrorCode, type Facts } from '../protocol/errors.ts'
import * as code from './abi.ts'
import { RpcRefusal } from './rpc.ts'

type AbiError = Extract<Abi[number], { type: 'error' }>
type Meaning = { code: ErrorCode; hint?: string }
const all = (names: readonly string[], meaning: Meaning): Record<string, Meaning> =>
  Object.fromEntries(names.map((name) => [name, meaning]))

/** Errors of the contracts that have a meaning of their own here; every other is TRANSACTION_FAILED. */
const CODES: Readonly<Record<string, Meaning>> = {
  RootNotOpen: { code: 'ROOT_NOT_OPEN' },
  ExpiryOutOfBounds: { code: 'ROOT_EXPIRED' },
  SignatureInvalid: { code: 'VOUCHER_SIGNER' },
  ChannelUnknown: { code: 'VOUCHER_SIGNER' },
  CumulativeAboveCap: { code: 'CAP_EXCEEDED' },
  FeeAboveAmount: { code: 'CLAIM_FEE_TOO_HIGH' },
  ERC20InsufficientBalance: {
    code: 'WALLET_EMPTY',
    hint: 'the wallet holds fewer dollars or WAY than this moves: `byway fund` shows what it holds',
  },
  DepositsPausedUntil: { code: 'DEPOSITS_PAUSED', hint: 'the guardian paused new deposits; everything else goes on' },
  StruckOff: { code: 'STRUCK_OFF', hint: 'this operator signed two different things at one place; choose another' },
  NotActive: { code: 'STATE_WRONG', hint: 'only a provider whose own stake covers its claim may sell ahead: `byway stake`' },
  NotSigned: { code: 'SIGNATURE_MISSING', hint: 'both parties sign exactly these terms: `byway sla sign`' },
  KeyNotProven: { code: 'SIGNATURE_MISSING' },
  ReceiptInvalid: { code: 'SIGNATURE_MISSING', hint: 'the holder signs a receipt for more than it used before' },
  NoQuorum: { code: 'SIGNATURE_MISSING', hint: 'too few members of the committee signed this' },
  SignersDiffer: { code: 'SIGNATURE_MISSING', hint: 'both statements must be signed by one key of an operator' },
  GovernorInsufficientProposerVotes: { code: 'VOTES_TOO_FEW', hint: 'delegate WAY to the proposer first: `byway vote delegate`' },
  ERC4626ExceededMaxDeposit: { code: 'AMOUNT_TOO_LARGE' },
  ...all(['ZeroCap', 'IndexOutOfTree', 'ProofLengthWrong', 'ProofInvalid'], { code: 'PROOF_INVALID' }),
  ...all(['AmountInvalid', 'CapacityExceeded', 'ERC1155InsufficientBalance'], { code: 'AMOUNT_TOO_LARGE' }),
  ...all(
    [
      'AmountZero',
      'PriceInvalid',
      'PercentInvalid',
      'HourInvalid',
      'ProfileInvalid',
      'EndpointTooLong',
      'CommissionRaised',
      'TermsInvalid',
    ],
    {
      code: 'VALUE_OUT_OF_BOUNDS',
    },
  ),
  ...all(['ParameterOutOfBounds', 'SubscriptionInvalid'], { code: 'VALUE_OUT_OF_BOUNDS' }),
  ...all(['OperatorUnknown', 'ThawUnknown', 'ExitUnknown', 'ParameterUnknown', 'LaneUnknown', 'GovernorNonexistentProposal'], {
    code: 'UNKNOWN_ON_CHAIN',
  }),
  ...all(['ThawTooEarly', 'ExitTooEarly', 'TooEarly', 'HourNotOver', 'WindowOpen', 'EpochNotOver', 'PeriodNotOver', 'NotSettled'], {
    code: 'TOO_EARLY',
  }),
  ...all(['HourOver', 'TooLate', 'TermsExpired', 'WindowOver', 'OrderExpired'], { code: 'TOO_LATE' }),
  ...all(
    ['WrongState', 'AlreadyOpened', 'AlreadySettled', 'AlreadyJudged', 'NothingPending', 'ProposalPending', 'ParameterMoved', 'FaultKnown'],
    { code: 'STATE_WRONG' },
  ),
  ...all(['GovernorUnexpectedProposalState', 'GovernorAlreadyCastVote', 'TimelockUnexpectedOperationState'], { code: 'STATE_WRONG' }),
  ...all(['AlreadySubscribed', 'NotSubscribed'], { code: 'STATE_WRONG' }),
}

/** By the four bytes they begin with. Contracts share many errors, and looking each up in one long list takes milliseconds. */
const bySelector = new Map(
  Object.values(code)
    .flatMap((abi): AbiError[] => (typeof abi === 'string' ? [] : abi.filter((item) => item.type === 'error')))
    .map((item) => [toFunctionSelector(`${item.name}(${item.inputs.map(({ type }) => type).join(',')})`), item]),
)

/** What `data` of a revert says; undefined when it is no error of ours (empty, a panic, another contract's). */
export function contractErrorOf(data: Hex | undefined): { name: string; facts: Facts } | undefined {
  if (data === undefined) return undefined
  try {
    const error = bySelector.get(data.slice(0, 10) as Hex)
    if (error === undefined) return undefined
    const { inputs } = error
    const { errorName, args } = decodeErrorResult({ abi: [error], data })
    const values: readonly unknown[] = args ?? []
    return { name: errorName, facts: Object.fromEntries(values.map((value, i) => [inputs[i]?.name || `argument${i}`, fact(value)])) }
  } catch {
    return undefined // another contract's error, or none at all: the caller shows the node's words instead
  }
}

const ADDRESS_CHARACTERS = 42

function fact(value: unknown): string | number | bigint | boolean {
  // Short words, such as the name of a parameter, are read more easily than their bytes.
  if (typeof value === 'string' && /^0x(?:[2-7][0-9a-f])+(?:00)+$/.test(value) && value.length !== ADDRESS_CHARACTERS) {
    return Buffer.from(value.slice(2), 'hex').toString('ascii').replace(/\0+$/, '')
  }
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
