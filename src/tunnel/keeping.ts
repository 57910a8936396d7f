/** What a flow keeps until the other end acknowledges it, in the chunks it came in: nothing is copied but crumbs. */
import { LEAST_UNACKED_BYTES, MAX_UNACKED_BYTES, MOST_KEPT_BYTES } from '../protocol/flow.ts'

/**
 * How much all flows of a session keep together. When it is used up each flow may still keep its least, so none stands still because
 * others do not acknowledge.
 */
export class KeepingBudget {
  #used = 0
  readonly #limit: number
  readonly #within: KeepingBudget | undefined

  /** `within` is shared by many sessions: what is used here is used there too. */
  constructor(limit = MOST_KEPT_BYTES, within?: KeepingBudget) {
    this.#limit = limit
    this.#within = within
  }

  get used(): number {
    return this.#used
  }

  get exhausted(): boolean {
    return this.#used >= this.#limit || (this.#within?.exhausted ?? false)
  }

  /** Negative bytes are given back. */
  use(bytes: number): void {
    this.#used += bytes
    this.#within?.use(bytes)
  }
}

/** Below this a chunk costs about as much again in bookkeeping: somebody who writes byte by byte must not cost a hundred times as much. */
const CRUMB_BYTES = 1_024
/** Crumbs are gathered into blocks of this size. */
const BLOCK_BYTES = 16 * 1_024
const CRUMBS_LEFT_ALONE = 4

export class Keeping {
  bytes = 0
  readonly #budget: KeepingBudget
  #chunks: Buffer[] = []
  /** Chunks before this one are released. */
  #first = 0
  /** The last chunk, when it is a block that has room for more. */
  #block: { memory: Buffer; used: number } | undefined

  constructor(budget: KeepingBudget) {
    this.#budget = budget
  }

  add(chunk: Buffer): void {
    if (chunk.length < CRUMB_BYTES) this.#gather(chunk)
    else {
      this.#chunks.push(chunk)
      this.#block = undefined
    }
    this.bytes += chunk.length
    this.#budget.use(chunk.length)
  }

  #gather(crumb: Buffer): void {
    const { length } = crumb
    const last = this.#chunks.length - 1
    if (this.#block !== undefined && this.#block.used + length <= BLOCK_BYTES && last >= this.#first) {
      const { memory, used } = this.#block
      crumb.copy(memory, used)
      this.#block.used += length
      // Its beginning may be released already.
      this.#chunks[last] = memory.subarray(used - this.#chunks[last]!.length, used + length)
      return
    }
    this.#block = undefined
    // Most flows say a few small things and hear the answer: those are kept as they are.
    if (last - this.#first < CRUMBS_LEFT_ALONE) this.#chunks.push(crumb)
    else {
      const memory = Buffer.allocUnsafeSlow(BLOCK_BYTES)
      crumb.copy(memory)
      this.#block = { memory, used: length }
      this.#chunks.push(memory.subarray(0, length))
    }
  }

  /** How much may be kept now. */
  get most(): number {
    return this.#budget.exhausted ? LEAST_UNACKED_BYTES : MAX_UNACKED_BYTES
  }

  /** Whether no more should be added for now. */
  get full(): boolean {
    return this.bytes >= this.most
  }

  /** The oldest `bytes` need not be kept any more. */
  release(bytes: number): void {
    // A small integer, as in fast/kept.ts.
    let left = bytes | 0
    this.bytes -= left
    this.#budget.use(-left)
    while (left > 0) {
      const chunk = this.#chunks[this.#first]!
      if (chunk.length > left) {
        this.#chunks[this.#first] = chunk.subarray(left)
        break
      }
      left -= chunk.length
      this.#first++
    }
    // Amortised: each chunk moves once.
    if (this.#first > this.#chunks.length / 2) {
      this.#chunks = this.#chunks.slice(this.#first)
      this.#first = 0
    }
  }

  /** Everything kept, oldest first. */
  chunks(): readonly Buffer[] {
    return this.#chunks.slice(this.#first)
  }

  clear(): void {
    this.#block = undefined
    this.#budget.use(-this.bytes)
    this.bytes = 0
    this.#chunks = []
    this.#first = 0
  }
}
