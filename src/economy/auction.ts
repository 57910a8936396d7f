/**
 * The burn auction and the usage mint: the same integers as DutchPrice.sol, BurnAuction.sol and UsageMint.sol.
 *
 * Time is in seconds; dollars and WAY in their smallest units; a price is WAY for one unit of the dollar.
 */

const LOTS = 12n
const WHOLE = 10_000n

export const fallen = (start: bigint, elapsed: bigint, halfLife: bigint): bigint => {
  const halvings = elapsed / halfLife
  if (halvings >= 128n) return 1n
  const price = ((start * (2n * halfLife - (elapsed % halfLife))) / (2n * halfLife)) >> halvings
  return price === 0n ? 1n : price
}

export const risen = (price: bigint, sold: bigint, lot: bigint): bigint => price + (price * sold + lot - 1n) / lot

export const remembered = (before: bigint, price: bigint, sold: bigint, lot: bigint): bigint => (before * (lot - sold) + price * sold) / lot

interface Vintage {
  readonly epoch: bigint
  unsold: bigint
  burnt: bigint
}

export interface AuctionTerms {
  readonly start: bigint
  readonly epoch: bigint
  readonly halfLife: bigint
  readonly minLot: bigint
  readonly firstPrice: bigint
}

/** One auction; the caller says what time it is. */
export class Auction {
  readonly #terms: AuctionTerms
  readonly #queue: Vintage[] = []
  #head = 0
  #soldOutAt = 0n
  #ask: { start: bigint; since: bigint; lot: bigint; place: number } | undefined
  remembered: bigint

  constructor(terms: AuctionTerms) {
    this.#terms = terms
    this.remembered = terms.firstPrice
  }

  epochAt(nowS: bigint): bigint {
    return nowS < this.#terms.start ? 0n : (nowS - this.#terms.start) / this.#terms.epoch
  }

  add(epoch: bigint, dollars: bigint): void {
    if (dollars === 0n) return
    if (this.#queue.at(-1)?.epoch !== epoch) this.#queue.push({ epoch, unsold: 0n, burnt: 0n })
    this.#queue.at(-1)!.unsold += dollars
  }

  /** Dollars left and WAY burnt of an epoch. */
  vintage(epoch: bigint): { unsold: bigint; burnt: bigint } {
    return this.#queue.find((vintage) => vintage.epoch === epoch) ?? { unsold: 0n, burnt: 0n }
  }

  /** Undefined when nothing is on sale. `lot` is the whole lot, of which no more than `unsold` can be had. */
  offer(nowS: bigint): { epoch: bigint; price: bigint; lot: bigint; unsold: bigint } | undefined {
    const vintage = this.#queue[this.#head]
    if (vintage === undefined) return undefined
    const { start, epoch: length, halfLife, minLot } = this.#terms
    const ended = start + (vintage.epoch + 1n) * length
    const opened = ended > this.#soldOutAt ? ended : this.#soldOutAt
    if (nowS < opened) return undefined
    const begun = this.#ask?.place === this.#head ? this.#ask : undefined
    const twelfth = vintage.unsold / LOTS
    const { start: asked, since, lot } = begun ?? { start: 2n * this.remembered, since: opened, lot: twelfth > minLot ? twelfth : minLot }
    return { epoch: vintage.epoch, price: fallen(asked, nowS - since, halfLife), lot, unsold: vintage.unsold }
  }

  /** Buys up to `dollars`; zeros when nothing is on sale. */
  buy(nowS: bigint, dollars: bigint): { sold: bigint; cost: bigint } {
    const offer = this.offer(nowS)
    if (offer === undefined) return { sold: 0n, cost: 0n }
    const { price, lot, unsold } = offer
    const sold = [dollars, lot, unsold].reduce((a, b) => (a < b ? a : b))
    if (sold === 0n) return { sold, cost: 0n }
    const vintage = this.#queue[this.#head]!
    vintage.unsold -= sold
    vintage.burnt += sold * price
    this.remembered = remembered(this.remembered, price, sold, lot)
    this.#ask = { start: risen(price, sold, lot), since: nowS, lot, place: this.#head }
    if (sold === unsold) {
      this.#head++
      this.#soldOutAt = nowS
    }
    return { sold, cost: sold * price }
  }
}

/** What of the `burnt` WAY of an epoch is minted for `own` of its `all` dollars; `remint` in hundredths of a percent. */
export const usageMint = (burnt: bigint, remint: bigint, own: bigint, all: bigint): bigint =>
  all === 0n ? 0n : (((burnt * remint) / WHOLE) * own) / all
