import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeOffer, type SignedOffer } from '../../protocol/offer.ts'
import { OFFERED_AT_S, offeringNode } from '../../protocol/testing.ts'
import { keyStart } from './messages.ts'
import { shelvesFor, shelvesOf } from './shelves.ts'
import { KEPT_S, OfferStore } from './store.ts'

const START = `0x${'00'.repeat(8)}`
let nowMs = OFFERED_AT_S * 1000
const clock = { nowMs: () => nowMs }
const shelfOf = (offer: SignedOffer) => shelvesFor(offer.body)[0]!
const keep = (store: OfferStore, offer: SignedOffer, from?: string) => store.keep(offer, encodeOffer(offer), shelfOf(offer), from)

test('an offer lies on its own shelves only, the newest of a node, until it expires or is not put again', () => {
  const store = new OfferStore(clock)
  const node = offeringNode()
  const lasting = { expiresAt: BigInt(OFFERED_AT_S + 86_400) }
  const offer = node.offer({ sequence: 2n, ...lasting })
  const elsewhere = shelvesOf('de').find((shelf) => !shelvesFor(offer.body).includes(shelf))!
  assert.equal(store.keep(offer, encodeOffer(offer), elsewhere, 'a'), 'elsewhere')
  assert.equal(keep(store, offer, 'a'), 'kept')
  assert.equal(keep(store, node.offer({ sequence: 1n, ...lasting }), 'a'), 'stale')
  assert.deepEqual(store.list(shelfOf(offer), START).entries, [{ key: keyStart(node.nodeKey), sequence: 2n }])
  assert.equal(store.fetch(shelfOf(offer), [keyStart(node.nodeKey)], 100_000).length, 1)
  nowMs += KEPT_S * 1000
  assert.deepEqual(store.list(shelfOf(offer), START).entries, [])
  store.sweep()
  assert.deepEqual([store.size, store.bytes], [0, 0])
  nowMs -= KEPT_S * 1000
})

test('a flood of fresh identities from one network stays within the budget and drives out nobody else', () => {
  const store = new OfferStore(clock, 100_000)
  const own = offeringNode().offer()
  keep(store, own)
  const honest = Array.from({ length: 10 }, (_, i) => {
    const offer = offeringNode().offer()
    assert.equal(keep(store, offer, `honest ${i}`), 'kept')
    return offer
  })
  // One offer under many keys costs no signature here; the store does not look.
  const { body, signature } = offeringNode().offer()
  let kept = 0
  for (let i = 0; i < 20_000; i++) {
    const nodeKey = `0x${i.toString(16).padStart(64, '0')}` as const
    if (keep(store, { body: { ...body, nodeKey }, signature }, 'flood') === 'kept') kept++
  }
  assert.ok(store.bytes <= 100_000, `${store.bytes} bytes`)
  assert.ok(kept > 0, 'while there is room a flood is served like anybody')
  for (const offer of [own, ...honest]) assert.equal(store.fetch(shelfOf(offer), [keyStart(offer.body.nodeKey)], 100_000).length, 1)
})
