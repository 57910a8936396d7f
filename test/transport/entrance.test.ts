/** The entrance: connections taken by the carrying thread are served as the main thread would serve them, and handed to it when they are not alike. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { createProxy, ENTRANCE_WORKER } from '../../src/consumer/index.ts'
import type { ProxyLimits } from '../../src/consumer/proxy/index.ts'
import { ERRORS } from '../../src/protocol/errors.ts'
import { startPlane } from '../../src/tunnel/fast/plane.ts'
import { origin, Recorder } from '../attacks/world.ts'
import { MemoryChain } from '../support/memory-chain.ts'
import { startConsumer, startProvider } from '../support/pair.ts'
import { until } from './pair.ts'

const SUCCEEDED = Buffer.from([5, 0, 0, 1, 0, 0, 0, 0, 0, 0])

async function world(t: TestContext, { countries = ['de'], limits = {} }: { countries?: string[]; limits?: Partial<ProxyLimits> } = {}) {
  const chain = new MemoryChain()
  const plane = await startPlane(undefined, ENTRANCE_WORKER)
  const sellers = await Promise.all(countries.map((country) => startProvider({ chain, plane, country, addresses: async (host) => [host] })))
  const observer = new Recorder()
  const offers = new Set(sellers.map(({ offer }) => offer))
  const buyer = await startConsumer({ chain, offers: () => [...offers], plane, observer })
  /** How many requests the main thread decided. */
  let decided = 0
  const { consumer } = buyer
  const dialer: typeof consumer = {
    ...consumer,
    carry: (...request) => {
      decided++
      return consumer.carry!(...request)
    },
  }
  const proxy = createProxy({ dialer }, { observer, limits })
  const at = await proxy.listen('127.0.0.1', 0)
  const echo = await origin((socket) => socket.pipe(socket))
  let closing: Promise<void> | undefined
  const close = () => {
    closing ??= (async () => {
      await proxy.close(0)
      await consumer.close()
      for (const { provider } of sellers) await provider.close()
      await Promise.all([buyer.vault.close(), ...sellers.map(({ vault }) => vault.close())])
      await plane.close()
      await echo.close()
    })()
    return closing
  }
  t.after(close)
  return { plane, sellers, offers, buyer, observer, proxy, at, echo, close, decided: () => decided }
}

type World = Awaited<ReturnType<typeof world>>

/** Says all of it, in pieces of so many bytes, and hears so many. */
async function talk(
  { at }: World,
  words: readonly number[],
  hear: number,
  pieces = words.length,
): Promise<{ socket: Socket; heard: Buffer }> {
  const socket = connect({ port: at.port, host: at.host, allowHalfOpen: true, noDelay: true })
  socket.on('error', () => {})
  for (let i = 0; i < words.length; i += pieces) {
    await new Promise((resolve) => socket.write(Buffer.from(words.slice(i, i + pieces)), resolve))
  }
  let heard = Buffer.alloc(0)
  const over = new Promise<[undefined]>((resolve) =>
    socket.once('end', () => resolve([undefined])).once('close', () => resolve([undefined])),
  )
  while (heard.length < hear) {
    const [chunk] = (await Promise.race([once(socket, 'data'), over])) as [Buffer | undefined]
    if (chunk === undefined) break
    heard = Buffer.concat([heard, chunk])
  }
  return { socket, heard }
}

const greeting = [5, 1, 0]
const named = (name: string) => [5, 1, 2, 1, name.length, ...Buffer.from(name), 1, 0x78]
const request = (port: number, command = 1) => [5, command, 0, 1, 127, 0, 0, 1, port >> 8, port & 0xff]

/** A flow that carries a word there and back, and is over. */
async function carries(pair: World, hello: readonly number[], answer: readonly number[], pieces?: number): Promise<void> {
  const { port } = pair.echo
  const expected = Buffer.concat([Buffer.from([...answer]), SUCCEEDED, Buffer.from('word')])
  const { socket, heard } = await talk(pair, [...hello, ...request(port), ...Buffer.from('word')], expected.length, pieces)
  assert.deepEqual(heard, expected)
  socket.end()
  await once(socket, 'end')
}

const closeOf = (socket: Socket) => new Promise((resolve) => socket.once('close', resolve))

const settled = (pair: World) => until(() => pair.buyer.consumer.sessions().every(({ flows }) => flows === 0), 'flows that are not over')

test('after the first, flows cost the main thread nothing, however their bytes are cut', async (t) => {
  const pair = await world(t)
  await carries(pair, greeting, [5, 0])
  await settled(pair)
  const before = pair.decided()
  assert.equal(before, 1, 'positive control: the first is decided')
  let flows = 1
  for (const pieces of [undefined, 1, 2, 3, 7]) {
    await carries(pair, greeting, [5, 0], pieces)
    await settled(pair)
    flows++
  }
  assert.equal(pair.decided(), before)
  await carries(pair, named('any-country-de'), [5, 2, 1, 0], 5)
  assert.equal(pair.decided(), before + 1, 'another route is decided anew')
  await settled(pair)
  await carries(pair, named('any-country-de'), [5, 2, 1, 0], 5)
  assert.equal(pair.decided(), before + 1)
  flows += 2
  await settled(pair)
  await pair.close()
  assert.equal(pair.observer.counted('flows', 'ok'), flows)
  const rows = (vault: World['buyer']['vault']) =>
    [...vault.book.sessions.values()].map(({ id, up, down, billed }) => ({ id, up, down, billed }))
  assert.deepEqual(rows(pair.buyer.vault), rows(pair.sellers[0]!.vault))
  assert.equal(
    rows(pair.buyer.vault).reduce((sum, { up, down }) => sum + up + down, 0n),
    BigInt(8 * flows),
  )
})

test('what is no plain CONNECT is served by the main thread, and hears each answer once', async (t) => {
  const pair = await world(t)
  await carries(pair, greeting, [5, 0])
  await settled(pair)
  const bind = await talk(pair, [...greeting, ...request(80, 2)], 12, 1)
  assert.deepEqual([...bind.heard.subarray(0, 4)], [5, 0, 5, ERRORS.PROXY_COMMAND_UNSUPPORTED.socks])
  const associate = await talk(pair, [...greeting, ...request(0, 3)], 12, 4)
  assert.deepEqual([...associate.heard.subarray(0, 4)], [5, 0, 5, 0])
  associate.socket.destroy()
  const unknown = await talk(pair, named('any-nonsense-1'), 4, 3)
  assert.deepEqual([...unknown.heard], [5, 2, 1, 1])
  const http = await talk(pair, [...Buffer.from(`CONNECT 127.0.0.1:${pair.echo.port} HTTP/1.1\r\n\r\n`)], 12, 9)
  assert.equal(http.heard.toString('latin1', 0, 12), 'HTTP/1.1 200')
  http.socket.destroy()
  // Half a handshake and an end: counted as the main thread counts it.
  const half = await talk(pair, [5, 1, 0, 5, 1], 2)
  half.socket.end()
  await once(half.socket, 'close')
  await carries(pair, greeting, [5, 0], 1)
  assert.ok(pair.observer.counted('malformed', 'socks5') >= 3)
})

test('a destination that refuses is told of, and costs nothing', async (t) => {
  const pair = await world(t)
  await carries(pair, greeting, [5, 0])
  await settled(pair)
  const before = pair.decided()
  const gone = await origin(() => {})
  await gone.close()
  const { heard, socket } = await talk(pair, [...greeting, ...request(gone.port), ...Buffer.from('unheard')], 12)
  assert.equal(heard[3], ERRORS.CONNECTION_REFUSED.socks)
  await once(socket, 'end')
  socket.end()
  await settled(pair)
  await carries(pair, greeting, [5, 0])
  assert.equal(pair.decided(), before)
  await settled(pair)
  await pair.close()
  const total = [...pair.buyer.vault.book.sessions.values()].reduce((sum, { up, down }) => sum + up + down, 0n)
  assert.equal(total, 16n)
})

test('requests without a session go to all exits alike, and an offer that goes is used no more', async (t) => {
  const pair = await world(t, { countries: ['de', 'fr'] })
  const upOf = (country: string) =>
    pair.buyer.consumer.sessions().reduce((sum, session) => (session.country === country ? sum + session.up : sum), 0n)
  /** Bytes by country, once all of them are counted. */
  const usedBy = async (flows: number) => {
    await until(() => upOf('de') + upOf('fr') === BigInt(4 * flows), 'bytes that are not counted')
    return [upOf('de'), upOf('fr')]
  }
  for (let i = 0; i < 40; i++) await carries(pair, greeting, [5, 0])
  // The odds that one of two gets none of forty are one in 2^39.
  const rotated = await usedBy(40)
  assert.ok(
    rotated.every((bytes) => bytes > 0n),
    String(rotated),
  )
  assert.ok(pair.decided() < 40, 'positive control: most were not decided one by one')
  const [, french] = pair.sellers
  for (let i = 0; i < 5; i++) await carries(pair, named('any-country-de'), [5, 2, 1, 0])
  assert.equal((await usedBy(45))[1], rotated[1], 'another country')
  // The way to it is dead: what was granted is void at once.
  pair.offers.delete(french!.offer)
  await french!.provider.close()
  await until(() => pair.buyer.consumer.sessions().filter(({ away }) => !away).length === 1, 'ways to a provider that left')
  for (let i = 0; i < 20; i++) await carries(pair, greeting, [5, 0])
})

test('flows of both threads share one limit', async (t) => {
  const pair = await world(t, { limits: { flows: 3 } })
  await carries(pair, greeting, [5, 0])
  await settled(pair)
  const open = () => talk(pair, [...greeting, ...request(pair.echo.port), 1], 13)
  const held = [await open(), await open(), await open()]
  assert.ok(held.every(({ heard }) => heard[3] === 0))
  const refused = await talk(pair, [...greeting, ...request(pair.echo.port)], 12)
  assert.equal(refused.heard[3], ERRORS.PROXY_TOO_MANY_FLOWS.socks)
  held.pop()!.socket.destroy()
  let again = await open()
  for (; again.heard[3] !== 0; again = await open()) again.socket.destroy()
  for (const { socket } of [...held, again]) socket.destroy()
  await settled(pair)
})

test('when the carrying thread dies the main thread accepts again', async (t) => {
  const pair = await world(t, { limits: { flows: 2 } })
  await carries(pair, greeting, [5, 0])
  await settled(pair)
  // What the thread held when it died counts no more.
  const lost = await talk(pair, [...greeting, ...request(pair.echo.port), 1], 13)
  const lostToo = await talk(pair, [...greeting, ...request(pair.echo.port), 1], 13)
  assert.deepEqual([lost.heard[3], lostToo.heard[3]], [0, 0])
  const idle = connect({ port: pair.at.port, host: pair.at.host })
  idle.on('error', () => {})
  idle.write(Buffer.from(greeting))
  await once(idle, 'data')
  const gone = closeOf(idle)
  await pair.plane.kill()
  await gone
  await carries(pair, greeting, [5, 0])
  assert.deepEqual(pair.proxy.address, pair.at)
  await pair.proxy.close(0)
  const late = connect({ port: pair.at.port, host: pair.at.host })
  const [error] = (await once(late, 'error')) as [NodeJS.ErrnoException]
  assert.equal(error.code, 'ECONNREFUSED')
})

test('a proxy that closes takes no connection and leaves none half-way', async (t) => {
  const pair = await world(t)
  await carries(pair, greeting, [5, 0])
  const waiting = connect({ port: pair.at.port, host: pair.at.host })
  waiting.on('error', () => {})
  waiting.write(Buffer.from(greeting))
  await once(waiting, 'data')
  const gone = closeOf(waiting)
  await pair.proxy.close(0)
  await gone
  const late = connect({ port: pair.at.port, host: pair.at.host })
  const [error] = (await once(late, 'error')) as [NodeJS.ErrnoException]
  assert.equal(error.code, 'ECONNREFUSED')
})
