/**
 * Directory: every offer a consumer knows, in memory, in the order in which it would use them.
 *
 * The rule it keeps: what comes in was verified, and what it holds is bounded, whoever brings how much. When it is full an offer makes room
 * only for one with at least its stake, so that fresh identities, which cost nothing, push out none that cost something.
 *
 * Start reading at Directory below; then door.ts (what is let in), ranking.ts (how it is found), columns.ts and records.ts (how it is held).
 */
import { DEFAULT_TASTE, type Taste } from '../../economy/utility.ts'
import { fromHex, type Hex } from '../../protocol/bytes.ts'
import type { Clock } from '../../protocol/clock.ts'
import type { Observer } from '../../protocol/observe.ts'
import { decodeOffer, encodeOffer, MAX_OFFER_BYTES, type Offer, type SignedOffer } from '../../protocol/offer.ts'
import { Columns, TRAITS, traitsOf } from './columns.ts'
import { Door, type Refusal, type Source } from './door.ts'
import { hashOf, Keys } from './keys.ts'
import {
  COUNTRY_NUMBERS,
  countryNumber,
  countryOf,
  headsOf,
  type Listing,
  limitsOf,
  type Merits,
  type MeritsOf,
  matches,
  NO_MERITS,
  type OfferQuery,
  pointsOf,
  priceNumber,
  type SeenOf,
} from './query.ts'
import { type Group, type Limits, Ranking } from './ranking.ts'
import { Records } from './records.ts'

export type { Refusal, Source } from './door.ts'
export type { Listing, Merits, OfferQuery, Seen } from './query.ts'

export interface DirectoryNeeds {
  clock: Clock
  observer: Observer
  /** A number in [0, 1). */
  random(): number
  /** Whether an IP address is one of the public internet. */
  isPublic(ip: string): boolean
  /** Only what is paid here is kept. */
  domain: { chainId: number; channels: Hex }
  meritsOf?: MeritsOf
  seenOf?: SeenOf
  taste?: Taste
  limits?: { offers: number; bytes: number }
}

/** A million offers as they usually are. */
const LIMITS = { offers: 1_000_000, bytes: 640 * 1024 * 1024 }
/** Whom to push out is the least of so many drawn ones: of a million it is then one of the least sixteenth. */
const DRAWN = 16
/** With each that comes, so many others are looked at whether they expired: a directory that is fed is clean after a quarter of itself. */
const SWEPT = 4
/** Offers that were read lately, so that asking again costs nothing. */
const MAX_READ = 2_048
const NO_SLOT = 0xffff_ffff

// --- Where in its bytes an offer has its key and sequence (docs/protocol.md#offer). ---
const KEY_AT = 2
const KEY_DIGITS = 64
/** So many digits of a key are shared by one offer in four thousand: these few are looked at all. Fewer digits: the best are looked through for them. */
const RARE_DIGITS = 3
const SEQUENCE_AT = 2 + 32 + 20 + 8 + 20

export class Directory {
  readonly #needs: DirectoryNeeds
  readonly #taste: Taste
  readonly #limits: { offers: number; bytes: number }
  readonly #door: Door
  readonly #columns = new Columns()
  readonly #records = new Records((slot, ref) => {
    this.#columns.ref[slot] = ref
  })
  readonly #keys: Keys
  readonly #secret: Uint32Array
  readonly #all: Ranking
  readonly #groups: Record<Group, Ranking>
  readonly #read = new Map<number, SignedOffer>()
  /** How many offers each country has, by its number. */
  readonly #countries = new Uint32Array(COUNTRY_NUMBERS)
  #size = 0
  /** Slots that were ever used. */
  #slots = 0
  #freeSlot = NO_SLOT
  #swept = 0

  constructor(needs: DirectoryNeeds) {
    this.#needs = needs
    this.#taste = needs.taste ?? DEFAULT_TASTE
    this.#limits = needs.limits ?? LIMITS
    this.#door = new Door(needs)
    this.#secret = Uint32Array.from({ length: 4 }, () => needs.random() * 2 ** 32)
    const columns = this.#columns
    this.#keys = new Keys({ hashAt: (slot) => columns.hash[slot]!, isAt: (slot, key) => this.#keyAt(slot).equals(key) })
    this.#all = new Ranking(columns)
    const by = (name: Group) => new Ranking(columns, name)
    this.#groups = { country: by('country'), region: by('region'), city: by('city'), asn: by('asn') }
  }

  /** Offers it holds, those that expired since somebody looked included. */
  get size(): number {
    return this.#size
  }

  /** Bytes it holds them in. */
  get bytes(): number {
    const rankings = [this.#all, ...Object.values(this.#groups)].reduce((sum, { bytes }) => sum + bytes, 0)
    return this.#columns.bytes + this.#records.held + this.#keys.bytes + rankings
  }

  /** Countries on offer, and how many offers each has. */
  get countries(): ReadonlyMap<string, number> {
    return new Map([...this.#countries].flatMap((offers, number) => (offers === 0 ? [] : [[countryOf(number), offers] as const])))
  }

  // --- What comes in ---

  /** An offer as it came from outside. Undefined when it is known now, or why it is not. */
  hear(bytes: Uint8Array, source: Source): Refusal | undefined {
    return this.#counted(this.#hear(bytes, source))
  }

  #counted(refusal: Refusal | undefined): Refusal | undefined {
    if (refusal !== undefined) this.#needs.observer.count('offers_refused', 1, { reason: refusal })
    return refusal
  }

  #hear(bytes: Uint8Array, source: Source): Refusal | undefined {
    if (bytes.length > MAX_OFFER_BYTES) return 'oversized'
    if (!this.#door.admits(source)) return 'flooding'
    const before = bytes.length > SEQUENCE_AT + 8 ? this.#slotOf(bytes.subarray(KEY_AT, KEY_AT + 32)) : -1
    // What is known already, or older, needs no second check.
    if (before >= 0 && this.#bytesAt(before).equals(bytes)) return undefined
    if (before >= 0 && sequenceOf(bytes) <= this.#columns.sequence[before]!) return 'stale'
    const offer = this.#door.read(bytes)
    return typeof offer === 'string' ? offer : this.#keep(offer, bytes, before, source)
  }

  /** An offer that was verified already: by another of our rooms, or when it was cached. `bytes` are its own, where they are at hand. */
  keep(offer: SignedOffer, source: Source, bytes: Uint8Array = encodeOffer(offer)): Refusal | undefined {
    const before = this.#slotOf(fromHex(offer.body.nodeKey, 32))
    if (before >= 0 && sequenceOf(bytes) < this.#columns.sequence[before]!) return this.#counted('stale')
    if (before >= 0 && this.#bytesAt(before).equals(bytes)) return undefined
    return this.#counted(this.#door.admits(source) ? this.#keep(offer, bytes, before, source) : 'flooding')
  }

  #keep(offer: SignedOffer, bytes: Uint8Array, before: number, source: Source): Refusal | undefined {
    if (!source.privateAddresses && !this.#door.isPublic(offer)) return 'private'
    const { domain, meritsOf } = this.#needs
    const { body } = offer
    if (body.chainId !== BigInt(domain.chainId) || body.channels !== domain.channels) return 'elsewhere'
    const merits = meritsOf?.(body) ?? NO_MERITS
    this.#sweep()
    if (before >= 0) this.#remove(before)
    const used = this.#needs.seenOf?.(body.nodeKey) !== undefined
    if (!this.#makeRoom(bytes.length, used ? Number.POSITIVE_INFINITY : merits.stake)) return 'full'
    const slot = this.#takeSlot()
    const { columns, key } = { columns: this.#columns, key: bytes.subarray(KEY_AT, KEY_AT + 32) }
    columns.hash[slot] = hashOf(key, this.#secret)
    columns.head[slot] = new DataView(bytes.buffer, bytes.byteOffset).getUint32(KEY_AT)
    columns.ref[slot] = this.#records.put(slot, bytes)
    columns.sequence[slot] = sequenceOf(bytes)
    columns.expiresAt[slot] = Number(body.expiresAt)
    columns.country[slot] = countryNumber(body.country)
    columns.region[slot] = this.#placeNumber(body.region)
    columns.city[slot] = this.#placeNumber(body.city)
    columns.asn[slot] = body.asn
    columns.price[slot] = priceNumber(body.pricePerGib)
    this.#judge(slot, body, merits)
    this.#keys.add(slot)
    this.#rank(slot, 'add')
    this.#countries[columns.country[slot]!]!++
    this.#size++
    return undefined
  }

  /** What is known of this node changed: its merits, or what this consumer saw of it. */
  judge(nodeKey: Hex): void {
    const slot = this.#slotOf(fromHex(nodeKey, 32))
    if (slot < 0) return
    this.#rank(slot, 'remove')
    const { body } = this.#offerAt(slot)
    this.#judge(slot, body, this.#needs.meritsOf?.(body) ?? NO_MERITS)
    this.#rank(slot, 'add')
  }

  #judge(slot: number, body: Offer, merits: Merits): void {
    const columns = this.#columns
    const seen = this.#needs.seenOf?.(body.nodeKey)
    columns.utility[slot] = pointsOf(body, merits, seen, this.#taste)
    columns.mbps[slot] = Math.max(merits.provenMbps, seen?.mbps ?? 0) || body.mbps
    columns.score[slot] = merits.score
    columns.stake[slot] = merits.stake
    columns.traits[slot] = traitsOf(body) | TRAITS.live | (seen === undefined ? 0 : TRAITS.used)
  }

  /** Takes a node's offer out. */
  forget(nodeKey: Hex): void {
    const slot = this.#slotOf(fromHex(nodeKey, 32))
    if (slot >= 0) this.#remove(slot)
  }

  // --- What is found ---

  get(nodeKey: Hex): SignedOffer | undefined {
    const slot = this.#slotOf(fromHex(nodeKey, 32))
    return slot < 0 || this.#isOver(slot) ? undefined : this.#offerAt(slot)
  }

  /** All of them, in no order. What comes and goes while somebody looks may be among them or not. */
  *offers(): Generator<SignedOffer> {
    for (let slot = 0; slot < this.#slots; slot++) if ((this.#columns.traits[slot]! & TRAITS.live) !== 0) yield this.#offerAt(slot)
  }

  /** Offers that match, the best first. */
  find(query: OfferQuery, most: number): Listing[] {
    const found: Listing[] = []
    const { country, region, city, asn } = this.#columns
    const asked = this.#numbersOf(query)
    const limits = limitsOf(query, this.#taste)
    const take = (slot: number): boolean => {
      if (asked.country !== undefined && country[slot] !== asked.country) return false
      if (asked.region !== undefined && region[slot] !== asked.region) return false
      if (asked.city !== undefined && city[slot] !== asked.city) return false
      if (asked.asn !== undefined && asn[slot] !== asked.asn) return false
      if (this.#isOver(slot)) return false
      const offer = this.#offerAt(slot)
      if (matches(offer, query)) found.push(this.#listing(slot, offer))
      return found.length >= most
    }
    if (query.provider !== undefined && !/^[0-9a-f]{1,64}$/.test(query.provider)) return found
    if (query.provider?.length === KEY_DIGITS) {
      const slot = this.#slotOf(fromHex(`0x${query.provider}`, 32))
      if (slot >= 0 && this.#within(slot, limits)) take(slot)
      return found
    }
    if (query.provider !== undefined && query.provider.length >= RARE_DIGITS) {
      // They come by their keys: which are the best is known when all are.
      for (const slot of this.#named(query.provider)) if (this.#within(slot, limits)) take(slot)
      return found.sort((a, b) => b.utility - a.utility).slice(0, most)
    }
    const { ranking, group } = this.#narrowest(asked)
    if (group !== 0) ranking.scan(group, limits, take)
    return found
  }

  #listing(slot: number, offer: SignedOffer): Listing {
    const { latencyMs, mbps = 0 } = this.#needs.seenOf?.(offer.body.nodeKey) ?? {}
    const { provenMbps } = this.#needs.meritsOf?.(offer.body) ?? NO_MERITS
    const { utility: points, score } = this.#columns
    return { offer, utility: points[slot]!, mbps: Math.max(provenMbps, mbps), score: score[slot]!, latencyMs }
  }

  /** The ranking in which the query has the fewest offers to look at. A group of 0 has none at all. */
  #narrowest(asked: Partial<Record<Group, number>>): { ranking: Ranking; group: number } {
    const asking = Object.entries(asked) as [Group, number][]
    const groups = asking.map(([by, group]) => ({ ranking: this.#groups[by], group, room: this.#groups[by].roomOf(group) }))
    return groups.sort((a, b) => a.room - b.room)[0] ?? { ranking: this.#all, group: 1 }
  }

  #within(slot: number, { mostPrice, leastMbps, leastScore, lines, traits }: Limits): boolean {
    const columns = this.#columns
    if (columns.price[slot]! > mostPrice || columns.mbps[slot]! < leastMbps || columns.score[slot]! < leastScore) return false
    return (columns.traits[slot]! & lines) !== 0 && (columns.traits[slot]! & traits) === traits
  }

  /** Slots of nodes whose key begins so: a column is looked through. */
  *#named(provider: string): Generator<number> {
    const { low, high } = headsOf(provider)
    const { head, traits } = this.#columns
    for (let slot = 0; slot < this.#slots; slot++) {
      if (head[slot]! >= low && head[slot]! <= high && (traits[slot]! & TRAITS.live) !== 0) yield slot
    }
  }

  // --- Slots ---

  #takeSlot(): number {
    const slot = this.#freeSlot
    if (slot !== NO_SLOT) {
      this.#freeSlot = this.#columns.ref[slot]!
      return slot
    }
    if (this.#slots === this.#columns.capacity) this.#columns.grow()
    return this.#slots++
  }

  #remove(slot: number): void {
    this.#countries[this.#columns.country[slot]!]!--
    this.#rank(slot, 'remove')
    this.#keys.remove(slot)
    this.#records.drop(this.#columns.ref[slot]!)
    this.#read.delete(slot)
    this.#columns.traits[slot] = 0
    this.#columns.ref[slot] = this.#freeSlot
    this.#freeSlot = slot
    this.#size--
  }

  /** Makes room for a record of this size, at the cost of those with less at stake. False when there are none. */
  #makeRoom(bytes: number, stake: number): boolean {
    while (this.#size >= this.#limits.offers || this.#records.live + bytes > this.#limits.bytes) {
      const least = this.#leastOfDrawn()
      if (least === undefined || least.stake > stake) return false
      this.#remove(least.slot)
      this.#needs.observer.count('offers_evicted', 1)
    }
    return true
  }

  #leastOfDrawn(): { slot: number; stake: number } | undefined {
    const { traits, stake } = this.#columns
    let least: { slot: number; stake: number } | undefined
    for (let drawn = 0; drawn < DRAWN; drawn++) {
      const slot = Math.floor(this.#needs.random() * this.#slots)
      if ((traits[slot]! & TRAITS.live) === 0) continue
      if (this.#isOver(slot)) return { slot, stake: Number.NEGATIVE_INFINITY }
      const worth = (traits[slot]! & TRAITS.used) !== 0 ? Number.POSITIVE_INFINITY : stake[slot]!
      if (least === undefined || worth < least.stake) least = { slot, stake: worth }
    }
    return least
  }

  #sweep(): void {
    for (let looked = 0; looked < SWEPT && this.#slots > 0; looked++) {
      this.#swept = (this.#swept + 1) % this.#slots
      if ((this.#columns.traits[this.#swept]! & TRAITS.live) !== 0 && this.#isOver(this.#swept)) this.#remove(this.#swept)
    }
  }

  #isOver(slot: number): boolean {
    return this.#columns.expiresAt[slot]! <= this.#needs.clock.nowMs() / 1000
  }

  #rank(slot: number, how: 'add' | 'remove'): void {
    this.#all[how](slot)
    for (const ranking of Object.values(this.#groups)) ranking[how](slot)
  }

  #slotOf(key: Uint8Array): number {
    return this.#keys.find(hashOf(key, this.#secret), key)
  }

  #bytesAt(slot: number): Buffer {
    return this.#records.at(this.#columns.ref[slot]!)
  }

  #keyAt(slot: number): Buffer {
    return this.#bytesAt(slot).subarray(KEY_AT, KEY_AT + 32)
  }

  #offerAt(slot: number): SignedOffer {
    const offer = this.#read.get(slot) ?? decodeOffer(this.#bytesAt(slot))
    this.#read.delete(slot)
    this.#read.set(slot, offer)
    if (this.#read.size > MAX_READ) this.#read.delete(this.#read.keys().next().value!)
    return offer
  }

  /** A region or city as a number that names it, or 0 when it is not stated. */
  #placeNumber(name: string): number {
    return name === '' ? 0 : Math.max(1, hashOf(Buffer.from(name), this.#secret))
  }

  #numbersOf({ country, region, city, asn }: OfferQuery): Partial<Record<Group, number>> {
    return {
      ...(country !== undefined && { country: countryNumber(country) }),
      ...(region !== undefined && { region: this.#placeNumber(region) }),
      ...(city !== undefined && { city: this.#placeNumber(city) }),
      ...(asn !== undefined && { asn }),
    }
  }
}

const sequenceOf = (bytes: Uint8Array): number => Number(Buffer.from(bytes.buffer, bytes.byteOffset).readBigUInt64BE(SEQUENCE_AT))
