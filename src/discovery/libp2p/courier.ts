/**
 * The courier: looks for offers on shelves, and puts our own there.
 *
 * Looking is incremental: keepers of a shelf say what they have in sixteen bytes an offer, and only what is new is fetched and verified. Who
 * keeps a shelf is found by a walk and remembered for two hours, so an ordinary look costs a few small questions. Everything a peer says is
 * bounded twice: by what one answer may hold (messages.ts) and by how much of it is followed here.
 *
 * Start reading at {@link Courier.look}. The network is passed in: libp2p in a node, a table of nodes in tests.
 */
import { randomInt } from 'node:crypto'
import { type Hex, toHex } from '../../protocol/bytes.ts'
import type { Clock } from '../../protocol/clock.ts'
import { asBywayError } from '../../protocol/errors.ts'
import { encodeOffer, type SignedOffer } from '../../protocol/offer.ts'
import { Crowd, type GroupsOf, type Limits, SHORTLIST_LIMITS, TABLE_LIMITS } from './diversity.ts'
import { type AnswerTo, type Contact, type Entry, type Kind, keyStart, MAX_FETCHED, type QuestionOf, unpackEntries } from './messages.ts'
import { compareDistance, placeOfKey, placeOfShelf, type Shelf, shelvesFor, shelvesOf } from './shelves.ts'
import type { OfferStore } from './store.ts'
import { SHORTLIST, walk } from './walk.ts'

// --- Our choices. Safe to change. ---
/** Who keeps a shelf changes as nodes come and go; an offer is kept for two hours without being put again (store.ts). */
const KEEPERS_FRESH_MS = 3_600_000
/** When there were few of them the network is young, or we know little of it yet. */
const FEW_KEEPERS_FRESH_MS = 30_000
/** Asked by an ordinary look at a shelf; a first one asks all. */
const FEW = 2
/** Looked at by an ordinary look, others each time: an offer lies on all shelves of its region but one, so two show all there is. */
const FEW_SHELVES = 2
/** Of one keeper and shelf in one look: what is beyond comes with the next. */
const MAX_PAGES = 4
const MAX_WANTED = 512
/** Contacts remembered: many times what a walk starts from. */
const MAX_CONTACTS_KNOWN = 512
/** Nodes whose newest sequence is remembered, so that it is not fetched again. */
const MAX_SEEN = 65_536
const START_NEAREST = 10
const START_ANY = 4

export interface Net {
  /** Asks a node, and proves its key. Rejects when it does not answer within its time, or with more than its limit. */
  ask<K extends Kind>(contact: Contact, kind: K, question: QuestionOf<K>): Promise<AnswerTo<K>>
  /** What the routing table of this node knows near a place; nothing for a node that is in no table. */
  nearest(place: Uint8Array, count: number): readonly Contact[]
}

export interface CourierNeeds {
  net: Net
  clock: Clock
  groupsOf: GroupsOf
  store: OfferStore
  admit: (bytes: Uint8Array) => SignedOffer
  /** An offer of somebody that was not known, or is newer than what was. */
  onOffer: (offer: SignedOffer, bytes: Uint8Array) => void
  /** A node did not answer, or not as it should. */
  onLost: (contact: Contact, why: unknown) => void
  shortlist?: Limits
}

export interface Look {
  /** Keepers that answered, over all shelves. */
  keepers: number
  /** Offers that were new. */
  found: number
}

export class Courier {
  readonly #needs: CourierNeeds
  /** By key; the one that answered longest ago first. */
  readonly #contacts = new Map<Hex, Contact>()
  readonly #keepers = new Map<Shelf, { atMs: number; contacts: Contact[] }>()
  /** Sequence of the newest offer seen of a node, by the beginning of its key. */
  readonly #seen = new Map<Hex, bigint>()

  constructor(needs: CourierNeeds) {
    this.#needs = needs
  }

  get contacts(): Contact[] {
    return [...this.#contacts.values()]
  }

  /** Remembers a node to ask; the crowd of one network stays small here too. */
  meet(contact: Contact): void {
    this.#contacts.delete(contact.key)
    const crowd = new Crowd(TABLE_LIMITS)
    for (const { host } of this.#contacts.values()) crowd.admit(this.#needs.groupsOf(host))
    if (!crowd.admit(this.#needs.groupsOf(contact.host))) return
    this.#contacts.set(contact.key, contact)
    if (this.#contacts.size > MAX_CONTACTS_KNOWN) this.#contacts.delete(this.#contacts.keys().next().value!)
  }

  #saw({ body }: SignedOffer): void {
    this.#seen.set(keyStart(body.nodeKey), body.sequence)
    if (this.#seen.size > MAX_SEEN) this.#seen.delete(this.#seen.keys().next().value!)
  }

  /** An offer of our own: on our own shelves at once, whoever else takes it. */
  keep(offer: SignedOffer): void {
    this.#saw(offer)
    const bytes = encodeOffer(offer)
    for (const shelf of shelvesFor(offer.body)) this.#needs.store.keep(offer, bytes, shelf)
  }

  /** Looks at the shelves of regions (countries, WORLD). `deep`: at all keepers, found anew. */
  async look(regions: readonly string[], deep: boolean): Promise<Look> {
    const result = { keepers: 0, found: 0 }
    const lookOn = async (shelf: Shelf) => {
      const keepers = await this.#keepersOf(shelf, deep)
      for (const keeper of deep ? keepers : pick(keepers, FEW)) {
        try {
          result.found += await this.#lookAt(keeper, shelf)
          result.keepers++
        } catch (thrown) {
          this.#lost(keeper, thrown)
        }
      }
    }
    for (const region of regions) {
      const shelves = shelvesOf(region)
      await Promise.all((deep ? shelves : pick(shelves, FEW_SHELVES)).map(lookOn))
    }
    return result
  }

  /** Puts an offer of our own on its shelves; how many keepers took it. */
  async put(offer: SignedOffer): Promise<number> {
    const bytes = encodeOffer(offer)
    this.keep(offer)
    let kept = 0
    for (const shelf of shelvesFor(offer.body)) {
      const puts = (await this.#keepersOf(shelf, false)).map(async (keeper) => {
        try {
          const { refused } = await this.#needs.net.ask(keeper, 'put', { shelf, offer: bytes })
          if (refused === 0) kept++
        } catch (thrown) {
          this.#lost(keeper, thrown)
        }
      })
      await Promise.all(puts)
    }
    return kept
  }

  /** Nodes that keep a shelf, nearest first. */
  async #keepersOf(shelf: Shelf, anew: boolean): Promise<Contact[]> {
    const { clock, net, groupsOf, shortlist = SHORTLIST_LIMITS } = this.#needs
    const known = this.#keepers.get(shelf)
    if (!anew && known !== undefined) {
      const freshMs = known.contacts.length < SHORTLIST / 2 ? FEW_KEEPERS_FRESH_MS : KEEPERS_FRESH_MS
      if (clock.nowMs() - known.atMs < freshMs) return known.contacts
    }
    const place = placeOfShelf(shelf)
    const all = this.contacts.sort((a, b) => compareDistance(place, placeOfKey(a.key), placeOfKey(b.key)))
    const start = [...net.nearest(place, START_NEAREST), ...all.slice(0, START_NEAREST), ...pick(all.slice(START_NEAREST), START_ANY)]
    const placeHex = toHex(place)
    const ask = async (contact: Contact) => {
      const { contacts } = await net.ask(contact, 'near', { place: placeHex })
      this.meet(contact)
      return contacts
    }
    const contacts = await walk(place, start, { ask, groupsOf, limits: shortlist })
    this.#keepers.set(shelf, { atMs: clock.nowMs(), contacts })
    return contacts
  }

  /** New offers of a shelf at one keeper: how many there were. */
  async #lookAt(keeper: Contact, shelf: Shelf): Promise<number> {
    const { net } = this.#needs
    const wanted: Entry[] = []
    let after: Hex = `0x${'00'.repeat(8)}`
    for (let page = 0; page < MAX_PAGES; page++) {
      const { entries, more } = await net.ask(keeper, 'list', { shelf, after })
      const read = unpackEntries(entries)
      wanted.push(...read.filter(({ key, sequence }) => sequence > (this.#seen.get(key) ?? -1n)))
      const last = read.at(-1)?.key
      if (more === 0 || last === undefined || last <= after || wanted.length >= MAX_WANTED) break
      after = last
    }
    let found = 0
    for (const rest = wanted.slice(0, MAX_WANTED).map(({ key }) => key); rest.length > 0; ) {
      const keys = rest.splice(0, MAX_FETCHED)
      const { offers } = await net.ask(keeper, 'fetch', { shelf, keys })
      // What did not fit into this answer is asked again, as long as answers bring something.
      const got = new Set(offers.map((bytes) => this.#take(bytes)))
      const left = keys.filter((key) => !got.has(key))
      if (offers.length > 0 && left.length < keys.length && offers.length < keys.length) rest.unshift(...left)
      found += got.size - (got.has(undefined) ? 1 : 0)
    }
    return found
  }

  /** Beginning of the node key when the offer was new. */
  #take(bytes: Uint8Array): Hex | undefined {
    let offer: SignedOffer
    try {
      offer = this.#needs.admit(bytes)
    } catch (thrown) {
      // Clocks differ by a little: a keeper is no liar for that.
      if (['OFFER_EXPIRED', 'OFFER_FUTURE'].includes(asBywayError(thrown).code)) return undefined
      throw thrown
    }
    const key = keyStart(offer.body.nodeKey)
    if (offer.body.sequence <= (this.#seen.get(key) ?? -1n)) return undefined
    this.#saw(offer)
    this.#needs.onOffer(offer, bytes)
    return key
  }

  #lost(contact: Contact, why: unknown): void {
    this.#contacts.delete(contact.key)
    for (const keepers of this.#keepers.values()) keepers.contacts = keepers.contacts.filter(({ key }) => key !== contact.key)
    this.#needs.onLost(contact, why)
  }
}

/** Up to `count` of them, any. */
function pick<T>(from: readonly T[], count: number): T[] {
  const left = [...from]
  const picked: T[] = []
  while (picked.length < count && left.length > 0) picked.push(...left.splice(randomInt(left.length), 1))
  return picked
}
