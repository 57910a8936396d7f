/**
 * The routing table of kad-dht, kept diverse: libp2p admits whoever answers a ping, so each that was admitted is looked at and put out again if its
 * network has enough places in its bucket or in the table.
 */
import type { PeerId } from '@libp2p/interface'
import { BUCKET_LIMITS, Crowd, type GroupsOf, TABLE_LIMITS } from './diversity.ts'
import type { Contact } from './messages.ts'
import { commonPrefix, compareDistance, placeOfKey } from './shelves.ts'

// --- Our choices. Safe to change. ---
/** Of the twenty places of a bucket. By chance more than four fall into one sixteenth of it once in a hundred. */
const SIXTEENTH_LIMIT = 4

/** What we use of the table inside kad-dht. */
export interface Table {
  addEventListener(name: 'peer:add' | 'peer:remove', listener: (event: { detail: PeerId }) => void): void
  remove(peer: PeerId): Promise<void>
  readonly size: number
}

/**
 * Who may have a place in a table: by the addresses of those who have one (diversity.ts), and by where they are. Honest nodes are spread over a
 * bucket by chance; identities ground to the neighbourhood of one place stand on a hair of it, and would fill the bucket of everybody far away.
 */
export class Seats {
  readonly #own: Uint8Array
  readonly #groupsOf: GroupsOf
  readonly #whole = new Crowd(TABLE_LIMITS)
  readonly #buckets = new Map<number, Crowd>()
  /** By bucket and sixteenth of it. */
  readonly #sixteenths = new Map<string, number>()

  constructor(own: Uint8Array, groupsOf: GroupsOf) {
    this.#own = own
    this.#groupsOf = groupsOf
  }

  admit({ host }: Contact, place: Uint8Array): boolean {
    const { bucket, sixteenth } = this.#at(place)
    const groups = this.#groupsOf(host)
    const beside = this.#sixteenths.get(sixteenth) ?? 0
    if (beside >= SIXTEENTH_LIMIT || !this.#whole.admit(groups)) return false
    if (!bucket.admit(groups)) {
      this.#whole.leave(groups)
      return false
    }
    this.#sixteenths.set(sixteenth, beside + 1)
    return true
  }

  leave({ host }: Contact, place: Uint8Array): void {
    const { bucket, sixteenth } = this.#at(place)
    const groups = this.#groupsOf(host)
    this.#whole.leave(groups)
    bucket.leave(groups)
    this.#sixteenths.set(sixteenth, Math.max(0, (this.#sixteenths.get(sixteenth) ?? 0) - 1))
  }

  #at(place: Uint8Array): { bucket: Crowd; sixteenth: string } {
    const depth = commonPrefix(this.#own, place)
    const bucket = this.#buckets.get(depth) ?? new Crowd(BUCKET_LIMITS)
    this.#buckets.set(depth, bucket)
    return { bucket, sixteenth: `${depth} ${bitsAfter(place, depth + 1, 4)}` }
  }
}

/** `count` bits from bit `from` on, at most to the end. */
function bitsAfter(place: Uint8Array, from: number, count: number): number {
  let bits = 0
  for (let i = from; i < from + count; i++) bits = (bits << 1) | (((place[i >> 3] ?? 0) >> (7 - (i & 7))) & 1)
  return bits
}

interface Entry {
  contact: Contact
  place: Uint8Array
}

export function limitTable(table: Table, addressOf: (peer: PeerId) => Promise<Contact | undefined>, groupsOf: GroupsOf, own: Uint8Array) {
  const entries = new Map<string, Entry>()
  const seats = new Seats(own, groupsOf)

  /** Whether there was room for it. */
  function admit(peer: PeerId, contact: Contact): boolean {
    const place = placeOfKey(contact.key)
    if (!seats.admit(contact, place)) return false
    entries.set(peer.toString(), { contact, place })
    return true
  }

  table.addEventListener('peer:add', ({ detail: peer }) => {
    if (entries.has(peer.toString())) return
    const look = async () => {
      const contact = await addressOf(peer)
      // Nobody could be told where it is, or its network is here already.
      if (contact === undefined || !admit(peer, contact)) await table.remove(peer)
    }
    look().catch(() => {
      // It left while it was looked at.
    })
  })
  table.addEventListener('peer:remove', ({ detail: peer }) => {
    const entry = entries.get(peer.toString())
    if (entry === undefined) return
    entries.delete(peer.toString())
    seats.leave(entry.contact, entry.place)
  })

  return {
    size: () => entries.size,
    nearest(place: Uint8Array, count: number): Contact[] {
      return [...entries.values()]
        .sort((a, b) => compareDistance(place, a.place, b.place))
        .slice(0, count)
        .map(({ contact }) => contact)
    },
  }
}
