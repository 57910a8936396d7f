import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Directory } from '../discovery/directory/index.ts'
import { OWNERS_FOLDER } from '../discovery/feed.ts'
import type { Clock } from '../protocol/clock.ts'
import { silent } from '../protocol/observe.ts'
import { LINES, type Offer, type SignedOffer } from '../protocol/offer.ts'
import { offeringNode } from '../protocol/testing.ts'
import { createRoutes } from './routes.ts'

const CHANNELS = `0x${'22'.repeat(20)}` as const
const any = { account: 'any', sessionMinutes: 10, strict: false }

/** Nodes of different owners in different networks. */
const nodes = (count: number, country = 'de') =>
  Array.from({ length: count }, (_, i) =>
    offeringNode().offer({
      country,
      payee: `0x${(i + 1).toString(16).padStart(40, '0')}`,
      transports: [{ kind: 'tls', host: `192.0.${i}.1`, port: 443, pin: `0x${'33'.repeat(32)}` }],
    }),
  )

/** A fresh one each time: tests change what is on offer. */
function directoryOf(offers: readonly SignedOffer[], clock: Clock): Directory {
  const domain = { chainId: 31_337, channels: CHANNELS }
  const directory = new Directory({ clock, observer: silent, random: Math.random, isPublic: () => true, domain })
  for (const offer of offers) directory.keep(offer, OWNERS_FOLDER)
  return directory
}

function world(offers: SignedOffer[]) {
  const clock = { ms: 1_000_000, nowMs: () => clock.ms }
  let drawn = 0
  // A sequence that jumps about and never repeats.
  const random = () => (++drawn * 0.618_033_988_749) % 1
  const routes = createRoutes({
    directory: async () => directoryOf(offers, clock),
    maxPricePerGib: 1_000_000n,
    clock,
    random,
  })
  return { clock, routes, offers }
}
const keysOf = (offers: readonly SignedOffer[]) => offers.map(({ body }) => body.nodeKey)

test('hops before others come in one order as long as the daemon runs, while exits rotate', async () => {
  const { routes, offers } = world(nodes(8))
  const [exit] = offers as [SignedOffer]
  const first = keysOf(await routes.before([exit]))
  const exits = new Set<string>()
  for (let i = 0; i < 20; i++) {
    assert.deepEqual(keysOf(await routes.before([exit])), first)
    exits.add(keysOf(await routes.candidates(any))[0]!)
  }
  assert.ok(exits.size > 3)
  assert.ok(!first.includes(exit.body.nodeKey))
  assert.equal(first.length, 7)
})

test('the order holds for every exit, so that one node is the entry of all', async () => {
  const { routes, offers } = world(nodes(8))
  const order = new Set<string>()
  for (const exit of offers) order.add(keysOf(await routes.before([exit]))[0]!)
  assert.equal(order.size, 2, 'the first of the order, and for itself as the exit the second')
})

test('an order that is given is kept to, also by the next daemon', async () => {
  const offers = nodes(5)
  const turnOf = (nodeKey: string) => Number.parseInt(nodeKey.slice(2, 10), 16)
  const order = async () => {
    const clock = { nowMs: () => 0 }
    const needs = { directory: async () => directoryOf(offers, clock), maxPricePerGib: 1_000_000n }
    const routes = createRoutes({ ...needs, clock, random: Math.random, turnOf })
    return keysOf(await routes.before([offers[0]!]))
  }
  const expected = keysOf(offers.slice(1)).sort((a, b) => turnOf(a) - turnOf(b))
  assert.deepEqual(await order(), expected)
  assert.deepEqual(await order(), expected)
})

test('one that failed comes last for a while, longer each time, and is first again afterwards', async () => {
  const { routes, offers, clock } = world(nodes(4))
  const exit = [offers[0]!]
  const [first, second] = keysOf(await routes.before(exit)) as [`0x${string}`, `0x${string}`]
  const head = async () => keysOf(await routes.before(exit))[0]
  routes.failed(first, 'PROVIDER_LOST')
  assert.equal(await head(), second)
  assert.equal(keysOf(await routes.before(exit)).at(-1), first, 'it is still there, for want of others')
  clock.ms += 2_001
  assert.equal(await head(), first)
  routes.failed(first, 'PROVIDER_LOST')
  clock.ms += 2_001
  assert.equal(await head(), second, 'the second time it is left alone longer')
  clock.ms += 2_000
  assert.equal(await head(), first)
})

test('a false count is not forgotten in a day, and not forgiven by what goes well', async () => {
  const { routes, offers, clock } = world(nodes(4))
  const exit = [offers[0]!]
  const [first] = keysOf(await routes.before(exit)) as [`0x${string}`]
  routes.failed(first, 'METER_DIVERGED')
  routes.worked(first)
  clock.ms += 86_399_000
  assert.notEqual(keysOf(await routes.before(exit))[0], first)
})

test('a failure is forgiven by what goes well after the pause, not within it', async () => {
  const { routes, offers, clock } = world(nodes(4))
  const exit = [offers[0]!]
  const [first] = keysOf(await routes.before(exit)) as [`0x${string}`]
  const head = async () => keysOf(await routes.before(exit))[0]
  routes.failed(first, 'PROVIDER_LOST')
  routes.worked(first)
  assert.notEqual(await head(), first, 'one good flow says nothing against a failure of a moment ago')
  clock.ms += 2_001
  routes.worked(first)
  routes.failed(first, 'PROVIDER_LOST')
  clock.ms += 2_001
  assert.equal(await head(), first, 'it begins anew')
})

test('dependent nodes, other chains and dearer ones never come before', async () => {
  const [exit, fine] = nodes(2) as [SignedOffer, SignedOffer]
  const other: Partial<Offer> = {
    payee: `0x${'99'.repeat(20)}`,
    transports: [{ kind: 'tls', host: '192.0.9.1', port: 1, pin: `0x${'33'.repeat(32)}` }],
  }
  const dear = offeringNode().offer({ ...other, pricePerGib: 1_000_001n })
  const elsewhere = offeringNode().offer({ ...other, chainId: 1n })
  const neighbour = offeringNode().offer({ ...other, transports: [{ ...exit.body.transports[0]!, host: '192.0.0.77' }] })
  const { routes } = world([exit, fine, dear, elsewhere, neighbour])
  assert.deepEqual(keysOf(await routes.before([exit])), [fine.body.nodeKey])
  await assert.rejects(routes.before([exit, fine]), { code: 'NO_PROVIDER' })
})

test('a named session stays with its exit while it lasts, with strict or not at all', async () => {
  const { routes, offers, clock } = world(nodes(6))
  const request = { ...any, sessionId: 'a' }
  const mine = offers[3]!.body.nodeKey
  routes.used(request, mine)
  for (let i = 0; i < 5; i++) assert.equal(keysOf(await routes.candidates(request))[0], mine)
  assert.equal((await routes.candidates(request)).length, 6)
  const strict = { ...request, strict: true }
  assert.deepEqual(keysOf(await routes.candidates(strict)), [mine])
  offers.splice(3, 1)
  await assert.rejects(routes.candidates(strict), { code: 'NO_PROVIDER' })
  assert.equal((await routes.candidates(request)).length, 5)
  clock.ms += 600_001
  assert.equal((await routes.candidates(strict)).length, 5, 'the session is over')
})

test('no two requests in a row leave through one exit, and the better exit is used more', async () => {
  const offers = [1n, 4n, 16n].map((times) => offeringNode().offer({ pricePerGib: 50_000n * times }))
  const { routes } = world(offers)
  const used: string[] = []
  for (let i = 0; i < 300; i++) used.push(keysOf(await routes.candidates(any))[0]!)
  for (let i = 1; i < used.length; i++) assert.notEqual(used[i], used[i - 1])
  const times = keysOf(offers).map((key) => used.filter((one) => one === key).length)
  assert.ok(times[0]! > times[1]! && times[1]! > times[2]! && times[2]! > 0, times.join(' '))
  assert.deepEqual(new Set((await routes.turns(any))!.exits), new Set(keysOf(offers)))
})

test('nothing dearer than the ceiling of the owner or of the request is ever a candidate', async () => {
  const offers = [100n, 200n, 1_000_000n, 1_000_001n, 2n ** 90n].map((pricePerGib) => offeringNode().offer({ pricePerGib }))
  const { routes } = world(offers)
  const prices = async (maxPricePerGib?: bigint) => {
    const found = await routes.candidates({ ...any, ...(maxPricePerGib !== undefined && { maxPricePerGib }) })
    return found.map(({ body }) => body.pricePerGib).sort((a, b) => Number(a - b))
  }
  assert.deepEqual(await prices(), [100n, 200n, 1_000_000n])
  assert.deepEqual(await prices(2n ** 95n), [100n, 200n, 1_000_000n], 'a request cannot lift the ceiling')
  assert.deepEqual(await prices(200n), [100n, 200n])
  await assert.rejects(prices(99n), { code: 'NO_PROVIDER', facts: { offers: 5, matching: 5, cheapestPerGib: 100n } })
})

test('place and kind of line are looked for as they are asked', async () => {
  const here = offeringNode().offer({ region: 'by', city: 'munich', line: LINES.indexOf('mobile'), asn: 7 })
  const { routes } = world([...nodes(4), here])
  const mine = [here.body.nodeKey]
  for (const asked of [
    { region: 'by' },
    { city: 'munich' },
    { type: 'mobile' as const },
    { asn: 7 },
    { provider: here.body.nodeKey.slice(2, 12) },
  ])
    assert.deepEqual(keysOf(await routes.candidates({ ...any, country: 'de', ...asked })), mine)
  await assert.rejects(routes.candidates({ ...any, type: 'hosting' }), { code: 'NO_PROVIDER' })
  await assert.rejects(routes.candidates({ ...any, country: 'us' }), { code: 'NO_PROVIDER', hint: 'Countries on offer: de.' })
})

test('a split session spreads hosts over as many exits, and keeps each host with its own', async () => {
  const { routes } = world(nodes(8))
  const request = { ...any, sessionId: 'page', split: 3 }
  const hosts = Array.from({ length: 40 }, (_, i) => `host${i}.example`)
  const visit = async () => {
    const exits = new Map<string, `0x${string}`>()
    for (const host of hosts) {
      const [exit] = await routes.candidates(request, host)
      routes.used(request, exit!.body.nodeKey, host)
      exits.set(host, exit!.body.nodeKey)
    }
    return exits
  }
  const first = await visit()
  assert.equal(new Set(first.values()).size, 3)
  assert.deepEqual(await visit(), first)
  assert.equal(await routes.turns(request), undefined, 'where it goes decides')
  const strict = { ...request, strict: true }
  assert.deepEqual(keysOf(await routes.candidates(strict, hosts[0])), [first.get(hosts[0]!)])
})
