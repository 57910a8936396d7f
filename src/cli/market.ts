/** The market maker of the local exchange: what claims leave to burn is bought, burnt, and minted again in part, while `npm start` runs. */
import { type Contracts, makeMarket, type Rpc } from '../chain/index.ts'
import type { Hex } from '../protocol/bytes.ts'
import type { Output } from './output.ts'

/** A third of a devnet epoch: looks often enough to sell an epoch's dollars within the next one or two. */
const ROUND_MS = 20_000

export interface Market {
  /** Ends after the round under way, which it interrupts. */
  stop(): Promise<void>
}

/** Makes the market for the claims of `payees`, which may change. A round that fails is told to programs and tried again. */
export function keepMarket(rpc: Rpc, contracts: Contracts, payees: () => readonly Hex[], output: Output): Market {
  const ending = new AbortController()
  let round = Promise.resolve()
  const timer = setInterval(() => {
    round = round.then(async () => {
      if (ending.signal.aborted) return
      try {
        const { collected, sold, burnt, minted } = await makeMarket(rpc, contracts, payees(), ending.signal)
        if (collected + sold > 0n) output.event('market', { collected, sold, burnt, minted })
      } catch (error) {
        if (!ending.signal.aborted) output.event('market', { failed: error instanceof Error ? error.message : String(error) })
      }
    })
  }, ROUND_MS)
  return {
    async stop() {
      clearInterval(timer)
      ending.abort()
      await round
    },
  }
}
