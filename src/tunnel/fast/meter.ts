/**
 * A meter: a session's counts, shared by the thread that carries bytes and the one that knows their price.
 *
 * The carrying thread adds what it carried and takes from the room before it carries; the other raises the room and reads. Nothing crosses
 * between them per piece. The rule it keeps: taken bytes never exceed the room that was given, whoever looks when.
 *
 * Beside the bytes it says how many flows there are, and numbers them: either thread may begin one.
 *
 * Words of shared memory, in order below. A session without a gate (a consumer's) has endless room.
 */
const WORDS = {
  room: 0,
  up: 1,
  down: 2,
  discarded: 3,
  tellUpAt: 4,
  tellDownAt: 5,
  waiting: 6,
  held: 7,
  live: 8,
  numbered: 9,
  window: 10,
} as const

export const METER_BYTES = 8 * Object.keys(WORDS).length
/** No limit: a consumer pays for what arrives, after it arrived. */
export const ENDLESS = 2n ** 62n

/** Both threads' view. All counts are payload bytes since the meter was made. */
export class Meter {
  readonly shared: SharedArrayBuffer
  readonly #words: BigInt64Array

  constructor(shared: SharedArrayBuffer = new SharedArrayBuffer(METER_BYTES)) {
    this.shared = shared
    this.#words = new BigInt64Array(shared)
  }

  get up(): bigint {
    return Atomics.load(this.#words, WORDS.up)
  }
  get down(): bigint {
    return Atomics.load(this.#words, WORDS.down)
  }
  /** Of `down`: what came for flows that had been given up (consumer). */
  get discarded(): bigint {
    return Atomics.load(this.#words, WORDS.discarded)
  }
  /** Flows wait for room. */
  get waiting(): boolean {
    return Atomics.load(this.#words, WORDS.waiting) !== 0n
  }

  /** Flows whose application does not take what arrived. */
  get held(): number {
    return Number(Atomics.load(this.#words, WORDS.held))
  }

  /** Flows that the carrying thread has under way. */
  get live(): number {
    return Number(Atomics.load(this.#words, WORDS.live))
  }

  /** The number of the next flow, from 1. */
  nextFlow(): number {
    return Number(Atomics.add(this.#words, WORDS.numbered, 1n)) + 1
  }

  // --- The thread that knows the price. ---

  /** Gives more room, or takes some back: then it may be below zero, and nothing is carried until more is given. */
  give(bytes: bigint): void {
    Atomics.add(this.#words, WORDS.room, bytes)
  }

  /** Nothing is carried from now on. Returns the room there was. */
  close(): bigint {
    return Atomics.exchange(this.#words, WORDS.room, 0n)
  }

  /** What was given and not taken: exact at any moment, where `up` and `down` may follow an instant later. */
  get left(): bigint {
    return Atomics.load(this.#words, WORDS.room)
  }

  /** Bytes that may be unpaid, at a provider. */
  setWindow(bytes: bigint): void {
    Atomics.store(this.#words, WORDS.window, bytes)
  }

  /** To be told when `up` or `down` reaches its mark. */
  tellAt({ up, down }: { up: bigint; down: bigint }): void {
    Atomics.store(this.#words, WORDS.tellUpAt, up)
    Atomics.store(this.#words, WORDS.tellDownAt, down)
  }

  // --- The thread that carries. ---

  /** Bytes that may be unpaid; 0 where nobody says. */
  get window(): number {
    return Number(Atomics.load(this.#words, WORDS.window))
  }

  /** How much of `most` bytes may be carried now. */
  room(most: number): number {
    const room = Atomics.load(this.#words, WORDS.room)
    return room >= BigInt(most) ? most : room <= 0n ? 0 : Number(room)
  }

  /** Takes up to `most` bytes of room and counts them. Returns how many: fewer than asked when there is less room. */
  take(way: 'up' | 'down', most: number): number {
    let room = Atomics.load(this.#words, WORDS.room)
    for (;;) {
      const taken = room >= BigInt(most) ? BigInt(most) : room
      if (taken <= 0n) return 0
      const seen = Atomics.compareExchange(this.#words, WORDS.room, room, room - taken)
      if (seen === room) {
        Atomics.add(this.#words, WORDS[way], taken)
        return Number(taken)
      }
      room = seen
    }
  }

  /** Takes and counts all of it, or nothing. */
  takeAll(way: 'up' | 'down', bytes: number): boolean {
    const wanted = BigInt(bytes)
    let room = Atomics.load(this.#words, WORDS.room)
    while (room >= wanted) {
      const seen = Atomics.compareExchange(this.#words, WORDS.room, room, room - wanted)
      if (seen === room) {
        Atomics.add(this.#words, WORDS[way], wanted)
        return true
      }
      room = seen
    }
    return false
  }

  /** Counts what needs no room. */
  count(way: 'up' | 'down' | 'discarded', bytes: number): void {
    Atomics.add(this.#words, WORDS[way], BigInt(bytes))
  }

  setLive(flows: number): void {
    Atomics.store(this.#words, WORDS.live, BigInt(flows))
  }

  setWaiting(waiting: boolean): void {
    Atomics.store(this.#words, WORDS.waiting, waiting ? 1n : 0n)
  }

  /** One more flow is held back by its application, or one less. */
  hold(by: 1 | -1): void {
    Atomics.add(this.#words, WORDS.held, BigInt(by))
  }

  /** Once: a count reached what the other thread wants to hear of, and it has not said since of what next. */
  reached(): boolean {
    if (this.up < Atomics.load(this.#words, WORDS.tellUpAt) && this.down < Atomics.load(this.#words, WORDS.tellDownAt)) return false
    this.tellAt({ up: ENDLESS, down: ENDLESS })
    return true
  }
}
