/**
 * Notices that bytes stand still on their way: the provider says that it put them on its links, its control link lives, and yet they do not
 * arrive. A hop that holds back what it carries looks like this, and so does a connection that a router forgot.
 */

import type { Purse } from '../protocol/purse.ts'

/** Longer than a lost packet delays those behind it on a line that works. */
const STILL_MS = 3_000
/** New links may not help, when the reason lies elsewhere. */
const STILL_LIMIT_MS = 48_000

export class Stalls {
  /** The provider's last count of downloads, in this session. */
  stated = 0n
  #received = -1n
  #sinceMs = 0
  #patienceMs = STILL_MS

  /** Looked at now and then. True when the links should be replaced: bytes are under way, and none came for a while. */
  look(nowMs: number, purse: Pick<Purse, 'received' | 'disputedDown' | 'discarding'>): boolean {
    const received = purse.received + purse.disputedDown + purse.discarding
    const { stated } = this
    if (received !== this.#received || stated <= received) {
      // Only what arrives says that all is well again: silence between two questions does not.
      if (received !== this.#received) this.#patienceMs = STILL_MS
      this.#received = received
      this.#sinceMs = nowMs
      return false
    }
    if (nowMs - this.#sinceMs < this.#patienceMs) return false
    this.#sinceMs = nowMs
    this.#patienceMs = Math.min(this.#patienceMs * 2, STILL_LIMIT_MS)
    return true
  }
}
