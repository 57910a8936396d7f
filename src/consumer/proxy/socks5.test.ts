import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createSocksParser, type SocksStep } from './socks5.ts'

const bytes = (...parts: (number | string | Uint8Array)[]) =>
  Buffer.concat(parts.map((part) => (typeof part === 'number' ? Buffer.from([part]) : Buffer.from(part as string))))
const noAuth = bytes(5, 1, 0)
const withPassword = bytes(5, 1, 2)
const login = (name: string, password = 'x') => bytes(1, Buffer.byteLength(name), name, Buffer.byteLength(password), password)
const connectTo = (host: string, port = 443) => bytes(5, 1, 0, 3, Buffer.byteLength(host), host, port >> 8, port & 255)
const NONE = '0500'
const PASSWORD = '0502'
const LOGGED_IN = '0100'
const refusal = (code: number) => `05${code.toString(16).padStart(2, '0')}0001000000000000`

interface Row {
  name: string
  input: Buffer
  /** Every byte answered, in hex. */
  replies: string
  /** `host:port` reached, `more` while bytes are missing, or the error code. */
  result: string
  account?: string
  rest?: string
}

const rows: Row[] = [
  { name: 'IPv4', input: bytes(noAuth, 5, 1, 0, 1, 1, 2, 3, 4, 0, 80), replies: NONE, result: '1.2.3.4:80' },
  {
    name: 'IPv6',
    input: bytes(noAuth, 5, 1, 0, 4, Buffer.from('20010db8000000000000000000000001', 'hex'), 1, 187),
    replies: NONE,
    result: '2001:db8::1:443',
  },
  { name: 'IPv6 loopback', input: bytes(noAuth, 5, 1, 0, 4, Buffer.alloc(15), 1, 0, 1), replies: NONE, result: '::1:1' },
  { name: 'domain', input: bytes(noAuth, connectTo('example.com')), replies: NONE, result: 'example.com:443' },
  {
    name: 'domain in capitals with a trailing dot',
    input: bytes(noAuth, connectTo('Example.COM.')),
    replies: NONE,
    result: 'example.com:443',
  },
  { name: 'domain that is an address', input: bytes(noAuth, connectTo('127.0.0.1')), replies: NONE, result: '127.0.0.1:443' },
  { name: 'domain in brackets', input: bytes(noAuth, connectTo('[::1]')), replies: NONE, result: '::1:443' },
  { name: 'international domain', input: bytes(noAuth, connectTo('münchen.de')), replies: NONE, result: 'xn--mnchen-3ya.de:443' },
  { name: 'longest domain', input: bytes(noAuth, connectTo(`${'a.'.repeat(126)}a`)), replies: NONE, result: `${'a.'.repeat(126)}a:443` },
  { name: 'port 65535', input: bytes(noAuth, connectTo('a.b', 65_535)), replies: NONE, result: 'a.b:65535' },
  {
    name: 'username',
    input: bytes(withPassword, login('any-country-de'), connectTo('a.b')),
    replies: PASSWORD + LOGGED_IN,
    result: 'a.b:443',
    account: 'any',
  },
  {
    name: 'empty password',
    input: bytes(withPassword, login('me', ''), connectTo('a.b')),
    replies: PASSWORD + LOGGED_IN,
    result: 'a.b:443',
    account: 'me',
  },
  {
    name: 'longest username and password',
    input: bytes(withPassword, login('a'.repeat(255), 'p'.repeat(255)), connectTo('a.b')),
    replies: PASSWORD + LOGGED_IN,
    result: 'a.b:443',
    account: 'a'.repeat(255),
  },
  {
    name: 'every method offered',
    input: bytes(5, 255, Buffer.from(Array.from({ length: 255 }, (_, i) => i)), login('me'), connectTo('a.b')),
    replies: PASSWORD + LOGGED_IN,
    result: 'a.b:443',
  },
  { name: 'GSSAPI and none', input: bytes(5, 2, 1, 0, connectTo('a.b')), replies: NONE, result: 'a.b:443' },
  {
    name: 'data pipelined after the request',
    input: bytes(noAuth, connectTo('a.b'), 'GET / HTTP/1.0\r\n'),
    replies: NONE,
    result: 'a.b:443',
    rest: 'GET / HTTP/1.0\r\n',
  },
  {
    name: 'data that looks like another request',
    input: bytes(noAuth, connectTo('a.b'), noAuth),
    replies: NONE,
    result: 'a.b:443',
    rest: noAuth.toString('latin1'),
  },
  { name: 'no method', input: bytes(5, 0), replies: '05ff', result: 'PROXY_MALFORMED' },
  { name: 'only unknown methods', input: bytes(5, 2, 1, 3), replies: '05ff', result: 'PROXY_MALFORMED' },
  { name: 'SOCKS4', input: bytes(4, 1, 0, 80, 1, 2, 3, 4, 0), replies: '05ff', result: 'PROXY_MALFORMED' },
  {
    name: 'authentication where none was agreed',
    input: bytes(noAuth, login('me'), connectTo('a.b')),
    replies: NONE + refusal(1),
    result: 'PROXY_MALFORMED',
  },
  {
    name: 'request where authentication was agreed',
    input: bytes(withPassword, connectTo('a.b')),
    replies: `${PASSWORD}0101`,
    result: 'PROXY_MALFORMED',
  },
  { name: 'empty username', input: bytes(withPassword, 1, 0, 1, 'x'), replies: `${PASSWORD}0101`, result: 'PROXY_MALFORMED' },
  {
    name: 'unknown parameter',
    input: bytes(withPassword, login('any-colour-red')),
    replies: `${PASSWORD}0101`,
    result: 'PROXY_PARAMETER_UNKNOWN',
  },
  {
    name: 'bad parameter',
    input: bytes(withPassword, login('any-country-xyz')),
    replies: `${PASSWORD}0101`,
    result: 'PROXY_PARAMETER_INVALID',
  },
  {
    name: 'username that is not text',
    input: bytes(withPassword, 1, 2, 0xff, 0xfe, 0),
    replies: `${PASSWORD}0101`,
    result: 'PROXY_PARAMETER_INVALID',
  },
  { name: 'BIND', input: bytes(noAuth, 5, 2, 0, 1, 1, 2, 3, 4, 0, 80), replies: NONE + refusal(7), result: 'PROXY_COMMAND_UNSUPPORTED' },
  {
    name: 'UDP ASSOCIATE',
    input: bytes(noAuth, 5, 3, 0, 1, 0, 0, 0, 0, 0, 0),
    replies: NONE,
    result: 'associate 0',
  },
  {
    name: 'UDP ASSOCIATE from a known port, with a login',
    input: bytes(withPassword, login('any-country-de'), 5, 3, 0, 4, Buffer.alloc(16), 1, 187),
    replies: PASSWORD + LOGGED_IN,
    result: 'associate 443',
    account: 'any',
  },
  {
    name: 'RESOLVE of Tor',
    input: bytes(noAuth, 5, 0xf0, 0, 3, 1, 'a', 0, 0),
    replies: NONE + refusal(7),
    result: 'PROXY_COMMAND_UNSUPPORTED',
  },
  {
    name: 'command 0',
    input: bytes(noAuth, 5, 0, 0, 1, 1, 2, 3, 4, 0, 80),
    replies: NONE + refusal(7),
    result: 'PROXY_COMMAND_UNSUPPORTED',
  },
  { name: 'request of another version', input: bytes(noAuth, 4, 1, 0, 1), replies: NONE + refusal(1), result: 'PROXY_MALFORMED' },
  { name: 'reserved byte set', input: bytes(noAuth, 5, 1, 1, 1, 1, 2, 3, 4, 0, 80), replies: NONE + refusal(1), result: 'PROXY_MALFORMED' },
  ...[0, 2, 5, 255].map((type) => ({
    name: `address type ${type}`,
    input: bytes(noAuth, 5, 1, 0, type, 1),
    replies: NONE + refusal(8),
    result: 'PROXY_ADDRESS_UNSUPPORTED',
  })),
  { name: 'empty domain', input: bytes(noAuth, 5, 1, 0, 3, 0, 0, 80), replies: NONE + refusal(8), result: 'DESTINATION_INVALID' },
  ...[
    'a\0b',
    'a b',
    'a\nb',
    'a..b',
    '.',
    '127.1',
    '2130706433',
    '0x7f.1',
    '[a]',
    'a'.repeat(64),
    `${'a.'.repeat(126)}aa`,
    'x'.repeat(255),
  ].map((host) => ({
    name: `domain ${JSON.stringify(host).slice(0, 20)} (${host.length})`,
    input: bytes(noAuth, connectTo(host)),
    replies: NONE + refusal(8),
    result: 'DESTINATION_INVALID',
  })),
  {
    name: 'domain that is not UTF-8',
    input: bytes(noAuth, 5, 1, 0, 3, 2, 0xff, 0xfe, 0, 80),
    replies: NONE + refusal(8),
    result: 'DESTINATION_INVALID',
  },
  { name: 'port 0', input: bytes(noAuth, connectTo('a.b', 0)), replies: NONE + refusal(8), result: 'DESTINATION_INVALID' },
  { name: 'half a greeting', input: bytes(5, 3, 0), replies: '', result: 'more' },
  { name: 'half a login', input: bytes(withPassword, 1, 5, 'me'), replies: PASSWORD, result: 'more' },
  { name: 'half a request', input: bytes(noAuth, 5, 1, 0, 3, 9, 'exam'), replies: NONE, result: 'more' },
]

/** Feeds the chunks until the parser is done; what comes after belongs to the flow. */
function run(chunks: readonly Buffer[]): { replies: string; result: string; step: SocksStep | undefined; rest: string } {
  const parser = createSocksParser()
  let replies = ''
  let step: SocksStep | undefined
  for (const [i, chunk] of chunks.entries()) {
    step = parser.push(chunk)
    replies += step.reply.toString('hex')
    const later = Buffer.concat(chunks.slice(i + 1)).toString('latin1')
    if (step.kind === 'refused') return { replies, result: step.error.code, step, rest: '' }
    if (step.kind === 'associate') return { replies, result: `associate ${step.port}`, step, rest: later }
    if (step.kind === 'request') {
      return { replies, result: `${step.destination.host}:${step.destination.port}`, step, rest: step.rest.toString('latin1') + later }
    }
  }
  return { replies, result: 'more', step, rest: '' }
}

function check(row: Row, chunks: readonly Buffer[]): void {
  const { replies, result, step, rest } = run(chunks)
  assert.equal(result, row.result)
  assert.equal(replies, row.replies)
  assert.equal(rest, row.rest ?? '')
  if (row.account !== undefined) assert.equal(step !== undefined && 'parameters' in step && step.parameters.account, row.account)
}

for (const row of rows) {
  test(`SOCKS5 ${row.name}: the same whole, in two parts at every byte, and byte by byte`, () => {
    check(row, [row.input])
    for (let at = 1; at < row.input.length; at++) check(row, [row.input.subarray(0, at), row.input.subarray(at)])
    check(
      row,
      Array.from(row.input, (byte) => Buffer.from([byte])),
    )
  })
}

test('reads the parameters of the username', () => {
  const { step } = run([bytes(withPassword, login('me-country-de-session-a1'), connectTo('a.b'))])
  assert.deepEqual(step?.kind === 'request' && step.parameters, {
    account: 'me',
    country: 'de',
    sessionId: 'a1',
    sessionMinutes: 10,
    strict: false,
  })
})

test('a name longer than SOCKS5 can say is an error of its length, never another name', () => {
  // A client that lets 256 wrap to 0 must not end up at whatever follows (curl CVE-2023-38545).
  const wrapped = bytes(noAuth, 5, 1, 0, 3, 256 & 255, 'a'.repeat(256), 0, 80)
  assert.equal(run([wrapped]).result, 'DESTINATION_INVALID')
  assert.equal(run([bytes(noAuth, connectTo('a'.repeat(63)))]).result, `${'a'.repeat(63)}:443`)
})

test('any bytes in any pieces give the same outcome, without an exception', () => {
  const start = fc.constantFrom(
    noAuth,
    withPassword,
    bytes(withPassword, login('any')),
    bytes(noAuth, 5, 1, 0),
    bytes(noAuth, 5, 1, 0, 3),
    Buffer.alloc(0),
  )
  fc.assert(
    fc.property(start, fc.uint8Array({ maxLength: 600 }), fc.infiniteStream(fc.integer({ min: 1, max: 40 })), (head, tail, sizes) => {
      const input = Buffer.concat([head, tail])
      if (input.length === 0) return
      const pieces: Buffer[] = []
      for (let at = 0; at < input.length; ) {
        const size = sizes.next().value
        pieces.push(input.subarray(at, at + size))
        at += size
      }
      const [whole, split] = [run([input]), run(pieces)]
      assert.deepEqual([split.result, split.replies, split.rest], [whole.result, whole.replies, whole.rest])
    }),
    { numRuns: 2_000 },
  )
})
