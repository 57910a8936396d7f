/** The directory against a plain list that is filtered and sorted anew for every question; and what it does when it is full. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { DEFAULT_TASTE } from '../../economy/utility.ts'
import type { Hex } from '../../protocol/bytes.ts'
import { silent } from '../../protocol/observe.ts'
import { LINES, type Offer, type SignedOffer } from '../../protocol/offer.ts'
import { OFFERED_AT_S, offeringNode } from '../../protocol/testing.ts'
import { OWNERS_FOLDER } from '../feed.ts'
import { Directory, type DirectoryNeeds, type Merits, type OfferQuery, type Seen } from './index.ts'
import { pointsOf } from './query.ts'

const DOMAIN = { chainId: 31_337, channels: `0x${'22'.repeat(20)}` as Hex }
const template = offeringNode().offer()
const keyOf = (number: number): Hex => `0x${number.toString(16).padStart(64, '0')}`
/** Not signed: what is kept was verified before. */
const offerOf = (number: number, changes: Partial<Offer>): SignedOffer => ({
  ...template,
  body: { ...template.body, nodeKey: keyOf(number), ...changes },
})

function directoryWith(needs: Partial<DirectoryNeeds> = {}): Directory {
  const clock = { nowMs: () => OFFERED_AT_S * 1000 }
  return new Directory({ clock, observer: silent, random: Math.random, isPublic: () => true, domain: DOMAIN, ...needs })
}

const COUNTRIES = ['de', 'us', 'jp']
const place = fc.constantFrom('', 'north', 'south')
const offers = fc.record({
  country: fc.constantFrom(...COUNTRIES),
  region: place,
  city: place,
  asn: fc.constantFrom(0, 1, 2, 2 ** 32 - 1),
  line: fc.nat(3),
  mbps: fc.nat(4),
  pricePerGib: fc.oneof(fc.bigInt(0n, 6n), fc.constantFrom(2n ** 32n - 1n, 2n ** 32n, 2n ** 90n)),
  transports: fc.constantFrom(template.body.transports, [{ ...template.body.transports[0]!, kind: 'relay' }]),
  relay: fc.nat(1),
})
const merits = fc.record({ provenMbps: fc.constantFrom(0, 3, 50), score: fc.constantFrom(0, 0.5, 1), stake: fc.nat(3) })
const seen = fc.option(fc.record({ latencyMs: fc.constantFrom(undefined, 1, 400, 9_999) }), { nil: undefined })
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ does: fc.constant('keep' as const), number: fc.nat(40), changes: offers, merits, seen }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constant('forget' as const), number: fc.nat(40) }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('judge' as const), number: fc.nat(40), merits, seen }) },
)
const maybe = <T>(values: fc.Arbitrary<T>) => fc.option(values, { nil: undefined })
const queries = fc.record({
  country: maybe(fc.constantFrom(...COUNTRIES, 'zz')),
  region: maybe(fc.constantFrom('north', 'nowhere')),
  city: maybe(fc.constantFrom('south', 'nowhere')),
  asn: maybe(fc.constantFrom(1, 2, 7)),
  line: maybe(fc.constantFrom(...LINES)),
  maxPricePerGib: maybe(fc.constantFrom(0n, 3n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 91n)),
  leastMbps: maybe(fc.constantFrom(0, 2, 10)),
  leastScore: maybe(fc.constantFrom(0.5, 1)),
  provider: maybe(fc.constantFrom('00', '0'.repeat(63), keyOf(7).slice(2))),
  dialled: maybe(fc.boolean()),
  relay: maybe(fc.boolean()),
})

test('finds what a plain list finds, in the same order, whatever came, changed and went', () => {
  fc.assert(
    fc.property(
      fc.array(step, { minLength: 20, maxLength: 160, size: 'max' }),
      fc.array(queries, { minLength: 8, maxLength: 16 }),
      (steps, asked) => {
        const known = new Map<Hex, { offer: SignedOffer; merits: Merits; seen: Seen | undefined }>()
        const told = new Map<Hex, { merits: Merits; seen: Seen | undefined }>()
        const directory = directoryWith({
          meritsOf: ({ nodeKey }) => told.get(nodeKey)!.merits,
          seenOf: (nodeKey) => told.get(nodeKey)?.seen,
        })
        let sequence = 0n
        for (const one of steps) {
          const nodeKey = keyOf(one.number)
          if (one.does === 'forget') {
            directory.forget(nodeKey)
            known.delete(nodeKey)
            continue
          }
          told.set(nodeKey, one)
          const offer = one.does === 'keep' ? offerOf(one.number, { ...one.changes, sequence: ++sequence }) : known.get(nodeKey)?.offer
          if (one.does === 'keep') assert.equal(directory.keep(offer!, OWNERS_FOLDER), undefined)
          else directory.judge(nodeKey)
          if (offer !== undefined) known.set(nodeKey, { offer, merits: one.merits, seen: one.seen })
        }
        assert.equal(directory.size, known.size)
        for (const query of asked) {
          const expected = [...known.values()].filter((one) => fits(one, query)).map(({ offer, ...one }) => points(offer, one))
          const found = directory.find(query, 1_000)
          assert.deepEqual(
            found.map((listing) => listing.utility),
            expected.sort((a, b) => b - a),
          )
          for (const { offer } of found) assert.deepEqual(offer, known.get(offer.body.nodeKey)?.offer)
          assert.deepEqual(directory.find(query, 2), found.slice(0, 2))
        }
        assert.deepEqual(
          [...directory.countries.keys()].sort(),
          [...new Set([...known.values()].map(({ offer }) => offer.body.country))].sort(),
        )
      },
    ),
    { numRuns: 60 },
  )
})

const points = ({ body }: SignedOffer, one: { merits: Merits; seen: Seen | undefined }) =>
  Math.fround(pointsOf(body, one.merits, one.seen, DEFAULT_TASTE))

function fits({ offer: { body }, merits: { provenMbps, score } }: { offer: SignedOffer; merits: Merits }, query: OfferQuery): boolean {
  const dialled = body.transports.some(({ kind }) => kind === 'tls')
  return (
    (query.country ?? body.country) === body.country &&
    (query.region ?? body.region) === body.region &&
    (query.city ?? body.city) === body.city &&
    (query.asn ?? body.asn) === body.asn &&
    (query.line ?? LINES[body.line]) === LINES[body.line] &&
    (query.maxPricePerGib ?? body.pricePerGib) >= body.pricePerGib &&
    (query.leastMbps ?? 0) <= (provenMbps || body.mbps) &&
    (query.leastScore ?? 0) <= score &&
    body.nodeKey.slice(2).startsWith(query.provider ?? '') &&
    (query.dialled !== true || dialled) &&
    (query.relay !== true || (dialled && body.relay === 1))
  )
}

test('ten thousand offers come, change and go, and each is found under its key', () => {
  const directory = directoryWith()
  for (let round = 1n; round <= 3n; round++) {
    for (let number = 0; number < 10_000; number++) {
      const region = 'x'.repeat((number * Number(round)) % 32)
      directory.keep(
        offerOf(number, { sequence: round, region, pricePerGib: BigInt(number % 97) + round, asn: number % 500 }),
        OWNERS_FOLDER,
      )
    }
    assert.equal(directory.size, 10_000)
    assert.equal(directory.find({ asn: 499 }, 100).length, 20)
    assert.equal(directory.get(keyOf(9_999))?.body.sequence, round)
  }
  for (let number = 0; number < 10_000; number++) if (number % 10 !== 0) directory.forget(keyOf(number))
  assert.equal(directory.size, 1_000)
  assert.equal(directory.get(keyOf(11)), undefined)
  for (let number = 0; number < 10_000; number += 10) assert.equal(directory.get(keyOf(number))?.body.nodeKey, keyOf(number))
  assert.equal(directory.find({}, 10_000).length, 1_000)
})

test('when it is full, who has less at stake makes room; fresh identities push out none that cost something', () => {
  const stakes = new Map<Hex, number>()
  const used = new Set<Hex>()
  const directory = directoryWith({
    limits: { offers: 1_000, bytes: 10_000_000 },
    meritsOf: ({ nodeKey }) => ({ provenMbps: 0, score: 0, stake: stakes.get(nodeKey) ?? 0 }),
    seenOf: (nodeKey) => (used.has(nodeKey) ? {} : undefined),
  })
  for (let number = 0; number < 1_000; number++) {
    if (number < 300) stakes.set(keyOf(number), 1 + number)
    if (number === 999) used.add(keyOf(number))
    assert.equal(directory.keep(offerOf(number, {}), OWNERS_FOLDER), undefined)
  }
  for (let number = 1_000; number < 51_000; number++) directory.keep(offerOf(number, { country: 'xx' }), OWNERS_FOLDER)
  assert.equal(directory.size, 1_000)
  const left = Array.from({ length: 1_000 }, (_, number) => number).filter((number) => directory.get(keyOf(number)) !== undefined)
  assert.deepEqual(left.slice(0, 300), [...Array(300).keys()])
  assert.ok(left.includes(999), 'one that is in use was pushed out')
  assert.ok(left.length < 400, `${left.length} without stake outlived fifty times as many`)
  for (let number = 60_000; number < 61_000; number++) {
    stakes.set(keyOf(number), 1_000)
    directory.keep(offerOf(number, {}), OWNERS_FOLDER)
  }
  assert.ok(directory.find({ country: 'xx' }, 1_000).length < 50, 'stake finds room')
})

test('an offer is over when it expires, and makes room for others', () => {
  let nowMs = OFFERED_AT_S * 1000
  const directory = directoryWith({ clock: { nowMs: () => nowMs } })
  for (let number = 0; number < 100; number++)
    directory.keep(offerOf(number, { expiresAt: BigInt(OFFERED_AT_S + 60 * (number % 2) + 60) }), OWNERS_FOLDER)
  assert.equal(directory.find({}, 100).length, 100)
  nowMs += 60_000
  assert.equal(directory.find({}, 100).length, 50)
  assert.equal(directory.get(keyOf(0)), undefined)
  const later = BigInt(OFFERED_AT_S + 3_600)
  for (let number = 100; number < 200; number++) directory.keep(offerOf(number, { expiresAt: later }), OWNERS_FOLDER)
  assert.equal(directory.size, 150)
})
