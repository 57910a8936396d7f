/** Formulas without a state, each with random numbers; and the burn auction with its usage mint. */
import { deviationRefund } from '../../src/economy/agreement.ts'
import { Auction, usageMint } from '../../src/economy/auction.ts'
import { demandRatio, regionWeight, smoothed, splitByWeight } from '../../src/economy/multiplier.ts'
import { onUse, upfront } from '../../src/economy/reservation.ts'
import { vaultFlow } from '../../src/economy/vault.ts'
import { refuse, Sequence } from './sequence.ts'

export function formulasSequence(seed: bigint, operations: number): Sequence {
  const sequence = new Sequence(seed)
  const below = (limit: bigint) => sequence.below(limit)
  for (let i = 0; i < operations; i++) {
    sequence.fold(deviationRefund(below(1n << 96n), 1n + below(10_000n), below(10_001n), below(4_000n)))
    const price = below(1n << 64n)
    const percent = 1n + below(100n)
    sequence.fold(upfront(price, percent), onUse(price, percent))
    const old = below(50_000n)
    sequence.fold(smoothed(old, demandRatio(below(1n << 80n), below(1n << 80n), 50_000n)))
    const weights = [0, 1, 2, 3].map(() => regionWeight(10_000n + below(40_001n), below(12n), below(12_000n)))
    sequence.fold(...splitByWeight(below(1n << 90n), weights))
    const books = { subsidised: below(10n ** 12n), returned: 0n }
    const flow = vaultFlow(below(10n ** 12n), below(100n), below(10n ** 10n), books)
    sequence.fold(flow.subsidy, flow.taken)
  }
  return sequence
}

const TERMS = { start: 0n, epoch: 86_400n, halfLife: 3_600n, minLot: 100n, firstPrice: 10n ** 12n }

/** Dollars come from the claims of two providers, time passes, lots are bought, and one of the two asks what it is minted. */
export function auctionSequence(seed: bigint, operations: number): Sequence {
  const sequence = new Sequence(seed)
  const auction = new Auction(TERMS)
  const own = new Map<bigint, bigint>()
  const all = new Map<bigint, bigint>()
  let nowS = 0n
  let [spent, got] = [0n, 0n]
  for (let i = 0; i < operations; i++) {
    const { kind, who, what, amount } = sequence.next(4)
    sequence.attempt(() => {
      switch (kind) {
        case 0: {
          const epoch = auction.epochAt(nowS)
          const dollars = 1n + (amount % 10n ** 9n)
          auction.add(epoch, dollars)
          all.set(epoch, (all.get(epoch) ?? 0n) + dollars)
          if (who % 2 === 0) own.set(epoch, (own.get(epoch) ?? 0n) + dollars)
          return 0n
        }
        case 1:
          nowS += amount % TERMS.epoch
          return 0n
        case 2: {
          const { sold, cost } = auction.buy(nowS, 1n + (amount % 10n ** 8n))
          refuse(sold === 0n)
          spent += cost
          got += sold
          return 0n
        }
        default: {
          const epoch = BigInt(what) % (auction.epochAt(nowS) + 1n)
          return auction.epochAt(nowS) === epoch
            ? 0n
            : usageMint(auction.vintage(epoch).burnt, 9_000n, own.get(epoch) ?? 0n, all.get(epoch) ?? 0n)
        }
      }
    })
    sequence.fold(auction.offer(nowS)?.price ?? 0n, auction.remembered, spent, got)
  }
  return sequence
}
