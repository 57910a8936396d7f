/**
 * What an operator earned in WAY, told twice: by what contracts say now, and by what their events and the token's say ever happened. `byway verify`
 * compares the two.
 */
import type { Hex } from '../protocol/bytes.ts'
import { burnAuctionAbi, epochRootsAbi, registryAbi, usageMintAbi, wayAbi } from './abi.ts'
import { contractAt } from './calls.ts'
import { BUDGETS, type BudgetKind } from './epochs.ts'
import type { Contracts } from './plan.ts'
import type { Rpc } from './rpc.ts'

/** The lane of dollars in UsageMint. */
const DOLLARS = 0n
const NOBODY: Hex = `0x${'00'.repeat(20)}`
/** What no vote can exceed: nine tenths of what burnt is minted again (UsageMint.REMINT_MAX). */
const REMINT_MAX = 9_000n
const WHOLE = 10_000n

/** Usage of one epoch: what was minted for it, what still can be, and the most that its dollars can have earned. */
export interface UsageEarned {
  epoch: bigint
  minted: bigint
  mintable: bigint
  most: bigint
}

export interface EarnedReader {
  usage(payee: Hex, signal?: AbortSignal): Promise<UsageEarned[]>
  /** WAY that the token created for an address. */
  created(payee: Hex, signal?: AbortSignal): Promise<bigint>
  /** What a root contract paid an operator and its delegators, by its events. */
  paid(kind: BudgetKind, operator: Hex, signal?: AbortSignal): Promise<bigint>
  /** What came to the registry for an operator, by its events. */
  distributed(operator: Hex, signal?: AbortSignal): Promise<bigint>
}

export function createEarnedReader(rpc: Rpc, contracts: Contracts): EarnedReader {
  const usageMint = contractAt(rpc, contracts.usageMint, usageMintAbi)
  const auction = contractAt(rpc, contracts.burnAuction, burnAuctionAbi)
  const way = contractAt(rpc, contracts.way, wayAbi)
  const registry = contractAt(rpc, contracts.registry, registryAbi)
  const roots = { capacity: contracts.capacityRewards, bootstrap: contracts.bootstrapRewards } satisfies Record<BudgetKind, Hex>
  const [capacity, bootstrap] = BUDGETS.map((kind) => contractAt(rpc, roots[kind], epochRootsAbi))
  const sum = <T>(items: readonly T[], of: (item: T) => bigint) => items.reduce((total, item) => total + of(item), 0n)
  return {
    async usage(payee, signal) {
      const [collected, minted] = await Promise.all([
        usageMint.events('Collected', { lane: DOLLARS, payee }, signal),
        usageMint.events('Minted', { lane: DOLLARS, payee }, signal),
      ])
      const epochs = [...new Set(collected.map(({ vintage }) => vintage))]
      return Promise.all(
        epochs.map(async (epoch) => {
          const [[own, all], [, burnt], mintable] = await Promise.all([
            usageMint.read('weightOf', [DOLLARS, epoch, payee], signal),
            auction.read('vintageOf', [epoch], signal),
            usageMint.read('mintable', [DOLLARS, epoch, payee], signal),
          ])
          const most = all === 0n ? 0n : (((burnt * REMINT_MAX) / WHOLE) * own) / all
          const of = minted.filter(({ vintage }) => vintage === epoch)
          return { epoch, minted: sum(of, ({ amount }) => amount), mintable, most }
        }),
      )
    },
    created: async (payee, signal) => sum(await way.events('Transfer', { from: NOBODY, to: payee }, signal), ({ value }) => value),
    paid: async (kind, operator, signal) =>
      sum(await (kind === 'capacity' ? capacity! : bootstrap!).events('Claimed', { operator }, signal), ({ amount }) => amount),
    distributed: async (operator, signal) => sum(await registry.events('Rewarded', { operator }, signal), ({ amount }) => amount),
  }
}
