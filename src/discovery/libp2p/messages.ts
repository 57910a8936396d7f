/**
 * What nodes say to each other about offers: one question and one answer a stream, each read to its end and no further than its limit.
 *
 *     near   which nodes of your table are nearest to this place   -> up to 20 contacts
 *     list   what lies on this shelf, from this key on             -> up to 512 entries of 16 bytes
 *     fetch  these offers of the shelf                             -> up to 16 signed offers, as many as fit
 *     put    keep this offer on this shelf                         -> whether it is kept
 *
 * Pure. Spec: docs/protocol.md#offers-in-the-network.
 */
import type { Hex } from '../../protocol/bytes.ts'
import { blob, decode, encode, hex, type Infer, list, struct, text, u8, u16 } from '../../protocol/codec.ts'
import { BywayError } from '../../protocol/errors.ts'
import { MAX_OFFER_BYTES } from '../../protocol/offer.ts'

// --- Fixed by docs/protocol.md. Changing one breaks peers. ---
export const OFFERS_PROTOCOL = '/byway/offers/1.0.0'
export const KAD_PROTOCOL = '/byway/kad/1.0.0'
/** The largest question is a put: a byte, a shelf, and an offer with its length. */
export const MAX_QUESTION_BYTES = 1 + 32 + 2 + MAX_OFFER_BYTES
export const MAX_CONTACTS = 20
export const MAX_ENTRIES = 512
export const MAX_FETCHED = 16
/** Sixteen ordinary offers of half a KiB, or three of the largest. */
export const MAX_FETCH_BYTES = 3 * (MAX_OFFER_BYTES + 2) + 1
export const ENTRY_BYTES = 16
/** Of a node key, in an entry: two nodes whose keys begin alike by chance do not exist. */
const KEY_START_BYTES = 8

/** A node that answers: its libp2p key (Ed25519) and where it listens. Addresses only: a name would be resolved for whoever invented it. */
export const contact = struct({ key: hex(32), host: text(45), port: u16 })
export type Contact = Infer<typeof contact>

/** Beginning of a node key. */
export const keyStart = (nodeKey: Hex): Hex => nodeKey.slice(0, 2 + 2 * KEY_START_BYTES) as Hex

const near = struct({ place: hex(32) })
const listing = struct({ shelf: hex(32), after: hex(KEY_START_BYTES) })
const fetching = struct({ shelf: hex(32), keys: list(hex(KEY_START_BYTES), MAX_FETCHED) })
const put = struct({ shelf: hex(32), offer: blob(MAX_OFFER_BYTES) })
const QUESTIONS = { near, list: listing, fetch: fetching, put } as const
const KINDS = ['near', 'list', 'fetch', 'put'] as const

const nearAnswer = struct({ contacts: list(contact, MAX_CONTACTS) })
const listAnswer = struct({ entries: blob(MAX_ENTRIES * ENTRY_BYTES), more: u8 })
const fetchAnswer = struct({ offers: list(blob(MAX_OFFER_BYTES), MAX_FETCHED) })
/** 0: kept; 1: not. Why is nobody's business who sends what is refused. */
const putAnswer = struct({ refused: u8 })
const ANSWERS = { near: nearAnswer, list: listAnswer, fetch: fetchAnswer, put: putAnswer } as const

export type Kind = (typeof KINDS)[number]
export type QuestionOf<K extends Kind> = Infer<(typeof QUESTIONS)[K]>
export type AnswerTo<K extends Kind> = Infer<(typeof ANSWERS)[K]>
export type Question = { [K in Kind]: { kind: K } & QuestionOf<K> }[Kind]

/** The most an answer of this kind may take. */
export const MAX_ANSWER_BYTES: Readonly<Record<Kind, number>> = {
  near: 1 + MAX_CONTACTS * (32 + 2 + 45 + 2),
  list: 2 + MAX_ENTRIES * ENTRY_BYTES + 1,
  fetch: MAX_FETCH_BYTES,
  put: 1,
}

export function encodeQuestion<K extends Kind>(kind: K, question: QuestionOf<K>): Uint8Array {
  return Buffer.concat([Buffer.of(KINDS.indexOf(kind)), encode(QUESTIONS[kind] as never, question as never)])
}

export function decodeQuestion(bytes: Uint8Array): Question {
  const kind = KINDS[bytes[0] ?? KINDS.length]
  if (kind === undefined) throw new BywayError('MESSAGE_MALFORMED', 'a question of unknown kind')
  return { kind, ...(decode(QUESTIONS[kind] as never, bytes.subarray(1)) as object) } as Question
}

export const encodeAnswer = <K extends Kind>(kind: K, answer: AnswerTo<K>): Uint8Array => encode(ANSWERS[kind] as never, answer as never)
export const decodeAnswer = <K extends Kind>(kind: K, bytes: Uint8Array): AnswerTo<K> => decode(ANSWERS[kind] as never, bytes)

export interface Entry {
  /** Beginning of the node key. */
  key: Hex
  sequence: bigint
}

export function packEntries(entries: readonly Entry[]): Uint8Array {
  const bytes = Buffer.alloc(entries.length * ENTRY_BYTES)
  for (const [i, { key, sequence }] of entries.entries()) {
    bytes.write(key.slice(2), i * ENTRY_BYTES, 'hex')
    bytes.writeBigUInt64BE(sequence, i * ENTRY_BYTES + KEY_START_BYTES)
  }
  return bytes
}

export function unpackEntries(packed: Uint8Array): Entry[] {
  if (packed.length % ENTRY_BYTES !== 0) throw new BywayError('MESSAGE_MALFORMED', 'entries end in the middle of one')
  const bytes = Buffer.from(packed)
  return Array.from({ length: bytes.length / ENTRY_BYTES }, (_, i) => ({
    key: `0x${bytes.toString('hex', i * ENTRY_BYTES, i * ENTRY_BYTES + KEY_START_BYTES)}` as Hex,
    sequence: bytes.readBigUInt64BE(i * ENTRY_BYTES + KEY_START_BYTES),
  }))
}
