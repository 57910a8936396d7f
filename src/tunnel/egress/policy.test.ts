import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TIERS } from '../../protocol/offer.ts'
import { policyHash, portAllowed, udpPort } from './policy.ts'

const open = (tier: (typeof TIERS)[number], ports: number[]) => ports.filter((port) => portAllowed(tier, port))

test('port 25 is closed in every tier', () => {
  for (const tier of TIERS) {
    assert.ok(portAllowed(tier, 443), 'control')
    assert.ok(!portAllowed(tier, 25), tier)
  }
})

test('open is the default exit policy of Tor', () => {
  const rejected: number[] = []
  for (let port = 1; port <= 65_535; port++) if (!portAllowed('open', port)) rejected.push(port)
  const expected = [25, 119, 135, 136, 137, 138, 139, 445, 563, 1214]
  for (let port = 4661; port <= 4666; port++) expected.push(port)
  for (let port = 6346; port <= 6429; port++) expected.push(port)
  expected.push(6699)
  for (let port = 6881; port <= 6999; port++) expected.push(port)
  assert.deepEqual(rejected, expected)
})

test('basic and standard accept only what they list', () => {
  assert.deepEqual(
    open('basic', [22, 25, 53, 80, 443, 853, 993, 995, 3389, 5222, 5228, 8080, 65_535]),
    [80, 443, 853, 993, 995, 5222, 5228],
  )
  assert.deepEqual(
    open('standard', [19, 20, 22, 23, 24, 53, 79, 80, 81, 82, 443, 3389, 5900, 10_000, 64_738, 64_739]),
    [20, 22, 80, 81, 443, 64_738],
  )
})

test('datagrams: the web and names in every tier, what floods others in none', () => {
  for (const tier of TIERS) {
    assert.equal(udpPort(tier, 443), 'serve', 'control')
    for (const port of [25, 19, 69, 111, 123, 137, 161, 389, 1900, 3702, 5353, 11_211, 27_960]) assert.equal(udpPort(tier, port), 'refuse')
  }
  assert.deepEqual(
    TIERS.map((tier) => udpPort(tier, 53)),
    ['resolve', 'resolve', 'serve'],
  )
  assert.deepEqual(
    TIERS.map((tier) => udpPort(tier, 51_820)),
    ['refuse', 'serve', 'serve'],
  )
  assert.deepEqual(
    TIERS.map((tier) => udpPort(tier, 40_000)),
    ['refuse', 'refuse', 'serve'],
  )
})

test('the hash of a policy is stable and differs between tiers', () => {
  const hashes = TIERS.map(policyHash)
  assert.equal(new Set(hashes).size, TIERS.length)
  for (const hash of hashes) assert.match(hash, /^0x[0-9a-f]{64}$/)
})
