/** What is no good offer is refused and counted, in whatever way it is bad; beside each a good one of the same kind is taken. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../../../test/crash/random.ts'
import { type Hex, toHex } from '../../protocol/bytes.ts'
import { silent } from '../../protocol/observe.ts'
import { encodeOffer, MAX_OFFER_BYTES, type Offer } from '../../protocol/offer.ts'
import { OFFERED_AT_S, offeringNode } from '../../protocol/testing.ts'
import { Directory, type Source } from './index.ts'

const DOMAIN = { chainId: 31_337, channels: `0x${'22'.repeat(20)}` as Hex }
const PEER: Source = { name: 'peer', burst: 1_000_000, perSecond: 1, privateAddresses: false }
const PUBLIC = '45.1.0.2'

function world() {
  let nowMs = OFFERED_AT_S * 1000
  const refused: Record<string, number> = {}
  const observer = {
    ...silent,
    count: (name: string, by = 1, labels: Readonly<Record<string, string>> = {}) => {
      if (name === 'offers_refused') refused[labels.reason!] = (refused[labels.reason!] ?? 0) + by
    },
  }
  const directory = new Directory({
    clock: { nowMs: () => nowMs },
    observer,
    random: Math.random,
    isPublic: (ip) => ip === PUBLIC,
    domain: DOMAIN,
  })
  const later = (ms: number) => {
    nowMs += ms
  }
  return { directory, refused, later }
}

const at = (host: string, kind = 'tls') => ({ transports: [{ kind, host, port: 443, pin: toHex(Buffer.alloc(32, 3)) }] })
const GOOD = at(PUBLIC)

/** A fresh node's offer with these changes, as bytes. */
const made = (changes: Partial<Offer> = {}) => encodeOffer(offeringNode().offer({ ...GOOD, ...changes }))

test('each kind of bad offer is refused under its own name, and a good one is kept', () => {
  const { directory, refused } = world()
  const node = offeringNode()
  const sent = node.offer({ ...GOOD, sequence: 5n })
  assert.equal(directory.hear(encodeOffer(sent), PEER), undefined)
  assert.equal(directory.hear(encodeOffer(sent), PEER), undefined, 'what is known is no news, and no offence')
  const forged = { ...sent, body: { ...sent.body, sequence: 6n, pricePerGib: 1n } }
  const stranger = { ...offeringNode().offer(GOOD), signature: sent.signature }
  const tomorrow = BigInt(OFFERED_AT_S + 86_400)
  const bad: [string, Uint8Array][] = [
    ['oversized', Buffer.concat([encodeOffer(sent), Buffer.alloc(MAX_OFFER_BYTES)])],
    ['oversized', Buffer.alloc(1_000_000)],
    ['malformed', Buffer.alloc(0)],
    ['malformed', Buffer.alloc(400)],
    ['malformed', made().subarray(0, -1)],
    ['malformed', made({ country: 'Germany'.slice(0, 2) })],
    ['malformed', made({ transports: [] })],
    ['malformed', made({ expiresAt: 2n ** 40n })],
    ['forged', encodeOffer(forged)],
    ['forged', encodeOffer(stranger)],
    ['expired', made({ expiresAt: BigInt(OFFERED_AT_S) })],
    ['future', made({ sequence: 2n ** 64n - 1n })],
    ['future', made({ issuedAt: tomorrow, expiresAt: tomorrow + 60n })],
    ['stale', encodeOffer(node.offer({ ...GOOD, sequence: 4n }))],
    ['stale', encodeOffer(node.offer({ ...GOOD, sequence: 5n, pricePerGib: 7n }))],
    ['private', made(at('192.168.1.1'))],
    ['private', made(at('127.0.0.1'))],
    ['private', made(at('router.local'))],
    ['private', made(at('localhost'))],
    ['private', made({ transports: [...GOOD.transports, ...at('10.0.0.1').transports] })],
    ['elsewhere', made({ chainId: 1n })],
    ['elsewhere', made({ channels: `0x${'23'.repeat(20)}` })],
  ]
  const expected: Record<string, number> = {}
  for (const [reason, bytes] of bad) {
    assert.equal(directory.hear(bytes, PEER), reason)
    expected[reason] = (expected[reason] ?? 0) + 1
  }
  assert.deepEqual(refused, expected)
  assert.deepEqual(
    directory.find({}, 10).map(({ offer }) => offer),
    [sent],
    'a bad offer changes nothing',
  )
  for (const good of [made(), made(at('node.example.com')), made(at('ab'.repeat(32), 'relay'))])
    assert.equal(directory.hear(good, PEER), undefined)
  assert.equal(directory.hear(made(at('127.0.0.1')), { ...PEER, privateAddresses: true }), undefined, 'the owner may know better')
  assert.equal(directory.hear(encodeOffer(node.offer({ ...GOOD, sequence: 6n })), PEER), undefined)
  assert.equal(directory.size, 5)
})

test('of ten thousand changed records none is taken, and the true one still is', () => {
  const { directory, refused } = world()
  const random = seededRandom(11)
  const bytes = made({ sequence: 9n })
  for (let round = 0; round < 10_000; round++) {
    const changed = Buffer.from(random.chance(0.2) ? bytes.subarray(0, random.between(0, bytes.length - 1)) : bytes)
    for (let times = random.between(1, 4); times > 0 && changed.length > 0; times--) {
      // What is changed twice at one place may be as it was.
      const place = random.between(0, changed.length - 1)
      changed[place] = (changed[place]! + random.between(1, 60)) & 0xff
    }
    assert.notEqual(directory.hear(changed, PEER), undefined)
  }
  assert.equal(directory.size, 0)
  assert.equal(
    Object.values(refused).reduce((sum, count) => sum + count),
    10_000,
  )
  assert.equal(directory.hear(bytes, PEER), undefined)
  assert.equal(directory.size, 1)
})

test('a source that brings too many is not listened to for a while, others are', () => {
  const { directory, refused, later } = world()
  const flood = { ...PEER, name: 'flood', burst: 5, perSecond: 2 }
  const said = Array.from({ length: 12 }, () => directory.hear(made(), flood))
  assert.deepEqual(said, [...Array(5).fill(undefined), ...Array(7).fill('flooding')])
  assert.equal(directory.hear(made(), { ...flood, name: 'other' }), undefined)
  later(1_000)
  assert.deepEqual(
    [0, 0, 0].map(() => directory.hear(made(), flood)),
    [undefined, undefined, 'flooding'],
  )
  assert.equal(refused.flooding, 8)
  assert.equal(directory.size, 8)
})
