import assert from 'node:assert/strict'
import { BlockList, isIPv6 } from 'node:net'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseDestination } from '../../protocol/destination.ts'
import { type AddressRules, blockedReason, parseCidr } from './address.ts'

const none: AddressRules = { own: [], allowPrivate: [] }
const allow = (...cidrs: string[]): AddressRules => ({ own: [], allowPrivate: cidrs.map(parseCidr) })

/** economics 6.1, written out a second time and checked with Node's own range code. */
const REFERENCE_V4 = `0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 192.31.196.0/24
  192.52.193.0/24 192.88.99.0/24 192.168.0.0/16 192.175.48.0/24 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4
  255.255.255.255/32 168.63.129.16/32 100.100.100.200/32 192.0.0.192/32`.split(/\s+/)
const REFERENCE_V6 = `::/128 ::1/128 64:ff9b:1::/48 100::/64 5f00::/16 2001::/23 2001:db8::/32 2001:10::/28 2001:30::/28 2620:4f:8000::/48
  3fff::/20 fc00::/7 fe80::/10 fec0::/10 ff00::/8 fd00:ec2::254/128`.split(/\s+/)

const referenceV4 = new BlockList()
for (const cidr of REFERENCE_V4) referenceV4.addSubnet(cidr.split('/')[0]!, Number(cidr.split('/')[1]), 'ipv4')
const referenceV6 = new BlockList()
for (const cidr of REFERENCE_V6) referenceV6.addSubnet(cidr.split('/')[0]!, Number(cidr.split('/')[1]), 'ipv6')

const quad = (value: number) => [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255].join('.')
const pair = (value: number) => `${(value >>> 16).toString(16)}:${(value & 0xffff).toString(16)}`
const value = (text: string) => text.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
/** Every spelling that carries an IPv4 address inside an IPv6 one, with the IPv4 address alone deciding. */
const carriers: ((v4: number) => string)[] = [
  (v4) => `::ffff:${quad(v4)}`,
  (v4) => `::ffff:${pair(v4)}`,
  (v4) => `0:0:0:0:0:ffff:${quad(v4)}`,
  (v4) => `64:ff9b::${pair(v4)}`,
  (v4) => `64:ff9b::${quad(v4)}`,
  (v4) => `2002:${pair(v4)}::`,
  (v4) => `2002:${pair(v4)}:1:2:3:4:5`,
]

test('refuses the published bypass vectors and passes their public neighbours', () => {
  const blocked =
    `2002:a9fe:a9fe:: 64:ff9b::a9fe:a9fe ::ffff:169.254.169.254 ::a9fe:a9fe 0:0:0:0:0:ffff:169.254.169.254 fe81::1 :: ::1 0.0.0.0
    127.0.0.1 169.254.169.254 169.254.170.2 168.63.129.16 100.100.100.200 fd00:ec2::254 192.0.0.192 255.255.255.255 224.0.0.1 10.0.0.1 172.16.0.1
    172.31.255.255 192.168.1.1 100.64.0.1 100.127.255.255 198.19.255.255 ::ffff:0:127.0.0.1 ::127.0.0.1 2001:0:4136:e378:8000:63bf:3fff:fdd2
    2001:1ff::1 2001:db8::1 5f00::1 3fff::1 fc00::1 fdff::1 febf::1 fec0::1 ff02::1 4000::1 fe00::1 1::1 64:ff9b:1::1 100::1`.split(/\s+/)
  for (const ip of blocked) assert.ok(blockedReason(ip, none), `${ip} must be blocked`)
  const open =
    `8.8.8.8 2606:4700:4700::1111 64:ff9b::808:808 2002:808:808::1 172.32.0.1 172.15.255.255 100.128.0.1 100.63.255.255 2001:200::1
    ::ffff:8.8.8.8 ::8.8.8.8 1.0.0.0 9.255.255.255 11.0.0.0 126.255.255.255 128.0.0.0 169.253.255.255 169.255.0.0 168.63.129.15 168.63.129.17
    191.255.255.255 192.0.1.0 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 223.255.255.255 2000::1 3ffe::1 2003::1`.split(/\s+/)
  for (const ip of open) assert.equal(blockedReason(ip, none), undefined, `${ip} must pass`)
})

test('refuses host spellings that are no address at all', () => {
  assert.equal(blockedReason('8.8.8.8', none), undefined)
  for (const text of [
    '0x7f.1',
    '2130706433',
    '127.1',
    '017700000001',
    '0',
    '',
    'localhost',
    '8.8.8.8 ',
    '08.8.8.8',
    'fe80::1%eth0',
    '2606:4700::1%eth0',
    '[::]',
  ]) {
    assert.equal(blockedReason(text, none), 'not an address', text)
    if (text !== 'localhost' && text !== '[::]') assert.throws(() => parseDestination(text, 80), { code: 'DESTINATION_INVALID' })
  }
  assert.equal(blockedReason(parseDestination('[::]', 80).host, none), 'unspecified')
})

test('every blocked range is refused at its edges and in every IPv6 spelling: more than 500 vectors', () => {
  let vectors = 0
  for (const cidr of REFERENCE_V4) {
    const [base, prefix] = [value(cidr.split('/')[0]!), Number(cidr.split('/')[1])]
    const last = base + 2 ** (32 - prefix) - 1
    for (const v4 of new Set([base, Math.min(base + 1, last), Math.floor((base + last) / 2), Math.max(last - 1, base), last])) {
      for (const spell of [quad, ...carriers]) {
        vectors++
        assert.ok(blockedReason(spell(v4), none), `${spell(v4)} of ${cidr}`)
      }
    }
  }
  for (const spell of [quad, ...carriers]) assert.equal(blockedReason(spell(value('93.184.216.34')), none), undefined, 'control')
  assert.ok(vectors > 500)
  for (const cidr of REFERENCE_V6) assert.ok(blockedReason(cidr.split('/')[0]!, none), cidr)
})

test('agrees with an independent reference on random addresses', () => {
  const near = fc
    .constantFrom(...REFERENCE_V4)
    .chain((cidr) => fc.integer({ min: -2, max: 2 }).map((d) => (value(cidr.split('/')[0]!) + d + 2 ** 32) % 2 ** 32))
  fc.assert(
    fc.property(fc.oneof(fc.integer({ min: 0, max: 2 ** 32 - 1 }), near), fc.nat(carriers.length - 1), (v4, form) => {
      const expected = referenceV4.check(quad(v4), 'ipv4') || ['169.254.170.23'].includes(quad(v4))
      assert.equal(blockedReason(quad(v4), none) !== undefined, expected, quad(v4))
      const wrapped = carriers[form]!(v4)
      assert.equal(blockedReason(wrapped, none) !== undefined, expected, wrapped)
    }),
    { numRuns: 5_000 },
  )
  const word = fc.oneof(
    fc.integer({ min: 0, max: 0xffff }),
    fc.constantFrom(0, 0x2001, 0x2002, 0x64, 0xff9b, 0xfe80, 0x2620, 0x3fff, 0xffff),
  )
  fc.assert(
    fc.property(fc.array(word, { minLength: 8, maxLength: 8 }), (words) => {
      const ip = words.map((w) => w.toString(16)).join(':')
      assert.ok(isIPv6(ip))
      const carries =
        words[0] === 0x2002 ||
        (words.slice(0, 5).every((w) => w === 0) && [0, 0xffff].includes(words[5]!)) ||
        ip.startsWith('64:ff9b:0:0:0:0:')
      if (carries) return // judged by the property above
      const globalUnicast = words[0]! >= 0x2000 && words[0]! < 0x4000
      assert.equal(blockedReason(ip, none) !== undefined, !globalUnicast || referenceV6.check(ip, 'ipv6'), ip)
    }),
    { numRuns: 5_000 },
  )
})

test('the same address in another spelling gets the same answer', () => {
  fc.assert(
    fc.property(fc.ipV6(), (ip) => {
      assert.equal(blockedReason(ip, none), blockedReason(parseDestination(ip, 80).host, none), ip)
    }),
    { numRuns: 2_000 },
  )
})

test('allowPrivate lifts exactly what it names and never a metadata service', () => {
  const loopback = allow('127.0.0.0/8')
  for (const ip of ['127.0.0.1', '127.255.255.255', '::ffff:127.0.0.1']) {
    assert.ok(blockedReason(ip, none))
    assert.equal(blockedReason(ip, loopback), undefined, ip)
  }
  for (const ip of ['10.0.0.1', '::1', '192.168.0.1', '::ffff:10.0.0.1', '128.0.0.0'])
    assert.equal(blockedReason(ip, loopback), blockedReason(ip, none), ip)
  assert.equal(blockedReason('::1', allow('::1/128')), undefined)
  assert.equal(blockedReason('10.1.2.3', allow('10.1.2.3')), undefined)
  assert.ok(blockedReason('10.1.2.4', allow('10.1.2.3')))
  const everything = allow('0.0.0.0/0', '::/0')
  assert.equal(blockedReason('192.168.1.1', everything), undefined)
  assert.equal(blockedReason('fe80::1', everything), undefined)
  for (const ip of [
    '169.254.169.254',
    '::ffff:169.254.169.254',
    '2002:a9fe:a9fe::',
    '64:ff9b::a83f:8110',
    '168.63.129.16',
    '100.100.100.200',
    'fd00:ec2::254',
    '192.0.0.192',
    '169.254.170.2',
    '2001:0:1:1:1:1:5601:5601',
  ])
    assert.equal(blockedReason(ip, everything), 'metadata service', ip)
})

test('the own addresses of the exit are blocked, public ones too, unless a range covers them', () => {
  const own = ['198.20.1.2', '198.20.1.0/24', '2600:1::5', '2600:1::/64', '127.0.0.1'].map(parseCidr)
  assert.equal(blockedReason('198.20.1.2', none), undefined, 'control: a public address')
  for (const ip of ['198.20.1.2', '198.20.1.77', '::ffff:198.20.1.2', '2600:1::5', '2600:1::6', '64:ff9b::c614:102'])
    assert.equal(blockedReason(ip, { own, allowPrivate: [] }), 'own address', ip)
  assert.equal(blockedReason('198.20.2.2', { own, allowPrivate: [] }), undefined)
  assert.equal(blockedReason('127.0.0.1', { own, allowPrivate: [parseCidr('127.0.0.0/8')] }), undefined)
})

test('reads ranges and refuses what is not one', () => {
  assert.deepEqual(parseCidr('10.1.2.3/8'), { family: 4, base: 0x0a000000n, prefix: 8 })
  assert.deepEqual(parseCidr('::1'), { family: 6, base: 1n, prefix: 128 })
  assert.deepEqual(parseCidr('0.0.0.0/0'), { family: 4, base: 0n, prefix: 0 })
  for (const text of [
    '',
    '/',
    '10/8',
    '10.0.0.0/33',
    '::/129',
    '10.0.0.0/-1',
    '10.0.0.0/8/8',
    '10.0.0.0/',
    '10.0.0.0/8x',
    'localhost/8',
    '127.1/8',
  ]) {
    assert.throws(() => parseCidr(text), { code: 'ARGUMENT_INVALID' }, text)
  }
})
