/**
 * One chain, two databases: `npm run test:explorer -- --blocks 10000`. PGlite and PostgreSQL index the same blocks, of which some are taken back
 * on the way, and the same offers; then each is asked everything, page by page, and the answers are compared byte by byte.
 */
import { parseArgs } from 'node:util'
import { eventReader } from '../../src/chain/index.ts'
import { publicApi } from '../../src/explorer/api/app.ts'
import { MEASURES } from '../../src/explorer/indexer/entries.ts'
import { step } from '../../src/explorer/indexer/follow.ts'
import { prepare } from '../../src/explorer/indexer/index.ts'
import { offerRecorder } from '../../src/explorer/indexer/offers.ts'
import { openPglite, openPostgres, type Store } from '../../src/explorer/store/index.ts'
import { silent } from '../../src/protocol/observe.ts'
import { simulatedOffer } from './offers.ts'
import { lacksPostgres, startPostgres } from './postgres.ts'
import { BLOCK_S, dice, NODE_KEYS, PEOPLE, SIMULATED, START_S, simulatedChain } from './simulated-chain.ts'

export interface Comparison {
  readonly blocks: number
  readonly events: number
  /** Questions asked, and answers that were the same to the byte. */
  readonly asked: number
  readonly equal: number
  /** Bytes of one side's answers. */
  readonly bytes: number
  /** Questions that were answered differently, at most ten. */
  readonly different: readonly string[]
  /** Answers that were no error. */
  readonly fine: number
}

/** Rounds in which offers change and blocks are taken back. */
const ROUNDS = 20

export async function compare(stores: readonly [Store, Store], blocks: number, seed = 'same'): Promise<Comparison> {
  const chain = simulatedChain(seed)
  const random = dice(`${seed} offers`)
  let nowS = START_S
  const clock = { nowMs: () => nowS * 1_000 }
  const sides = stores.map((store) => ({
    store,
    recorder: offerRecorder(store.db),
    follow: { db: store.db, source: chain, read: eventReader(SIMULATED), observer: silent },
    api: publicApi({
      store,
      clock,
      version: 'test',
      limiter: { waitS: () => 0 },
      health: () => ({ ok: true }),
      askerOf: () => undefined,
    }),
  }))
  for (const { store } of sides) await prepare(store, chain.chainId, SIMULATED, silent)
  const catchUp = async () => {
    for (const { follow } of sides) {
      while (await step(follow)) {
        // Until there is nothing new.
      }
    }
  }
  for (let round = 1; round <= ROUNDS; round++) {
    chain.mine(Math.floor((blocks * round) / ROUNDS) - chain.height)
    await catchUp()
    const depth = 1 + random.below(20)
    chain.reorganise(depth, depth)
    await catchUp()
    nowS = START_S + chain.height * BLOCK_S
    const offers = NODE_KEYS.filter(() => random.below(4) > 0).map((key, i) => simulatedOffer(key, PEOPLE[i]!, nowS, random))
    for (const { recorder } of sides) await recorder.record(offers, nowS)
  }
  const { count } = await stores[0].db
    .selectFrom('events')
    .select(({ fn }) => fn.countAll<string>().as('count'))
    .executeTakeFirstOrThrow()
  const outcome = { asked: 0, equal: 0, bytes: 0, fine: 0, different: [] as string[] }
  for await (const path of everyQuestion(sides[0]!.api.app)) {
    const [a, b] = await Promise.all(sides.map(async ({ api }) => said(await api.app.request(path))))
    outcome.asked += 1
    outcome.bytes += a!.length
    if (a!.startsWith('200')) outcome.fine += 1
    if (a === b) outcome.equal += 1
    else if (outcome.different.length < 10) outcome.different.push(path)
  }
  return { blocks: chain.height, events: Number(count), ...outcome }
}

/** All that makes an answer what it is. */
async function said(response: Response): Promise<string> {
  return `${response.status} ${response.headers.get('content-type')} ${response.headers.get('etag')} ${await response.text()}`
}

/** Every route with every kind of question, each list to its end. */
async function* everyQuestion(app: { request: (path: string) => Response | Promise<Response> }): AsyncGenerator<string> {
  const measures = Object.keys(MEASURES).flatMap((measure) =>
    ['dollar', 'way', 'gb'].map((unit) => `/v1/measures/${measure}?unit=${unit}&step=hour`),
  )
  yield* ['/openapi.json', '/v1/regions', '/v1/measures', ...measures]
  for (const step of ['minute', 'hour', 'day', 'week'])
    yield* [`/v1/supply?step=${step}`, `/v1/prices?step=${step}`, `/v1/prices?step=${step}&country=de&tier=open`]
  yield* NODE_KEYS.map((node) => `/v1/nodes/${node}`)
  yield* PEOPLE.map((operator) => `/v1/scores/${operator}`)
  yield* ['/v1/nodes/0x12', '/v1/votes/1', '/v1/events?cursor=x', '/v1/nodes?country=DE', '/v1/supply?from=0&step=minute', '/v1/nothing']
  const owners = PEOPLE.slice(0, 4)
  const lists = [
    ...[
      '/v1/nodes?',
      '/v1/nodes?country=de',
      '/v1/nodes?tier=open',
      '/v1/burns?',
      '/v1/rewards?',
      '/v1/votes?',
      '/v1/scores?',
      '/v1/events?',
    ],
    ...['channels', 'registry', 'audits', 'vaults:de', 'capacityMarket'].map((contract) => `/v1/events?contract=${contract}`),
    ...owners.flatMap((owner) => [`/v1/rewards?owner=${owner}`, `/v1/events?mentions=${owner}`, `/v1/nodes?payee=${owner}`]),
  ]
  for (const list of lists) {
    let cursor: string | null = null
    do {
      const path: string = `${list}&limit=200${cursor === null ? '' : `&cursor=${cursor}`}`.replace('?&', '?')
      yield path
      cursor = ((await (await app.request(path)).json()) as { next?: string | null }).next ?? null
    } while (cursor !== null)
  }
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { blocks: { type: 'string', default: '10000' }, seed: { type: 'string', default: 'same' } } })
  const reason = lacksPostgres()
  if (reason !== false) {
    console.error(`cannot compare: ${reason}`)
    process.exit(2)
  }
  const server = startPostgres()
  const stores = [await openPglite(undefined, { nowMs: Date.now }), await openPostgres(await server.database(), silent)] as const
  const outcome = await compare(stores, Number(values.blocks), values.seed)
  for (const store of stores) await store.close()
  server.stop()
  console.log(JSON.stringify(outcome, undefined, 2))
  const passed = outcome.asked === outcome.equal && outcome.fine > 0
  console.log(passed ? `${outcome.equal} of ${outcome.asked} answers are the same to the byte` : 'DIFFERENT')
  process.exit(passed ? 0 : 1)
}
