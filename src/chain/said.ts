/** What contracts said about operators, followed from block to block, with the times of its blocks: what scores are computed from. */
import { type Block, blocksOf } from './blocks.ts'
import { type ChainEvent, type ChainLog, eventReader, type NamedContracts } from './events.ts'
import type { Rpc } from './rpc.ts'

/** Read again each time: a chain that takes back more than this is another chain to us. */
const REREAD_BLOCKS = 64
/** Public nodes refuse more at a time. */
const WINDOW_BLOCKS = 10_000
/** Times asked for at a time, of nodes that do not tell them with their logs. */
const AT_ONCE = 8

export interface TimedEvent extends ChainEvent {
  readonly timeS: number
}

export interface SaidFeed {
  /** All there is, in the order of the chain; asks only for blocks since the last call that succeeded. RPC_UNREACHABLE leaves what was known as it is. */
  events(signal?: AbortSignal): Promise<readonly TimedEvent[]>
}

export function followSaid(rpc: Rpc, contracts: NamedContracts): SaidFeed {
  const source = blocksOf(rpc, Object.values(contracts))
  const read = eventReader(contracts)
  let known: TimedEvent[] = []
  let readTo = -1

  /** A node that refuses all blocks at once is asked window by window; one that refuses those tells nothing of them. */
  async function logsIn(from: number, to: number, signal?: AbortSignal): Promise<ChainLog[]> {
    const all = await source.logsIn(from, to, signal)
    if (all !== undefined) return all
    const logs: ChainLog[] = []
    for (let at = from; at <= to; at += WINDOW_BLOCKS) {
      logs.push(...((await source.logsIn(at, Math.min(to, at + WINDOW_BLOCKS - 1), signal)) ?? []))
    }
    return logs
  }

  async function timesOf(blocks: readonly number[], signal?: AbortSignal): Promise<Map<number, number>> {
    const times = new Map<number, number>()
    const queue = [...blocks]
    const worker = async () => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        const block: Block | undefined = await source.block(next, signal)
        if (block !== undefined) times.set(next, block.timeS)
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, worker))
    return times
  }

  return {
    async events(signal) {
      const head = await source.head(signal)
      const from = Math.max(0, readTo - REREAD_BLOCKS + 1)
      const found = (await logsIn(from, head.number, signal)).map(read).filter((event) => event !== undefined)
      const times = await timesOf([...new Set(found.filter(({ timeS }) => timeS === undefined).map(({ block }) => block))], signal)
      // A block that is gone since was taken back, and what it said with it.
      const timed = found.flatMap((event) => {
        const timeS = event.timeS ?? times.get(event.block)
        return timeS === undefined ? [] : [{ ...event, timeS }]
      })
      known = [...known.filter(({ block }) => block < from), ...timed.sort((a, b) => a.block - b.block || a.index - b.index)]
      readTo = head.number
      return known
    },
  }
}
