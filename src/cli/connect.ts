/** `byway connect`: a local proxy through the exits others sell. */
import { randomBytes } from 'node:crypto'
import type { Command } from 'commander'
import { z } from 'zod'
import type { HopReading } from '../api/metrics.ts'
import { ETHER, walletFromKey } from '../chain/index.ts'
import {
  type Consumer,
  createConsumer,
  createDeposits,
  createProxy,
  type Deposits,
  type Dialer,
  ENTRANCE_WORKER,
  exitPlace,
  type Place,
  refundExpired,
  type SessionView,
} from '../consumer/index.ts'
import type { Hex } from '../protocol/bytes.ts'
import { systemClock } from '../protocol/clock.ts'
import { RESERVED_NAME } from '../protocol/destination.ts'
import { UNITS_PER_DOLLAR } from '../protocol/dollars.ts'
import { asBywayError, BywayError } from '../protocol/errors.ts'
import type { Descriptor } from '../protocol/voucher.ts'
import { untilAsked, untilAskedOrFailed } from './daemon.ts'
import { type KnownOffers, openDirectory } from './directory.ts'
import { carryingDelay, type FastPath, startFastPath } from './fast.ts'
import { daemonHome } from './homes.ts'
import { type Node, openNode } from './node.ts'
import { offersRoute } from './offers.ts'
import type { Output } from './output.ts'
import { type Env, loadSettings, type Settings } from './resolve.ts'
import { type KeysOf, keysOf } from './settings.ts'
import { networkGauges, openSources, type Sources } from './sources.ts'

export const WHOAMI_URL = `http://${RESERVED_NAME}/`

type ConnectSettings = Settings<KeysOf<'connect'>>['values']

export async function connect(command: Command, env: Env, output: Output): Promise<void> {
  const { values: settings, sources } = await loadSettings(command, keysOf('connect'), env)
  const stopped = untilAsked()
  const paths = daemonHome(settings.home, sources.home.kind !== 'default', 'consumer')
  let consumer: Consumer | undefined
  let offers: KnownOffers | undefined
  let fast: FastPath | undefined
  let discovery: Sources | undefined
  const node: Node = await openNode({
    role: 'consumer',
    paths,
    settings,
    env,
    gauges: {
      carrying_thread_delay_p99_seconds: () => carryingDelay(fast),
      ...networkGauges(() => discovery),
      sessions_open: () => consumer?.sessions().length,
      providers_known: () => offers?.directory.size,
      deposit_left_dollars: () => Number(depositLeft(node)) / Number(UNITS_PER_DOLLAR),
      flows_open: () => consumer?.sessions().reduce((sum, session) => sum + session.flows, 0),
    },
    hops: () => hopReadings(consumer?.sessions() ?? []),
  })
  const dialer: Dialer = {
    dial(request, signal) {
      const { country } = request.parameters
      if (country !== undefined) discovery?.seek(country)
      return consumer!.dial(request, signal)
    },
    carry: async (...flow) => consumer!.carry?.(...flow),
    entrance: () => consumer?.entrance?.(),
  }
  const proxy = createProxy({ dialer }, { observer: node.observer })
  try {
    const sources = await openSources(node, settings)
    discovery = sources
    offers = openDirectory(node, sources, settings)
    fast = await startFastPath(settings.path === 'fast', node.observer, ENTRANCE_WORKER)
    consumer = await startConsumer(node, settings, offers, fast)
    const address = await proxy.listen(settings.proxyHost, settings.proxyPort)
    await node.serve(routesOf(node, consumer, { proxy: address, sources, offers, maxPrice: settings.maxPrice }))
    const refunding = setInterval(() => void refund(node), REFUND_EVERY_MS)
    void refund(node)
    output.event('ready', { role: 'consumer', home: paths.home, wallet: node.wallet.address, proxy: address, whoami: WHOAMI_URL })
    output.line(`proxy on ${address.host} port ${address.port} (SOCKS5 and HTTP); wallet ${node.wallet.address}`)
    output.line(`try: curl -x http://any@${address.host}:${address.port} ${WHOAMI_URL}`)
    const why = await untilAskedOrFailed(stopped, node.vault)
    output.note(`stopping (${why})`)
    clearInterval(refunding)
  } finally {
    await proxy.close()
    await consumer?.close()
    await offers?.close()
    await discovery?.close()
    await fast?.close()
    await node.close()
  }
}

function hopReadings(sessions: readonly SessionView[]): ReadonlyMap<string, HopReading> {
  const readings = new Map<string, HopReading>()
  for (const { hop, hops, away, roundTripMs = 0 } of sessions) {
    const before = readings.get(`${hop}/${hops}`)
    readings.set(`${hop}/${hops}`, {
      hop_sessions: (before?.hop_sessions ?? 0) + 1,
      hop_away: (before?.hop_away ?? 0) + Number(away),
      hop_round_trip_seconds: Math.max(before?.hop_round_trip_seconds ?? 0, roundTripMs / 1_000),
    })
  }
  return readings
}

/** Deposits come back within the hour of being free. */
const REFUND_EVERY_MS = 3_600_000

async function refund({ vault, client, wallet, observer }: Node): Promise<void> {
  const chain = {
    graceS: () => client.graceS(),
    blockTime: () => client.blockTime(),
    channelsPaid: client.channelsPaid,
    close: (descriptor: Descriptor, channels: readonly { index: number; payee: Hex }[]) => client.close(descriptor, channels, wallet),
  }
  try {
    await refundExpired({ vault, chain, clock: systemClock, observer })
  } catch (thrown) {
    observer.log('refund postponed', { why: asBywayError(thrown).message })
  }
}

async function startConsumer(node: Node, settings: ConnectSettings, offers: KnownOffers, fast: FastPath): Promise<Consumer> {
  const { vault, client, keys, observer, network } = node
  const perPlace = new Map<number, Promise<Deposits>>()
  /** Made when a route first needs them; a failure is not remembered. */
  const deposits = ({ index }: Place): Promise<Deposits> => {
    const known = perPlace.get(index) ?? startDeposits(node, settings, offers, index)
    perPlace.set(index, known)
    known.catch(() => perPlace.delete(index))
    return known
  }
  try {
    await client.check()
  } catch (thrown) {
    const error = asBywayError(thrown)
    if (error.code !== 'RPC_UNREACHABLE') throw error
    observer.warn('CHAIN_UNREACHABLE', {})
  }
  await deposits(exitPlace(1))
  return createConsumer({
    plane: fast.plane,
    vault,
    deposits,
    domain: { chainId: network.chainId, channels: network.channels },
    clock: systemClock,
    observer,
    directory: () => offers.fresh(),
    seen: offers.seen,
    hops: settings.hops,
    spare: settings.spare,
    maxPricePerGib: settings.maxPrice,
    random: Math.random,
    turnOf: (nodeKey) => keys.turnOf(nodeKey),
  })
}

/** Of the best offers; a tree has at most as many leaves. */
const MAX_PAYEES = 1_024

/** Opening a root takes about a hundred thousand gas: enough for one at ten gwei. Below it the owner's wallet pays. */
const OWN_GAS_WEI = ETHER / 1_000n

/**
 * What pays at one place of a route. A payer that has ether pays its own gas, and dollars of its own are used first: an owner who funds payers
 * himself leaves no trace on the chain from one to the other. What is lacking comes from the owner's wallet, in the sight of everybody.
 */
async function startDeposits(node: Node, settings: ConnectSettings, offers: KnownOffers, place: number): Promise<Deposits> {
  const { vault, client, wallet, keys, observer } = node
  const payer = place === 0 ? wallet : walletFromKey(keys.payer(place).secret())
  const own = async () => (await client.balances(payer.address)).dollars
  /** Whose transaction opens the root: everybody sees who sent it. */
  const sender = async () => (place !== 0 && (await client.balances(payer.address)).etherWei >= OWN_GAS_WEI ? payer : wallet)
  const deposits = createDeposits({
    vault,
    chain: {
      balance: async () => (place === 0 ? own() : (await own()) + (await client.balances(wallet.address)).dollars),
      async openRoot(descriptor) {
        const lacking = descriptor.sum - (await own())
        if (place !== 0 && lacking > 0n) await client.transfer(payer.address, lacking, wallet)
        return client.openRoot(descriptor, payer, { sender: await sender() })
      },
      rootState: async (rootId) => (await client.rootState(rootId)).state,
      rootsOf: () => client.rootsOf(payer.address),
      channelsPaid: (channels) => client.channelsPaid(channels),
    },
    payer: payer.address,
    sessionKey: (nonce) => keys.sessionKey(nonce, place).secret(),
    randomBytes,
    payees: async () => {
      const query = { maxPricePerGib: settings.maxPrice }
      return (await offers.fresh()).find(query, MAX_PAYEES).map(({ offer }) => offer.body.payee)
    },
    clock: systemClock,
    observer,
    settings: place === 0 ? settings : { ...settings, vary: Math.random },
  })
  try {
    await deposits.recover()
  } catch (thrown) {
    const error = asBywayError(thrown)
    if (error.code !== 'RPC_UNREACHABLE') throw error
    observer.warn('CHAIN_UNREACHABLE', {})
  }
  return deposits
}

/** Units of open roots that no voucher has promised. */
function depositLeft({ vault }: Node): bigint {
  const open = [...vault.book.roots.values()].filter((root) => root.state === 'open')
  return open.reduce((sum, root) => sum + root.descriptor.sum - root.spent, 0n)
}

const depositRequest = z.strictObject({
  units: z
    .string()
    .regex(/^[1-9]\d{0,27}$/)
    .transform(BigInt),
})

/** Countries with an offer, whatever its price. */
async function countriesOf(sources: Sources): Promise<string[]> {
  const countries = new Set((await sources.offers()).map(({ body }) => body.country))
  return [...countries].sort((a, b) => a.localeCompare(b))
}

function routesOf(
  node: Node,
  consumer: Consumer,
  { proxy, sources, offers, maxPrice }: { proxy: { host: string; port: number }; sources: Sources; offers: KnownOffers; maxPrice: bigint },
) {
  return {
    'GET /v1/status': async () => ({
      role: 'consumer',
      wallet: node.wallet.address,
      proxy,
      discovery: sources.view(),
      countries: await countriesOf(sources),
      sessions: consumer.sessions(),
      warnings: node.warnings.list(),
    }),
    'GET /v1/offers': offersRoute(() => offers.fresh(), maxPrice),
    'POST /v1/deposit': async ({ body }: { body: unknown }) => {
      const parsed = depositRequest.safeParse(body)
      if (!parsed.success) throw new BywayError('ARGUMENT_INVALID', 'a deposit is asked for as {"units": "20000000"}')
      return consumer.deposit(parsed.data.units)
    },
  } as const
}
