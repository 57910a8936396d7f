/**
 * What a node keeps for others: offers on shelves, within a budget, whoever sends how many.
 *
 * Everything in it was verified before. It is soft: an offer that is not put again within two hours goes, which is how one that was withdrawn
 * disappears. When there is no room, the subnet that has put most gives way: a flood of fresh identities from one network drives out its own.
 */
import type { Clock } from '../../protocol/clock.ts'
import type { SignedOffer } from '../../protocol/offer.ts'
import { type Entry, keyStart, MAX_ENTRIES, MAX_FETCHED } from './messages.ts'
import { type Shelf, shelvesFor } from './shelves.ts'

// --- Our choices. Safe to change. ---
/** Four announcements may be missed. */
export const KEPT_S = 7_200
/** Sixteen thousand ordinary offers: the share of one of ten keepers in an exchange of many millions. */
export const MAX_KEPT_BYTES = 8 * 1024 * 1024
/** What an offer takes besides its bytes: parsed, in two maps. */
const OVERHEAD_BYTES = 2_048

interface Kept {
  offer: SignedOffer
  bytes: Uint8Array
  shelves: Set<Shelf>
  /** The subnet it came from; undefined for our own, which no flood drives out. */
  from: string | undefined
  untilS: number
}

export type Outcome = 'kept' | 'stale' | 'elsewhere' | 'full'

export class OfferStore {
  readonly #clock: Clock
  readonly #maxBytes: number
  readonly #byNode = new Map<string, Kept>()
  readonly #byShelf = new Map<Shelf, Map<string, Kept>>()
  readonly #bySource = new Map<string, Map<string, Kept>>()
  #bytes = 0

  constructor(clock: Clock, maxBytes = MAX_KEPT_BYTES) {
    this.#clock = clock
    this.#maxBytes = maxBytes
  }

  get size(): number {
    return this.#byNode.size
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Keeps a verified offer on a shelf of its own; `from` is the subnet it came from, undefined for our own offers. */
  keep(offer: SignedOffer, bytes: Uint8Array, shelf: Shelf, from?: string): Outcome {
    if (!shelvesFor(offer.body).includes(shelf)) return 'elsewhere'
    const key = keyStart(offer.body.nodeKey)
    const before = this.#byNode.get(key)
    if (before !== undefined && before.offer.body.sequence > offer.body.sequence) return 'stale'
    const own = from === undefined || (before !== undefined && before.from === undefined)
    const shelves = before === undefined ? new Set<Shelf>() : before.shelves
    if (before !== undefined) this.#remove(key, before)
    const untilS = own ? Number(offer.body.expiresAt) : Math.min(Number(offer.body.expiresAt), this.#nowS() + KEPT_S)
    const kept: Kept = { offer, bytes, shelves: shelves.add(shelf), from: own ? undefined : from, untilS }
    this.#add(key, kept)
    this.#makeRoom(key, kept)
    return this.#byNode.get(key) === kept ? 'kept' : 'full'
  }

  forget(nodeKey: SignedOffer['body']['nodeKey']): void {
    const kept = this.#byNode.get(keyStart(nodeKey))
    if (kept !== undefined) this.#remove(keyStart(nodeKey), kept)
  }

  /** Entries of a shelf in the order of their keys, those after `after`. */
  list(shelf: Shelf, after: string): { entries: Entry[]; more: boolean } {
    const keys = [...this.#live(shelf).keys()].filter((key) => key > after).sort()
    const entries = keys.slice(0, MAX_ENTRIES).map((key) => ({ key, sequence: this.#byNode.get(key)!.offer.body.sequence }) as Entry)
    return { entries, more: keys.length > entries.length }
  }

  /** Encoded offers of a shelf by the beginnings of their keys, as many as fit into `maxBytes`. */
  fetch(shelf: Shelf, keys: readonly string[], maxBytes: number): Uint8Array[] {
    const live = this.#live(shelf)
    const found: Uint8Array[] = []
    let size = 1
    for (const key of keys.slice(0, MAX_FETCHED)) {
      const bytes = live.get(key)?.bytes
      if (bytes === undefined || size + 2 + bytes.length > maxBytes) continue
      size += 2 + bytes.length
      found.push(bytes)
    }
    return found
  }

  /** Lets go of what nobody put again, and of what has expired. */
  sweep(): void {
    const nowS = this.#nowS()
    for (const [key, kept] of this.#byNode) if (kept.untilS <= nowS) this.#remove(key, kept)
  }

  #live(shelf: Shelf): Map<string, Kept> {
    const nowS = this.#nowS()
    const all = this.#byShelf.get(shelf) ?? new Map<string, Kept>()
    return new Map([...all].filter(([, { untilS }]) => untilS > nowS))
  }

  #nowS(): number {
    return Math.floor(this.#clock.nowMs() / 1000)
  }

  #add(key: string, kept: Kept): void {
    this.#byNode.set(key, kept)
    for (const shelf of kept.shelves) {
      const on = this.#byShelf.get(shelf) ?? new Map<string, Kept>()
      this.#byShelf.set(shelf, on.set(key, kept))
    }
    if (kept.from !== undefined) {
      const of = this.#bySource.get(kept.from) ?? new Map<string, Kept>()
      this.#bySource.set(kept.from, of.set(key, kept))
    }
    this.#bytes += kept.bytes.length + OVERHEAD_BYTES
  }

  #remove(key: string, kept: Kept): void {
    this.#byNode.delete(key)
    for (const shelf of kept.shelves) {
      const on = this.#byShelf.get(shelf)
      on?.delete(key)
      if (on?.size === 0) this.#byShelf.delete(shelf)
    }
    if (kept.from !== undefined) {
      const of = this.#bySource.get(kept.from)
      of?.delete(key)
      if (of?.size === 0) this.#bySource.delete(kept.from)
    }
    this.#bytes -= kept.bytes.length + OVERHEAD_BYTES
  }

  /** The largest source gives way: with what came just now if that is its own, else with what it put longest ago. */
  #makeRoom(newKey: string, newest: Kept): void {
    while (this.#bytes > this.#maxBytes) {
      let largest: Map<string, Kept> | undefined
      for (const of of this.#bySource.values()) if (of.size > (largest?.size ?? 0)) largest = of
      const first = largest?.entries().next().value
      if (first === undefined) return // nothing but our own
      if (largest?.get(newKey) === newest) this.#remove(newKey, newest)
      else this.#remove(first[0], first[1])
    }
  }
}
