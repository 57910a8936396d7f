/**
 * A budget for what nobody asked for: attempts to find a way back, sessions kept in reserve. A line that is dead, or a provider that is, must not
 * be answered with a flood; in an hour all of them together cost less than a megabyte.
 */
import type { Clock } from '../protocol/clock.ts'
import { pause } from './pause.ts'

/** So much at once: sixteen handshakes, or each of a hundred and sixty sessions one attempt that gets no answer. */
const BURST_BYTES = 64 * 1024
/** And so much after: 0.9 MB an hour. */
const BYTES_PER_S = 256

/** An attempt that meets nobody: the packets that ask for a connection. */
export const RETRY_BYTES = 400
/** A handshake and what opens a session. */
export const SESSION_BYTES = 4_096

export class Budget {
  readonly #clock: Clock
  readonly #bytesPerS: number
  #left = BURST_BYTES
  #atMs: number
  #turn: Promise<void> = Promise.resolve()

  constructor(clock: Clock, bytesPerS = BYTES_PER_S) {
    this.#clock = clock
    this.#bytesPerS = bytesPerS
    this.#atMs = clock.nowMs()
  }

  #refill(): void {
    const nowMs = this.#clock.nowMs()
    this.#left = Math.min(BURST_BYTES, this.#left + (Math.max(0, nowMs - this.#atMs) / 1000) * this.#bytesPerS)
    this.#atMs = nowMs
  }

  /** Spends it if it is there. */
  spend(bytes: number): boolean {
    this.#refill()
    if (this.#left < bytes) return false
    this.#left -= bytes
    return true
  }

  /** Resolves when it is spent, one after the other, or when it is over. */
  take(bytes: number, signal: AbortSignal): Promise<void> {
    const mine = this.#turn.then(async () => {
      while (!signal.aborted && !this.spend(bytes)) await pause(((bytes - this.#left) / this.#bytesPerS) * 1000, signal)
    })
    this.#turn = mine
    return mine
  }
}
