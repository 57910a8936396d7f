/** The suite every Discovery passes: call it with a factory that makes a fresh one. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Clock } from '../protocol/clock.ts'
import { OFFERED_AT_S, offeringNode } from '../protocol/testing.ts'
import type { Discovery } from './index.ts'

export function testDiscovery(name: string, make: (clock: Clock) => Promise<Discovery>): void {
  let nowMs = OFFERED_AT_S * 1000
  const clock: Clock = { nowMs: () => nowMs }

  test(`${name}: finds what was announced, one offer a node, and forgets what was withdrawn`, async () => {
    const discovery = await make(clock)
    const [a, b] = [offeringNode(), offeringNode()]
    await discovery.announce(a.offer())
    await discovery.announce(b.offer())
    await discovery.announce(a.offer({ sequence: 2n, pricePerGib: 5n }))
    const found = await discovery.offers()
    assert.deepEqual(new Set(found.map((o) => o.body.nodeKey)), new Set([a.nodeKey, b.nodeKey]))
    assert.equal(found.find((o) => o.body.nodeKey === a.nodeKey)?.body.pricePerGib, 5n)
    await discovery.withdraw(a.nodeKey)
    assert.deepEqual(
      (await discovery.offers()).map((o) => o.body.nodeKey),
      [b.nodeKey],
    )
  })

  test(`${name}: refuses an offer that is older, expired, from the future or not signed by its node`, async () => {
    const discovery = await make(clock)
    const node = offeringNode()
    await discovery.announce(node.offer({ sequence: 7n }))
    await assert.rejects(discovery.announce(node.offer({ sequence: 6n })), { code: 'OFFER_STALE' })
    await assert.rejects(discovery.announce(node.offer({ sequence: 8n, expiresAt: BigInt(OFFERED_AT_S) })), { code: 'OFFER_EXPIRED' })
    const tomorrow = BigInt(OFFERED_AT_S + 86_400)
    await assert.rejects(discovery.announce(node.offer({ sequence: 2n ** 64n - 1n })), { code: 'OFFER_FUTURE' })
    await assert.rejects(discovery.announce(node.offer({ sequence: 8n, issuedAt: tomorrow, expiresAt: tomorrow + 60n })), {
      code: 'OFFER_FUTURE',
    })
    const forged = node.offer({ sequence: 9n })
    await assert.rejects(discovery.announce({ ...forged, body: { ...forged.body, pricePerGib: 1n } }), { code: 'OFFER_SIGNATURE' })
    assert.deepEqual(
      (await discovery.offers()).map((o) => o.body.sequence),
      [7n],
    )
  })

  test(`${name}: an offer disappears when it expires`, async () => {
    const discovery = await make(clock)
    await discovery.announce(offeringNode().offer())
    assert.equal((await discovery.offers()).length, 1)
    nowMs += 3600_000
    assert.equal((await discovery.offers()).length, 0)
    nowMs -= 3600_000
  })
}
