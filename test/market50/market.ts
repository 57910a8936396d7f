/**
 * A market of real nodes: providers in many countries and consumers, behind routers of every kind, who know of each other only through the network of offers.
 *
 * The rule it keeps: no folder is shared and no offer handed over. All anybody is told is one bootstrap address. Start reading at {@link runMarket}.
 */
import { type ConsumerNode, type Exchange, eventually, type PlaceName, type ProviderNode, startExchange } from '../nat/exchange.ts'
import { sha256Of } from '../nat/stream.ts'

export interface MarketSize {
  /** Processes of `byway` in all. */
  nodes: number
  /** What each request carries. */
  bytes: number
}

export interface Use {
  consumer: string
  consumerAt: PlaceName
  country: string
  /** Undefined where nothing came. */
  provider?: string
  providerAt?: PlaceName
  way: string
  ok: boolean
}

export interface MarketOutcome {
  providers: Record<PlaceName, number>
  consumers: number
  countries: string[]
  uses: Use[]
  /** From the last start to when every consumer knew an offer of every country. */
  knownAfterMs: number
  ok: boolean
}

const COUNTRIES = ['de', 'us', 'jp', 'br', 'za', 'in', 'gb', 'au', 'fr', 'ca']
const PLACES = ['none', 'cone', 'symmetric'] as const satisfies PlaceName[]
/** Behind every second of the cones stands a router that maps ports on request, as many at home do. */
export const PROVIDER_PLACES = ['none', 'mapped', 'cone', 'symmetric'] as const satisfies PlaceName[]
/** The first site of a world has this address; its node is where everybody begins. */
export const BOOTSTRAP = '45.1.0.2:4434'
/** Others are called through these, and they are open nodes like any. */
const RELAYS = 3
/** Started at a time: each takes some seconds of a core. */
const AT_ONCE = 4
/** On a machine that is busy a start takes a minute, and looks are as far apart as minutes. */
const KNOWN_LIMIT_MS = 600_000
const TRIES = 4

/** Three in five provide. Each country has a provider at each kind of place in turn. */
export function planOf(nodes: number): { providers: { place: PlaceName; country: string }[]; consumers: PlaceName[]; countries: string[] } {
  const providing = Math.max(PLACES.length, Math.round((nodes * 3) / 5))
  const countries = COUNTRIES.slice(0, Math.max(1, Math.floor(providing / PLACES.length)))
  const providers = Array.from({ length: providing }, (_, i): { place: PlaceName; country: string } => {
    const place = PLACES[Math.floor(i / countries.length) % PLACES.length]!
    return { place: place === 'cone' && (i % countries.length) % 2 === 1 ? 'mapped' : place, country: countries[i % countries.length]! }
  })
  const consumers = Array.from({ length: nodes - providing }, (_, i) => PLACES[i % PLACES.length]!)
  return { providers, consumers, countries }
}

export async function runMarket({ nodes, bytes }: MarketSize, note: (text: string) => void): Promise<MarketOutcome> {
  const plan = planOf(nodes)
  const exchange = await startExchange({ BYWAY_DISCOVERY: 'libp2p', BYWAY_BOOTSTRAP: BOOTSTRAP })
  try {
    const providers = await startProviders(exchange, plan.providers, note)
    const consumers: { node: ConsumerNode; place: PlaceName }[] = []
    await atOnce(plan.consumers.entries(), async ([i, place]) => {
      consumers.push({ node: await exchange.addConsumer(`c${i}`, place), place })
      note(`${consumers.length} of ${plan.consumers.length} consumers`)
    })
    const startedMs = performance.now()
    await Promise.all(
      consumers.map(({ node }) =>
        eventually(
          `${node.name} knows offers of ${plan.countries.length} countries`,
          async () => ((await node.status()).countries?.length === plan.countries.length ? true : undefined),
          KNOWN_LIMIT_MS,
        ).catch(() => note(`${node.name} does not know all countries`)),
      ),
    )
    const knownAfterMs = performance.now() - startedMs
    note(`offers of every country are known everywhere ${(knownAfterMs / 1000).toFixed(0)} s after the last start`)
    const uses: Use[] = []
    await atOnce(consumers.values(), async ({ node, place }) => {
      for (const country of plan.countries) uses.push(await useOf(node, place, country, providers, bytes))
      note(`${uses.filter(({ ok }) => ok).length} of ${uses.length} uses`)
    })
    const counts = Object.fromEntries(PROVIDER_PLACES.map((place) => [place, plan.providers.filter((each) => each.place === place).length]))
    return {
      providers: counts as Record<PlaceName, number>,
      consumers: consumers.length,
      countries: plan.countries,
      uses,
      knownAfterMs,
      ok: uses.length === consumers.length * plan.countries.length && uses.every(({ ok }) => ok),
    }
  } finally {
    await exchange.close()
  }
}

interface Placed {
  node: ProviderNode
  place: PlaceName
  country: string
}

/** The bootstrap node first, then the relays, then all others. */
async function startProviders(
  exchange: Exchange,
  plan: { place: PlaceName; country: string }[],
  note: (text: string) => void,
): Promise<Placed[]> {
  const started: Placed[] = []
  const start = async (what: { place: PlaceName; country: string }, i: number, relay: boolean) => {
    const country = ['--country', what.country]
    const node = relay ? await exchange.addRelay(`p${i}`, country) : await exchange.addProvider(`p${i}`, what.place, country)
    started.push({ node, ...what })
    note(`${started.length} of ${plan.length} providers`)
  }
  const open = [...plan.entries()].filter(([, { place }]) => place === 'none')
  const relays = open.slice(0, RELAYS)
  for (const [i, what] of relays) await start(what, i, true)
  const rest = [...plan.entries()].filter(([i]) => !relays.some(([at]) => at === i))
  await atOnce(rest.values(), ([i, what]) => start(what, i, false))
  return started
}

async function useOf(node: ConsumerNode, consumerAt: PlaceName, country: string, providers: Placed[], bytes: number): Promise<Use> {
  const use = { consumer: node.name, consumerAt, country }
  const seed = `${node.name}-${country}`
  for (let left = TRIES - 1; ; left--) {
    try {
      const got = await node.download(`${bytes}/${seed}`, `any-country-${country}`)
      if (got.bytes !== bytes || got.sha256 !== sha256Of(seed, bytes))
        return { ...use, way: `wrong bytes (${got.bytes} of ${bytes}, ${got.sha256.slice(0, 8)})`, ok: false }
      const { sessions } = await node.status()
      const keys = new Map(providers.filter((each) => each.country === country).map((each) => [each.node.nodeKey, each]))
      const session = sessions.findLast(({ provider, hops }) => hops === 1 && keys.has(provider))
      if (session === undefined) return { ...use, way: 'of another country', ok: false }
      const { node: used, place } = keys.get(session.provider)!
      const direct = session.way === 'direct' && (await used.status()).reach.kind === 'mapped' ? 'mapped' : session.way
      return { ...use, provider: used.name, providerAt: place, way: (direct ?? 'unknown').replace(/^relay .*/, 'relayed'), ok: true }
    } catch (thrown) {
      // A node that did not answer within its limit: clients ask again (docs/known-issues.md, "A first request").
      if (left === 0) return { ...use, way: (thrown as Error).message, ok: false }
    }
  }
}

async function atOnce<T>(items: Iterable<T>, work: (item: T) => Promise<void>): Promise<void> {
  const queue = [...items]
  const worker = async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) await work(next)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
}
