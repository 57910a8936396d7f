import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import type { CounterName } from '../../protocol/observe.ts'
import { silent } from '../../protocol/observe.ts'
import { exchange, loopbackDialer, RawClient, startOrigin, startProxy } from './testing.ts'

const basic = (username: string, password = 'x') =>
  `Proxy-Authorization: Basic ${Buffer.from(`${username}:${password}`).toString('base64')}\r\n`

/** Answers every request head with 200 and closes; remembers what it got. */
function recorder() {
  const got: string[] = []
  const serve = (socket: Socket) => {
    let text = ''
    socket.on('data', (data) => {
      text += data.toString('latin1')
      if (!text.includes('\r\n\r\n')) return
      got.push(text)
      socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok')
    })
  }
  return { got, serve }
}

test('answers CONNECT with the route and carries what follows', async (t) => {
  const origin = await startOrigin(t, (socket) => socket.once('data', (data) => socket.end(`echo ${String(data)}`)))
  const dialer = loopbackDialer()
  const { port } = await startProxy(t, dialer)
  const client = await RawClient.connect(t, port)
  client.write(`CONNECT example.test:${origin} HTTP/1.1\r\nHost: example.test:${origin}\r\n${basic('me-country-de-session-a1')}\r\n`)
  const answer = (await client.text('\r\n\r\n')).toString()
  assert.equal(answer, 'HTTP/1.1 200 Connection established\r\nByway-Session: a1\r\nByway-Country: de\r\nByway-Price-Per-Gib: 0.02\r\n\r\n')
  client.write('hello')
  assert.ok((await client.ended()).toString().endsWith('echo hello'))
  assert.deepEqual(dialer.requests, [
    {
      destination: { kind: 'domain', host: 'example.test', port: origin },
      parameters: { account: 'me', country: 'de', sessionId: 'a1', sessionMinutes: 10, strict: false },
    },
  ])
})

test('reads CONNECT targets in every form and refuses the rest without dialling', async (t) => {
  const dialer = loopbackDialer()
  const { port } = await startProxy(t, dialer)
  const connect = (target: string, headers = '') => exchange(t, port, `CONNECT ${target} HTTP/1.1\r\nHost: x\r\n${headers}\r\n`)
  const dialled = async (target: string, headers = '') => {
    dialer.requests.length = 0
    await connect(target, headers)
    return dialer.requests.map(({ destination }) => `${destination.kind} ${destination.host} ${destination.port}`).join()
  }
  assert.equal(await dialled('EXAMPLE.test.:1'), 'domain example.test 1')
  assert.equal(await dialled('127.0.0.1:1'), 'ip 127.0.0.1 1')
  assert.equal(await dialled('[::1]:1'), 'ip ::1 1')
  assert.equal(await dialled('a.test:1', 'Content-Length: 0\r\n'), 'domain a.test 1')
  assert.equal(await dialled('a.test:1', 'Byway-Country: de\r\n'), 'domain a.test 1')
  const refused: [target: string, code: string, headers?: string][] = [
    ['a.test', 'PROXY_MALFORMED'],
    ['a.test:', 'PROXY_MALFORMED'],
    [':80', 'PROXY_MALFORMED'],
    ['a.test:0', 'DESTINATION_INVALID'],
    ['a.test:65536', 'DESTINATION_INVALID'],
    ['a.test:080000', 'PROXY_MALFORMED'],
    ['http://a.test:80', 'PROXY_MALFORMED'],
    ['user@a.test:80', 'PROXY_MALFORMED'],
    ['::1:80', 'PROXY_MALFORMED'],
    ['[::1:80', 'PROXY_MALFORMED'],
    ['[a.test]:80', 'DESTINATION_INVALID'],
    ['127.1:80', 'DESTINATION_INVALID'],
    ['2130706433:80', 'DESTINATION_INVALID'],
    [`${'a'.repeat(300)}:80`, 'DESTINATION_INVALID'],
    ['a.test:80', 'PROXY_MALFORMED', 'Content-Length: 5\r\n'],
    ['a.test:80', 'PROXY_MALFORMED', 'Transfer-Encoding: chunked\r\n'],
    ['a.test:80', 'PROXY_PARAMETER_UNKNOWN', basic('any-colour-red')],
    ['a.test:80', 'PROXY_PARAMETER_INVALID', basic('any-country-deu')],
    ['a.test:80', 'PROXY_PARAMETER_INVALID', `${basic('any-country-de')}Byway-Country: fr\r\n`],
    ['a.test:80', 'PROXY_PARAMETER_UNKNOWN', 'Byway-Colour: red\r\n'],
    ['a.test:80', 'PROXY_PARAMETER_INVALID', 'Proxy-Authorization: Bearer abc\r\n'],
    ['a.test:80', 'PROXY_PARAMETER_INVALID', 'Proxy-Authorization: Basic !!\r\n'],
    ['a.test:80', 'PROXY_PARAMETER_INVALID', `Proxy-Authorization: Basic ${Buffer.from('nocolon').toString('base64')}\r\n`],
    ['a.test:80', 'PROXY_MALFORMED', basic('any') + basic('any')],
  ]
  dialer.requests.length = 0
  for (const [target, code, headers] of refused) {
    const answer = await connect(target, headers)
    assert.match(answer, /^HTTP\/1\.1 400 Bad Request\r\n/, `${target}: ${answer}`)
    assert.ok(answer.includes(`details="${code}: `), `${target}: ${answer}`)
    assert.match(answer, /\r\nConnection: close\r\n/)
  }
  assert.equal(dialer.requests.length, 0)
})

test('what two parsers could read in two ways is refused, never repaired', async (t) => {
  const { got, serve } = recorder()
  const origin = await startOrigin(t, serve)
  const dialer = loopbackDialer()
  const counts: string[] = []
  const observer = {
    ...silent,
    count: (name: CounterName, _by?: number, labels?: Readonly<Record<string, string>>) => counts.push(`${name} ${labels?.where}`),
  }
  const { port } = await startProxy(t, dialer, { observer })
  const target = `http://a.test:${origin}/`
  const host = `Host: a.test:${origin}\r\n`
  const post = (headers: string, body: string) => `POST ${target} HTTP/1.1\r\n${host}${headers}\r\n${body}`
  const get = (line: string, headers = host) => `${line}\r\n${headers}\r\n`
  const vectors: Record<string, string> = {
    'length and chunked': post('Content-Length: 4\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'),
    'chunked and length': post('Transfer-Encoding: chunked\r\nContent-Length: 4\r\n', '0\r\n\r\n'),
    'two lengths': post('Content-Length: 1\r\nContent-Length: 2\r\n', 'ab'),
    'two equal lengths': post('Content-Length: 1\r\nContent-Length: 1\r\n', 'a'),
    'list of lengths': post('Content-Length: 1, 1\r\n', 'a'),
    'negative length': post('Content-Length: -1\r\n', ''),
    'signed length': post('Content-Length: +1\r\n', 'a'),
    'hex length': post('Content-Length: 0x1\r\n', 'a'),
    'length with underscore': post('Content-Length: 1_0\r\n', '0123456789'),
    'huge length': post('Content-Length: 99999999999999999999\r\n', ''),
    'unknown coding': post('Transfer-Encoding: gzip\r\n', ''),
    'coding after chunked': post('Transfer-Encoding: chunked, gzip\r\n', ''),
    'coding before chunked': post('Transfer-Encoding: gzip, chunked\r\n', '0\r\n\r\n'),
    'identity coding': post('Transfer-Encoding: identity\r\n', ''),
    'chunked twice': post('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'),
    'chunked with vertical tab': post('Transfer-Encoding: \x0bchunked\r\n', '0\r\n\r\n'),
    'folded header': post('X: a\r\n b\r\nContent-Length: 0\r\n', ''),
    'folded coding': post('Transfer-Encoding:\r\n chunked\r\n', '0\r\n\r\n'),
    'space before colon': post('Content-Length : 1\r\n', 'a'),
    'space before header': `GET ${target} HTTP/1.1\r\n ${host}\r\n`,
    'NUL in value': get(`GET ${target} HTTP/1.1`, `${host}X: a\0b\r\n`),
    'NUL in name': get(`GET ${target} HTTP/1.1`, `${host}X\0: a\r\n`),
    'bare CR in value': get(`GET ${target} HTTP/1.1`, `${host}X: a\rb\r\n`),
    'bare LF lines': `GET ${target} HTTP/1.1\n${host.replace('\r', '')}\n`,
    'no colon': get(`GET ${target} HTTP/1.1`, `${host}X\r\n`),
    'empty name': get(`GET ${target} HTTP/1.1`, `${host}: x\r\n`),
    'HTTP/0.9': `GET ${target}\r\n\r\n`,
    'HTTP/2.0': get(`GET ${target} HTTP/2.0`),
    'HTTP/1.10': get(`GET ${target} HTTP/1.10`),
    'lower-case version': get(`GET ${target} http/1.1`),
    'tab in line': get(`GET\t${target} HTTP/1.1`),
    'space in URL': get(`GET ${target}a b HTTP/1.1`),
    'lower-case method': get(`get ${target} HTTP/1.1`),
    'unknown method': get(`FROB ${target} HTTP/1.1`),
    'other host': get(`GET ${target} HTTP/1.1`, `Host: b.test:${origin}\r\n`),
    'other port': get(`GET ${target} HTTP/1.1`, 'Host: a.test\r\n'),
    'two hosts': get(`GET ${target} HTTP/1.1`, host + host),
    'no host': get(`GET ${target} HTTP/1.1`, ''),
    'empty host': get(`GET ${target} HTTP/1.1`, 'Host:\r\n'),
    'host with user': get(`GET ${target} HTTP/1.1`, `Host: x@a.test:${origin}\r\n`),
    'user in URL': get(`GET http://u:p@a.test:${origin}/ HTTP/1.1`),
    'fragment in URL': get(`GET ${target}#x HTTP/1.1`),
    'no host in URL': get('GET http:///x HTTP/1.1'),
    'backslash in host': get(`GET http://a.test\\@b.test:${origin}/ HTTP/1.1`),
    'disguised address': get(`GET http://2130706433:${origin}/ HTTP/1.1`, `Host: 2130706433:${origin}\r\n`),
    'UTF-8 host': get(`GET http://m\u00fcnchen.test:${origin}/ HTTP/1.1`),
    'https URL': get('GET https://a.test/ HTTP/1.1', 'Host: a.test\r\n'),
    'ftp URL': get('GET ftp://a.test/ HTTP/1.1', 'Host: a.test\r\n'),
    'origin form': get('GET / HTTP/1.1', 'Host: 127.0.0.1\r\n'),
    'asterisk form': get('OPTIONS * HTTP/1.1', 'Host: 127.0.0.1\r\n'),
    SOCKS4: '\x04\x01\x00\x50\x7f\x00\x00\x01\x00',
    'TLS hello': '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
    'head too large': get(`GET ${target} HTTP/1.1`, `${host}X: ${'a'.repeat(40_000)}\r\n`),
    'too many headers': get(`GET ${target} HTTP/1.1`, host + 'a:b\r\n'.repeat(20_000)),
    expectation: get(`GET ${target} HTTP/1.1`, `${host}Expect: 200-maybe\r\n`),
  }
  const accepted: string[] = []
  for (const [name, bytes] of Object.entries(vectors)) {
    const client = await RawClient.connect(t, port)
    client.write(Buffer.from(bytes, 'latin1'))
    const answer = (await client.text('\r\n\r\n')).toString('latin1')
    if (!answer.startsWith('HTTP/1.1 400 ') || !answer.includes('Proxy-Status: byway; error=http_request_error; details="'))
      accepted.push(`${name}: ${answer}`)
    client.socket.destroy()
  }
  assert.deepEqual(accepted, [])
  assert.equal(got.length, 0)
  assert.equal(counts.filter((count) => count === 'malformed http').length, Object.keys(vectors).length)
  assert.match(await exchange(t, port, get(`GET ${target} HTTP/1.1`, `${host}Connection: close\r\n`)), /^HTTP\/1\.1 200 OK/)
  assert.equal(got.length, 1, 'control: the plain request gets through')
})

test('a chunked body the parser cannot read ends the request at both sides', async (t) => {
  const received: string[] = []
  const ended = Promise.withResolvers<string>()
  const origin = await startOrigin(t, (socket) => {
    socket.on('data', (data) => received.push(String(data)))
    socket.on('error', () => ended.resolve('reset'))
    socket.on('end', () => ended.resolve('end'))
  })
  const { port } = await startProxy(t, loopbackDialer())
  for (const chunk of ['0_2e\r\n', '0x10\r\n', '+5\r\n', '-1\r\n', 'fffffffffffffffff\r\n', '5\n', '5;a\rb\r\n', ' 5\r\n', 'g\r\n']) {
    received.length = 0
    const client = await RawClient.connect(t, port)
    client.write(
      `POST http://a.test:${origin}/ HTTP/1.1\r\nHost: a.test:${origin}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n${chunk}`,
    )
    await client.ended()
    assert.ok(!received.join('').includes('0\r\n\r\n'), `${JSON.stringify(chunk)} must not look complete to the origin`)
    client.socket.destroy()
  }
  assert.equal(await ended.promise, 'reset')
})

test('bytes of a tunnel never mix with an answer still owed on the same connection', async (t) => {
  const stuck = await startOrigin(t, () => {})
  const tunnels: Socket[] = []
  const tunnel = await startOrigin(t, (socket) => tunnels.push(socket))
  const { port } = await startProxy(t, loopbackDialer())
  const client = await RawClient.connect(t, port)
  client.write(
    `GET http://a.test:${stuck}/ HTTP/1.1\r\nHost: a.test:${stuck}\r\n\r\nCONNECT b.test:${tunnel} HTTP/1.1\r\nHost: b.test:${tunnel}\r\n\r\nGET /`,
  )
  assert.equal((await client.ended()).length, 0)
  assert.equal(tunnels.length, 0)

  const plain = await startOrigin(t, (socket) => {
    socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'))
  })
  const control = await RawClient.connect(t, port)
  control.write(`GET http://a.test:${plain}/ HTTP/1.1\r\nHost: a.test:${plain}\r\n\r\n`)
  await control.text('ok')
  control.write(`CONNECT b.test:${tunnel} HTTP/1.1\r\nHost: b.test:${tunnel}\r\n\r\n`)
  await control.text('Connection established')
})

test('bytes after a refused CONNECT are never read as another request', async (t) => {
  const { got, serve } = recorder()
  const origin = await startOrigin(t, serve)
  const { port } = await startProxy(t, loopbackDialer())
  const smuggled = `GET http://a.test:${origin}/ HTTP/1.1\r\nHost: a.test:${origin}\r\nConnection: close\r\n\r\n`
  const answer = await exchange(t, port, `CONNECT nonsense HTTP/1.1\r\nHost: x\r\n\r\n${smuggled}`)
  assert.equal(answer.match(/HTTP\/1\.1 /g)?.length, 1)
  assert.equal(got.length, 0)
  await exchange(t, port, smuggled)
  assert.equal(got.length, 1, 'control')
})
