/**
 * Memory for bytes under way, used again and again: the piece given back last is given out first, because it is still in the cache.
 *
 * Whoever takes a piece owns it until it gives it back. Pieces are cut from slabs: a small one, which is all that a node at rest needs, then large
 * ones of huge pages, because a busy line goes through more memory than the processor can translate addresses of 4 KiB pages for: a tenth of what a
 * byte costs. A slab nobody used for a while keeps its addresses and gives its pages back to the system.
 */
import type { Memory, Native } from './native.ts'

/** Two huge pages, for sixty-three pieces of payload or five of what is read at once. */
const SLAB_BYTES = 4 * 1024 * 1024
/** Pieces begin on a cache line of their own. */
const LINE_BYTES = 64

/** A piece of memory that knows where it was cut from. */
interface Piece extends Memory {
  readonly slab: Slab
}

interface Slab {
  readonly memory: Memory
  readonly pieces: number
  free: number
  /** Since {@link Pool.rest} was last called. */
  used: boolean
  /** Its pages are with the system. */
  empty: boolean
}

export class Pool {
  readonly #native: Native
  readonly #size: number
  readonly #first: number
  readonly #slabs: Slab[] = []
  #pieces = 0
  readonly #free: Piece[] = []

  /** Of pieces of `size` bytes; the `first` few lie together in ordinary pages. */
  constructor(native: Native, size: number, first: number) {
    this.#native = native
    this.#size = size
    this.#first = first
  }

  /** Pieces that somebody has. */
  get out(): number {
    return this.#pieces - this.#free.length
  }

  take(): Memory {
    if (this.#free.length === 0) this.#grow()
    const piece = this.#free.pop()!
    const { slab } = piece
    slab.free--
    slab.used = true
    slab.empty = false
    return piece
  }

  /** `memory`: what {@link take} gave, the same object. */
  give(memory: Memory): void {
    const piece = memory as Piece
    piece.slab.free++
    this.#free.push(piece)
  }

  #grow(): void {
    const step = Math.ceil(this.#size / LINE_BYTES) * LINE_BYTES
    const isFirst = this.#slabs.length === 0
    const memory = isFirst ? this.#native.allocate(this.#first * step) : this.#native.allocateHuge(SLAB_BYTES)
    const pieces = Math.floor(memory.bytes.length / step)
    const slab = { memory, pieces, free: pieces, used: false, empty: false }
    this.#slabs.push(slab)
    for (let i = pieces - 1; i >= 0; i--) {
      this.#free.push({ bytes: memory.bytes.subarray(i * step, i * step + this.#size), address: memory.address + BigInt(i * step), slab })
    }
    this.#pieces += pieces
  }

  /** To be called now and then: the pages of large slabs that nobody used since the last time go back to the system. */
  rest(): void {
    for (const slab of this.#slabs) {
      if (slab !== this.#slabs[0] && !slab.used && !slab.empty && slab.free === slab.pieces) {
        this.#native.giveBack(slab.memory)
        slab.empty = true
      }
      slab.used = false
    }
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

  get firstAddress(): bigint {
    return this.#words[0]!
  }

  add(address: bigint, bytes: number): void {
    this.#words[this.count * 2] = address
    this.#words[this.count * 2 + 1] = BigInt(bytes)
    this.count++
    this.bytes += bytes
  }
}
