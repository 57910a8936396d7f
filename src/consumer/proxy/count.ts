/** A count that never goes above its limit, whichever of two threads counts. */
export class Count {
  /** Word 0: how many there are; 1: the most there may be; 2: how many of them the other thread counted. */
  readonly shared: SharedArrayBuffer
  readonly #words: Int32Array
  readonly #other: boolean

  /** In the other thread: what {@link upTo} made, by its memory. */
  constructor(shared: SharedArrayBuffer, other = true) {
    this.shared = shared
    this.#words = new Int32Array(shared)
    this.#other = other
  }

  static upTo(most: number): Count {
    const count = new Count(new SharedArrayBuffer(12), false)
    count.#words[1] = most
    return count
  }

  get most(): number {
    return this.#words[1]!
  }

  /** One more, if there is room for it. */
  take(): boolean {
    const room = Atomics.add(this.#words, 0, 1) < this.most
    if (!room) Atomics.sub(this.#words, 0, 1)
    else if (this.#other) Atomics.add(this.#words, 2, 1)
    return room
  }

  give(): void {
    Atomics.sub(this.#words, 0, 1)
    if (this.#other) Atomics.sub(this.#words, 2, 1)
  }

  /** The other thread is gone, and all it counted. */
  reclaim(): void {
    Atomics.sub(this.#words, 0, Atomics.exchange(this.#words, 2, 0))
  }
}
