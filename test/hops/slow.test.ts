import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { parseDestination } from '../../src/protocol/destination.ts'
import { origin } from '../attacks/world.ts'
import { MemoryChain } from '../support/memory-chain.ts'
import { anyRoute, dialLoopback, startConsumer, startProvider, takeDown } from '../support/pair.ts'
import { contentOf } from '../transport/pair.ts'

/** The first time a node is dialled twice: together longer than a consumer waits before it looks for another hop. */
const DIAL_MS = 1_600

test('a hop that is slow to reach the next is waited for when there is no other', async (t) => {
  const chain = new MemoryChain()
  let dials = 0
  const dialNode = async (host: string, port: number) => {
    dials++
    await delay(DIAL_MS)
    return dialLoopback(host, port)
  }
  const [entry, exit] = [await startProvider({ chain, dialNode }), await startProvider({ chain, country: 'jp' })]
  const buyer = await startConsumer({ chain, hops: 2, offers: () => [entry.offer, exit.offer] })
  const server = await origin((socket) => socket.end('hello'))
  t.after(async () => {
    await takeDown(buyer, [entry, exit])
    await server.close()
  })
  const request = { destination: parseDestination('127.0.0.1', server.port), parameters: { ...anyRoute, country: 'jp' } }
  const { stream } = await buyer.consumer.dial(request, AbortSignal.timeout(60_000))
  assert.equal(String(await contentOf(stream)), 'hello')
  assert.ok(dials > 2, 'it was asked again')
})
