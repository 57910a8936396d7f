/**
 * Flows that wait for the answer to their request where somebody else could be asked. An answer that takes long makes one doubt that anybody is there;
 * and when the way turns out to be dead, who can ask somebody else does.
 */
import type { CarriedFlow } from './carried-flow.ts'
import type { Loop, Timer } from './loop.ts'

/** A person notices a third of a second. */
const LONG_MS = 200
/** So long a way may be dead before flows end that may have been opened over it: one that was only slow is back by then. */
const STILL_AWAY_MS = 2_000

export interface UnansweredNeeds {
  /** Somebody waits long. */
  onLong(): void
  /** The way is dead; `still`: it has been for a while. */
  onAway(flow: CarriedFlow, still: boolean): void
}

export class Unanswered {
  readonly #loop: Loop
  readonly #needs: UnansweredNeeds
  /** Since when each waits that does not wait long, the oldest first; then those that do. */
  readonly #since = new Map<CarriedFlow, number>()
  readonly #long = new Set<CarriedFlow>()
  #looking: Timer | undefined
  #stillAway: Timer | undefined

  constructor(loop: Loop, needs: UnansweredNeeds) {
    this.#loop = loop
    this.#needs = needs
  }

  /** The way to the other end is dead, as far as is known. */
  get away(): boolean {
    return this.#stillAway !== undefined
  }

  has(flow: CarriedFlow): boolean {
    return this.#since.has(flow) || this.#long.has(flow)
  }

  add(flow: CarriedFlow): void {
    this.#since.set(flow, this.#loop.nowMs)
    this.#looking ??= this.#loop.after(LONG_MS, () => this.#look())
  }

  delete(flow: CarriedFlow): void {
    if (!this.#since.delete(flow)) this.#long.delete(flow)
  }

  #look(): void {
    this.#looking = undefined
    const before = this.#long.size
    for (const [flow, sinceMs] of this.#since) {
      const leftMs = sinceMs + LONG_MS - this.#loop.nowMs
      if (leftMs > 0) {
        this.#looking = this.#loop.after(leftMs, () => this.#look())
        break
      }
      this.#since.delete(flow)
      this.#long.add(flow)
    }
    if (this.#long.size > before) this.#needs.onLong()
  }

  goneAway(): void {
    const tell = (still: boolean) => {
      for (const flow of [...this.#long, ...this.#since.keys()]) this.#needs.onAway(flow, still)
    }
    this.#stillAway ??= this.#loop.after(STILL_AWAY_MS, () => tell(true))
    tell(false)
  }

  back(): void {
    this.#loop.cancel(this.#stillAway)
    this.#stillAway = undefined
  }

  close(): void {
    for (const timer of [this.#looking, this.#stillAway]) this.#loop.cancel(timer)
  }
}
