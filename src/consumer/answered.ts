/**
 * Destinations that answered of late through an exit. A flow to one of them need not wait for `opened`: the application is answered at once and
 * its first words travel with the request, which saves a round trip. Should the destination fail after all the flow is reset, as it would be had
 * it failed a moment later.
 */
import type { Duplex } from 'node:stream'
import type { Hex } from '../protocol/bytes.ts'
import type { Clock } from '../protocol/clock.ts'
import type { Destination } from '../protocol/destination.ts'

/** Longer than people read a page, shorter than it takes to forget that a server went away. */
const REMEMBERED_MS = 300_000
const MAX_REMEMBERED = 4_096

export class Answered {
  readonly #clock: Clock
  readonly #at = new Map<string, number>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  has(exit: Hex, destination: Destination): boolean {
    const at = this.#at.get(keyOf(exit, destination))
    return at !== undefined && this.#clock.nowMs() - at < REMEMBERED_MS
  }

  /** The flow was opened, or will be if it was before: remembered until one fails. */
  watch(exit: Hex, destination: Destination, stream?: Duplex): void {
    const key = keyOf(exit, destination)
    this.#at.delete(key)
    this.#at.set(key, this.#clock.nowMs())
    if (this.#at.size > MAX_REMEMBERED) this.#at.delete(this.#at.keys().next().value!)
    stream?.once('error', () => this.#at.delete(key))
  }

  /** The destination did not answer this time. */
  forget(exit: Hex, destination: Destination): void {
    this.#at.delete(keyOf(exit, destination))
  }
}

const keyOf = (exit: Hex, { host, port }: Destination) => `${exit} ${host} ${port}`
