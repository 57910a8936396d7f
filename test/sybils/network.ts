/**
 * Sybils: a network of honest nodes, and of identities ground to the neighbourhood of a shelf, which keep what they are given and show nothing.
 *
 * The rule it keeps: honest nodes run what the program runs (Courier, Answers, OfferStore), and every message passes its codec. Only what carries it
 * differs: `memory` here, `tcp` (real libp2p nodes) in tcp.ts. Start reading at {@link attack} in attack.ts.
 */
import { Answers } from '../../src/discovery/libp2p/answers.ts'
import { Courier, type CourierNeeds, type Net } from '../../src/discovery/libp2p/courier.ts'
import { groupsBy, type Limits, SHORTLIST_LIMITS } from '../../src/discovery/libp2p/diversity.ts'
import {
  type Contact,
  decodeAnswer,
  decodeQuestion,
  encodeAnswer,
  encodeQuestion,
  type Kind,
  MAX_CONTACTS,
  packEntries,
  type QuestionOf,
} from '../../src/discovery/libp2p/messages.ts'
import { commonPrefix, compareDistance, placeOfKey } from '../../src/discovery/libp2p/shelves.ts'
import { OfferStore } from '../../src/discovery/libp2p/store.ts'
import { Seats } from '../../src/discovery/libp2p/table.ts'
import { fromHex } from '../../src/protocol/bytes.ts'
import { systemClock } from '../../src/protocol/clock.ts'
import { readOffer } from '../../src/protocol/offer.ts'

export const UNLIMITED: Limits = { address: Number.MAX_SAFE_INTEGER, subnet: Number.MAX_SAFE_INTEGER, operator: Number.MAX_SAFE_INTEGER }
/** Of kad-dht. */
const BUCKET_SIZE = 20

export const groupsOf = groupsBy()
const nowS = () => Math.floor(Date.now() / 1000)
export const admit = (bytes: Uint8Array) => readOffer(bytes, nowS())

/** Answers a question as an honest node or a sybil does; undefined for no answer. */
export type Answering = (question: Uint8Array, from: string) => Uint8Array | undefined

/** What a sybil says: that it knows sybils, has nothing, and kept everything. */
export function sybilAnswers(sybils: () => readonly Contact[]): Answering {
  return (bytes) => {
    const question = decodeQuestion(bytes)
    const { kind } = question
    if (kind === 'near') {
      const place = fromHex(question.place, 32)
      const near = sybils().toSorted((a, b) => compareDistance(place, placeOfKey(a.key), placeOfKey(b.key)))
      return encodeAnswer('near', { contacts: near.slice(0, MAX_CONTACTS) })
    }
    if (kind === 'list') return encodeAnswer('list', { entries: packEntries([]), more: 0 })
    if (kind === 'fetch') return encodeAnswer('fetch', { offers: [] })
    return encodeAnswer('put', { refused: 0 })
  }
}

export function honestAnswers(store: OfferStore, nearest: Net['nearest']): Answering {
  const answers = new Answers({ clock: systemClock, observer: { count: () => {} }, store, nearest, admit })
  // The pace is for one subnet; here hundreds of consumers share one.
  let asked = 0
  return (bytes) => answers.answer(bytes, `asker ${asked++ % 5_000}`)
}

/** A courier of a node that was started just now and knows these. */
export function courierAt(net: Net, contacts: readonly Contact[], shortlist: Limits, found: CourierNeeds['onOffer'] = () => {}): Courier {
  const needs = {
    net,
    clock: systemClock,
    groupsOf,
    store: new OfferStore(systemClock),
    admit,
    onLost: () => {},
    onOffer: found,
    shortlist,
  }
  const courier = new Courier(needs)
  for (const contact of contacts) courier.meet(contact)
  return courier
}

export interface Member {
  contact: Contact
  answer: Answering
  /** For asking, as this node. */
  net: Net
}

export interface Network {
  honest: Member[]
  /** Nobody's, for consumers. */
  net: Net
  close(): Promise<void>
}

/** All in this process: a question is a function call. Tables are as kad-dht fills them, with our limits or without. */
export function memoryNetwork(honest: readonly Contact[], sybils: readonly Contact[], defended: boolean): Network {
  const answering = new Map<string, Answering>()
  const ask: Net['ask'] = async <K extends Kind>(contact: Contact, kind: K, question: QuestionOf<K>) => {
    const answer = answering.get(contact.key)?.(encodeQuestion(kind, question), 'memory')
    if (answer === undefined) throw new Error('no answer')
    return decodeAnswer(kind, answer)
  }
  const everybody = [...sybils, ...honest]
  const members = honest.map((contact): Member => {
    const table = tableOf(contact, everybody, defended)
    const nearest = (place: Uint8Array, count: number) =>
      table
        .toSorted((a, b) => compareDistance(place, a.place, b.place))
        .slice(0, count)
        .map((each) => each.contact)
    const answer = honestAnswers(new OfferStore(systemClock), nearest)
    answering.set(contact.key, answer)
    return { contact, answer, net: { ask, nearest } }
  })
  const lying = sybilAnswers(() => sybils)
  for (const { key } of sybils) answering.set(key, lying)
  return { honest: members, net: { ask, nearest: () => [] }, close: async () => {} }
}

/** Sybils come first: they are always there, and say hello to everybody. */
function tableOf(own: Contact, everybody: readonly Contact[], defended: boolean): { contact: Contact; place: Uint8Array }[] {
  const ownPlace = placeOfKey(own.key)
  const seats = new Seats(ownPlace, groupsOf)
  const sizes = new Map<number, number>()
  return everybody.flatMap((contact) => {
    if (contact.key === own.key) return []
    const place = placeOfKey(contact.key)
    const depth = commonPrefix(ownPlace, place)
    const size = sizes.get(depth) ?? 0
    if (size >= BUCKET_SIZE || (defended && !seats.admit(contact, place))) return []
    sizes.set(depth, size + 1)
    return [{ contact, place }]
  })
}

export const shortlistOf = (defended: boolean): Limits => (defended ? SHORTLIST_LIMITS : UNLIMITED)
