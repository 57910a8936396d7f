import assert from 'node:assert/strict'
import { test } from 'node:test'
import { judge, type Measured, type NodeSeen } from './judge.ts'

const node = (name: string, roundTripMs = 10, aheadS = 0): NodeSeen => ({ name, outcome: 'answered', roundTripMs, aheadS })
const local = { address: '192.168.1.5', port: 40_000 }
const seen = (address: string, port = 40_000) => ({ address, port })

/** A home line without faults. */
const healthy: Measured = {
  nodes: [node('a', 12), node('b', 30), node('c', 80)],
  mapping: { local, seen: [seen('8.8.4.4'), seen('8.8.4.4')] },
  router: '8.8.4.4',
  reach: 'mapped',
  mtu: { name: 'eth0', bytes: 1_500 },
  chainAheadS: -12,
  names: { answered: true, ms: 8 },
  association: { ok: true, ms: 30 },
  bitsPerSecond: 2e9,
}

/** What is not fine, as `level check CODE`. */
const faults = (changed: Partial<Measured>) =>
  judge({ ...healthy, ...changed }).flatMap(({ level, check, code }) => (level === 'ok' ? [] : [`${level} ${check} ${code}`]))

test('a line without faults gets none, and every check is there', () => {
  assert.deepEqual(faults({}), [])
  assert.deepEqual(
    judge(healthy).map(({ check }) => check),
    ['nodes', 'latency', 'packets', 'clock', 'nat', 'carrier', 'reach', 'names', 'udp', 'speed'],
  )
})

test('what was not measured is not judged', () => {
  const nothing: Measured = {
    nodes: [],
    mapping: undefined,
    router: undefined,
    reach: undefined,
    mtu: undefined,
    chainAheadS: undefined,
    names: undefined,
    association: undefined,
    bitsPerSecond: undefined,
  }
  assert.deepEqual(judge(nothing), [])
})

const rows: [name: string, changed: Partial<Measured>, expected: string[]][] = [
  ['no node answers', { nodes: [{ name: 'a', outcome: 'silent' }] }, ['fault nodes PROVIDER_UNREACHABLE']],
  ['one of two answers', { nodes: [node('a'), { name: 'b', outcome: 'refused' }] }, []],
  ['all nodes are far', { nodes: [node('a', 300), node('b', 400)] }, ['note latency NETWORK_FAR']],
  [
    'large packets vanish',
    { nodes: [{ name: 'a', outcome: 'stalled', roundTripMs: 9 }] },
    ['fault nodes PROVIDER_UNREACHABLE', 'fault packets NETWORK_MTU'],
  ],
  ['one node stalls, another answers', { nodes: [node('a'), { name: 'b', outcome: 'stalled', roundTripMs: 9 }] }, []],
  ['an interface too small for IPv6', { mtu: { name: 'tun0', bytes: 1_200 } }, ['note packets NETWORK_MTU']],
  ['the clock is behind', { nodes: [node('a', 9, 100), node('b', 9, 101)] }, ['fault clock NETWORK_CLOCK']],
  ['the clock is ahead', { nodes: [node('a', 9, -100), node('b', 9, -99)] }, ['fault clock NETWORK_CLOCK']],
  ['one of three clocks is wrong', { nodes: [node('a', 9, 0), node('b', 9, 86_400), node('c', 9, 1)] }, []],
  ['the newest block is from the future', { chainAheadS: 4_000 }, ['fault clock NETWORK_CLOCK']],
  ['the newest block is old', { chainAheadS: -90_000 }, []],
  ['another port at each destination', { mapping: { local, seen: [seen('8.8.4.4', 1), seen('8.8.4.4', 2)] } }, ['note nat NETWORK_NAT']],
  ['another address at each destination', { mapping: { local, seen: [seen('8.8.4.4'), seen('8.8.4.5')] } }, ['note nat NETWORK_NAT']],
  ['a port the NAT changed, but the same everywhere', { mapping: { local, seen: [seen('8.8.4.4', 7), seen('8.8.4.4', 7)] } }, []],
  ['one observer alone', { mapping: { local, seen: [seen('8.8.4.4', 7)] } }, []],
  ['no NAT', { mapping: { local: seen('8.8.4.4'), seen: [seen('8.8.4.4'), seen('8.8.4.4')] }, router: undefined }, []],
  ['the router’s address is the carrier’s', { router: '100.72.3.4' }, ['note carrier NETWORK_CARRIER_NAT']],
  ['the router says it has no public address', { router: 'private' }, ['note carrier NETWORK_CARRIER_NAT']],
  ['others see another address than the router has', { router: '8.8.4.9' }, ['note carrier NETWORK_CARRIER_NAT']],
  [
    'the machine stands in the carrier’s network itself',
    { mapping: { local: seen('100.64.0.9'), seen: [seen('8.8.4.4')] }, router: undefined },
    ['note carrier NETWORK_CARRIER_NAT'],
  ],
  ['reached through relays', { reach: 'tucked' }, ['note reach NETWORK_TUCKED']],
  ['reached by nobody', { reach: 'unknown' }, ['fault reach NETWORK_UNREACHED']],
  ['no name server', { names: { answered: false, ms: 2_000 } }, ['note names NETWORK_DNS']],
  ['no association', { association: { ok: false, why: 'the proxy refused' } }, ['note udp NETWORK_UDP']],
  ['a slow machine', { bitsPerSecond: 5e7 }, ['note speed NETWORK_SLOW']],
]

for (const [name, changed, expected] of rows) {
  test(name, () => {
    assert.deepEqual(faults(changed), expected)
  })
}

test('every fault says what to do', () => {
  for (const [, changed] of rows) {
    for (const { code, fix } of judge({ ...healthy, ...changed })) assert.equal(fix === undefined, code === undefined)
  }
})
