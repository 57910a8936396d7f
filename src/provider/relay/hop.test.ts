/** What a guest may reach as a next hop: nodes, and nothing that is one only on paper. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { test } from 'node:test'
import { MemoryChain } from '../../../test/support/memory-chain.ts'
import { dialLoopback, startProvider } from '../../../test/support/pair.ts'
import type { Destination } from '../../protocol/destination.ts'
import { signOffer } from '../../protocol/offer.ts'
import { offeringNode } from '../../protocol/testing.ts'
import { connectLink } from '../../tunnel/index.ts'
import { createHops } from './hop.ts'

const soon = () => AbortSignal.timeout(60_000)

test('a node is asked for its key once, then dialled at no cost; a service that is no node is not reached', async (t) => {
  const chain = new MemoryChain()
  const node = await startProvider({ chain })
  const heard: Buffer[] = []
  const service = createServer((socket) => {
    socket.on('error', () => {})
    socket.on('data', (part: Buffer) => heard.push(part))
    socket.write('220 a service of another kind\r\n')
  })
  service.listen(0, '127.0.0.1')
  await once(service, 'listening')
  t.after(async () => {
    service.close()
    await node.provider.close()
    await node.vault.close()
  })
  let nowMs = 0
  let dials = 0
  let asked = 0
  const hops = createHops({
    dialNode: ({ host, port }: Destination) => {
      dials++
      return dialLoopback(host, port) as Promise<Socket>
    },
    connect: (...words) => {
      asked++
      return connectLink(...words)
    },
    clock: { nowMs: () => nowMs },
  })
  const opened = []
  for (let i = 0; i < 3; i++) opened.push(await hops(node.offer, soon()))
  assert.deepEqual([dials, asked], [4, 1])
  nowMs += 3_600_000
  opened.push(await hops(node.offer, soon()))
  assert.deepEqual([dials, asked], [6, 2])
  // What was handed out is a fresh connection: a link can be made over it.
  const link = await connectLink(node.offer.body.transports[0]!, node.offer.body.nodeKey, { carrier: opened[0]!, signal: soon() })
  link.destroy()
  for (const each of opened) each.destroy()

  const { port } = service.address() as AddressInfo
  const [transport] = node.offer.body.transports
  const forged = signOffer({ ...node.offer.body, transports: [{ ...transport!, port }] }, node.keys.node.privateKey)
  await assert.rejects(hops(forged, soon()), { code: 'PROVIDER_UNREACHABLE' })
  // The node's address with the key of another: it is not that one's way in.
  const other = offeringNode().offer({ transports: [transport!] })
  await assert.rejects(hops({ ...other, body: { ...other.body, expiresAt: 2n ** 40n } }, soon()), { code: 'PROVIDER_UNREACHABLE' })
})

test('nodes are dialled where nodes listen', async () => {
  const offered = (port: number, kind = 'tls') =>
    offeringNode().offer({ transports: [{ kind, host: '45.1.0.2', port, pin: `0x${'33'.repeat(32)}` }] })
  const dialled: number[] = []
  const hops = createHops({
    dialNode: async ({ port }: Destination): Promise<Socket> => {
      dialled.push(port)
      throw new Error('far enough')
    },
    connect: connectLink,
    clock: { nowMs: () => 0 },
  })
  for (const port of [443, 1024, 4433, 65_535]) await assert.rejects(hops(offered(port), soon()), /far enough/)
  for (const port of [1, 22, 25, 80, 465, 993]) await assert.rejects(hops(offered(port), soon()), { code: 'PORT_BLOCKED' })
  await assert.rejects(hops(offered(4433, 'relay'), soon()), { code: 'HOST_UNREACHABLE' })
  assert.deepEqual(dialled, [443, 1024, 4433, 65_535])
})
