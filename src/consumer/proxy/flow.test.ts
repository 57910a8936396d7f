import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { duplexPair } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { BywayError } from '../../protocol/errors.ts'
import { createProxy, DEFAULT_LIMITS, type Dialer } from './index.ts'
import { failingDialer, loopbackDialer, RawClient, startOrigin, startProxy } from './testing.ts'

const socksRequest = (port: number, host = 'a.test') =>
  Buffer.concat([Buffer.from([5, 1, 0, 5, 1, 0, 3, host.length]), Buffer.from(host), Buffer.from([port >> 8, port & 255])])
const SOCKS_ANSWER_BYTES = 12
/** Node's default for a socket. */
const STREAM_BUFFER_BYTES = 65_536
const connectRequest = (port: number, host = 'a.test') => `CONNECT ${host}:${port} HTTP/1.1\r\nHost: ${host}:${port}\r\n\r\n`

/** The two ways to ask for a flow; `skip` says where its bytes begin. */
const WAYS = {
  socks5: { request: socksRequest, skip: () => SOCKS_ANSWER_BYTES },
  connect: { request: connectRequest, skip: (received: Buffer) => received.indexOf('\r\n\r\n') + 4 },
} as const

/** A flow through the proxy: both of its ends. */
async function openFlow(t: TestContext, way: keyof typeof WAYS, early: Uint8Array | string = '') {
  const accepted = Promise.withResolvers<Socket>()
  const origin = await startOrigin(t, (socket) => accepted.resolve(socket))
  const dialer = loopbackDialer()
  const { port, proxy } = await startProxy(t, dialer)
  const client = await RawClient.connect(t, port)
  const { request, skip } = WAYS[way]
  client.write(Buffer.concat([Buffer.from(request(origin)), Buffer.from(early)]))
  await client.until((received) => (way === 'socks5' ? received.length >= SOCKS_ANSWER_BYTES : received.includes('\r\n\r\n')))
  return { client, origin: await accepted.promise, dialer, proxy, payload: () => client.received.subarray(skip(client.received)) }
}

async function readAll(socket: Socket): Promise<string> {
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  await once(socket, 'end')
  return Buffer.concat(chunks).toString('latin1')
}

async function whenClosed(socket: Socket): Promise<void> {
  if (!socket.closed) await once(socket, 'close')
}

for (const way of ['socks5', 'connect'] as const) {
  test(`${way}: bytes sent before the answer are the first bytes of the flow`, async (t) => {
    const { client, origin, payload } = await openFlow(t, way, 'early ')
    client.write('late')
    client.socket.end()
    assert.equal(await readAll(origin), 'early late')
    origin.end('bye')
    await client.ended()
    assert.equal(payload().toString(), 'bye')
  })

  test(`${way}: either side may end first and still hear the other out`, async (t) => {
    const first = await openFlow(t, way)
    first.client.socket.end('question')
    assert.equal(await readAll(first.origin), 'question')
    assert.ok(first.origin.writable)
    first.origin.end('answer')
    await first.client.ended()
    assert.equal(first.payload().toString(), 'answer')

    const second = await openFlow(t, way)
    second.origin.end('greeting')
    await second.client.ended()
    assert.equal(second.payload().toString(), 'greeting')
    second.client.socket.end('thanks')
    assert.equal(await readAll(second.origin), 'thanks')
    await Promise.all([second.client.closed(), whenClosed(second.dialer.streams[0]!)])
    assert.equal(second.client.error, undefined)
  })

  test(`${way}: an end that comes while the exit is still dialling is not lost`, async (t) => {
    const origin = await startOrigin(t, (socket) => void readAll(socket).then((text) => socket.end(`heard ${text}`)))
    const inner = loopbackDialer()
    const dialing = Promise.withResolvers<void>()
    const go = Promise.withResolvers<void>()
    const slow: Dialer = {
      dial: async (request, signal) => {
        dialing.resolve()
        await go.promise
        return inner.dial(request, signal)
      },
    }
    const { port } = await startProxy(t, slow)
    const client = await RawClient.connect(t, port)
    client.socket.end(WAYS[way].request(origin))
    await dialing.promise
    await setImmediate()
    go.resolve()
    await client.ended()
    assert.ok(client.received.includes('heard '))
  })

  test(`${way}: a reset passes through in both directions, unlike an end`, async (t) => {
    const fromClient = await openFlow(t, way)
    const originError = once(fromClient.origin, 'error')
    fromClient.client.socket.resetAndDestroy()
    assert.equal(((await originError) as NodeJS.ErrnoException[])[0]?.code, 'ECONNRESET')

    const fromOrigin = await openFlow(t, way)
    fromOrigin.origin.resetAndDestroy()
    await fromOrigin.client.closed()
    assert.equal((fromOrigin.client.error as NodeJS.ErrnoException | undefined)?.code, 'ECONNRESET')

    const control = await openFlow(t, way)
    control.origin.end()
    await control.client.ended()
    assert.equal(control.client.error, undefined, 'control: an orderly end is no reset')
  })

  test(`${way}: an application that said its end and then dies stops the origin`, async (t) => {
    const { client, origin } = await openFlow(t, way)
    client.socket.end('question')
    assert.equal(await readAll(origin), 'question')
    const broken = once(origin, 'error')
    const flood = setInterval(() => origin.write(Buffer.alloc(65_536)), 5)
    t.after(() => clearInterval(flood))
    client.socket.resetAndDestroy()
    assert.match(String(((await broken) as NodeJS.ErrnoException[])[0]?.code), /^(ECONNRESET|EPIPE)$/)
  })

  test(`${way}: a reader that stops holds its origin back, and nothing is lost when it goes on`, async (t) => {
    const { client, origin, dialer } = await openFlow(t, way)
    const { socket } = client
    socket.removeAllListeners('data')
    socket.pause()
    const total = 48 * 1024 * 1024
    const chunk = Buffer.alloc(65_536, 0x61)
    let written = 0
    const pump = () => {
      while (written < total) {
        written += chunk.length
        if (!origin.write(chunk)) return
      }
      origin.end()
    }
    origin.on('drain', pump)
    const stalled = Promise.withResolvers<void>()
    let before = -1
    // Stalled: the same count at two looks a while apart, with the loop free to move bytes in between.
    const look = setInterval(() => {
      if (written === before) stalled.resolve()
      before = written
    }, 50)
    pump()
    await stalled.promise
    clearInterval(look)
    // Kernel buffers of two loopback connections, a few MiB each, and stream buffers.
    assert.ok(written < total / 2, `the origin could write ${written} bytes`)
    assert.ok(dialer.streams[0]!.readableLength <= 2 * STREAM_BUFFER_BYTES, 'what the proxy itself holds')
    let arrived = 0
    socket.on('data', (data) => {
      arrived += data.length
    })
    socket.resume()
    await once(socket, 'end')
    assert.equal(arrived, total, 'control: all of it arrives in the end')
  })

  test(`${way}: an application that leaves while the exit dials cancels the dial`, async (t) => {
    const signals = Promise.withResolvers<AbortSignal>()
    const stuck: Dialer = {
      dial: (_request, signal) => {
        signals.resolve(signal)
        return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)))
      },
    }
    const { port } = await startProxy(t, stuck)
    const client = await RawClient.connect(t, port)
    client.write(WAYS[way].request(80))
    const signal = await signals.promise
    assert.ok(!signal.aborted)
    client.socket.resetAndDestroy()
    if (!signal.aborted) await once(signal, 'abort')
  })

  test(`${way}: without an exit the answer is an error and nothing is dialled`, async (t) => {
    let reached = 0
    const origin = await startOrigin(t, () => reached++)
    const none = await startProxy(t, failingDialer(new BywayError('NO_PROVIDER', 'no exit matches')))
    const client = await RawClient.connect(t, none.port)
    client.write(WAYS[way].request(origin, '127.0.0.1'))
    const answer = await client.ended()
    if (way === 'socks5') assert.equal(answer[3], 0x03)
    else assert.match(answer.toString(), /^HTTP\/1\.1 503 /)
    assert.equal(reached, 0)
    const working = await startProxy(t, loopbackDialer())
    const control = await RawClient.connect(t, working.port)
    control.write(WAYS[way].request(origin, '127.0.0.1'))
    await control.bytes(SOCKS_ANSWER_BYTES)
    assert.equal(reached, 1, 'control: with an exit it is reached')
  })
}

test('a flow whose reader stopped holds a fixed number of bytes, in both directions', async (t) => {
  const [application, client] = duplexPair()
  const [stream, origin] = duplexPair()
  const route = { sessionId: 's', country: 'de', pricePerGib: 1n, provider: 'p', hops: 1 }
  const { proxy } = await startProxy(t, { dial: () => Promise.resolve({ stream, route }) })
  proxy.accept(client)
  application.write(socksRequest(80))
  for (const writer of [origin, application]) {
    let written = 0
    const pump = () => {
      while (written < 100_000_000 && writer.write(Buffer.alloc(16_384))) written += 16_384
    }
    writer.on('drain', pump)
    pump()
    for (let turn = 0; turn < 1_000; turn++) await setImmediate()
    assert.ok(written > 0 && written <= 4 * STREAM_BUFFER_BYTES, `${written} bytes are held`)
  }
  application.resume()
  for (let turn = 0; turn < 100; turn++) await setImmediate()
  assert.equal(origin.writableLength, 0, 'control: they move when somebody reads')
  application.destroy()
  origin.destroy()
})

test('a refused application that keeps talking is cut off after its answer', async (t) => {
  const { port, proxy } = await startProxy(t, failingDialer(new BywayError('NO_PROVIDER', 'no exit matches')))
  const client = await RawClient.connect(t, port)
  client.write(connectRequest(80))
  const flood = setInterval(() => client.write(Buffer.alloc(65_536)), 20)
  t.after(() => clearInterval(flood))
  await client.text('no exit matches')
  await client.closed()
  await proxy.close(0)
})

test('flows and connections are limited, and a place becomes free again', async (t) => {
  const origin = await startOrigin(t, () => {})
  const dialer = loopbackDialer()
  const { port } = await startProxy(t, dialer, { limits: { flows: 2 } })
  const open = async () => {
    const client = await RawClient.connect(t, port)
    client.write(connectRequest(origin))
    await client.text('\r\n\r\n')
    return client
  }
  const [one, two] = [await open(), await open()]
  assert.match(one.received.toString() + two.received.toString(), /^HTTP\/1\.1 200 [\s\S]*HTTP\/1\.1 200 /)
  const three = await open()
  assert.match(three.received.toString(), /^HTTP\/1\.1 429 [\s\S]*PROXY_TOO_MANY_FLOWS/)
  one.socket.resetAndDestroy()
  await whenClosed(dialer.streams[0]!)
  assert.match((await open()).received.toString(), /^HTTP\/1\.1 200 /)

  const small = await startProxy(t, dialer, { limits: { connections: 1 } })
  const kept = await RawClient.connect(t, small.port)
  kept.write(connectRequest(origin))
  await kept.text(' 200 ')
  const dropped = await RawClient.connect(t, small.port)
  await dropped.ended()
  assert.equal(dropped.received.length, 0)
})

test('a connection that says nothing, or too slowly, is closed in time', async (t) => {
  const { port } = await startProxy(t, loopbackDialer(), { limits: { handshakeMs: 80, headersMs: 80 } })
  const mute = await RawClient.connect(t, port)
  const socks = await RawClient.connect(t, port)
  const drip = setInterval(() => socks.write(Buffer.from([5])), 10)
  t.after(() => clearInterval(drip))
  const http = await RawClient.connect(t, port)
  http.write('GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\n')
  const more = setInterval(() => http.write('X: y\r\n'), 10)
  t.after(() => clearInterval(more))
  await Promise.all([mute.ended(), socks.ended(), http.ended()])
  assert.match(http.received.toString(), /^HTTP\/1\.1 408 [\s\S]*PROXY_TIMEOUT/)
  assert.ok(DEFAULT_LIMITS.handshakeMs > 1_000)
})

test('closing lets an open flow finish, and resets one that does not', async (t) => {
  const origin = await startOrigin(t, (socket) => socket.once('data', (data) => socket.end(data)))
  const graceful = await startProxy(t, loopbackDialer())
  const client = await RawClient.connect(t, graceful.port)
  client.write(connectRequest(origin))
  await client.text('\r\n\r\n')
  const closing = graceful.proxy.close(60_000)
  client.socket.end('last words')
  await closing
  assert.match((await client.ended()).toString(), /last words$/)
  assert.equal(graceful.proxy.address, undefined)

  const dialer = loopbackDialer()
  const abrupt = await startProxy(t, dialer)
  const stuck = await RawClient.connect(t, abrupt.port)
  stuck.write(connectRequest(origin))
  await stuck.text('\r\n\r\n')
  await abrupt.proxy.close(0)
  await stuck.closed()
  assert.equal((stuck.error as NodeJS.ErrnoException | undefined)?.code, 'ECONNRESET')
  assert.ok(dialer.streams[0]!.destroyed)
})

test('a busy port is named with the way out, and other machines are not served', async (t) => {
  const { port, proxy } = await startProxy(t, loopbackDialer())
  assert.deepEqual(proxy.address, { host: '127.0.0.1', port })
  const second = createProxy({ dialer: loopbackDialer() })
  t.after(() => second.close(0))
  await assert.rejects(second.listen('127.0.0.1', port), { code: 'PORT_BUSY', message: new RegExp(String(port)), hint: /--port/ })
  for (const host of ['0.0.0.0', '::', '192.168.1.1', '10.0.0.1', 'example.com', '128.0.0.1']) {
    await assert.rejects(second.listen(host, 0), { code: 'ARGUMENT_INVALID' }, host)
  }
  assert.equal((await second.listen('localhost', 0)).host, '127.0.0.1', 'control')
})
