/** An exit that falls silent, in the middle of requests that the carrying thread began by itself: none of them waits for it. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'
import { createProxy, ENTRANCE_WORKER } from '../../src/consumer/index.ts'
import { startPlane } from '../../src/tunnel/fast/plane.ts'
import { origin } from '../attacks/world.ts'
import { MemoryChain } from '../support/memory-chain.ts'
import { dialLoopback, part, startConsumer, startProvider } from '../support/pair.ts'
import { wayTo } from '../support/way.ts'
import { contentOf } from './pair.ts'

const REQUESTS = 40
/** Far below what a flow that is being opened may take, and far above what asking another exit does. */
const SOON_MS = 5_000

test('requests at an exit that falls silent are served by another', async (t) => {
  const chain = new MemoryChain()
  const plane = await startPlane(undefined, ENTRANCE_WORKER)
  const server = await origin((socket) => socket.end('hello'))
  // Whatever it is called.
  const dial = () => dialLoopback('127.0.0.1', server.port)
  const sellers = [await startProvider({ chain, dial }), await startProvider({ chain, dial, country: 'jp' })]
  const ways = [await wayTo(t, sellers[0]!), await wayTo(t, sellers[1]!)]
  const buyer = await startConsumer({ chain, offers: () => ways.map(({ offer }) => offer), plane })
  const { consumer } = buyer
  /** Requests that the main thread decided. */
  let decided = 0
  const carry: typeof consumer.carry = (...request) => {
    decided++
    return consumer.carry!(...request)
  }
  const proxy = createProxy({ dialer: { ...consumer, carry } })
  const at = await proxy.listen('127.0.0.1', 0)
  t.after(async () => {
    for (const { way } of ways) way.silent = false
    await proxy.close(0)
    await part(buyer, sellers)
    for (const { provider } of sellers) await provider.close()
    await Promise.all([buyer, ...sellers].map(({ vault }) => vault.close()))
    await plane.close()
    await server.close()
  })
  let asked = 0
  /** Of a destination nobody asked for before: the application waits for the answer. */
  async function ask(): Promise<number> {
    const fromMs = performance.now()
    const socket = connect(at.port, at.host)
    await once(socket, 'connect')
    const name = Buffer.from(`host-${++asked}.example`)
    socket.write(Buffer.from([5, 1, 0, 5, 1, 0, 3, name.length, ...name, server.port >> 8, server.port & 0xff]))
    const heard = await contentOf(socket)
    assert.deepEqual([...heard], [5, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...Buffer.from('hello')])
    return performance.now() - fromMs
  }
  // Both exits have sessions, and links that wait for flows.
  while (consumer.sessions().length < 2) await Promise.all(Array.from({ length: 4 }, ask))
  decided = 0
  for (let i = 0; i < 10; i++) await ask()
  assert.ok(decided < 10, 'positive control: the other thread begins flows by itself')
  ways[0]!.way.silent = true
  const fromMs = performance.now()
  const taken = await Promise.all(Array.from({ length: REQUESTS }, ask))
  const most = Math.max(...taken)
  assert.ok(most < SOON_MS, `${most} ms`)
  const away = consumer.sessions().filter((session) => session.away)
  assert.equal(away.length, 1, `positive control: the silent one was asked, and found dead (${performance.now() - fromMs} ms)`)
})
