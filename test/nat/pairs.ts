/** Every consumer with every provider: does it connect, by which way, and is what arrives right? */
import { type ConsumerNode, type Exchange, eventually, type PlaceName, type ProviderNode } from './exchange.ts'
import { startMiniupnpd } from './router-daemon.ts'
import { sha256Of } from './stream.ts'

export interface Pair {
  consumer: PlaceName
  provider: PlaceName
  /** `direct`, `mapped` (direct, at a port of the router), or `relay NAME`; why not, when nothing arrived. */
  how: string
  ok: boolean
}

/** As far as a reach is decided: nothing better can come. */
const DECIDED: Record<PlaceName, string> = {
  none: 'open',
  'full-cone': 'tucked',
  cone: 'tucked',
  symmetric: 'tucked',
  double: 'tucked',
  mapped: 'mapped',
}

/** Waits until a provider knows how it is reached, as its place allows; the places are what makes the table worth reading. */
export const decided = (provider: ProviderNode, place: PlaceName) =>
  eventually(`${provider.name} is ${DECIDED[place]}`, async () =>
    (await provider.status()).reach.kind === DECIDED[place] ? true : undefined,
  )

const shortOf = (nodeKey: string) => nodeKey.slice(2, 12)

/** The way of the consumer's session with a provider, in words of the table. */
export async function wayTo(consumer: ConsumerNode, provider: ProviderNode, relays: readonly ProviderNode[]): Promise<string> {
  const { sessions } = await consumer.status()
  const way = sessions.find((session) => session.provider === provider.nodeKey && session.hops === 1)?.way ?? 'unknown'
  const relay = relays.find(({ nodeKey }) => way === `relay ${shortOf(nodeKey)}`)
  if (relay !== undefined) return `relay ${relay.name}`
  if (way !== 'direct') return way
  return (await provider.status()).reach.kind === 'mapped' ? 'mapped' : 'direct'
}

export const parametersFor = (provider: ProviderNode) => `any-provider-${shortOf(provider.nodeKey)}`

export async function tryPair(
  consumer: ConsumerNode,
  consumerAt: PlaceName,
  { node, place }: { node: ProviderNode; place: PlaceName },
  { relays, bytes }: { relays: readonly ProviderNode[]; bytes: number },
): Promise<Pair> {
  const pair = { consumer: consumerAt, provider: place }
  const seed = `${consumerAt}-${place}`
  try {
    const got = await consumer.download(`${bytes}/${seed}`, parametersFor(node))
    const right = got.bytes === bytes && got.sha256 === sha256Of(seed, bytes)
    return { ...pair, how: right ? await wayTo(consumer, node, relays) : `wrong bytes (${got.bytes} of ${bytes})`, ok: right }
  } catch (thrown) {
    return { ...pair, how: (thrown as Error).message, ok: false }
  }
}

export interface RelayLoss {
  before: string
  after: string
  ok: boolean
  /** From the kill to the last byte. */
  restMs: number
}

/** Kills the relay that carries a download, in its middle, and looks whether the rest comes over another. */
export async function loseRelay(
  exchange: Exchange,
  consumer: ConsumerNode,
  provider: ProviderNode,
  { relays, bytes }: { relays: readonly ProviderNode[]; bytes: number },
): Promise<RelayLoss> {
  const seed = 'relay-loss'
  const downloading = consumer.download(`${bytes}/${seed}/hold`, parametersFor(provider))
  downloading.catch(() => {})
  await Promise.race([exchange.held(), downloading])
  const before = await wayTo(consumer, provider, relays)
  const used = relays.find(({ name }) => before === `relay ${name}`)
  if (used === undefined) throw new Error(`the download goes by ${before}, not over a relay`)
  const killedMs = performance.now()
  used.kill()
  await exchange.go()
  const got = await downloading
  const restMs = performance.now() - killedMs
  return { before, after: await wayTo(consumer, provider, relays), ok: got.bytes === bytes && got.sha256 === sha256Of(seed, bytes), restMs }
}

export interface Move {
  before: string
  after: string
  ok: boolean
}

/** The router begins to map ports while a download comes over a relay: does the rest come directly, and right? */
export async function moveToDirect(
  exchange: Exchange,
  consumer: ConsumerNode,
  { relays, bytes }: { relays: readonly ProviderNode[]; bytes: number },
): Promise<Move> {
  const seed = 'move'
  const site = exchange.world.addSite('p-late', ['mapped'])
  const provider = await exchange.addProvider('p-late', 'mapped', [], site)
  const downloading = consumer.download(`${bytes}/${seed}/hold`, parametersFor(provider))
  downloading.catch(() => {})
  await Promise.race([exchange.held(), downloading])
  const before = await wayTo(consumer, provider, relays)
  await startMiniupnpd(exchange.world, site.routers[0]!)
  // The node asks its router again after a minute, and the consumer looks for a better way now and then.
  await eventually('the port is mapped', async () => ((await provider.status()).reach.kind === 'mapped' ? true : undefined), 120_000)
  await eventually(
    'the consumer goes directly',
    async () => ((await wayTo(consumer, provider, relays)) === 'mapped' ? true : undefined),
    120_000,
  )
  await exchange.go()
  const got = await downloading
  return { before, after: await wayTo(consumer, provider, relays), ok: got.bytes === bytes && got.sha256 === sha256Of(seed, bytes) }
}
