/**
 * A ranking: the slots of one kind of group (country, ASN, ...) one group after the other, and in each the best offer first.
 *
 * It is a list of blocks of at most 256 slots. A block says what the best of each merit in it is, so that a query passes over blocks in which
 * nothing can match. To find the place of a slot takes two binary searches, over the blocks and in one.
 */
import type { Columns } from './columns.ts'

const BLOCK = 256
const FIRST_ROOM = 8
/** What an engine spends on the objects of a block. */
const BLOCK_OVERHEAD_BYTES = 200

/** The columns that tell groups apart. */
export type Group = 'country' | 'region' | 'city' | 'asn'

/** What a query asks that columns can tell. */
export interface Limits {
  readonly mostPrice: number
  readonly leastMbps: number
  readonly leastScore: number
  /** One of these kinds of line, and all of these other traits. */
  readonly lines: number
  readonly traits: number
  /** No match can be worse than this. */
  readonly leastUtility: number
}

interface Block {
  slots: Uint32Array
  size: number
  /** Of all in it, or better: what leaves does not make it worse at once. */
  leastPrice: number
  mostMbps: number
  mostScore: number
  traits: number
  /** How many left since it was summed up. */
  left: number
}

const NOTHING = { leastPrice: Number.POSITIVE_INFINITY, mostMbps: 0, mostScore: 0, traits: 0, left: 0 }
const newBlock = (room: number, size: number): Block => ({ slots: new Uint32Array(room), size, ...NOTHING })

export class Ranking {
  readonly #columns: Columns
  readonly #by: Group | undefined
  readonly #blocks: Block[] = []

  /** `by` names the column that tells groups apart; without, all are group 1. A group of 0 is not stated, and not kept. */
  constructor(columns: Columns, by?: Group) {
    this.#columns = columns
    this.#by = by
  }

  get bytes(): number {
    return this.#blocks.reduce((sum, { slots }) => sum + slots.byteLength + BLOCK_OVERHEAD_BYTES, 0)
  }

  #groupOf(slot: number): number {
    return this.#by === undefined ? 1 : this.#columns[this.#by][slot]!
  }

  /** Whether a slot comes before the place of (group, utility, other). A search asks often, so what it looks at is found once. */
  #order(group: number, utility: number, other: number): (slot: number) => boolean {
    const groups = this.#by === undefined ? undefined : this.#columns[this.#by]
    const utilities = this.#columns.utility
    return (slot) => {
      if (groups !== undefined && groups[slot]! !== group) return groups[slot]! < group
      const better = utilities[slot]! - utility
      return better !== 0 ? better > 0 : slot < other
    }
  }

  /** The block such a place is in: the last that begins before it. */
  #blockFor(before: (slot: number) => boolean): number {
    let [low, high] = [0, this.#blocks.length - 1]
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if (before(this.#blocks[middle]!.slots[0]!)) low = middle
      else high = middle - 1
    }
    return low
  }

  #placeIn({ slots, size }: Block, before: (slot: number) => boolean): number {
    let [low, high] = [0, size]
    while (low < high) {
      const middle = (low + high) >> 1
      if (before(slots[middle]!)) low = middle + 1
      else high = middle
    }
    return low
  }

  /** The columns of the slot are filled in, and do not change until it is removed. */
  add(slot: number): void {
    const group = this.#groupOf(slot)
    if (group === 0) return
    if (this.#blocks.length === 0) this.#blocks.push(newBlock(FIRST_ROOM, 0))
    const before = this.#order(group, this.#columns.utility[slot]!, slot)
    const block = this.#withRoom(this.#blocks[0]!.size === 0 ? 0 : this.#blockFor(before), before)
    const at = this.#placeIn(block, before)
    block.slots.copyWithin(at + 1, at, block.size)
    block.slots[at] = slot
    block.size++
    this.#count(block, slot)
  }

  /** This block, widened, or the half of it in which the place is then. */
  #withRoom(index: number, before: (slot: number) => boolean): Block {
    const block = this.#blocks[index]!
    if (block.size < block.slots.length) return block
    if (block.size < BLOCK) {
      const { slots } = block
      block.slots = new Uint32Array(Math.min(BLOCK, slots.length * 2))
      block.slots.set(slots)
      return block
    }
    const second = newBlock(BLOCK, BLOCK / 2)
    second.slots.set(block.slots.subarray(BLOCK / 2))
    block.size = BLOCK / 2
    this.#blocks.splice(index + 1, 0, second)
    this.#sumUp(block)
    this.#sumUp(second)
    return before(second.slots[0]!) ? second : block
  }

  remove(slot: number): void {
    const group = this.#groupOf(slot)
    if (group === 0) return
    const before = this.#order(group, this.#columns.utility[slot]!, slot)
    let index = this.#blockFor(before)
    if (this.#blocks[index + 1]?.slots[0] === slot) index++
    const block = this.#blocks[index]!
    const at = this.#placeIn(block, before)
    block.slots.copyWithin(at, at + 1, block.size)
    block.size--
    const next = this.#blocks[index + 1]
    if (block.size === 0) this.#blocks.splice(index, 1)
    else if (next !== undefined && block.size + next.size <= BLOCK / 2) this.#join(index, block, next)
    else if (++block.left * 4 > block.size) this.#sumUp(block)
  }

  #join(index: number, block: Block, next: Block): void {
    const joined = newBlock(BLOCK, block.size + next.size)
    joined.slots.set(block.slots.subarray(0, block.size))
    joined.slots.set(next.slots.subarray(0, next.size), block.size)
    this.#sumUp(joined)
    this.#blocks.splice(index, 2, joined)
  }

  #sumUp(block: Block): void {
    Object.assign(block, NOTHING)
    for (let at = 0; at < block.size; at++) this.#count(block, block.slots[at]!)
  }

  #count(block: Block, slot: number): void {
    const { price, mbps, score, traits } = this.#columns
    if (price[slot]! < block.leastPrice) block.leastPrice = price[slot]!
    if (mbps[slot]! > block.mostMbps) block.mostMbps = mbps[slot]!
    if (score[slot]! > block.mostScore) block.mostScore = score[slot]!
    block.traits |= traits[slot]!
  }

  /** About how many slots a group has: as many as its blocks could hold. */
  roomOf(group: number): number {
    if (this.#blocks.length === 0) return 0
    const last = this.#blockFor(this.#order(group, Number.NEGATIVE_INFINITY, 0))
    return (last - this.#blockFor(this.#order(group, Number.POSITIVE_INFINITY, 0)) + 1) * BLOCK
  }

  /** Calls `take` with the slots of a group that are within the limits, the best first, until it says true or there are no more. */
  scan(group: number, limits: Limits, take: (slot: number) => boolean): void {
    if (this.#blocks.length === 0) return
    const { price, mbps, score, traits, utility } = this.#columns
    const groups = this.#by === undefined ? undefined : this.#columns[this.#by]
    const { mostPrice, leastMbps, leastScore, lines } = limits
    const first = this.#order(group, Number.POSITIVE_INFINITY, 0)
    let index = this.#blockFor(first)
    let at = this.#placeIn(this.#blocks[index]!, first)
    for (; index < this.#blocks.length; index++, at = 0) {
      const block = this.#blocks[index]!
      if (at === block.size) continue
      const best = block.slots[at]!
      if (this.#groupOf(best) !== group || utility[best]! < limits.leastUtility) return
      if (block.leastPrice > mostPrice || block.mostMbps < leastMbps || block.mostScore < leastScore) continue
      if ((block.traits & lines) === 0 || (block.traits & limits.traits) !== limits.traits) continue
      for (; at < block.size; at++) {
        const slot = block.slots[at]!
        if (groups !== undefined && groups[slot] !== group) return
        if (price[slot]! > mostPrice || mbps[slot]! < leastMbps || score[slot]! < leastScore) continue
        if ((traits[slot]! & lines) === 0 || (traits[slot]! & limits.traits) !== limits.traits) continue
        if (take(slot)) return
      }
    }
  }
}
