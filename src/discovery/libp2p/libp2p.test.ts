/** The suite of every discovery, through the network: announced at one node, found by another that only looks. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { type Clock, systemClock } from '../../protocol/clock.ts'
import { offeringNode } from '../../protocol/testing.ts'
import { testDiscovery } from '../compliance.ts'
import type { Libp2pDiscovery } from './index.ts'
import { lookingNode, servingNode } from './testing.ts'

const open: Libp2pDiscovery[] = []
const kept = <T extends Libp2pDiscovery>(node: T): T => {
  open.push(node)
  return node
}
after(() => Promise.all(open.map((node) => node.close())))

testDiscovery('libp2p', async (clock: Clock) => {
  const seller = kept(await servingNode(clock))
  let buyer = kept(lookingNode(clock, [seller.contact]))
  return {
    announce: (offer) => seller.announce(offer),
    async withdraw(nodeKey) {
      await seller.withdraw(nodeKey)
      // Who found it before keeps it until it expires; who comes later does not find it.
      buyer = kept(lookingNode(clock, [seller.contact]))
    },
    async offers() {
      await seller.look() // what was announced has arrived there
      await buyer.look()
      return buyer.offers()
    },
  }
})

test('libp2p: an offer reaches a consumer through nodes that never met its provider’s, and one country alone can be looked for', async () => {
  const first = kept(await servingNode(systemClock))
  const second = kept(await servingNode(systemClock, { contacts: [first.contact] }))
  const third = kept(await servingNode(systemClock, { contacts: [second.contact] }))
  const expiresAt = BigInt(Math.floor(Date.now() / 1000) + 3600)
  const times = {
    issuedAt: expiresAt - 3600n,
    expiresAt,
    sequence: 1n,
    transports: [{ kind: 'tls', host: 'de.example', port: 443, pin: `0x${'33'.repeat(32)}` as const }],
  }
  const node = offeringNode()
  await third.announce(node.offer(times))
  await third.look()
  const buyer = kept(lookingNode(systemClock, [first.contact]))
  buyer.seek('de')
  await buyer.look()
  assert.deepEqual(
    (await buyer.offers()).map(({ body }) => body.nodeKey),
    [node.nodeKey],
  )
  assert.deepEqual([buyer.own(), buyer.state().up], [undefined, true])
})
