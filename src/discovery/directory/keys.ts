/**
 * From a node key to its slot: a hash table of 4 bytes a place.
 *
 * The hash is keyed with a secret of this process. Keys are made by whoever wants to be found, and could otherwise be made to collide.
 */

const FIRST_PLACES = 512
/** Beyond this part of the places a look-up passes too many others. */
const MOST_FULL = 0.75

export interface KeysNeeds {
  /** The hash of the key at a slot. */
  hashAt(slot: number): number
  /** Whether the key at a slot is this one. */
  isAt(slot: number, key: Uint8Array): boolean
}

export class Keys {
  readonly #needs: KeysNeeds
  /** Slot + 1, or 0 where nobody is. */
  #places = new Uint32Array(FIRST_PLACES)
  #count = 0

  constructor(needs: KeysNeeds) {
    this.#needs = needs
  }

  get bytes(): number {
    return this.#places.byteLength
  }

  /** Its slot, or -1. */
  find(hash: number, key: Uint8Array): number {
    const mask = this.#places.length - 1
    for (let at = hash & mask; this.#places[at] !== 0; at = (at + 1) & mask) {
      const slot = this.#places[at]! - 1
      if (this.#needs.hashAt(slot) === hash && this.#needs.isAt(slot, key)) return slot
    }
    return -1
  }

  /** The key at this slot is not in it yet. */
  add(slot: number): void {
    if (++this.#count > this.#places.length * MOST_FULL) {
      const before = this.#places
      this.#places = new Uint32Array(before.length * 2)
      for (const place of before) if (place !== 0) this.#put(place - 1)
    }
    this.#put(slot)
  }

  #put(slot: number): void {
    const mask = this.#places.length - 1
    let at = this.#needs.hashAt(slot) & mask
    while (this.#places[at] !== 0) at = (at + 1) & mask
    this.#places[at] = slot + 1
  }

  remove(slot: number): void {
    const mask = this.#places.length - 1
    let at = this.#needs.hashAt(slot) & mask
    while (this.#places[at] !== slot + 1) at = (at + 1) & mask
    this.#count--
    // Those that had to pass it move up, so that no look-up ends too early.
    for (let next = (at + 1) & mask; this.#places[next] !== 0; next = (next + 1) & mask) {
      const home = this.#needs.hashAt(this.#places[next]! - 1) & mask
      if (((next - home) & mask) < ((next - at) & mask)) continue
      this.#places[at] = this.#places[next]!
      at = next
    }
    this.#places[at] = 0
  }
}

/** A hash of bytes that only who knows the secret can foresee (a keyed multiply-and-mix over words; not for signatures). */
export function hashOf(bytes: Uint8Array, secret: Uint32Array): number {
  let [a, b] = [secret[0]!, secret[1]!]
  for (let at = 0; at < bytes.length; at++) {
    a = Math.imul(a ^ bytes[at]!, 0x9e37_79b1)
    a ^= a >>> 15
    b = Math.imul(b + a, 0x85eb_ca77) ^ secret[2]!
    b ^= b >>> 13
  }
  a = Math.imul(a ^ b ^ secret[3]!, 0xc2b2_ae3d)
  return (a ^ (a >>> 16)) >>> 0
}
