/**
 * A walk: from nodes we know to those nearest to a place, asking each for nearer ones (Kademlia), with the crowd kept in mind.
 *
 * The shortlist at any moment is the nearest of all we heard of, taken greedily with a limit for each group of addresses (diversity.ts). Sybils ground
 * to the neighbourhood of the place fill the places of their own network and no others; honest nodes behind them stay in the list and are asked.
 * What an answer claims is believed only as an address to dial, where libp2p proves the key; who cannot be dialled leaves the list.
 *
 * Pure: asking, and what groups an address has, are passed in.
 */
import { Crowd, type GroupsOf, type Limits } from './diversity.ts'
import { type Contact, MAX_CONTACTS } from './messages.ts'
import { compareDistance, placeOfKey } from './shelves.ts'

// --- Our choices. Safe to change. ---
/** Nodes a walk ends with: those that keep a shelf, with room for some that lie or are gone. */
export const SHORTLIST = 10
/** Asked at a time, as in the paper. */
const AT_ONCE = 3
/** Asked in all. An honest walk of a million nodes takes some forty; beyond it somebody is leading us on. */
const MAX_ASKED = 80
/** Heard of in all: what one walk may hold in memory, however much is claimed. */
const MAX_HEARD = 1_000

export interface WalkNeeds {
  /** Nodes of `of`'s table nearest to the place; rejects when it does not answer. */
  ask: (of: Contact) => Promise<readonly Contact[]>
  groupsOf: GroupsOf
  limits: Limits
}

type State = 'heard' | 'asking' | 'answered' | 'gone'

/** Nearest to `place`, nearest first. Those that answered only. */
export async function walk(place: Uint8Array, from: readonly Contact[], { ask, groupsOf, limits }: WalkNeeds): Promise<Contact[]> {
  const heard = new Map<string, { contact: Contact; place: Uint8Array; state: State }>()
  const hear = (contact: Contact) => {
    // By address too: somebody may claim a node's key for another address, and must not hide the right one by it.
    const name = `${contact.key} ${contact.host} ${contact.port}`
    if (!heard.has(name) && heard.size < MAX_HEARD) heard.set(name, { contact, place: placeOfKey(contact.key), state: 'heard' })
  }
  for (const contact of from) hear(contact)
  const shortlist = () => {
    const crowd = new Crowd(limits)
    const keys = new Set<string>()
    const list: (typeof heard extends Map<string, infer V> ? V : never)[] = []
    for (const one of [...heard.values()].sort((a, b) => compareDistance(place, a.place, b.place))) {
      if (list.length === SHORTLIST) break
      if (one.state === 'gone' || keys.has(one.contact.key) || !crowd.admit(groupsOf(one.contact.host))) continue
      keys.add(one.contact.key)
      list.push(one)
    }
    return list
  }
  let asked = 0
  const worker = async () => {
    for (;;) {
      const next = shortlist().find(({ state }) => state === 'heard')
      if (next === undefined || asked >= MAX_ASKED) {
        // Another answer may still bring something nearer.
        if (asking.size === 0 || asked >= MAX_ASKED) return
        await Promise.race(asking)
        continue
      }
      asked++
      next.state = 'asking'
      const answer = ask(next.contact).then(
        (contacts) => {
          next.state = 'answered'
          for (const contact of contacts.slice(0, MAX_CONTACTS)) hear(contact)
        },
        () => {
          next.state = 'gone'
        },
      )
      asking.add(answer)
      await answer
      asking.delete(answer)
    }
  }
  const asking = new Set<Promise<void>>()
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  return shortlist()
    .filter(({ state }) => state === 'answered')
    .map(({ contact }) => contact)
}
