import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BywayError, ERRORS, type ErrorCode } from '../../protocol/errors.ts'
import type { Dialer } from './index.ts'
import { claimsToBeUs, httpReply } from './replies.ts'
import { exchange, loopbackDialer, RawClient, startOrigin, startProxy } from './testing.ts'

const CODES = Object.keys(ERRORS) as ErrorCode[]

/** Fails with the code that is the host's name, in the middle of a loopback world. */
function dialerOfCodes(): Dialer {
  const working = loopbackDialer()
  return {
    dial: (request, signal) => {
      const code = request.destination.host.replace('.test', '').toUpperCase() as ErrorCode
      if (!Object.hasOwn(ERRORS, code)) return working.dial(request, signal)
      return Promise.reject(new BywayError(code, `what went wrong with "${code}"`, { hint: 'do this' }))
    },
  }
}

test('every error code reaches HTTP and SOCKS applications as the table says', async (t) => {
  const origin = await startOrigin(t, (socket) => socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\nX-Origin: 1\r\n\r\ntheirs'))
  const { port } = await startProxy(t, dialerOfCodes())
  for (const code of CODES) {
    const { status, proxyStatus, socks } = ERRORS[code]
    const host = `${code.toLowerCase()}.test`
    const connected = await exchange(t, port, `CONNECT ${host}:${origin} HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
    const forwarded = await exchange(
      t,
      port,
      `GET http://${host}:${origin}/ HTTP/1.1\r\nHost: ${host}:${origin}\r\nConnection: close\r\n\r\n`,
    )
    for (const answer of [connected, forwarded]) {
      assert.ok(answer.startsWith(`HTTP/1.1 ${status} `), `${code}: ${answer}`)
      assert.ok(
        answer.includes(`Proxy-Status: byway; error=${proxyStatus}; details="${code}: what went wrong with \\"${code}\\""\r\n`),
        answer,
      )
      assert.ok(answer.endsWith(`\r\n\r\nwhat went wrong with "${code}". do this.\n`), answer)
      assert.equal(/\r\nRetry-After: \d+\r\n/.test(answer), status === 429 || status === 503, code)
    }
    const socksRequest = Buffer.concat([
      Buffer.from([5, 1, 0, 5, 1, 0, 3, host.length]),
      Buffer.from(host),
      Buffer.from([origin >> 8, origin & 255]),
    ])
    const client = await RawClient.connect(t, port)
    client.write(socksRequest)
    assert.deepEqual(Array.from(await client.ended()), [5, 0, 5, socks, 0, 1, 0, 0, 0, 0, 0, 0], code)
    client.socket.destroy()
  }
  const theirs = await exchange(
    t,
    port,
    `GET http://works.test:${origin}/ HTTP/1.1\r\nHost: works.test:${origin}\r\nConnection: close\r\n\r\n`,
  )
  assert.match(theirs, /^HTTP\/1\.1 403 Forbidden\r\n/)
  assert.ok(theirs.includes('X-Origin: 1') && theirs.endsWith('theirs'))
  assert.ok(!theirs.includes('Proxy-Status'), 'control: an error of the origin carries no Proxy-Status')
})

test('no word of a message can break a header or a body', () => {
  const { headers, body } = httpReply(new BywayError('INTERNAL', 'a\r\nX-Evil: 1 "q" \\ é \u0000'))
  const line = headers[headers.indexOf('Proxy-Status') + 1]
  assert.equal(line, 'byway; error=proxy_internal_error; details="INTERNAL: a??X-Evil: 1 \\"q\\" \\\\ ? ?"')
  assert.equal(Number(headers[headers.indexOf('Content-Length') + 1]), Buffer.byteLength(body))
  const long = httpReply(new BywayError('INTERNAL', 'x'.repeat(10_000))).headers
  assert.ok(long[long.indexOf('Proxy-Status') + 1]!.length < 400)
})

test('tells our own Proxy-Status from that of other proxies', () => {
  for (const value of ['byway; error=dns_error', 'other, byway', '"byway";x', 'BYWAY']) assert.ok(claimsToBeUs(value), value)
  for (const value of ['squid; error=dns_error', 'byway2; error=x', 'my-byway', 'cdn; details="byway"'])
    assert.ok(!claimsToBeUs(value), value)
})
