/**
 * Malformed input for everything the local proxy parses: SOCKS5, HTTP from the application, HTTP from the origin, usernames, destinations.
 *
 *   node test/fuzz/proxy.ts --inputs 200000 --seed 7
 *
 * The SOCKS5 parser, usernames and destinations are called directly; `connection` and `origin` go through a whole proxy in memory.
 */
import { duplexPair } from 'node:stream'
import { createProxy, type Dialer } from '../../src/consumer/proxy/index.ts'
import { createSocksParser } from '../../src/consumer/proxy/socks5.ts'
import { parseParameters, parseUsername } from '../../src/consumer/proxy/username.ts'
import { parseDestination } from '../../src/protocol/destination.ts'
import { BywayError, type ErrorCode } from '../../src/protocol/errors.ts'
import { main, type Target } from './run.ts'

const text = (value: string) => Buffer.from(value, 'latin1')
const socksHello = [Buffer.from([5, 1, 0]), Buffer.from([5, 2, 0, 2])]
const login = (name: string) => Buffer.concat([Buffer.from([5, 1, 2, 1, name.length]), text(name), Buffer.from([1, 120])])
const toDomain = (host: string) => Buffer.concat([Buffer.from([5, 1, 0, 3, host.length]), text(host), Buffer.from([1, 187])])
const toIPv4 = Buffer.from([5, 1, 0, 1, 93, 184, 216, 34, 0, 80])
const toIPv6 = Buffer.concat([Buffer.from([5, 1, 0, 4]), Buffer.from('20010db8000000000000000000000001', 'hex'), Buffer.from([0, 80])])

const USERNAMES = [
  'any',
  'any-country-de-session-a1-sessionduration-30',
  'me_1.x-cc-us-city-New_York-asn-7922-type-residential-sessid-x-sesstime-5-maxprice-0.25-provider-0xab12-strict-1',
]
const HOSTS = [
  'example.com',
  'a.b.c.d.e.example.org.',
  '93.184.216.34',
  '[2001:db8::1]',
  '::ffff:1.2.3.4',
  'm\u00fcnchen.de',
  '127.1',
  'whoami.byway.internal',
]

const SOCKS = [
  ...socksHello.flatMap((hello) => [
    Buffer.concat([hello, toIPv4]),
    Buffer.concat([hello, toIPv6]),
    Buffer.concat([hello, toDomain('example.com'), text('GET / HTTP/1.0\r\n\r\n')]),
  ]),
  ...USERNAMES.map((name) => Buffer.concat([login(name), toDomain('a.example')])),
]

const basic = `Proxy-Authorization: Basic ${Buffer.from('any-country-de:x').toString('base64')}\r\n`
const HTTP = [
  'CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\nUser-Agent: curl/8\r\n\r\n\x16\x03\x01\x02\x00\x01',
  `CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n${basic}Byway-Session: a1\r\n\r\n`,
  'GET http://example.com/path?q=1 HTTP/1.1\r\nHost: example.com\r\nAccept: */*\r\nConnection: keep-alive\r\n\r\n',
  `GET http://example.com:8080/ HTTP/1.1\r\nHost: example.com:8080\r\n${basic}Byway-Max-Price: 0.5\r\nConnection: close\r\n\r\n`,
  'POST http://example.com/ HTTP/1.1\r\nHost: example.com\r\nContent-Length: 11\r\n\r\nhello=world',
  'POST http://example.com/ HTTP/1.1\r\nHost: example.com\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\nTrailer: x\r\n\r\n',
  'PUT http://example.com/ HTTP/1.1\r\nHost: example.com\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nbody',
  'GET http://example.com/ws HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n',
  'HEAD http://example.com/ HTTP/1.0\r\n\r\n',
].map(text)

const ORIGIN = [
  'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nSet-Cookie: a=b\r\n\r\nhello',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
  'HTTP/1.0 404 Not Found\r\nContent-Type: text/plain\r\n\r\nuntil the end',
  'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\nETag: x\r\n\r\n',
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n',
  'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nKeep-Alive: timeout=5\r\nProxy-Status: byway; error=x\r\n\r\n',
].map(text)

const route = { sessionId: 's', country: 'de', pricePerGib: 20_000n, provider: 'p', hops: 1 }

/** Whether `parse` takes the input; any error but these codes is a crash. */
function outcome(parse: () => unknown, codes: readonly ErrorCode[]): 'accepted' | 'refused' {
  try {
    parse()
    return 'accepted'
  } catch (error) {
    if (error instanceof BywayError && codes.includes(error.code)) return 'refused'
    throw error
  }
}

/** What an origin says, by the session id of the request that reaches it; others echo. */
const answers = new Map<string, readonly Buffer[]>()

/** Origins in memory. It checks what the proxy asks for. */
const memoryDialer: Dialer = {
  dial: ({ destination: { host, port }, parameters }) => {
    if (parseDestination(host, port).host !== host) throw new Error('a destination that is not in its one spelling')
    const [stream, origin] = duplexPair()
    for (const side of [stream, origin]) side.on('error', () => {})
    const answer = answers.get(parameters.sessionId ?? '')
    if (answer === undefined) origin.pipe(origin)
    else {
      origin.resume()
      for (const piece of answer) origin.write(piece)
      origin.end()
    }
    return Promise.resolve({ stream, route })
  },
}

/** Enough of an answer to tell what it is. */
const HEAD_BYTES = 4_096
const SOCKS_SUCCEEDED = '\x05\0\0\x01\0\0\0\0\0\0'

/** One proxy for all inputs: what one leaves behind would meet the next. */
const proxy = createProxy({ dialer: memoryDialer })

/** Sends the pieces through the proxy; resolves when the connection is over there. */
async function throughProxy(pieces: readonly Buffer[]): Promise<'accepted' | 'refused'> {
  const [application, accepted] = duplexPair()
  application.on('error', () => {})
  let received = ''
  application.on('data', (data: Buffer) => {
    if (received.length < HEAD_BYTES) received += data.toString('latin1')
  })
  const over = new Promise((resolve) => accepted.once('close', resolve))
  proxy.accept(accepted)
  for (const piece of pieces) application.write(piece)
  application.end()
  await over
  application.destroy()
  return received.includes(SOCKS_SUCCEEDED) || received.includes('Byway-Session: ') ? 'accepted' : 'refused'
}

let sessions = 0

/** A plain request, answered by the pieces. */
async function answeredWith(pieces: readonly Buffer[], method: 'GET' | 'POST'): Promise<'accepted' | 'refused'> {
  const session = String(sessions++)
  answers.set(session, pieces)
  const length = method === 'POST' ? 'Content-Length: 0\r\n' : ''
  const [application, accepted] = duplexPair()
  application.on('error', () => {})
  const over = new Promise((resolve) => accepted.once('close', resolve))
  proxy.accept(accepted)
  application.write(
    `${method} http://example.com/ HTTP/1.1\r\nHost: example.com\r\nByway-Session: ${session}\r\nConnection: close\r\n${length}\r\n`,
  )
  let received = ''
  application.on('data', (data: Buffer) => {
    received += data.toString('latin1')
  })
  application.on('end', () => application.end())
  await over
  application.destroy()
  answers.delete(session)
  return received.includes('Proxy-Status: byway') ? 'refused' : 'accepted'
}

export const TARGETS: readonly Target[] = [
  {
    name: 'socks5',
    corpus: SOCKS,
    take: (pieces) => {
      const parser = createSocksParser()
      for (const piece of pieces) {
        const step = parser.push(piece)
        if (step.kind === 'request') return 'accepted'
        if (step.kind === 'refused') return 'refused'
      }
      return 'refused'
    },
  },
  {
    name: 'username',
    corpus: USERNAMES.map(text),
    take: (pieces) =>
      outcome(() => parseUsername(Buffer.concat(pieces).toString('latin1')), ['PROXY_PARAMETER_UNKNOWN', 'PROXY_PARAMETER_INVALID']),
  },
  {
    name: 'headers',
    corpus: ['Byway-Country\nde\nByway-Session\na1', 'Host\nx\nBYWAY-MAX-PRICE\n0.5\nbyway-sesstime\n10'].map(text),
    take: (pieces) =>
      outcome(
        () => parseParameters('any-asn-1', Buffer.concat(pieces).toString('latin1').split('\n')),
        ['PROXY_PARAMETER_UNKNOWN', 'PROXY_PARAMETER_INVALID'],
      ),
  },
  {
    name: 'destination',
    corpus: HOSTS.map(text),
    take: (pieces, random) => {
      const host = Buffer.concat(pieces).toString(random(2) === 0 ? 'latin1' : 'utf8')
      return outcome(() => {
        const destination = parseDestination(host, random(65_600))
        if (parseDestination(destination.host, destination.port).host !== destination.host) throw new Error('not a fixed point')
      }, ['DESTINATION_INVALID'])
    },
  },
  { name: 'connection', corpus: [...SOCKS, ...HTTP], parallel: 32, take: throughProxy },
  { name: 'origin', corpus: ORIGIN, parallel: 32, take: (pieces, random) => answeredWith(pieces, random(2) === 0 ? 'GET' : 'POST') },
]

if (import.meta.main) await main(TARGETS)
