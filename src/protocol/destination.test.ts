import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatDestination, isReserved, parseDestination, RESERVED_NAME } from './destination.ts'
import { BywayError } from './errors.ts'

const refused = (host: string, port = 80) =>
  assert.throws(() => parseDestination(host, port), { name: 'BywayError', code: 'DESTINATION_INVALID' }, `accepted ${JSON.stringify(host)}`)

test('accepts addresses and names and gives each one spelling', () => {
  const rows: [string, string, 'domain' | 4 | 6][] = [
    ['example.com', 'example.com', 'domain'],
    ['EXAMPLE.com', 'example.com', 'domain'],
    ['example.com.', 'example.com', 'domain'],
    ['localhost', 'localhost', 'domain'],
    ['_service.example', '_service.example', 'domain'],
    ['r3---sn-4g5e.example.com', 'r3---sn-4g5e.example.com', 'domain'],
    ['3com.example', '3com.example', 'domain'],
    ['1.2.3.4.example', '1.2.3.4.example', 'domain'],
    ['xn--mnchen-3ya.de', 'xn--mnchen-3ya.de', 'domain'],
    ['münchen.de', 'xn--mnchen-3ya.de', 'domain'],
    [`${'a'.repeat(63)}.de`, `${'a'.repeat(63)}.de`, 'domain'],
    ['8.8.8.8', '8.8.8.8', 4],
    ['255.255.255.255', '255.255.255.255', 4],
    ['::1', '::1', 6],
    ['[::1]', '::1', 6],
    ['2001:DB8:0:0:0:0:0:0001', '2001:db8::1', 6],
    ['::ffff:1.2.3.4', '::ffff:102:304', 6],
    ['0:0:0:0:0:0:0:0', '::', 6],
  ]
  for (const [text, host, kind] of rows) {
    const destination = parseDestination(text, 443)
    assert.equal(destination.host, host)
    assert.equal(destination.kind === 'ip' ? destination.family : 'domain', kind)
    assert.deepEqual(parseDestination(destination.host, 443), destination, 'its own spelling parses to itself')
  }
})

test('refuses numbers that are not canonical addresses', () => {
  assert.equal(parseDestination('127.0.0.1', 80).kind, 'ip')
  for (const host of [
    '0x7f.1',
    '2130706433',
    '127.1',
    '017700000001',
    '0',
    '0x7f000001',
    '127.0.0.1.',
    '127.0.0.01',
    '1.2.3.256',
    '1.2.3.4.5',
    '0x',
    'a.0x1',
  ])
    refused(host)
})

test('refuses malformed names, whatever the trick', () => {
  assert.equal(parseDestination('a.b', 80).kind, 'domain')
  const long = `${'a.'.repeat(126)}aa`
  assert.equal(long.length, 254)
  assert.equal(parseDestination(long.slice(1).replace(/^\./, ''), 80).kind, 'domain')
  const bad = [
    '',
    '.',
    '..',
    'a..b',
    '.a',
    'a b',
    'a\0b',
    'a\nb',
    'a\tb',
    'a/b',
    'a@b',
    'a%b',
    'a:b',
    'a\\b',
    'a?b',
    'a#b',
    'a.com..',
    long,
    'a'.repeat(64),
    'x'.repeat(10_000),
  ]
  for (const host of [
    ...bad,
    '[a]',
    '[1.2.3.4]',
    '[]',
    '[::1',
    '::1]',
    'fe80::1%eth0',
    '[fe80::1%25eth0]',
    ':::',
    '1:2:3:4:5:6:7:8:9',
    '\u{1f4a9}\u0000.la',
    '①②⑦.1',
  ])
    refused(host)
  // Unicode digits and dots fold to ASCII ones: the folded text is judged by the same rule.
  refused('１２７.１')
  refused('１２７。０。０。１')
})

test('refuses ports outside 1 to 65535', () => {
  assert.equal(parseDestination('a.b', 1).port, 1)
  assert.equal(parseDestination('a.b', 65_535).port, 65_535)
  for (const port of [0, -1, 65_536, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) refused('a.b', port)
})

test('knows the reserved names and nothing that merely resembles them', () => {
  for (const host of [RESERVED_NAME, 'WHOAMI.byway.internal.', 'x.byway.internal', 'byway.internal'])
    assert.ok(isReserved(parseDestination(host, 80)))
  for (const host of ['whoami.byway.internal.com', 'notbyway.internal', 'internal', '1.1.1.1'])
    assert.ok(!isReserved(parseDestination(host, 80)))
})

test('writes host and port as URLs do', () => {
  assert.equal(formatDestination(parseDestination('[::1]', 80)), '[::1]:80')
  assert.equal(formatDestination(parseDestination('1.2.3.4', 80)), '1.2.3.4:80')
  assert.equal(formatDestination(parseDestination('a.b', 80)), 'a.b:80')
})

test('any text is either refused with the code or parses to a fixed point', () => {
  const hosts = fc.oneof(
    fc.string(),
    fc.string({ unit: 'binary' }),
    fc.domain(),
    fc.ipV4(),
    fc.ipV6(),
    fc.ipV4Extended(),
    fc.webAuthority(),
  )
  fc.assert(
    fc.property(hosts, (host) => {
      try {
        const destination = parseDestination(host, 80)
        assert.deepEqual(parseDestination(destination.host, 80), destination)
        assert.match(destination.host, /^[a-z0-9._:-]+$/)
      } catch (error) {
        assert.ok(error instanceof BywayError && error.code === 'DESTINATION_INVALID')
      }
    }),
    { numRuns: 3_000 },
  )
})
