/**
 * Spares: a session kept open with the next best exit, so that the death of the one in use costs a round trip and not an opening.
 *
 * It carries nothing, so it costs a ping now and then. None is opened that would lock a deposit, and none that exceeds the budget for what nobody
 * asked for.
 */
import type { Hex } from '../protocol/bytes.ts'
import type { Clock } from '../protocol/clock.ts'
import type { SignedOffer } from '../protocol/offer.ts'
import { SESSION_BYTES } from './budget.ts'
import type { Place } from './places.ts'
import type { Sessions } from './sessions.ts'

/** After one could not be opened others wait: whatever is wrong is not over in a moment. */
const AGAIN_MS = 10_000

export class Spares {
  readonly #sessions: Sessions
  readonly #clock: Clock
  readonly #onFailed: (nodeKey: Hex, thrown: unknown) => void
  #opening = false
  #againAtMs = 0

  constructor(sessions: Sessions, clock: Clock, onFailed: (nodeKey: Hex, thrown: unknown) => void) {
    this.#sessions = sessions
    this.#clock = clock
    this.#onFailed = onFailed
  }

  /** One of these, best first, should stand open: the one in use may die. */
  want(place: Place, others: readonly SignedOffer[]): void {
    if (this.#opening || others.some(({ body }) => this.#sessions.stands(place, body.nodeKey)) || this.#clock.nowMs() < this.#againAtMs)
      return
    this.#opening = true
    void this.#open(place, others).finally(() => {
      this.#opening = false
    })
  }

  async #open(place: Place, others: readonly SignedOffer[]): Promise<void> {
    for (const offer of others) {
      if (this.#sessions.holds(place, offer.body.nodeKey) || !(await this.#sessions.pays(place, offer))) continue
      if (this.#sessions.closing || !this.#sessions.budget.spend(SESSION_BYTES)) break
      try {
        await this.#sessions.with(place, offer)
        return
      } catch (thrown) {
        this.#onFailed(offer.body.nodeKey, thrown)
        break
      }
    }
    this.#againAtMs = this.#clock.nowMs() + AGAIN_MS
  }
}
