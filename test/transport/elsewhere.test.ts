/** An exit that falls silent, in the middle of requests that the carrying thread began by itself: none of them waits for it. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { type TestContext, test } from 'node:test'
import { createProxy, ENTRANCE_WORKER } from '../../src/consumer/index.ts'
import { startPlane } from '../../src/tunnel/fast/plane.ts'
import { origin } from '../attacks/world.ts'
import { MemoryChain } from '../support/memory-chain.ts'
import { dialLoopback, startConsumer, startProvider, takeDown } from '../support/pair.ts'
import { wayTo } from '../support/way.ts'
import { contentOf } from './pair.ts'

const HELLO = 'hello'
const REQUESTS = 40
/** Far below what a flow that is being opened may take, and far above what asking another exit does. */
const SOON_MS = 5_000

type Ask = (name: string, port: number) => { words: Buffer; answer: Buffer }

const SOCKS: Ask = (name, port) => ({
  words: Buffer.from([5, 1, 0, 5, 1, 0, 3, name.length, ...Buffer.from(name), port >> 8, port & 0xff]),
  answer: Buffer.from([5, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
})
const CONNECT: Ask = (name, port) => ({
  words: Buffer.from(`CONNECT ${name}:${port} HTTP/1.1\r\nhost: ${name}:${port}\r\n\r\n`),
  answer: Buffer.from('HTTP/1.1 200 '),
})

async function world(t: TestContext) {
  const chain = new MemoryChain()
  const plane = await startPlane(undefined, ENTRANCE_WORKER)
  const server = await origin((socket) => socket.end(HELLO))
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
    await takeDown(buyer, sellers)
    await plane.close()
    await server.close()
  })
  let asked = 0
  /** Of a destination nobody asked for before, so that the application waits for the answer. Resolves with how long it did, in milliseconds. */
  async function ask(how: Ask): Promise<number> {
    const fromMs = performance.now()
    const socket = connect(at.port, at.host)
    await once(socket, 'connect')
    const { words, answer } = how(`host-${++asked}.example`, server.port)
    socket.write(words)
    const heard = await contentOf(socket)
    assert.deepEqual(heard.subarray(0, answer.length), answer)
    assert.equal(heard.subarray(-HELLO.length).toString(), HELLO)
    return performance.now() - fromMs
  }
  // Both exits have sessions, and links that wait for flows.
  while (consumer.sessions().length < 2) await Promise.all(Array.from({ length: 4 }, () => ask(SOCKS)))
  return { ask, ways, away: () => consumer.sessions().filter((session) => session.away).length, decided: () => decided }
}

for (const [name, how] of Object.entries({ SOCKS, CONNECT })) {
  test(`requests at an exit that falls silent are served by another (${name})`, async (t) => {
    const { ask, ways, away, decided } = await world(t)
    const before = decided()
    for (let i = 0; i < 10; i++) await ask(how)
    // Positive control: each thread begins flows.
    if (how === SOCKS) assert.ok(decided() < before + 10)
    else assert.equal(decided(), before + 10)
    ways[0]!.way.silent = true
    const taken = await Promise.all(Array.from({ length: REQUESTS }, () => ask(how)))
    const most = Math.max(...taken)
    assert.ok(most < SOON_MS, `${most} ms`)
    assert.equal(away(), 1, 'positive control: the silent one was asked, and found dead')
  })
}
