/**
 * Payload that waits for whoever takes it, where its link opened it: places in one piece of memory, taken from the front. What waits long may move to
 * memory of its own size.
 */
import type { Vector } from './memory.ts'
import type { Memory } from './native.ts'

export class Inbox {
  memory: Memory
  /** What is left. */
  bytes: number
  /** The memory is nobody else's. */
  moved = false
  /** Pairs of place and length; those before `#at` are taken. */
  #places: number[]
  #at = 0

  constructor(memory: Memory, places: number[], bytes: number) {
    this.memory = memory
    this.bytes = bytes
    this.#places = places
  }

  /** Adds its first `most` bytes, as far as there is room for their places. */
  addTo(vector: Vector, most: number): void {
    for (let i = this.#at; i < this.#places.length && vector.bytes < most && !vector.full; i += 2) {
      vector.add(this.memory.address + BigInt(this.#places[i]!), Math.min(this.#places[i + 1]!, most - vector.bytes))
    }
  }

  /** What is left goes to `memory`, which has room for it; where it was is free. */
  moveTo(memory: Memory): void {
    const { bytes } = this
    this.copyTo(memory, 0, bytes)
    this.memory = memory
    this.bytes = bytes
    this.#places = [0, bytes]
    this.#at = 0
    this.moved = true
  }

  /** What is left, and `more` behind it, go to `target`, which has room for both. */
  append(more: Inbox, target: Memory): void {
    const bytes = this.bytes + more.bytes
    more.copyTo(target, this.copyTo(target, 0, this.bytes), more.bytes)
    this.memory = target
    this.bytes = bytes
    this.#places = [0, bytes]
    this.#at = 0
    this.moved = true
  }

  /** Moves its first bytes to `at`, at most so many. Returns how many. */
  copyTo(target: Memory, at: number, most: number): number {
    let done = 0
    for (let i = this.#at; i < this.#places.length && done < most; i += 2) {
      const from = this.#places[i]!
      const bytes = Math.min(this.#places[i + 1]!, most - done)
      this.memory.bytes.copy(target.bytes, at + done, from, from + bytes)
      done += bytes
    }
    this.drop(done)
    return done
  }

  /** Its first bytes are taken. */
  drop(bytes: number): void {
    this.bytes -= bytes
    for (let left = bytes; left > 0; ) {
      const length = this.#places[this.#at + 1]!
      if (length > left) {
        this.#places[this.#at]! += left
        this.#places[this.#at + 1]! -= left
        return
      }
      left -= length
      this.#at += 2
    }
  }
}
