/** What a flow keeps until the other end acknowledges it: large pieces where they were read, small ones copied so that they cost what they hold. */
import { ASKS, LEAST_SHARE_BYTES, LEAST_UNACKED_BYTES, MOST_KEPT_BYTES, shareOf } from '../../protocol/flow.ts'
import { FRAME_HEADER_BYTES } from '../../protocol/messages.ts'
import { Inflight } from '../inflight.ts'
import type { Pool } from './memory.ts'
import type { Memory } from './native.ts'

/** Below this a copy is cheaper than a whole piece of memory that waits for an acknowledgement. */
const COPIED_BYTES = 8_192

/** How much the flows of a session keep together. */
export class KeptBudget {
  used = 0
  readonly #meter: { readonly window: number }

  /** Of the session's meter: at a provider it says how much of the session may be unpaid. */
  constructor(meter: { readonly window: number }) {
    this.#meter = meter
  }

  /** What one flow may keep where `others` keep so much. */
  share(others: number): number {
    const { window } = this.#meter
    return window === 0 ? Number.POSITIVE_INFINITY : shareOf(window, others)
  }
}

interface Kept {
  /** Undefined: copied. */
  memory: Memory | undefined
  copy: Buffer | undefined
  from: number
  bytes: number
}

export class KeptBytes {
  bytes = 0
  readonly #pool: Pool
  readonly #budget: KeptBudget
  readonly #clock: { readonly nowMs: number }
  readonly #inflight = new Inflight()
  #pieces: Kept[] = []
  #first = 0

  constructor(pool: Pool, budget: KeptBudget, clock: { readonly nowMs: number }) {
    this.#pool = pool
    this.#budget = budget
    this.#clock = clock
  }

  /** Takes over `piece`, whose payload begins behind the room for a frame header. */
  add(piece: Memory, bytes: number): void {
    this.bytes += bytes
    this.#budget.used += bytes
    this.#inflight.sent(this.bytes, this.#clock.nowMs)
    const from = FRAME_HEADER_BYTES
    if (bytes > COPIED_BYTES) {
      this.#pieces.push({ memory: piece, copy: undefined, from, bytes })
      return
    }
    this.#pieces.push({ memory: undefined, copy: Buffer.from(piece.bytes.subarray(from, from + bytes)), from: 0, bytes })
    this.#pool.give(piece)
  }

  /** How much may be kept now. */
  get most(): number {
    const { limit } = this.#inflight
    const most = this.#budget.used >= MOST_KEPT_BYTES ? Math.min(limit, LEAST_UNACKED_BYTES) : limit
    return Math.min(most, this.#budget.share(this.#budget.used - this.bytes))
  }

  /** How much it may keep where others keep nothing, and in how many parts of that the other end is asked what arrived. */
  get aim(): { most: number; asks: number } {
    const { limit } = this.#inflight
    const share = this.#budget.share(0)
    return share < limit ? { most: share, asks: ASKS.inShare } : { most: limit, asks: ASKS.inAll }
  }

  /** What may be added at once, when it is not {@link full}. */
  get room(): number {
    return Math.max(LEAST_SHARE_BYTES, Math.floor(this.most - this.bytes))
  }

  get full(): boolean {
    return this.#inflight.full(this.bytes) || this.bytes >= this.most
  }

  release(bytes: number): void {
    // Part of what is kept, so a small integer; the counts of a flow, from which it comes, are none (`NO_BYTES`) and would make these so too.
    let left = bytes | 0
    this.bytes -= left
    this.#budget.used -= left
    this.#inflight.acknowledged(left, this.#clock.nowMs)
    while (left > 0) {
      const piece = this.#pieces[this.#first]!
      if (piece.bytes > left) {
        piece.from += left
        piece.bytes -= left
        return
      }
      left -= piece.bytes
      if (piece.memory !== undefined) this.#pool.give(piece.memory)
      this.#first++
    }
    // Amortised: each piece moves once.
    if (this.#first * 2 > this.#pieces.length) {
      this.#pieces = this.#pieces.slice(this.#first)
      this.#first = 0
    }
  }

  /** Each kept piece, oldest first, as memory with room for a frame header in front of `from`. It is valid during the call. */
  visit(visit: (memory: Memory, from: number, bytes: number) => void): void {
    for (let i = this.#first; i < this.#pieces.length; i++) {
      const { memory, copy, from, bytes } = this.#pieces[i]!
      if (memory !== undefined) {
        // What stands in front was acknowledged: the header may go there.
        visit(memory, from, bytes)
        continue
      }
      const piece = this.#pool.take()
      copy!.copy(piece.bytes, FRAME_HEADER_BYTES, from, from + bytes)
      visit(piece, FRAME_HEADER_BYTES, bytes)
      this.#pool.give(piece)
    }
  }

  clear(): void {
    this.release(this.bytes)
  }
}
