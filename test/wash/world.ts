/**
 * A few epochs of burn auction and usage mint with one self-dealer in them: what his plan gains him. The auction and the mint are those of
 * src/economy, which the contracts are compared with.
 *
 * How gain is counted. Dollars as they are; WAY at the market's price of the hour in which it is spent or burnt for him, so that a rising or
 * falling WAY, which anybody could have bought, is no part of it. And beside what buying cheaply at auction gives anybody: the same bids
 * with no trade of his own. Gas and the work of carrying are taken as nothing, which favours him.
 */
import { Auction, usageMint } from '../../src/economy/auction.ts'

export const EPOCHS = 4
/** Numbers in [0, 1) that make a plan, in this order; the search knows nothing else about them. */
export const PLAN_LENGTH = 3 * EPOCHS + 5

export interface Rule {
  /** Part of what burnt that is minted again, in hundredths of a percent. */
  readonly remint: bigint
  /** WAY shared by use in each epoch whatever burnt: not a rule of ours, but the one others have. Worth in units of the dollar. */
  readonly schedule: number
}

export const SHIPPED: Rule = { remint: 9_000n, schedule: 0 }

/** What honest providers leave to burn in an epoch: 100,000 dollars. */
const OTHERS = 100_000_000_000n
/** He trades up to a thousand times as much. */
const MOST_DECADES = 6
const LOWEST = 1e8
const TERMS = { start: 0n, epoch: 86_400n, halfLife: 3_600n, minLot: 1_000_000n, firstPrice: 10n ** 12n }
/** How often everybody looks at the auction. */
const LOOK_S = 300n
/** Epochs after the last in which everything sells out. */
const AFTER = 4
const ONE = 1_000_000n

export interface Plan {
  /** Dollars he leaves to burn in each epoch, and over how many payees he spreads them. */
  readonly burn: readonly bigint[]
  readonly payees: number
  /** Part of an epoch's dollars that he holds back until the next, in millionths. */
  readonly later: bigint
  /** WAY for a dollar in each epoch. */
  readonly market: readonly bigint[]
  /** Of the dollars on sale in each epoch he buys so much, in millionths, from so much of the market's price on. */
  readonly bids: readonly bigint[]
  readonly limit: bigint
}

export function planOf(numbers: readonly number[]): Plan {
  const at = (i: number) => numbers[i] ?? 0
  const millionths = (value: number) => BigInt(Math.floor(value * 1e6))
  const epochs = Array.from({ length: EPOCHS }, (_, i) => i)
  const [level, payees, later, limit, size] = [0, 1, 2, 3, 4].map((i) => at(3 * EPOCHS + i)) as [number, number, number, number, number]
  const burnt = (part: number) => (part < 0.1 ? 0n : BigInt(Math.floor(LOWEST * 10 ** (MOST_DECADES * size) * part)))
  const market: number[] = []
  // WAY moves up to tenfold either way from one epoch to the next.
  for (const i of epochs)
    market.push(Math.min(1e16, Math.max(1e8, (market.at(-1) ?? 10 ** (10 + 4 * level)) * 10 ** (2 * at(EPOCHS + i) - 1))))
  return {
    burn: epochs.map((i) => burnt(at(i))),
    payees: 1 + Math.floor(payees * 8),
    later: millionths(later),
    market: market.map((way) => BigInt(Math.floor(way))),
    bids: epochs.map((i) => millionths(at(2 * EPOCHS + i))),
    limit: millionths(3 * limit),
  }
}

/** Units of the dollar that the plan brings beyond the same bids without any trade of his own. */
export const gainOf = (plan: Plan, rule: Rule): number => play(plan, rule) - play({ ...plan, burn: plan.burn.map(() => 0n) }, rule)

/** The same, as a part of what he burns. */
export const returnOf = (plan: Plan, rule: Rule): number => gainOf(plan, rule) / Number(burntBy(plan))
export const burntBy = ({ burn }: Plan): bigint => burn.reduce((sum, dollars) => sum + dollars, 0n)

function play({ burn, payees, later, market, bids, limit }: Plan, rule: Rule): number {
  const auction = new Auction(TERMS)
  /** Collected for him in each epoch: what he held back comes an epoch late. */
  const held = burn.map((dollars) => (dollars * later) / ONE)
  const mine = Array.from({ length: EPOCHS + 1 }, (_, i) => (burn[i] ?? 0n) - (held[i] ?? 0n) + (held[i - 1] ?? 0n))
  /** In millionths of a unit, so that nothing is lost by rounding before the end. */
  let gain = 0n
  const wanted = mine.map((dollars, i) => ((dollars + OTHERS) * (bids[i] ?? 0n)) / ONE)
  /** What burnt for each epoch is worth, at the market of the hour. */
  const worth = mine.map(() => 0n)
  let epoch = -1n
  for (let nowS = 0n; nowS < BigInt(EPOCHS + 1 + AFTER) * TERMS.epoch; nowS += LOOK_S) {
    while (epoch < auction.epochAt(nowS) && epoch + 1n < mine.length) {
      const dollars = mine[Number(++epoch)]!
      auction.add(epoch, OTHERS + dollars)
      gain -= dollars * ONE
    }
    const price = market[Math.min(EPOCHS - 1, Number(auction.epochAt(nowS)))]!
    for (let offer = auction.offer(nowS); offer !== undefined; offer = auction.offer(nowS)) {
      const place = Number(offer.epoch)
      const his = wanted[place]! > 0n && offer.price * ONE <= price * limit
      if (!his && offer.price > price) break
      const { sold, cost } = auction.buy(nowS, his ? wanted[place]! : 10n ** 30n)
      const paid = (cost * ONE) / price
      worth[place]! += paid
      if (!his) continue
      wanted[place]! -= sold
      gain += sold * ONE - paid
    }
  }
  mine.forEach((dollars, i) => {
    const all = OTHERS + dollars
    const burnt = auction.vintage(BigInt(i)).burnt
    if (burnt === 0n) return
    for (let k = 0; k < payees; k++) {
      const own = dollars / BigInt(payees) + (k === 0 ? dollars % BigInt(payees) : 0n)
      // Whole units of WAY as the contract mints them, at what this epoch's WAY was worth when it burnt.
      gain += (usageMint(burnt, rule.remint, own, all) * worth[i]!) / burnt
      gain += (BigInt(Math.floor(rule.schedule)) * ONE * own) / all
    }
  })
  return Number(gain) / Number(ONE)
}
