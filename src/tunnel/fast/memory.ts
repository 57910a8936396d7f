/**
 * Memory for bytes under way, used again and again: the piece given back last is given out first, because it is still in the cache.
 *
 * Whoever takes a piece owns it until it gives it back. What is idle is bounded; beyond that pieces are left to the garbage collector.
 */
import type { Memory, Native } from './native.ts'

export class Pool {
  readonly #native: Native
  readonly #size: number
  readonly #most: number
  readonly #free: Memory[] = []

  /** Keeps at most `most` idle pieces of `size` bytes. */
  constructor(native: Native, size: number, most: number) {
    this.#native = native
    this.#size = size
    this.#most = most
  }

  take(): Memory {
    return this.#free.pop() ?? this.#native.allocate(this.#size)
  }

  give(memory: Memory): void {
    if (this.#free.length < this.#most) this.#free.push(memory)
  }
}

/** Pairs of address and length for readv and sendmsg. */
export class Vector {
  readonly memory: Memory
  count = 0
  bytes = 0
  readonly #words: BigUint64Array

  constructor(native: Native, entries: number) {
    this.memory = native.allocate(entries * 16)
    this.#words = new BigUint64Array(this.memory.bytes.buffer, this.memory.bytes.byteOffset, entries * 2)
  }

  clear(): void {
    this.count = 0
    this.bytes = 0
  }

  get full(): boolean {
    return this.count * 2 >= this.#words.length
  }

  add(address: bigint, bytes: number): void {
    this.#words[this.count * 2] = address
    this.#words[this.count * 2 + 1] = BigInt(bytes)
    this.count++
    this.bytes += bytes
  }
}
