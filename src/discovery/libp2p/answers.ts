/**
 * What a node answers others: from its table and its store, at a pace, and nothing that was not verified.
 *
 * Whoever asks more than the pace allows is left without an answer and counted; whoever keeps on is hung up on. Pure but for the clock.
 */
import type { Clock } from '../../protocol/clock.ts'
import type { Observer } from '../../protocol/observe.ts'
import type { SignedOffer } from '../../protocol/offer.ts'
import {
  type AnswerTo,
  type Contact,
  decodeQuestion,
  encodeAnswer,
  type Kind,
  MAX_CONTACTS,
  MAX_FETCH_BYTES,
  packEntries,
} from './messages.ts'
import type { OfferStore } from './store.ts'

// --- Our choices. Safe to change. ---
/** A whole look at a country takes some forty questions at a node that keeps all of its shelves. */
const BURST = 120
/** A provider that announces, and looks for relays besides, asks less than one a second. */
const PER_SECOND = 2
/** Subnets remembered for their pace: the rest begin anew. */
const MAX_PACED = 10_000

export interface AnswersNeeds {
  clock: Clock
  observer: Pick<Observer, 'count'>
  store: OfferStore
  nearest: (place: Uint8Array, count: number) => readonly Contact[]
  /** Reads and verifies an offer; throws OFFER_* when it is not one to keep. */
  admit: (bytes: Uint8Array) => SignedOffer
}

export class Answers {
  readonly #needs: AnswersNeeds
  readonly #pace = new Map<string, { left: number; atMs: number }>()

  constructor(needs: AnswersNeeds) {
    this.#needs = needs
  }

  /** The answer to a question from a subnet; undefined when it gets none. Throws MESSAGE_* for what is no question. */
  answer(bytes: Uint8Array, from: string): Uint8Array | undefined {
    const { observer, store, nearest } = this.#needs
    if (!this.#within(from)) {
      observer.count('questions_refused', 1, { why: 'pace' })
      return undefined
    }
    const question = decodeQuestion(bytes)
    const reply = <K extends Kind>(kind: K, answer: AnswerTo<K>) => encodeAnswer(kind, answer)
    switch (question.kind) {
      case 'near':
        return reply('near', { contacts: nearest(Buffer.from(question.place.slice(2), 'hex'), MAX_CONTACTS).slice(0, MAX_CONTACTS) })
      case 'list': {
        const { entries, more } = store.list(question.shelf, question.after)
        return reply('list', { entries: packEntries(entries), more: more ? 1 : 0 })
      }
      case 'fetch':
        return reply('fetch', { offers: store.fetch(question.shelf, question.keys, MAX_FETCH_BYTES) })
      case 'put':
        return reply('put', { refused: this.#put(question.shelf, question.offer, from) ? 0 : 1 })
    }
  }

  #put(shelf: `0x${string}`, bytes: Uint8Array, from: string): boolean {
    const { observer, store, admit } = this.#needs
    let offer: SignedOffer
    try {
      offer = admit(bytes)
    } catch {
      // Which of the many reasons it was is counted, not told.
      observer.count('malformed', 1, { where: 'offer' })
      return false
    }
    // A copy of its own: the message it came in is longer than it.
    const outcome = store.keep(offer, Uint8Array.from(bytes), shelf, from)
    if (outcome !== 'kept') observer.count('questions_refused', 1, { why: outcome })
    return outcome === 'kept'
  }

  #within(from: string): boolean {
    const nowMs = this.#needs.clock.nowMs()
    const before = this.#pace.get(from) ?? { left: BURST, atMs: nowMs }
    const left = Math.min(BURST, before.left + (Math.max(0, nowMs - before.atMs) / 1000) * PER_SECOND)
    this.#pace.delete(from)
    this.#pace.set(from, { left: Math.max(0, left - 1), atMs: nowMs })
    if (this.#pace.size > MAX_PACED) this.#pace.delete(this.#pace.keys().next().value!)
    return left >= 1
  }
}
