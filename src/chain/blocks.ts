/**
 * Blocks and their logs, read so that what is returned belongs to one chain.
 *
 * A node may switch to another branch between two answers, and behind one address there may be several nodes of which some lag. So logs near
 * the head are asked for by the hash of their block, which a node has or has not; only blocks too old to change are asked for by range.
 */
import { z } from 'zod'
import type { Hex } from '../protocol/bytes.ts'
import type { ChainLog } from './events.ts'
import { type Rpc, RpcRefusal } from './rpc.ts'
import { addressSchema, codeSchema, hashSchema, quantitySchema } from './schemas.ts'

export interface Block {
  readonly number: number
  readonly hash: Hex
  readonly parent: Hex
  readonly timeS: number
}

/** A chain to follow. */
export interface BlockSource {
  readonly chainId: number
  head(signal?: AbortSignal): Promise<Block>
  /** Undefined when the chain has no such block (any more). */
  block(number: number, signal?: AbortSignal): Promise<Block | undefined>
  /** Logs of exactly this block; undefined when it is not known any more. */
  logsOf(block: Block, signal?: AbortSignal): Promise<ChainLog[] | undefined>
  /** Logs from one block to another, both included, of blocks that cannot change any more; undefined when the range is too long for the node. */
  logsIn(from: number, to: number, signal?: AbortSignal): Promise<ChainLog[] | undefined>
}

const number = quantitySchema.transform(Number)
const blockSchema = z
  .object({ number, hash: hashSchema, parentHash: hashSchema, timestamp: number })
  .transform(({ timestamp, parentHash, ...block }): Block => ({ ...block, parent: parentHash, timeS: timestamp }))
const logsSchema = z.array(
  z.object({
    blockNumber: number,
    blockHash: hashSchema,
    /** Newer nodes say it. */
    blockTimestamp: number.optional(),
    logIndex: number,
    transactionHash: hashSchema,
    address: addressSchema,
    topics: z.array(hashSchema),
    data: codeSchema,
  }),
)

/** Follows the logs of these addresses. */
export function blocksOf(rpc: Rpc, addresses: readonly Hex[]): BlockSource {
  const logs = async (filter: object, signal?: AbortSignal): Promise<ChainLog[] | undefined> => {
    try {
      const found = await rpc.request(logsSchema, 'eth_getLogs', [{ ...filter, address: addresses }], signal)
      return found.map((log) => ({
        block: log.blockNumber,
        blockHash: log.blockHash,
        ...(log.blockTimestamp === undefined ? {} : { timeS: log.blockTimestamp }),
        index: log.logIndex,
        tx: log.transactionHash,
        address: log.address,
        topics: log.topics,
        data: log.data,
      }))
    } catch (error) {
      if (error instanceof RpcRefusal) return undefined // the block is gone, or the answer would be too long
      throw error
    }
  }
  return {
    chainId: rpc.chainId,
    head: (signal) => rpc.request(blockSchema, 'eth_getBlockByNumber', ['latest', false], signal),
    async block(at, signal) {
      return (await rpc.request(blockSchema.nullable(), 'eth_getBlockByNumber', [hex(at), false], signal)) ?? undefined
    },
    async logsOf(block, signal) {
      const found = await logs({ blockHash: block.hash }, signal)
      return found?.every(({ blockHash }) => blockHash === block.hash) ? found : undefined
    },
    logsIn: (from, to, signal) => logs({ fromBlock: hex(from), toBlock: hex(to) }, signal),
  }
}

const hex = (at: number): Hex => `0x${at.toString(16)}`
