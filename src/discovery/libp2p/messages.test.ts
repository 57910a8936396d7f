/** What strangers send is read within its limits, or refused; what nodes of ours say fits. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { toHex } from '../../protocol/bytes.ts'
import { BywayError } from '../../protocol/errors.ts'
import { encodeOffer } from '../../protocol/offer.ts'
import { OFFERED_AT_S, offeringNode } from '../../protocol/testing.ts'
import { admission } from './admit.ts'
import { Answers } from './answers.ts'
import {
  decodeAnswer,
  decodeQuestion,
  encodeAnswer,
  encodeQuestion,
  keyStart,
  MAX_ANSWER_BYTES,
  MAX_CONTACTS,
  MAX_ENTRIES,
  MAX_QUESTION_BYTES,
  packEntries,
  unpackEntries,
} from './messages.ts'
import { shelvesFor } from './shelves.ts'
import { OfferStore } from './store.ts'

const clock = { nowMs: () => OFFERED_AT_S * 1000 }
const shelf = toHex(randomBytes(32))
const START = `0x${'00'.repeat(8)}` as const

function answering() {
  const counted: string[] = []
  const observer = {
    count: (name: string, _by?: number, labels?: Readonly<Record<string, string>>) =>
      void counted.push(`${name} ${Object.values(labels ?? {}).join(' ')}`),
  }
  const store = new OfferStore(clock)
  const admit = admission(
    (ip) => ip.startsWith('45.'),
    () => OFFERED_AT_S,
  )
  return { answers: new Answers({ clock, observer, store, nearest: () => [], admit }), store, counted }
}

test('each answer at its largest is within its limit', () => {
  const contacts = Array.from({ length: MAX_CONTACTS }, () => ({ key: toHex(randomBytes(32)), host: 'f'.repeat(45), port: 65_535 }))
  assert.equal(encodeAnswer('near', { contacts }).length, MAX_ANSWER_BYTES.near)
  const entries = Array.from({ length: MAX_ENTRIES }, () => ({ key: toHex(randomBytes(8)), sequence: 2n ** 64n - 1n }))
  const listed = encodeAnswer('list', { entries: packEntries(entries), more: 1 })
  assert.equal(listed.length, MAX_ANSWER_BYTES.list)
  assert.deepEqual(unpackEntries(decodeAnswer('list', listed).entries), entries)
})

test('an offer is put, listed and fetched; a forged, private or misplaced one is refused and counted', () => {
  const { answers, store, counted } = answering()
  const transports = [{ kind: 'tls', host: '45.1.0.2', port: 443, pin: `0x${'33'.repeat(32)}` as const }]
  const node = offeringNode()
  const good = node.offer({ transports })
  const on = shelvesFor(good.body)[0]!
  const put = (bytes: Uint8Array, at = on) =>
    decodeAnswer('put', answers.answer(encodeQuestion('put', { shelf: at, offer: bytes }), 'a')!).refused
  const forged = encodeOffer(good)
  forged[forged.length - 1]! ^= 1
  assert.deepEqual([put(forged), put(encodeOffer(node.offer())), put(encodeOffer(good), shelf), store.size], [1, 1, 1, 0])
  assert.deepEqual(counted, ['malformed offer', 'malformed offer', 'questions_refused elsewhere'])
  assert.equal(put(encodeOffer(good)), 0)
  const { entries } = decodeAnswer('list', answers.answer(encodeQuestion('list', { shelf: on, after: START }), 'a')!)
  assert.deepEqual(unpackEntries(entries), [{ key: keyStart(node.nodeKey), sequence: 1n }])
  const { offers } = decodeAnswer('fetch', answers.answer(encodeQuestion('fetch', { shelf: on, keys: [keyStart(node.nodeKey)] }), 'a')!)
  assert.deepEqual(offers.map(toHex), [toHex(encodeOffer(good))])
})

test('whoever asks without end gets no more answers, and others still do', () => {
  const { answers, counted } = answering()
  const question = encodeQuestion('near', { place: shelf })
  const answered = Array.from({ length: 1_000 }, () => answers.answer(question, 'flood')).filter((answer) => answer !== undefined).length
  assert.ok(answered > 0 && answered < 500, `${answered} answers`)
  assert.equal(counted.length, 1_000 - answered)
  assert.notEqual(answers.answer(question, 'another'), undefined)
})

test('random bytes and damaged questions are refused by name, and never crash', () => {
  const question = encodeQuestion('fetch', { shelf, keys: [START, START] })
  assert.equal(decodeQuestion(question).kind, 'fetch')
  for (let i = 0; i < 5_000; i++) {
    const bytes = i % 2 === 0 ? randomBytes(i % 200) : Buffer.from(question)
    if (i % 2 === 1) bytes[i % bytes.length]! ^= 1 << (i % 8)
    try {
      decodeQuestion(bytes)
    } catch (thrown) {
      assert.ok(thrown instanceof BywayError, String(thrown))
    }
  }
  assert.ok(encodeQuestion('put', { shelf, offer: new Uint8Array(16_384) }).length <= MAX_QUESTION_BYTES)
})
