/** A tucked node and its consumer, joined by a relay: over real TLS on loopback, paid at both. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { MemoryChain } from '../../../test/support/memory-chain.ts'
import { anyRoute, startConsumer, startProvider } from '../../../test/support/pair.ts'
import { parseDestination } from '../../protocol/destination.ts'
import { silent } from '../../protocol/observe.ts'
import { type SignedOffer, signOffer, type Transport } from '../../protocol/offer.ts'
import { RESERVE_LABEL, signReservation } from '../../protocol/reserve.ts'
import { connectLink, type Link } from '../../tunnel/index.ts'
import type { Mapping } from '../../tunnel/portmap/index.ts'
import { createReach, takeReservation } from './index.ts'
import type { ReachMode } from './modes.ts'

type Node = Awaited<ReturnType<typeof startProvider>>

async function startNodes(t: TestContext, count: number) {
  const chain = new MemoryChain()
  const nodes = await Promise.all(Array.from({ length: count }, (_, i) => startProvider({ chain, relay: i === 0 })))
  t.after(async () => {
    for (const { provider, vault } of nodes) {
      await provider.close()
      await vault.close()
    }
  })
  return { chain, nodes }
}

/** Starts the reach of a node, as if it listened on all addresses; `ways` resolves with those that `wanted` accepts. */
function reachOf(node: Node, options: { mode?: ReachMode; relays: Node[]; mapping?: Mapping; port?: number }) {
  const { mode = 'auto', relays, mapping, port = node.port } = options
  const dial = (relay: SignedOffer, signal: AbortSignal) => connectLink(relay.body.transports[0]!, relay.body.nodeKey, { signal })
  const { nodeKey, transports } = node.offer.body
  const heard: Transport[][] = []
  let onHeard = () => {}
  const reach = createReach({
    mode,
    publicHost: undefined,
    listen: { host: '0.0.0.0', port },
    nodeKey,
    pin: transports[0]!.pin,
    relays: async () => relays.map(({ offer }) => offer),
    connect: dial,
    takeReservation: (relay, signal) =>
      takeReservation(
        {
          nodeKey,
          sign: (link: Link) =>
            signReservation(link.wire.exportKeyingMaterial(32, RESERVE_LABEL, Buffer.alloc(0)), node.keys.node.privateKey),
          connect: (limit) => dial(relay, limit),
          onCall: (carrier) => node.provider.listener.accept(carrier, 'relay'),
        },
        signal,
      ),
    mapPort: (onChange) => {
      if (mapping !== undefined) onChange(mapping)
      return { current: () => mapping, close: async () => {} }
    },
    onWays: (ways) => {
      heard.push(ways)
      onHeard()
    },
    observer: silent,
    random: Math.random,
  })
  const ways = async (wanted: (ways: Transport[]) => boolean): Promise<Transport[]> => {
    for (;;) {
      const last = heard.at(-1)
      if (last !== undefined && wanted(last)) return last
      await new Promise<void>((resolve) => (onHeard = resolve))
    }
  }
  return { reach, ways }
}
const kinds = (ways: Transport[]) => ways.map(({ kind }) => kind)

test('a consumer reaches a tucked node through its relay, and pays both', async (t) => {
  const { chain, nodes } = await startNodes(t, 2)
  const [relay, tucked] = nodes as [Node, Node]
  const { reach, ways } = reachOf(tucked, { mode: 'tucked', relays: [relay] })
  const transports = await ways((found) => kinds(found).includes('relay'))
  assert.deepEqual(kinds(transports), ['relay'])
  assert.equal(reach.view().kind, 'tucked')
  const offer = signOffer({ ...tucked.offer.body, transports }, tucked.keys.node.privateKey)
  const buyer = await startConsumer({ chain, offers: () => [relay.offer, offer] })
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.end(Buffer.alloc(500_000, 7))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(async () => {
    await reach.close()
    await buyer.consumer.close()
    await buyer.vault.close()
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  const parameters = { ...anyRoute, provider: tucked.offer.body.nodeKey.slice(2) }
  const destination = parseDestination('127.0.0.1', (server.address() as AddressInfo).port)
  const { stream } = await buyer.consumer.dial({ destination, parameters }, AbortSignal.timeout(60_000))
  let bytes = 0
  for await (const chunk of stream) bytes += (chunk as Buffer).length
  assert.equal(bytes, 500_000)
  stream.destroy()
  const exit = tucked.provider.sessions()[0]!
  const carried = relay.provider.sessions()[0]!
  assert.ok(exit.down >= 500_000n)
  assert.ok(carried.down > exit.down, 'the relay is paid for the flow with all that wraps it')
  assert.notEqual(carried.payer, exit.payer, 'the hops see different payers')
})

test('a node that relays reach is open, at its own port or at a mapped one, and says so', async (t) => {
  const { nodes } = await startNodes(t, 2)
  const [relay, node] = nodes as [Node, Node]
  const open = reachOf(node, { relays: [relay] })
  const [way] = await open.ways((found) => kinds(found).includes('tls'))
  assert.deepEqual([way!.kind, way!.host, way!.port], ['tls', '127.0.0.1', node.port])
  assert.equal(open.reach.view().kind, 'open')
  assert.deepEqual(open.reach.seenAs(), ['127.0.0.1'])
  await open.reach.close()
  // Its own port leads nowhere, the router's does.
  const mapping: Mapping = { protocol: 'pcp', externalAddress: '127.0.0.1', externalPort: node.port, lifetimeS: 60 }
  const mapped = reachOf(node, { relays: [relay], mapping, port: 9 })
  await mapped.ways((found) => kinds(found).includes('tls'))
  assert.equal(mapped.reach.view().kind, 'mapped')
  await mapped.reach.close()
  // A mapping that leads to somebody else is not believed.
  const wrong = reachOf(node, { relays: [relay], mapping: { ...mapping, externalPort: relay.port }, port: 9 })
  assert.deepEqual(kinds(await wrong.ways((found) => found.length > 0)), ['relay'])
  await wrong.reach.close()
})
