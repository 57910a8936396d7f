/** Who is in the registry and where each says its offer is, followed from block to block. */
import { decodeEventLog, encodeEventTopics } from 'viem/utils'
import { z } from 'zod'
import type { Hex } from '../protocol/bytes.ts'
import { registryAbi } from './abi.ts'
import { lower } from './calls.ts'
import { ROLES } from './registry.ts'
import { type Rpc, RpcRefusal } from './rpc.ts'
import { type Log, logSchema, quantitySchema } from './schemas.ts'

/** Read again each time: a chain that takes back more than this is another chain to us. */
const REREAD_BLOCKS = 64n
/** Public nodes refuse more at a time. */
const WINDOW_BLOCKS = 10_000n

export interface Registered {
  operator: Hex
  nodeKey: Hex
  /** keccak256 of the newest signed offer; all zeros when its operator leaves it to the signature. */
  offerHash: Hex
  /** `host:port` as it was said; undefined when it was not. Anybody may write anything there. */
  endpoint: string | undefined
}

export interface RegistryFeed {
  /** All providers there are; asks only for blocks since the last call that succeeded. RPC_UNREACHABLE leaves what was known as it is. */
  providers(signal?: AbortSignal): Promise<Registered[]>
}

export function followRegistry(rpc: Rpc, registry: Hex): RegistryFeed {
  const profiles = new Map<Hex, { nodeKey: Hex; offerHash: Hex; provides: boolean }>()
  const endpoints = new Map<Hex, string>()
  let readTo = -1n

  const topics = [(['ProfileSet', 'EndpointSet'] as const).map((eventName) => encodeEventTopics({ abi: registryAbi, eventName })[0]!)]
  const logsFrom = (from: bigint, to: bigint, signal?: AbortSignal): Promise<Log[]> => {
    const filter = { address: registry, topics, fromBlock: `0x${from.toString(16)}`, toBlock: `0x${to.toString(16)}` }
    return rpc.request(z.array(logSchema), 'eth_getLogs', [filter], signal)
  }

  function apply({ topics: said, data }: Log): void {
    try {
      const event = decodeEventLog({ abi: registryAbi, topics: said as [Hex, ...Hex[]], data, strict: true })
      if (event.eventName === 'ProfileSet') {
        const { nodeKey, offerHash, role } = event.args.profile
        const provides = ROLES[role] === 'provider' || ROLES[role] === 'both'
        profiles.set(lower(event.args.operator), { nodeKey: lower(nodeKey), offerHash: lower(offerHash), provides })
      } else if (event.eventName === 'EndpointSet') endpoints.set(lower(event.args.operator), event.args.endpoint)
    } catch {
      // Not an event of this interface: nothing that we could say.
    }
  }

  return {
    async providers(signal) {
      const head = await rpc.request(quantitySchema, 'eth_blockNumber', [], signal)
      let from = readTo < REREAD_BLOCKS ? 0n : readTo - REREAD_BLOCKS
      let logs: Log[] | undefined
      try {
        logs = await logsFrom(from, head, signal)
      } catch (error) {
        if (!(error instanceof RpcRefusal)) throw error
      }
      if (logs === undefined) {
        // Too much at a time: window by window, all or nothing.
        logs = []
        for (; from <= head; from += WINDOW_BLOCKS) {
          const to = from + WINDOW_BLOCKS - 1n
          logs.push(...(await logsFrom(from, to < head ? to : head, signal)))
        }
      }
      for (const log of logs) apply(log)
      readTo = head
      return [...profiles].flatMap(([operator, { provides, nodeKey, offerHash }]) =>
        provides ? [{ operator, nodeKey, offerHash, endpoint: endpoints.get(operator) }] : [],
      )
    },
  }
}
