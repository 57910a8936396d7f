import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import type { Socket } from 'node:net'
import { duplexPair } from 'node:stream'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { BywayError } from '../../protocol/errors.ts'
import type { Dialer } from './index.ts'
import { CLOSE, exchange, getRequest as get, httpOrigin, loopbackDialer, RawClient, startOrigin, startProxy } from './testing.ts'

/** Resolves with everything a connection sends until its head is complete. */
async function head(socket: Socket): Promise<string> {
  let text = ''
  while (!text.includes('\r\n\r\n')) text += String(((await once(socket, 'data')) as Buffer[])[0])
  return text
}

test('the origin sees the request of the application and nothing of this proxy', async (t) => {
  const seen = Promise.withResolvers<string>()
  const origin = await startOrigin(t, (socket) => {
    void head(socket).then((text) => {
      seen.resolve(text)
      socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
    })
  })
  const { port } = await startProxy(t, loopbackDialer())
  const headers = [
    'User-Agent: test/1',
    'Accept: */*',
    'X-Twice: 1',
    'x-twice: 2',
    'Cookie: a=b',
    'Connection: keep-alive, X-Mine, Content-Length, Host',
    'X-Mine: secret',
    'Keep-Alive: timeout=5',
    'Proxy-Connection: keep-alive',
    `Proxy-Authorization: Basic ${Buffer.from('me-country-de:pw').toString('base64')}`,
    'Byway-Max-Price: 1',
    'TE: trailers',
    'Upgrade: h2c',
    'HTTP2-Settings: x',
  ]
  const client = await RawClient.connect(t, port)
  client.write(get(origin, '/a%20b/../c?q=1&r=/%C3%A4', `${headers.join('\r\n')}\r\n`))
  assert.equal(
    await seen.promise,
    [
      'GET /a%20b/../c?q=1&r=/%C3%A4 HTTP/1.1',
      `Host: a.test:${origin}`,
      'User-Agent: test/1',
      'Accept: */*',
      'X-Twice: 1',
      'x-twice: 2',
      'Cookie: a=b',
      'HTTP2-Settings: x',
      'Connection: keep-alive',
      '\r\n',
    ].join('\r\n'),
  )
})

test('the application sees the answer of the origin, with the route and without what belongs to one connection', async (t) => {
  const answer = [
    'HTTP/1.1 299 Rather Fine',
    'Set-Cookie: a=1',
    'Set-Cookie: b=2',
    'X-Case: Kept',
    'Connection: keep-alive, X-Mine',
    'X-Mine: secret',
    'Keep-Alive: timeout=5',
    'Proxy-Authenticate: Basic',
    'Byway-Country: spoofed',
    'Proxy-Status: byway; error=dns_error',
    'Proxy-Status: cdn; error=dns_error',
    'Content-Length: 2',
  ]
  const origin = await startOrigin(t, (socket) => void head(socket).then(() => socket.write(`${answer.join('\r\n')}\r\n\r\nok`)))
  const { port } = await startProxy(t, loopbackDialer())
  const text = await exchange(t, port, get(origin, '/', `Byway-Country: de\r\nByway-Session: s1\r\n${CLOSE}`))
  assert.equal(
    text,
    [
      'HTTP/1.1 299 Rather Fine',
      'Set-Cookie: a=1',
      'Set-Cookie: b=2',
      'X-Case: Kept',
      'Proxy-Status: cdn; error=dns_error',
      'Content-Length: 2',
      'Byway-Session: s1',
      'Byway-Country: de',
      'Byway-Price-Per-Gib: 0.02',
      'Connection: close',
      '\r\nok',
    ].join('\r\n'),
  )
})

test('targets with odd ports, empty paths and bare queries reach the right place', async (t) => {
  const origin = await httpOrigin(t, (request, response) => response.end(`${request.headers.host} ${request.url}`))
  const { port } = await startProxy(t, loopbackDialer())
  const ask = async (url: string, host: string) =>
    (await exchange(t, port, `GET ${url} HTTP/1.1\r\nHost: ${host}\r\n${CLOSE}\r\n`)).split('\r\n\r\n')[1]
  assert.equal(await ask(`http://a.test:${origin}`, `a.test:${origin}`), `a.test:${origin} /`)
  assert.equal(await ask(`HTTP://A.TEST:${origin}?x`, `a.test:${origin}`), `a.test:${origin} /?x`)
  assert.equal(await ask(`http://[::1]:${origin}/`, `[0::1]:${origin}`), `[::1]:${origin} /`)
  assert.equal(await ask(`http://127.0.0.1:${origin}//a//`, `127.0.0.1:${origin}`), `127.0.0.1:${origin} //a//`)
  const old = await exchange(t, port, `GET http://a.test:${origin}/ HTTP/1.0\r\n\r\n`)
  assert.match(old, /^HTTP\/1\.1 200 /, 'HTTP/1.0 needs no Host')
  const http80 = loopbackDialer()
  const { port: second } = await startProxy(t, {
    dial: (request, signal) => http80.dial({ ...request, destination: { ...request.destination, port: origin } }, signal),
  })
  assert.match(await exchange(t, second, `GET http://a.test:/ HTTP/1.1\r\nHost: a.test:80\r\n${CLOSE}\r\n`), /\r\n\r\na\.test \/$/)
})

test('bodies go through whole in both directions, with a length or chunked', async (t) => {
  const body = randomBytes(3_000_000)
  const digest = createHash('sha256').update(body).digest('hex')
  const origin = await httpOrigin(t, (request, response) => {
    const hash = createHash('sha256')
    request.on('data', (chunk: Buffer) => hash.update(chunk))
    request.on('end', () => {
      response.setHeader('X-Digest', hash.digest('hex'))
      response.setHeader('X-Framing', `${request.headers['content-length']} ${request.headers['transfer-encoding']}`)
      if (request.headers['x-want'] === 'length') response.setHeader('Content-Length', body.length)
      else response.write('')
      response.write(body)
      response.end()
    })
  })
  const { port } = await startProxy(t, loopbackDialer())
  for (const want of ['length', 'chunked']) {
    const framing = want === 'length' ? { 'Content-Length': body.length } : { 'Transfer-Encoding': 'chunked' }
    const headers = { Host: `a.test:${origin}`, 'X-Want': want, ...framing }
    const upload = request({ host: '127.0.0.1', port, method: 'POST', path: `http://a.test:${origin}/`, headers, agent: false })
    for (let at = 0; at < body.length; at += 100_000) upload.write(body.subarray(at, at + 100_000))
    upload.end()
    const [answer] = (await once(upload, 'response')) as [IncomingMessage]
    const hash = createHash('sha256')
    for await (const chunk of answer) hash.update(chunk as Buffer)
    assert.equal(answer.headers['x-digest'], digest)
    assert.equal(hash.digest('hex'), digest)
    assert.equal(answer.headers['x-framing'], want === 'length' ? `${body.length} undefined` : 'undefined chunked')
    assert.equal(answer.headers['content-length'], want === 'length' ? String(body.length) : undefined)
  }
})

test('requests without a body get no framing that invents one', async (t) => {
  const origin = await httpOrigin(t, (request, response) =>
    response.end(`${request.method} ${request.headers['content-length']} ${request.headers['transfer-encoding']}`),
  )
  const { port } = await startProxy(t, loopbackDialer())
  for (const [method, expected] of [
    ['GET', 'undefined'],
    ['DELETE', 'undefined'],
    ['POST', '0'],
    ['PUT', '0'],
  ]) {
    const answer = await exchange(t, port, `${method} http://a.test:${origin}/ HTTP/1.1\r\nHost: a.test:${origin}\r\n${CLOSE}\r\n`)
    assert.ok(answer.endsWith(`\r\n\r\n${method} ${expected} undefined`) || answer.includes(`${method} ${expected} undefined`), answer)
  }
})

test('HEAD, 204 and 304 keep their headers and have no body', async (t) => {
  const origin = await startOrigin(t, (socket) => {
    void head(socket).then((text) => {
      const status = text.includes('/204') ? '204 No Content' : text.includes('/304') ? '304 Not Modified' : '200 OK'
      socket.end(`HTTP/1.1 ${status}\r\n${status.startsWith('204') ? '' : 'Content-Length: 5\r\n'}ETag: x\r\n\r\n`)
    })
  })
  const { port } = await startProxy(t, loopbackDialer())
  for (const [method, path, length] of [
    ['HEAD', '/', 5],
    ['GET', '/304', 5],
    ['GET', '/204', undefined],
  ] as const) {
    const answer = await exchange(t, port, `${method} http://a.test:${origin}${path} HTTP/1.1\r\nHost: a.test:${origin}\r\n${CLOSE}\r\n`)
    assert.ok(answer.endsWith('\r\n\r\n') && answer.includes('ETag: x\r\n'), answer)
    assert.equal(answer.includes('Content-Length: 5\r\n'), length === 5, answer)
    assert.ok(!answer.includes('Transfer-Encoding'), answer)
  }
})

test('100 Continue comes from the origin, and so does its refusal', async (t) => {
  const origin = await startOrigin(t, (socket) => {
    void head(socket).then(async (text) => {
      assert.match(text, /\r\nExpect: 100-continue\r\n/)
      if (text.includes('/no')) {
        socket.end('HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n')
        return
      }
      socket.write('HTTP/1.1 100 Continue\r\n\r\n')
      const [body] = (await once(socket, 'data')) as Buffer[]
      socket.end(`HTTP/1.1 200 OK\r\nContent-Length: ${body!.length}\r\n\r\n${String(body)}`)
    })
  })
  const { port } = await startProxy(t, loopbackDialer())
  const put = (path: string) =>
    `PUT http://a.test:${origin}${path} HTTP/1.1\r\nHost: a.test:${origin}\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n`
  const client = await RawClient.connect(t, port)
  client.write(put('/yes'))
  assert.equal((await client.text('\r\n\r\n')).toString(), 'HTTP/1.1 100 Continue\r\n\r\n')
  client.write('body')
  await client.text('\r\n\r\nbody')
  const refused = await RawClient.connect(t, port)
  refused.write(put('/no'))
  const answer = (await refused.ended()).toString()
  assert.match(answer, /^HTTP\/1\.1 417 No\r\n/)
  assert.match(answer, /\r\nConnection: close\r\n/)
})

test('a WebSocket over a plain request is refused with the way to do it, other upgrades are left out', async (t) => {
  const origin = await httpOrigin(t, (request, response) => response.end(`upgrade ${request.headers.upgrade}`))
  const { port } = await startProxy(t, loopbackDialer())
  const upgrade = (to: string) => exchange(t, port, get(origin, '/', `Connection: Upgrade, close\r\nUpgrade: ${to}\r\n`))
  assert.match(await upgrade('websocket'), /^HTTP\/1\.1 501 [\s\S]*PROXY_COMMAND_UNSUPPORTED[\s\S]*CONNECT/)
  assert.match(await upgrade('h2c'), /^HTTP\/1\.1 200 [\s\S]*upgrade undefined/)
})

test('an origin that breaks off its answer breaks off ours, and a whole answer ends cleanly', async (t) => {
  const origin = await startOrigin(t, (socket) => {
    void head(socket).then((text) => {
      if (text.includes('/length')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart')
      if (text.includes('/chunked')) socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n')
      if (text.includes('/whole')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npart')
      sockets.push(socket)
    })
  })
  const sockets: Socket[] = []
  const { port } = await startProxy(t, loopbackDialer())
  for (const how of ['end', 'resetAndDestroy'] as const) {
    for (const path of ['/length', '/chunked']) {
      const client = await RawClient.connect(t, port)
      client.write(get(origin, path))
      await client.text('part')
      sockets.pop()![how]()
      await client.closed()
      assert.equal((client.error as NodeJS.ErrnoException | undefined)?.code, 'ECONNRESET', `${path} ${how}`)
    }
  }
  const whole = await RawClient.connect(t, port)
  whole.write(get(origin, '/whole', CLOSE))
  assert.match((await whole.ended()).toString(), /part$/)
  assert.equal(whole.error, undefined, 'control')
})

test('an answer that ends with its connection is passed on as such', async (t) => {
  const origin = await startOrigin(t, (socket) => void head(socket).then(() => socket.end('HTTP/1.0 200 OK\r\n\r\nuntil the end')))
  const { port } = await startProxy(t, loopbackDialer())
  assert.match(await exchange(t, port, get(origin, '/', CLOSE)), /\r\n\r\nd\r\nuntil the end\r\n0\r\n\r\n$/)
  assert.match(await exchange(t, port, `GET http://a.test:${origin}/ HTTP/1.0\r\n\r\n`), /\r\n\r\nuntil the end$/)
})

test('an application that leaves resets its request at the origin', async (t) => {
  const origin = await startOrigin(t, (socket) => {
    void head(socket).then((text) => {
      if (text.includes('/mid')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart')
      asked.resolve(socket)
    })
  })
  let asked = Promise.withResolvers<Socket>()
  const { port } = await startProxy(t, loopbackDialer())
  for (const path of ['/before', '/mid']) {
    asked = Promise.withResolvers<Socket>()
    const client = await RawClient.connect(t, port)
    client.write(get(origin, path))
    const socket = await asked.promise
    if (path === '/mid') await client.text('part')
    const broken = once(socket, 'error')
    client.socket.destroy()
    assert.equal(((await broken) as NodeJS.ErrnoException[])[0]?.code, 'ECONNRESET', path)
  }
})

test('what is no HTTP answer becomes an error of ours, and the connection goes on', async (t) => {
  const replies: Record<string, string> = {
    '/garbage': 'SSH-2.0-OpenSSH_9\r\n',
    '/both': 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    '/coding': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n',
    '/lengths': 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab',
    '/huge': `HTTP/1.1 200 OK\r\nX: ${'a'.repeat(300_000)}\r\n\r\n`,
    '/reason': 'HTTP/1.1 200 O\x01K\r\nContent-Length: 0\r\n\r\n',
    '/upgrade': 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n',
  }
  const origin = await startOrigin(
    t,
    (socket) =>
      void head(socket).then((text) => socket.end(replies[text.split(' ')[1]!] ?? 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine')),
  )
  const { port } = await startProxy(t, loopbackDialer())
  const client = await RawClient.connect(t, port)
  let answers = 0
  for (const path of Object.keys(replies)) {
    client.write(get(origin, path))
    answers++
    const received = await client.until((bytes) => bytes.toString().split('HTTP/1.1 502 ').length > answers)
    assert.match(received.toString().split('HTTP/1.1 502 ').at(-1)!, /DESTINATION_MALFORMED|CONNECTION_RESET/, path)
  }
  client.write(get(origin, '/fine'))
  await client.text('fine')
})

test('an origin that answers before the upload is over is heard', async (t) => {
  const origin = await startOrigin(
    t,
    (socket) => void head(socket).then(() => socket.write('HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno')),
  )
  const { port } = await startProxy(t, loopbackDialer())
  const client = await RawClient.connect(t, port)
  client.write(`POST http://a.test:${origin}/ HTTP/1.1\r\nHost: a.test:${origin}\r\nContent-Length: 1000000\r\n\r\nsome`)
  assert.match((await client.text('\r\n\r\nno')).toString(), /^HTTP\/1\.1 413 Too Large/)
})

test('a stopped reader holds back the origin, a stopped origin the writer', async (t) => {
  const [application, accepted] = duplexPair()
  const [stream, origin] = duplexPair()
  const dialer: Dialer = {
    dial: () => Promise.resolve({ stream, route: { sessionId: 's', country: 'de', pricePerGib: 1n, provider: 'p', hops: 1 } }),
  }
  const { proxy } = await startProxy(t, dialer)
  proxy.accept(accepted)
  const fill = async (writer: typeof origin) => {
    let written = 0
    const pump = () => {
      while (written < 50_000_000 && writer.write(Buffer.alloc(16_384))) written += 16_384
    }
    writer.on('drain', pump)
    pump()
    for (let turn = 0; turn < 1_000; turn++) await setImmediate()
    return written
  }
  application.write('POST http://a.test/ HTTP/1.1\r\nHost: a.test\r\nContent-Length: 100000000\r\n\r\n')
  const upload = await fill(application)
  assert.ok(upload > 0 && upload < 1_000_000, `${upload} bytes of the upload are held`)
  origin.write('HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n')
  const download = await fill(origin)
  assert.ok(download > 0 && download < 1_000_000, `${download} bytes of the download are held`)
  application.destroy()
  origin.destroy()
})

test('a failed dial is answered on a connection that stays open', async (t) => {
  const origin = await httpOrigin(t, (_request, response) => response.end('reached'))
  const inner = loopbackDialer()
  let exits = false
  const { port } = await startProxy(t, {
    dial: (request, signal) => (exits ? inner.dial(request, signal) : Promise.reject(new BywayError('NO_PROVIDER', 'no exit matches'))),
  })
  const client = await RawClient.connect(t, port)
  client.write(`POST http://a.test:${origin}/ HTTP/1.1\r\nHost: a.test:${origin}\r\nContent-Length: 100000\r\n\r\n`)
  client.write(Buffer.alloc(100_000))
  assert.match((await client.text('no exit matches')).toString(), /^HTTP\/1\.1 503 [\s\S]*\r\nRetry-After: /)
  exits = true
  client.write(get(origin))
  await client.text('reached')
})
