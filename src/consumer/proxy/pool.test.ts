import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { CLOSE, exchange, getRequest as get, httpOrigin, loopbackDialer, RawClient, startOrigin, startProxy } from './testing.ts'

test('200 parallel applications keep their connections, and origins are reached over pooled streams', async (t) => {
  const origin = await httpOrigin(t, (request, response) => response.end(`answer to ${request.url}`))
  const dialer = loopbackDialer()
  const { port } = await startProxy(t, dialer)
  const clients = await Promise.all(Array.from({ length: 200 }, () => RawClient.connect(t, port)))
  const rounds = 5
  for (let round = 0; round < rounds; round++) {
    await Promise.all(
      clients.map((client, i) => {
        client.write(get(origin, `/${i}/${round}.`))
        return client.text(`answer to /${i}/${round}.`)
      }),
    )
  }
  for (const client of clients) assert.equal(client.received.toString().match(/HTTP\/1\.1 200 OK/g)?.length, rounds)
  assert.ok(dialer.requests.length < 200 * rounds, `${dialer.requests.length} dials for ${200 * rounds} requests`)
})

test('a pooled stream serves only requests of the same destination and parameters', async (t) => {
  const origin = await httpOrigin(t, (_request, response) => response.end('ok'))
  const dialer = loopbackDialer()
  const { port } = await startProxy(t, dialer)
  const client = await RawClient.connect(t, port)
  let answers = 0
  const ask = async (host: string, headers: string) => {
    client.write(`GET http://${host}:${origin}/ HTTP/1.1\r\nHost: ${host}:${origin}\r\n${headers}\r\n`)
    answers++
    await client.until((received) => received.toString().split('\r\n\r\nok').length > answers)
    await setImmediate() // the stream is free one turn after the answer
    return dialer.requests.length
  }
  assert.equal(await ask('a.test', ''), 1)
  assert.equal(await ask('a.test', ''), 1, 'the same again is not dialled again')
  assert.equal(await ask('b.test', ''), 2)
  assert.equal(await ask('a.test', 'Byway-Country: de\r\n'), 3)
  assert.equal(await ask('a.test', 'Byway-Country: fr\r\n'), 4)
  assert.equal(await ask('a.test', 'Byway-Country: de\r\n'), 4)
  assert.equal(await ask('a.test', 'Byway-Country: de\r\nByway-Session: 1\r\n'), 5)
})

test('without a session each connection of an application gets streams of its own, with one they share', async (t) => {
  const origin = await httpOrigin(t, (_request, response) => response.end('ok'))
  const dialer = loopbackDialer()
  const { port } = await startProxy(t, dialer)
  const ask = async (headers: string) => {
    const client = await RawClient.connect(t, port)
    for (let answers = 1; answers <= 2; answers++) {
      client.write(`GET http://a.test:${origin}/ HTTP/1.1\r\nHost: a.test:${origin}\r\n${headers}\r\n`)
      await client.until((received) => received.toString().split('\r\n\r\nok').length > answers)
      await setImmediate()
    }
    return dialer.requests.length
  }
  assert.deepEqual([await ask(''), await ask('')], [1, 2])
  const named = 'Byway-Session: s\r\n'
  assert.deepEqual([await ask(named), await ask(named)], [3, 3])
})

test('a pooled stream the origin closed is not used, and one found dead costs a repeat, not an error', async (t) => {
  let connections = 0
  const origin = await startOrigin(t, (socket) => {
    const mine = ++connections
    let asked = 0
    socket.on('data', () => {
      // The second request on the first connection meets a close, as after an idle timeout.
      if (++asked > 1 && mine === 1) socket.resetAndDestroy()
      else socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n${mine}`)
    })
  })
  const { port } = await startProxy(t, loopbackDialer())
  const client = await RawClient.connect(t, port)
  client.write(get(origin))
  await client.text('\r\n\r\n1')
  await setImmediate()
  client.write(get(origin))
  await client.text('\r\n\r\n2')
  assert.equal(connections, 2)

  let opened = 0
  const closing = await startOrigin(t, (socket) => {
    opened++
    socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'))
  })
  const other = await RawClient.connect(t, port)
  for (let i = 1; i <= 5; i++) {
    other.write(get(closing))
    await other.until((received) => received.toString().split('\r\n\r\nok').length > i)
  }
  assert.equal(opened, 5)
})

test('a request that must not be sent twice never meets a stale stream', async (t) => {
  const origin = await httpOrigin(t, (request, response) => {
    request.resume()
    response.end('ok')
  })
  const dialer = loopbackDialer()
  const { port } = await startProxy(t, dialer)
  const client = await RawClient.connect(t, port)
  client.write(get(origin))
  await client.text('ok')
  for (let i = 2; i <= 4; i++) {
    client.write(`POST http://a.test:${origin}/ HTTP/1.1\r\nHost: a.test:${origin}\r\nContent-Length: 1\r\n\r\nx`)
    await client.until((received) => received.toString().split('\r\n\r\nok').length > i)
    assert.equal(dialer.requests.length, i)
  }
})

test('idle pooled streams are closed in time, and all of them when the proxy closes', async (t) => {
  const origin = await httpOrigin(t, (_request, response) => response.end('ok'))
  const dialer = loopbackDialer()
  const { port } = await startProxy(t, dialer, { limits: { pooledMs: 30 } })
  await exchange(t, port, get(origin, '/', CLOSE))
  if (!dialer.streams[0]!.closed) await once(dialer.streams[0]!, 'close')

  const second = loopbackDialer()
  const lasting = await startProxy(t, second, { limits: { pooledMs: 60_000 } })
  await exchange(t, lasting.port, get(origin, '/', CLOSE))
  await setImmediate()
  assert.ok(!second.streams[0]!.destroyed, 'control: still warm')
  await lasting.proxy.close()
  assert.ok(second.streams[0]!.destroyed)
})
