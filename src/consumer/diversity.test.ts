import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { offeringNode } from '../protocol/testing.ts'
import { independent } from './diversity.ts'

let wallets = 0
/** A node of an owner nobody else is, at this address. */
function nodeAt(host: string, changes: { asn?: number; payee?: `0x${string}` } = {}) {
  const payee = `0x${(++wallets).toString(16).padStart(40, '0')}` as const
  return offeringNode().offer({ payee, transports: [{ kind: 'tls', host, port: 443, pin: `0x${'33'.repeat(32)}` }], ...changes })
}
const at = (a: string, b: string) => independent(nodeAt(a), nodeAt(b))

test('different owners in different networks may serve on one route', () => {
  for (const [a, b] of [
    ['192.0.2.1', '192.0.3.1'],
    ['2001:db8:1::1', '2001:db8:2::1'],
    ['192.0.2.1', '2001:db8:1::1'],
    ['a.example', 'b.example'],
    ['::ffff:192.0.2.1', '::ffff:192.0.3.1'],
  ] as const) {
    assert.ok(at(a, b), `${a} and ${b}`)
  }
})

test('nodes of one network may not, however their addresses are written', () => {
  for (const [a, b] of [
    ['192.0.2.1', '192.0.2.254'],
    ['192.0.2.1', '::ffff:192.0.2.7'],
    ['192.0.2.1', '::ffff:c000:207'],
    ['192.0.2.1', '64:ff9b::192.0.2.9'],
    ['192.0.2.1', '2002:c000:0207::1'],
    ['2001:db8:1::1', '2001:db8:1:ffff::2'],
    ['2001:0db8:0001::1', '2001:DB8:1:2:3:4:5:6'],
    ['2001:db8::1', '2001:db8:0:1::1'],
    ['exit.example', 'EXIT.example'],
  ] as const) {
    assert.ok(!at(a, b), `${a} and ${b}`)
    assert.ok(!at(b, a), `${b} and ${a}`)
  }
})

test('one owner is one owner: by key, by wallet, by ASN where it is stated', () => {
  const owner = offeringNode()
  const here = owner.offer({ payee: `0x${'aa'.repeat(20)}` })
  const elsewhere = owner.offer({ payee: `0x${'bb'.repeat(20)}`, transports: nodeAt('198.51.100.1').body.transports })
  assert.ok(!independent(here, elsewhere), 'one key')
  const wallet = { payee: `0x${'cc'.repeat(20)}` } as const
  assert.ok(!independent(nodeAt('192.0.2.1', wallet), nodeAt('198.51.100.1', wallet)), 'one wallet')
  assert.ok(!independent(nodeAt('192.0.2.1', { asn: 64_500 }), nodeAt('198.51.100.1', { asn: 64_500 })), 'one ASN')
  assert.ok(independent(nodeAt('192.0.2.1', { asn: 64_500 }), nodeAt('198.51.100.1', { asn: 64_501 })))
  assert.ok(independent(nodeAt('192.0.2.1'), nodeAt('198.51.100.1')), 'an ASN that is not stated says nothing')
})

test('one shared address among several is enough', () => {
  const [a, b] = [nodeAt('192.0.2.1'), nodeAt('198.51.100.1')]
  const both = { ...a, body: { ...a.body, transports: [...a.body.transports, ...b.body.transports] } }
  assert.ok(independent(a, b))
  assert.ok(!independent(both, b))
})

test('on one machine everybody is independent who has a key and a wallet of his own', () => {
  assert.ok(at('127.0.0.1', '127.0.0.1'))
  assert.ok(at('::1', '::1'))
})

test('any two addresses of a /48 are one network, and of two /48 are not', () => {
  const group = fc.integer({ min: 0, max: 0xffff })
  const rest = fc.array(group, { minLength: 5, maxLength: 5 })
  const text = (groups: readonly number[]) => groups.map((part) => part.toString(16)).join(':')
  fc.assert(
    fc.property(group, group, rest, rest, (second, third, a, b) => {
      const near = text([0x2a00, second, third, ...a])
      assert.ok(!at(near, text([0x2a00, second, third, ...b])))
      assert.ok(at(near, text([0x2a00, second, third ^ 1, ...b])))
    }),
    { numRuns: 50 },
  )
})
