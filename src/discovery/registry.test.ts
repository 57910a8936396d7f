/** The suite, through a chain and documents as they come; and what they may be besides right. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Hex, keccak } from '../protocol/bytes.ts'
import { BywayError } from '../protocol/errors.ts'
import { silent } from '../protocol/observe.ts'
import { encodeOffer, type SignedOffer } from '../protocol/offer.ts'
import { OFFERED_AT_S, offeringNode } from '../protocol/testing.ts'
import { testDiscovery } from './compliance.ts'
import { type RegistryEntry, registryDiscovery } from './registry.ts'

/** A chain and its providers in memory: what is said there, and what each serves. */
function world() {
  const entries = new Map<Hex, RegistryEntry>()
  const served = new Map<string, Uint8Array>()
  const asked: string[] = []
  let down = false
  return {
    entries,
    served,
    asked,
    set down(is: boolean) {
      down = is
    },
    register(offer: SignedOffer, offerHash = keccak(encodeOffer(offer))) {
      const { nodeKey } = offer.body
      entries.set(nodeKey, { nodeKey, offerHash, endpoint: `${nodeKey}.example:443` })
      served.set(`${nodeKey}.example:443`, encodeOffer(offer))
    },
    needs: {
      async providers() {
        if (down) throw new BywayError('RPC_UNREACHABLE', 'no RPC endpoint answers')
        return [...entries.values()]
      },
      async fetchDocument(endpoint: string) {
        asked.push(endpoint)
        const bytes = served.get(endpoint)
        if (bytes === undefined) throw new BywayError('PROVIDER_UNREACHABLE', 'nobody there')
        return bytes
      },
    },
  }
}

testDiscovery('registry', async (clock) => {
  const { entries, served, needs } = world()
  const publish = async (offer: SignedOffer, offerHash: Hex) => {
    const { nodeKey } = offer.body
    entries.set(nodeKey, { nodeKey, offerHash, endpoint: `${nodeKey}.example:443` })
    served.set(`${nodeKey}.example:443`, encodeOffer(offer))
  }
  const seller = registryDiscovery({ clock, observer: silent, ...needs, publish })
  let buyer = registryDiscovery({ clock, observer: silent, ...needs })
  return {
    announce: (offer) => seller.announce(offer),
    async withdraw(nodeKey) {
      await seller.withdraw(nodeKey)
      served.delete(`${nodeKey}.example:443`)
      // Who found it before keeps it until it expires; who comes later does not find it.
      buyer = registryDiscovery({ clock, observer: silent, ...needs })
    },
    async offers() {
      await buyer.look()
      return buyer.offers()
    },
  }
})

const clockAt = () => ({ nowMs: () => OFFERED_AT_S * 1000 })
const keysOf = (offers: SignedOffer[]) => offers.map(({ body }) => body.nodeKey)

test('registry: a document that is not what the chain names, or of another node, is refused; one without a hash counts by its signature', async () => {
  const { entries, served, needs, register } = world()
  const counted: string[] = []
  const observer = { ...silent, count: (name: string) => void counted.push(name) }
  const nodes = [offeringNode(), offeringNode(), offeringNode()] as const
  const [good, changed, other] = nodes.map((node) => node.offer()) as [SignedOffer, SignedOffer, SignedOffer]
  register(good, `0x${'00'.repeat(32)}`)
  register(changed, keccak(encodeOffer(good)))
  register(other)
  served.set(entries.get(other.body.nodeKey)!.endpoint!, encodeOffer(good))
  const discovery = registryDiscovery({ clock: clockAt(), observer, ...needs })
  await discovery.look()
  assert.deepEqual(keysOf(await discovery.offers()), [good.body.nodeKey])
  assert.deepEqual(counted, ['malformed', 'malformed'])
})

test('registry: a chain that is down takes nothing of what is known, is told, and is asked again', async () => {
  const told: (string | undefined)[] = []
  const chain = world()
  const first = offeringNode().offer()
  chain.register(first)
  const discovery = registryDiscovery({ clock: clockAt(), observer: silent, ...chain.needs, onDown: (why) => void told.push(why) })
  await discovery.look()
  chain.down = true
  await discovery.look()
  assert.deepEqual(keysOf(await discovery.offers()), [first.body.nodeKey])
  assert.equal(discovery.state().up, false)
  chain.down = false
  const second = offeringNode().offer()
  chain.register(second)
  await discovery.look()
  assert.equal((await discovery.offers()).length, 2)
  assert.deepEqual(told, [undefined, 'no RPC endpoint answers', undefined])
  // Each document was fetched once.
  assert.equal(chain.asked.length, 2)
})

test('registry: a provider that does not answer is left alone for a while', async () => {
  const { entries, asked, needs } = world()
  const node = offeringNode()
  entries.set(node.nodeKey, { nodeKey: node.nodeKey, offerHash: `0x${'00'.repeat(32)}`, endpoint: 'gone.example:443' })
  let nowMs = OFFERED_AT_S * 1000
  const discovery = registryDiscovery({ clock: { nowMs: () => nowMs }, observer: silent, ...needs })
  for (let i = 0; i < 5; i++) await discovery.look()
  assert.equal(asked.length, 1)
  nowMs += 60_000
  await discovery.look()
  assert.equal(asked.length, 2)
})
