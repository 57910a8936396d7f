/**
 * The gate: holds flows back while their session has no room left, and lets them on in order when a voucher makes some.
 *
 * Waiting costs one pending promise and one held chunk a flow; back-pressure does the rest.
 */
import { BywayError } from '../protocol/errors.ts'
import { type Direction, type Till, takeBytes } from '../protocol/till.ts'

interface Waiter {
  direction: Direction
  bytes: number
  pass(): void
}

export class Gate {
  #till: Till
  readonly #onTake: (direction: Direction, bytes: number) => void
  readonly #waiters = new Set<Waiter>()
  #held = false

  constructor(till: Till, onTake: (direction: Direction, bytes: number) => void) {
    this.#till = till
    this.#onTake = onTake
  }

  get waiting(): number {
    return this.#waiters.size
  }

  get held(): boolean {
    return this.#held
  }

  /** Everyone waits until {@link release}. */
  hold(): void {
    this.#held = true
  }

  /** True when the bytes were counted and may go on now; else a promise that resolves when they were. Rejects on abort. */
  take(direction: Direction, bytes: number, signal: AbortSignal): true | Promise<void> {
    // Its flow is over already: nobody would ever take it off the list.
    if (signal.aborted) return Promise.reject(ended())
    // First come, first served: a small chunk must not overtake a large one for ever.
    if (!this.#held && this.#waiters.size === 0 && takeBytes(this.#till, direction, bytes)) {
      this.#onTake(direction, bytes)
      return true
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const given = () => {
      this.#waiters.delete(waiter)
      reject(ended())
      // Whoever waited behind it may have room enough.
      if (!this.#held) this.release()
    }
    const waiter: Waiter = {
      direction,
      bytes,
      pass: () => {
        signal.removeEventListener('abort', given)
        resolve()
      },
    }
    this.#waiters.add(waiter)
    signal.addEventListener('abort', given, { once: true })
    return promise
  }

  /** The till has more room (a voucher came, or the session moved to another channel). */
  release(till: Till = this.#till): void {
    this.#till = till
    this.#held = false
    for (const waiter of this.#waiters) {
      if (!takeBytes(till, waiter.direction, waiter.bytes)) return
      this.#waiters.delete(waiter)
      this.#onTake(waiter.direction, waiter.bytes)
      waiter.pass()
    }
  }
}

const ended = () => new BywayError('CONNECTION_RESET', 'the flow ended while it waited for payment')
