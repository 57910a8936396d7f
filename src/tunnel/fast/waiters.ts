/**
 * Flows of one session that wait for room in its meter, in order.
 *
 * The rule it keeps: when there is room again each has its turn, behind whatever else the thread has to do, and whoever moved something goes
 * behind those that found nothing left.
 */
import type { Loop, Task } from './loop.ts'
import type { Meter } from './meter.ts'

/** What waits. */
export interface Waiter extends Task {
  /** Grows with what it moves. */
  readonly progress: number
}

export class Waiters {
  #waiting = new Set<Waiter>()
  /** Those that had something when they were last woken. */
  #behind = new Set<Waiter>()
  /** How far each was when it was last woken. */
  #woken = new Map<Waiter, number>()
  readonly #meter: Meter
  readonly #loop: Pick<Loop, 'again'>
  readonly #onStopped: () => void

  /** `onStopped`: the first of them waits. */
  constructor(meter: Meter, loop: Pick<Loop, 'again'>, onStopped: () => void = () => {}) {
    this.#meter = meter
    this.#loop = loop
    this.#onStopped = onStopped
  }

  /**
   * Until there is room for `bytes`, then it runs; also when that came in this moment, which nobody would tell again. It may wait for both of its
   * directions: whatever it waits for, it tries all of it when it runs.
   */
  wait(waiter: Waiter, bytes: number): void {
    const hadSome = waiter.progress > (this.#woken.get(waiter) ?? Number.POSITIVE_INFINITY)
    this.#waiting.delete(waiter)
    this.#behind.delete(waiter)
    const first = this.#waiting.size + this.#behind.size === 0
    ;(hadSome ? this.#behind : this.#waiting).add(waiter)
    this.#meter.setWaiting(true)
    if (this.#meter.room(bytes) < bytes) {
      if (first) this.#onStopped()
      return
    }
    this.#leave(waiter)
    this.#loop.again(waiter)
  }

  /** It waits no more, and will not again. */
  delete(waiter: Waiter): void {
    this.#woken.delete(waiter)
    this.#leave(waiter)
  }

  #leave(waiter: Waiter): void {
    const waited = this.#waiting.delete(waiter) || this.#behind.delete(waiter)
    if (waited && this.#waiting.size + this.#behind.size === 0) this.#meter.setWaiting(false)
  }

  /** There may be room: each that waited tries again in its turn, first come first. */
  wake(): void {
    const order = [...this.#waiting, ...this.#behind]
    this.#waiting = new Set()
    this.#behind = new Set()
    this.#woken = new Map(order.map((waiter) => [waiter, waiter.progress]))
    this.#meter.setWaiting(false)
    for (const waiter of order) this.#loop.again(waiter)
  }
}
