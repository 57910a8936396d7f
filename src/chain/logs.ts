/** Events of a contract, as far back as the node tells. */
import { z } from 'zod'
import type { Hex } from '../protocol/bytes.ts'
import { type Rpc, RpcRefusal } from './rpc.ts'
import { type Log, logSchema, quantitySchema } from './schemas.ts'

/** Blocks searched when a node refuses to search all: public ones allow ten thousand. */
const WINDOW_BLOCKS = 10_000n

export interface LogFilter {
  address: Hex
  topics: readonly (Hex | Hex[] | null)[]
}

/** Oldest first. Some nodes only know the newest blocks, or nothing: then there is less, or nothing. */
export async function logsOf(rpc: Rpc, filter: LogFilter, signal?: AbortSignal): Promise<Log[]> {
  const search = (fromBlock: bigint) =>
    rpc.request(z.array(logSchema), 'eth_getLogs', [{ ...filter, fromBlock: `0x${fromBlock.toString(16)}`, toBlock: 'latest' }], signal)
  try {
    return await search(0n)
  } catch (error) {
    if (!(error instanceof RpcRefusal)) throw error // public nodes refuse long ranges: search the newest blocks
  }
  const head = await rpc.request(quantitySchema, 'eth_blockNumber', [], signal)
  try {
    return await search(head > WINDOW_BLOCKS ? head - WINDOW_BLOCKS : 0n)
  } catch (error) {
    if (!(error instanceof RpcRefusal)) throw error
    return []
  }
}
