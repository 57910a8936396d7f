/** An exit whose session takes long to open keeps nobody waiting who may use another, and is used once it is open. */
import assert from 'node:assert/strict'
import type { Duplex } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { parseDestination } from '../../src/protocol/destination.ts'
import { BywayError } from '../../src/protocol/errors.ts'
import { origin } from '../attacks/world.ts'
import { MemoryChain } from '../support/memory-chain.ts'
import { anyRoute, dialLoopback, startConsumer, startProvider, takeDown } from '../support/pair.ts'
import { wayTo } from '../support/way.ts'
import { contentOf, until } from '../transport/pair.ts'

/** As long as a route of three hops may take; far above any patience. */
const OPENING_MS = 4_000
/** Far below that, however busy this machine is. */
const AT_ONCE_MS = 2_000
/** So long at least who failed once is left alone. */
const LEFT_ALONE_MS = 1_200

/** A provider that is quick, and one whose chain takes long to say that a root is open, or says that it is not. */
async function world(t: TestContext, { refuses = false } = {}) {
  const chain = new MemoryChain()
  const slowChain: MemoryChain = Object.assign(Object.create(chain) as MemoryChain, {
    guard: {
      inspect: async (...asked: Parameters<MemoryChain['guard']['inspect']>) => {
        await delay(OPENING_MS)
        return { ...(await chain.guard.inspect(...asked)), ...(refuses && { open: false }) }
      },
    },
  })
  let asked = 0
  let busy = false
  const dial = async (host: string, port: number) => {
    asked++
    if (busy) throw new BywayError('PROVIDER_BUSY', 'no descriptors are left')
    return dialLoopback(host, port)
  }
  const [quick, slow] = [await startProvider({ chain, dial }), await startProvider({ chain: slowChain, country: 'jp' })]
  const buyer = await startConsumer({ chain, offers: () => [quick.offer, slow.offer] })
  const server = await origin((socket) => socket.end('hello'))
  t.after(async () => {
    await takeDown(buyer, [quick, slow])
    await server.close()
  })
  /** Which country a request came out in, and after how long. */
  const use = async (parameters: object = {}, port = server.port) => {
    const fromMs = performance.now()
    const request = { destination: parseDestination('127.0.0.1', port), parameters: { ...anyRoute, ...parameters } }
    const { stream, route } = await buyer.consumer.dial(request, AbortSignal.timeout(60_000))
    assert.equal(String(await contentOf(stream)), 'hello')
    return { country: route.country, ms: performance.now() - fromMs }
  }
  const open = () => buyer.consumer.sessions().map(({ country }) => country)
  await use({ country: 'de' })
  return {
    use,
    open,
    /** How often the quick one was asked for a flow. */
    asked: () => asked,
    /** From now on the quick one refuses flows. */
    fill: () => {
      busy = true
    },
  }
}

test('requests go past an exit that is being opened, and come to it when it is open', async (t) => {
  const { use, open } = await world(t)
  for (let i = 0; i < 12; i++) {
    const { country, ms } = await use()
    assert.equal(country, 'de')
    assert.ok(ms < AT_ONCE_MS, `${ms} ms`)
  }
  assert.deepEqual(open(), ['de'], 'positive control: it is not open yet')
  await until(() => open().length === 2, 'a session that is being opened')
  const used = new Set<string>()
  // They take turns: two in a row are never the same.
  for (let i = 0; i < 4; i++) used.add((await use()).country)
  assert.deepEqual(used, new Set(['de', 'jp']))
})

test('a named session waits for the exit it drew, because it keeps it', async (t) => {
  const { use } = await world(t)
  // The odds that all of them drew the same are one in 2^19.
  const names = Array.from({ length: 20 }, (_, i) => ({ sessionId: `s${i}` }))
  const used = await Promise.all(names.map((name) => use(name)))
  assert.deepEqual(new Set(used.map(({ country }) => country)), new Set(['de', 'jp']))
})

test('whoever may use no other waits', async (t) => {
  const { use } = await world(t)
  const { country, ms } = await use({ country: 'jp' })
  assert.equal(country, 'jp')
  assert.ok(ms >= OPENING_MS)
})

test('one that cannot be opened is left alone for a while', async (t) => {
  const { use, open } = await world(t, { refuses: true })
  const untilMs = performance.now() + OPENING_MS + 1_000
  let uses = 0
  for (; performance.now() < untilMs || uses < 20; uses++) {
    const { country, ms } = await use()
    assert.equal(country, 'de')
    assert.ok(ms < AT_ONCE_MS, `${ms} ms`)
    await delay(50)
  }
  assert.deepEqual(open(), ['de'])
})

test('nobody goes past to an exit that failed of late', async (t) => {
  const { use, asked, fill } = await world(t)
  await use()
  assert.equal(asked(), 2, 'positive control: who is well is gone past to')
  fill()
  // A destination that never answered there: the application is told why.
  await assert.rejects(use({ country: 'de' }, 9), { code: 'PROVIDER_BUSY' })
  const before = asked()
  const uses = [use(), use(), use()]
  await delay(LEFT_ALONE_MS)
  assert.equal(asked(), before)
  for (const { country } of await Promise.all(uses)) assert.equal(country, 'jp')
})

test('many requests at once go where they were drawn, though one exit has a link and the other none', async (t) => {
  const chain = new MemoryChain()
  const sellers = [await startProvider({ chain }), await startProvider({ chain, country: 'jp' })]
  const ways = [await wayTo(t, sellers[0]!), await wayTo(t, sellers[1]!)]
  const buyer = await startConsumer({ chain, offers: () => ways.map(({ offer }) => offer) })
  // It holds the link it is carried on.
  const server = await origin(() => {})
  const flows: Duplex[] = []
  t.after(async () => {
    for (const flow of flows) flow.destroy()
    await takeDown(buyer, sellers)
    await server.close()
  })
  const open = async (parameters: object = {}) => {
    const request = { destination: parseDestination('127.0.0.1', server.port), parameters: { ...anyRoute, ...parameters } }
    const { stream, route } = await buyer.consumer.dial(request, AbortSignal.timeout(60_000))
    stream.on('error', () => {})
    flows.push(stream)
    return route.country
  }
  await open({ country: 'jp' })
  await open({ country: 'de' })
  flows.pop()!.destroy()
  await until(() => buyer.consumer.sessions().some(({ country, flows: live }) => country === 'de' && live === 0), 'a link that is idle')
  for (const { way } of ways) {
    way.delayMs = 1_000
    way.connections = 0
  }
  const countries = await Promise.all(Array.from({ length: 20 }, () => open()))
  const share = countries.filter((country) => country === 'jp').length
  // Two in a row are never drawn the same.
  assert.equal(share, 10)
  assert.deepEqual(
    ways.map(({ way }) => way.connections),
    [9, 10],
    'each made the link it needed, but for the one that was there',
  )
})
