/** The heartbeat of a session: asks now and then, and notices that nobody answers, which a dead line never tells by itself. */
import type { Clock } from '../protocol/clock.ts'

const PING_EVERY_MS = 5_000
/** Three pings without an answer. */
const SILENCE_LIMIT_MS = 15_000

export class Heartbeat {
  readonly #clock: Clock
  readonly #timer: NodeJS.Timeout
  #lastHeardMs: number

  constructor(clock: Clock, ping: (nonce: bigint) => void, onSilence: () => void) {
    this.#clock = clock
    this.#lastHeardMs = clock.nowMs()
    this.#timer = setInterval(() => {
      const nowMs = clock.nowMs()
      if (nowMs - this.#lastHeardMs > SILENCE_LIMIT_MS) onSilence()
      else ping(BigInt(nowMs))
    }, PING_EVERY_MS)
  }

  /** The other side said something. */
  heard(): void {
    this.#lastHeardMs = this.#clock.nowMs()
  }

  stop(): void {
    clearInterval(this.#timer)
  }
}
