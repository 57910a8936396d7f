/** One contract, typed by its ABI: questions to it, transactions for it, and its events. What the clients of the economy are made of. */
import type {
  Abi,
  ContractEventArgsFromTopics,
  ContractEventName,
  ContractFunctionArgs,
  ContractFunctionName,
  ContractFunctionReturnType,
} from 'viem'
import {
  type DecodeFunctionResultParameters,
  decodeEventLog,
  decodeFunctionResult,
  type EncodeFunctionDataParameters,
  encodeAbiParameters,
  encodeEventTopics,
  encodeFunctionData,
} from 'viem/utils'
import { type Hex, keccak } from '../protocol/bytes.ts'
import type { Action } from './actions.ts'
import { logsOf } from './logs.ts'
import { refusalError } from './reverts.ts'
import type { Rpc } from './rpc.ts'
import { codeSchema } from './schemas.ts'

type Views<A extends Abi> = ContractFunctionName<A, 'view' | 'pure'>
type Changes<A extends Abi> = ContractFunctionName<A, 'nonpayable' | 'payable'>

export interface At<A extends Abi> {
  readonly address: Hex
  /** Asks the contract. */
  read<N extends Views<A>>(
    name: N,
    args: ContractFunctionArgs<A, 'view' | 'pure', N>,
    signal?: AbortSignal,
  ): Promise<ContractFunctionReturnType<A, 'view' | 'pure', N>>
  /** A transaction for it; `doing` completes "… was refused". */
  action<N extends Changes<A>>(
    doing: string,
    name: N,
    args: ContractFunctionArgs<A, 'nonpayable' | 'payable', N>,
    spends?: { token: Hex; amount: bigint },
  ): Action
  /** Arguments of its events with these indexed arguments, oldest first, as far back as the node tells. */
  events<N extends ContractEventName<A>>(
    name: N,
    indexed: Readonly<Record<string, Hex | bigint>>,
    signal?: AbortSignal,
  ): Promise<ContractEventArgsFromTopics<A, N>[]>
}

export function contractAt<const A extends Abi>(rpc: Rpc, address: Hex, abi: A): At<A> {
  // The library infers these types from literal arguments; from our own type parameters it cannot, so they are stated at this one place.
  const encode = (functionName: string, args: unknown): Hex =>
    encodeFunctionData({ abi, functionName, args } as unknown as EncodeFunctionDataParameters)
  return {
    address,
    async read(name, args, signal) {
      try {
        const data = await rpc.request(codeSchema, 'eth_call', [{ to: address, data: encode(name, args) }, 'latest'], signal)
        return decodeFunctionResult({ abi, functionName: name, data } as unknown as DecodeFunctionResultParameters) as never
      } catch (error) {
        throw refusalError(error, `asking for ${name}`)
      }
    },
    action: (doing, name, args, spends) => ({
      doing,
      to: address,
      data: encode(name, args),
      ...(spends === undefined ? {} : { spends }),
    }),
    async events(eventName, indexed, signal) {
      const topics = encodeEventTopics({ abi, eventName, args: indexed } as never) as Hex[]
      const logs = await logsOf(rpc, { address, topics }, signal)
      return logs.map(({ topics, data }) => decodeEventLog({ abi, eventName, topics, data } as never).args as never)
    },
  }
}

/** Addresses as we write them: the library answers with capitals. */
export const lower = (address: string): Hex => address.toLowerCase() as Hex

/** `keccak256(abi.encode(values))`: how contracts name what they keep. */
export const hashOf = (types: readonly string[], values: readonly unknown[]): Hex => {
  const encoded = encodeAbiParameters(
    types.map((type) => ({ type })),
    values,
  )
  return keccak(Buffer.from(encoded.slice(2), 'hex'))
}

/** Short words of a contract, such as a region or the name of a parameter: ASCII at the left of `bytes` bytes. */
export const wordOf = (text: string, bytes: number): Hex =>
  `0x${Buffer.from(text, 'ascii')
    .toString('hex')
    .padEnd(bytes * 2, '0')}`
export const textOf = (word: Hex): string => Buffer.from(word.slice(2), 'hex').toString('ascii').replace(/\0+$/, '')
