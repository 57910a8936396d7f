/** Attempts to carry flows on over another link: a few at a time, in a hurry when a way comes back, none once the session is over. */
import { pause } from './pause.ts'

/** When a thousand flows lose their links at once, the others wait their turn. */
const MAX_AT_ONCE = 16

/** Nobody looks for a way for so long: by then the session found one or is over. */
const MOST_HELD_MS = 600_000

export class Attempts {
  readonly #closing = new AbortController()
  #hurry = new AbortController()
  #running = 0
  #held = false
  readonly #queue: (() => void)[] = []

  /** Aborted when the session is over. */
  get closed(): AbortSignal {
    return this.#closing.signal
  }

  /** For one attempt: aborted too when it goes a way that is dead while there is another again. */
  signal(): AbortSignal {
    return AbortSignal.any([this.#closing.signal, this.#hurry.signal])
  }

  /** Runs when its turn comes and attempts are not held back. */
  async inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running >= MAX_AT_ONCE) await new Promise<void>((resolve) => this.#queue.push(resolve))
    else this.#running++
    try {
      // Asked last: many may have waited for their turns when the way turned out to be dead.
      if (this.#held) await this.pause(0)
      return await work()
    } finally {
      const next = this.#queue.shift()
      if (next === undefined) this.#running--
      else next()
    }
  }

  /** Between two attempts; ends early with {@link hurry} and {@link close}, and lasts until one of them while attempts are held back. */
  pause(ms: number): Promise<void> {
    return pause(this.#held ? MOST_HELD_MS : ms, this.signal())
  }

  /** The session looks for a way itself: what finds none for one flow finds none for a thousand. */
  hold(): void {
    this.#held = true
  }

  /** There is a way again: whoever waits for a pause or a dead way tries at once. */
  hurry(): void {
    this.#held = false
    this.#hurry.abort()
    this.#hurry = new AbortController()
  }

  close(): void {
    this.#closing.abort()
  }
}
