/** One attack: who is where, what is announced, and how many look-ups find it. */
import { randomBytes, randomInt } from 'node:crypto'
import { type Contact, keyStart } from '../../src/discovery/libp2p/messages.ts'
import { compareDistance, placeOfKey, placeOfShelf, type Shelf, shelvesFor, shelvesOf } from '../../src/discovery/libp2p/shelves.ts'
import { walk } from '../../src/discovery/libp2p/walk.ts'
import { toHex } from '../../src/protocol/bytes.ts'
import { encodeOffer, type SignedOffer } from '../../src/protocol/offer.ts'
import { offeringNode } from '../../src/protocol/testing.ts'
import { courierAt, groupsOf, memoryNetwork, type Network, shortlistOf, UNLIMITED } from './network.ts'

export interface Attack {
  honest: number
  sybils: number
  /** Where their addresses are: all in one /24, or each with an operator of its own. */
  addresses: 'one subnet' | 'everywhere'
  /** How many shelves of the country they surround: the sybils are shared out. */
  shelves: number
  /** Off: no limits by address, and offers lie on one shelf and are looked for there. The positive control. */
  defended: boolean
  lookups: number
}

export interface Outcome {
  found: number
  lookups: number
  /** Questions a look-up took. */
  questions: number
}

export const COUNTRY = 'de'
/** Providers of the country, among the honest nodes. */
const PROVIDERS = 20
/** Contacts a consumer begins with: bootstrap nodes, or those it met before. */
const START = 3

/** Identities whose place shares this many bits with the shelf's: nearer than any of hundreds of honest ones. */
const GROUND_BITS = 13

export const honestContacts = (count: number): Contact[] =>
  Array.from({ length: count }, (_, i) => ({ key: toHex(randomBytes(32)), host: `${11 + (i % 110)}.${i}.7.1`, port: 4434 }))

const sybilHost = (i: number, where: Attack['addresses']) => (where === 'one subnet' ? `9.9.9.${1 + i}` : `${140 + (i % 60)}.${i}.9.9`)

/** Keys next to a place, by trying; `makeKey` makes one. */
export function grind<T extends { key: Contact['key'] }>(place: Uint8Array, count: number, makeKey: () => T): T[] {
  const near: T[] = []
  const bits = (at: Uint8Array) => {
    const high = ((at[0]! ^ place[0]!) << 16) | ((at[1]! ^ place[1]!) << 8) | (at[2]! ^ place[2]!)
    return Math.clz32(high) - 8
  }
  while (near.length < count) {
    const made = makeKey()
    if (bits(placeOfKey(made.key)) >= GROUND_BITS) near.push(made)
  }
  return near.sort((a, b) => compareDistance(place, placeOfKey(a.key), placeOfKey(b.key)))
}

/** Shelves under attack: the first of the country, and so on. */
const attacked = (shelves: number): Shelf[] => shelvesOf(COUNTRY).slice(0, shelves)

export function sybilContacts({ sybils, addresses, shelves }: Attack): Contact[] {
  return attacked(shelves)
    .flatMap((shelf) => grind(placeOfShelf(shelf), sybils / shelves, () => ({ key: toHex(randomBytes(32)) })))
    .map(({ key }, i) => ({ key, host: sybilHost(i, addresses), port: 4434 }))
}

export const inMemory = (attack: Attack): Network => memoryNetwork(honestContacts(attack.honest), sybilContacts(attack), attack.defended)

/** Announces, looks, counts. What is looked for lies on every shelf that is attacked. */
export async function attack(network: Network, { shelves, defended, lookups }: Attack): Promise<Outcome> {
  const targets = attacked(shelves)
  const limits = shortlistOf(defended)
  const offers: SignedOffer[] = []
  const nowS = BigInt(Math.floor(Date.now() / 1000))
  while (offers.length < PROVIDERS) {
    const offer = offeringNode().offer({ issuedAt: nowS, expiresAt: nowS + 3600n, country: COUNTRY })
    if (targets.every((shelf) => shelvesFor(offer.body).includes(shelf))) offers.push(offer)
  }
  const anyOf = () => Array.from({ length: START }, () => network.honest[randomInt(network.honest.length)]!.contact)
  let questions = 0
  const ask: Network['net']['ask'] = (...of) => {
    questions++
    return network.net.ask(...of)
  }
  const counted = { ...network.net, ask }
  for (const offer of offers) {
    const { net } = network.honest[randomInt(network.honest.length)]!
    if (defended) await courierAt(net, anyOf(), limits).put(offer)
    else await putOnOne(network, anyOf(), targets[0]!, offer)
  }
  questions = 0
  let found = 0
  for (let i = 0; i < lookups; i++) {
    const wanted = offers[randomInt(offers.length)]!
    if (defended) {
      let met = false
      await courierAt(counted, anyOf(), limits, ({ body }) => (met ||= body.nodeKey === wanted.body.nodeKey)).look([COUNTRY], true)
      if (met) found++
    } else if (await isOnOne(counted, anyOf(), targets[0]!, wanted)) found++
  }
  return { found, lookups, questions: questions / lookups }
}

/** What a DHT does by itself: one key, its nearest nodes. */
async function keepersOf(net: Network['net'], start: readonly Contact[], shelf: Shelf): Promise<Contact[]> {
  const place = placeOfShelf(shelf)
  const ask = async (of: Contact) => (await net.ask(of, 'near', { place: toHex(place) })).contacts
  return walk(place, start, { ask, groupsOf, limits: UNLIMITED })
}

async function putOnOne({ net }: Network, start: readonly Contact[], shelf: Shelf, offer: SignedOffer): Promise<void> {
  for (const keeper of await keepersOf(net, start, shelf))
    await net.ask(keeper, 'put', { shelf, offer: encodeOffer(offer) }).catch(() => {})
}

async function isOnOne(net: Network['net'], start: readonly Contact[], shelf: Shelf, { body }: SignedOffer): Promise<boolean> {
  for (const keeper of await keepersOf(net, start, shelf)) {
    const answer = await net.ask(keeper, 'fetch', { shelf, keys: [keyStart(body.nodeKey)] }).catch(() => undefined)
    if (answer !== undefined && answer.offers.length > 0) return true
  }
  return false
}
