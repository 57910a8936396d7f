/** The public API and its page over one small database, as a stranger sees them. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { z } from 'zod'
import { eventReader } from '../../src/chain/index.ts'
import { publicApi, ROUTES } from '../../src/explorer/api/app.ts'
import { limiter } from '../../src/explorer/api/limit.ts'
import { asOf } from '../../src/explorer/api/route.ts'
import { step } from '../../src/explorer/indexer/follow.ts'
import { prepare } from '../../src/explorer/indexer/index.ts'
import { GONE_AFTER_S, offerRecorder } from '../../src/explorer/indexer/offers.ts'
import { servePage } from '../../src/explorer/page/serve.ts'
import { openPglite, type Store } from '../../src/explorer/store/index.ts'
import { migrate } from '../../src/explorer/store/migrations.ts'
import { silent } from '../../src/protocol/observe.ts'
import { simulatedOffer } from './offers.ts'
import { BLOCK_S, dice, NODE_KEYS, PEOPLE, SIMULATED, START_S, simulatedChain } from './simulated-chain.ts'

const BLOCKS = 300
const clock = { s: START_S + BLOCKS * BLOCK_S, nowMs: () => clock.s * 1_000 }
const chain = simulatedChain('api')
let store: Store
before(async () => {
  store = await openPglite(undefined, clock)
  chain.mine(BLOCKS)
  await prepare(store, chain.chainId, SIMULATED, silent)
  while (await step({ db: store.db, source: chain, read: eventReader(SIMULATED), observer: silent })) {
    // Until all is read.
  }
  const random = dice('api offers')
  await offerRecorder(store.db).record(
    NODE_KEYS.map((key, i) => simulatedOffer(key, PEOPLE[i]!, clock.s, random)),
    clock.s,
  )
})
after(() => store.close())

const apiFor = (options: { asker?: string; ok?: boolean } = {}) => {
  const health = () => ({ ok: options.ok ?? true, lagBlocks: 0 })
  const api = publicApi({ store, clock, version: '1.2.3', limiter: limiter(clock), health, askerOf: () => options.asker })
  servePage(api, health, clock)
  return api.app
}
const json = async (response: Response | Promise<Response>) => (await (await response).json()) as Record<string, unknown>

test('every route answers as its schema in /openapi.json says, and nothing else', async () => {
  const app = apiFor()
  const document = (await json(app.request('/openapi.json'))) as { info: { version: string }; paths: Record<string, unknown> }
  assert.equal(document.info.version, '1.2.3')
  assert.deepEqual(Object.keys(document.paths).sort(), ROUTES.map(({ path }) => path).sort())
  const { proposals } = (await json(app.request('/v1/votes'))) as { proposals: { id: string }[] }
  const filled: Record<string, string> = { node: NODE_KEYS[0]!, operator: PEOPLE[0]!, measure: 'claimed', id: proposals[0]!.id }
  for (const { path, answer } of ROUTES) {
    const response = await app.request(path.replace(/\{(\w+)\}/, (_all, name: string) => filled[name]!))
    assert.equal(response.status, 200, path)
    const parsed = z.strictObject({ asOf, ...answer.shape }).safeParse(await response.json())
    assert.ok(parsed.success, `${path}: ${parsed.error?.message}`)
    assert.equal((parsed.data.asOf as { block: number }).block, BLOCKS, path)
  }
})

test('an answer may be kept and asked for again at no cost, and pages of other sites may read it', async () => {
  const app = apiFor()
  const first = await app.request('/v1/regions')
  assert.match(first.headers.get('cache-control')!, /^public, max-age=\d+$/)
  assert.equal(first.headers.get('access-control-allow-origin'), '*')
  const etag = first.headers.get('etag')!
  const again = await app.request('/v1/regions', { headers: { 'if-none-match': etag } })
  assert.deepEqual([again.status, await again.text()], [304, ''])
  assert.equal((await app.request('/v1/regions', { headers: { 'if-none-match': '"other"' } })).status, 200)
  const preflight = await app.request('/v1/regions', { method: 'OPTIONS' })
  assert.deepEqual([preflight.status, preflight.headers.get('access-control-allow-methods')], [204, 'GET'])
  assert.equal((await app.request('/v1/regions', { method: 'POST' })).status, 404)
})

test('what is asked wrongly gets a problem that says what was wrong', async () => {
  const app = apiFor()
  for (const [path, status, code] of [
    ['/v1/nodes?countri=de', 400, 'ARGUMENT_INVALID'],
    ['/v1/nodes?country=DEU', 400, 'ARGUMENT_INVALID'],
    ['/v1/nodes?limit=201', 400, 'ARGUMENT_INVALID'],
    ['/v1/events?cursor=eyJhIjoxfQ', 400, 'ARGUMENT_INVALID'],
    ['/v1/supply?from=864000&to=4', 400, 'ARGUMENT_INVALID'],
    ['/v1/measures/nothing', 400, 'ARGUMENT_INVALID'],
    [`/v1/nodes/0x${'00'.repeat(32)}`, 404, 'NOT_KNOWN'],
    ['/v1/votes/99999999', 404, 'NOT_KNOWN'],
    ['/v2/nodes', 404, 'ROUTE_UNKNOWN'],
  ] as const) {
    const response = await app.request(path)
    assert.equal(response.headers.get('content-type'), 'application/problem+json', path)
    const problem = await json(response)
    assert.deepEqual([response.status, problem.status, problem.code], [status, status, code], path)
  }
  // Text that means something to a database means nothing here.
  assert.equal((await app.request(`/v1/events?name=${encodeURIComponent("x' or '1'='1")}`)).status, 400)
})

test('who asks too much is told how long to wait; the page and this machine are not counted', async () => {
  const stranger = apiFor({ asker: '203.0.113.9' })
  const answers = []
  for (let i = 0; i < 110; i++) answers.push(await stranger.request('/v1/regions'))
  const refused = answers.filter(({ status }) => status === 429)
  assert.equal(refused.length, 10)
  assert.equal(refused[0]!.headers.get('retry-after'), '1')
  assert.equal((await json(refused[0]!)).code, 'TOO_MANY_REQUESTS')
  const own = apiFor()
  for (let i = 0; i < 110; i++) assert.equal((await own.request('/v1/regions')).status, 200)
})

test('pages of a list are the list, each row once', async () => {
  const app = apiFor()
  const whole = (await json(app.request('/v1/events?limit=200'))) as { events: { block: number; place: number }[] }
  const pieces: { block: number; place: number }[] = []
  let cursor: string | undefined
  while (pieces.length < whole.events.length) {
    const page = await json(app.request(`/v1/events?limit=7${cursor === undefined ? '' : `&cursor=${cursor}`}`))
    pieces.push(...(page.events as typeof pieces))
    cursor = page.next as string
  }
  assert.deepEqual(pieces.slice(0, whole.events.length), whole.events)
  const about = (await json(app.request(`/v1/events?mentions=${PEOPLE[3]!.toUpperCase().replace('0X', '0x')}&limit=200`))) as {
    events: { args: unknown }[]
  }
  assert.ok(about.events.length > 5 && about.events.every(({ args }) => JSON.stringify(args).includes(PEOPLE[3]!)))
})

test('totals are the sums of their entries, and a series adds up to its total', async () => {
  const app = apiFor()
  const query = `step=hour&from=${START_S}&to=${clock.s}`
  const supply = (await json(app.request(`/v1/supply?${query}`))) as {
    supply: string
    minted: string
    burnt: string
    points: Record<string, string>[]
  }
  const sum = (name: string) => supply.points.reduce((total, point) => total + BigInt(point[name]!), 0n)
  assert.ok(BigInt(supply.minted) > 0n && BigInt(supply.burnt) > 0n)
  assert.equal(sum('minted'), BigInt(supply.minted))
  assert.equal(sum('burnt'), BigInt(supply.burnt))
  assert.equal(supply.points.at(-1)!.supply, supply.supply)
  const burns = (await json(app.request('/v1/burns?limit=200'))) as { burnt: string; entries: { amount: string }[]; next: unknown }
  assert.equal(burns.next, null)
  assert.equal(
    burns.entries.reduce((total, { amount }) => total + BigInt(amount), 0n),
    BigInt(burns.burnt),
  )
})

test('a node that is not found any more sells no longer, and what it asked stays', async () => {
  const app = apiFor()
  const nodesOf = async () => ((await json(app.request('/v1/nodes'))) as { nodes: { node: string }[] }).nodes.map(({ node }) => node)
  assert.deepEqual(await nodesOf(), [...NODE_KEYS].sort())
  const before = clock.s
  clock.s += GONE_AFTER_S + 1
  assert.deepEqual(await nodesOf(), [])
  const gone = await json(app.request(`/v1/nodes/${NODE_KEYS[0]}`))
  assert.deepEqual([gone.sells, (gone.history as unknown[]).length], [false, 1])
  clock.s = before
})

test('new terms begin a new stretch, the same terms prolong the last, and changing every second makes no history', async () => {
  const key = `0x${'ab'.repeat(32)}` as const
  const recorder = offerRecorder(store.db)
  const at = (s: number, price: bigint, sequence: bigint) => {
    const offer = simulatedOffer(key, PEOPLE[0]!, s, dice('one'))
    return { ...offer, body: { ...offer.body, pricePerGib: price, issuedAt: BigInt(s), sequence } }
  }
  const start = clock.s
  assert.equal(await recorder.record([at(start, 100n, 1n)], start), 1)
  assert.equal(await recorder.record([at(start + 400, 100n, 2n)], start + 400), 0)
  assert.equal(await recorder.record([at(start + 800, 200n, 3n)], start + 800), 1)
  for (let i = 1n; i <= 20n; i++) await recorder.record([at(start + 800 + Number(i), 200n + i, 3n + i)], start + 800 + Number(i))
  const rows = await store.db.selectFrom('terms').selectAll().where('node', '=', key).orderBy('since_s').execute()
  assert.deepEqual(
    rows.map(({ since_s, price }) => [since_s, price]),
    [
      [start, '100'],
      [start + 800, '220'],
    ],
  )
  assert.deepEqual([rows[0]!.until_s, rows[1]!.until_s], [start + 800, start + 820 + 86_400])
})

test('the page shows numbers with the answers they come from, without a script, and as small as a picture', async () => {
  const response = await apiFor().request('/?range=hour', { headers: { 'accept-encoding': 'gzip, br' } })
  assert.equal(response.headers.get('content-encoding'), 'gzip')
  const packed = new Uint8Array(await response.arrayBuffer())
  assert.ok(packed.length < 60_000, `${packed.length} bytes`)
  const plain = await (await apiFor().request('/?range=hour')).text()
  assert.ok(plain.includes('in step with the chain') && plain.includes('aria-current="page">1 hour'))
  assert.ok(!/<script|javascript:|\son\w+=/i.test(plain))
  const policy = response.headers.get('content-security-policy')!
  assert.ok(policy.startsWith("default-src 'none'") && !policy.includes('unsafe'))
  const hrefs = [...plain.matchAll(/href="(\/v1\/[^"]+)"/g)].map((match) => match[1]!.replaceAll('&amp;', '&'))
  assert.ok(hrefs.length > 20)
  const app = apiFor()
  for (const href of new Set(hrefs)) assert.equal((await app.request(href)).status, 200, href)
  assert.match(await (await apiFor({ ok: false }).request('/')).text(), /class="dot late"/)
})

test('tables of a newer program are refused, and those of this one are left alone', async () => {
  await migrate(store.db)
  await store.db
    .insertInto('kysely_migration' as never)
    .values({ name: '9999-from-the-future', timestamp: 'x' } as never)
    .execute()
  await assert.rejects(migrate(store.db), { code: 'STATE_NEWER', facts: { migration: '9999-from-the-future' } })
  await store.db
    .deleteFrom('kysely_migration' as never)
    .where('name' as never, '=', '9999-from-the-future' as never)
    .execute()
  await migrate(store.db)
})

test('the tables of one exchange are not taken for those of another', async () => {
  const other = { ...SIMULATED, channels: `0x${'11'.repeat(20)}` as const }
  await assert.rejects(prepare(store, chain.chainId, other, silent), { code: 'STATE_OTHER_CHAIN' })
  await assert.rejects(prepare(store, 1, SIMULATED, silent), { code: 'STATE_OTHER_CHAIN' })
  await prepare(store, chain.chainId, SIMULATED, silent)
  assert.ok((await store.db.selectFrom('events').selectAll().limit(1).execute()).length === 1, 'nothing was lost')
})
