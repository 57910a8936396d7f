/** `byway share`: sells this line. */
import type { KeyObject } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { createEconomy, createRpc, type Economy } from '../chain/index.ts'
import { totalOf } from '../economy/quote.ts'
import { systemClock } from '../protocol/clock.ts'
import { parseDestination } from '../protocol/destination.ts'
import { UNITS_PER_DOLLAR } from '../protocol/dollars.ts'
import { asBywayError, BywayError } from '../protocol/errors.ts'
import { offerText, shortKey } from '../protocol/offer.ts'
import { domainSeparator } from '../protocol/voucher.ts'
import { type Claims, createClaims, createProvider, createRelay, type Provider, type Reach } from '../provider/index.ts'
import { parseCidr } from '../tunnel/egress/address.ts'
import { createEgress } from '../tunnel/egress/dial.ts'
import { ownNetworks } from '../tunnel/egress/own.ts'
import { createUdpEgress } from '../tunnel/egress/udp.ts'
import { type Certificate, connectLink, createCertificate, ownCertificate } from '../tunnel/index.ts'
import { walletTurn } from '../wallet/turn.ts'
import { type Announcer, announceAs, OFFER_LIFE_S } from './announce.ts'
import { untilAsked, untilAskedOrFailed } from './daemon.ts'
import { claimsDue, economyContracts } from './earnings.ts'
import { carryingDelay, type FastPath, startFastPath } from './fast.ts'
import { formatUsd } from './format.ts'
import { daemonHome } from './homes.ts'
import { leavesIn } from './leaves.ts'
import { type Node, openNode } from './node.ts'
import type { Output } from './output.ts'
import { fixedPrice, followUse, type Pricing, useReader } from './pricing.ts'
import { knownRelays, startReach } from './reach.ts'
import { writeRegistry } from './registry-source.ts'
import { latencyIn } from './reports.ts'
import { type Env, loadSettings, type Settings } from './resolve.ts'
import { type KeysOf, keysOf } from './settings.ts'
import { networkGauges, openSources, type Sources } from './sources.ts'

/** How often what can be claimed is compared with --claim-at. */
const CLAIM_CHECK_MS = 30_000

/** Unclaimed money is claimed this long before its root expires, whatever --claim-at says: two days of a chain that is down are survived. */
const CLAIM_BEFORE_EXPIRY_S = 2 * 86_400

type ShareSettings = Settings<KeysOf<'share'>>['values']

export async function share(command: Command, env: Env, output: Output): Promise<void> {
  const { values: settings, sources } = await loadSettings(command, keysOf('share'), env)
  const stopped = untilAsked()
  const paths = daemonHome(settings.home, sources.home.kind !== 'default', 'provider')
  let provider: Provider | undefined
  let claims: Claims | undefined
  let reach: Reach | undefined
  let fast: FastPath | undefined
  let discovery: Sources | undefined
  let pricing: Pricing | undefined
  let announcer: Announcer | undefined
  const node = await openNode({
    role: 'provider',
    paths,
    settings,
    env,
    gauges: {
      carrying_thread_delay_p99_seconds: () => carryingDelay(fast),
      ...networkGauges(() => discovery),
      sessions_open: () => provider?.sessions().length,
      flows_open: () => provider?.sessions().reduce((sum, session) => sum + session.links, 0),
      claimable_dollars: () => (claims === undefined ? undefined : Number(claims.claimable()) / Number(UNITS_PER_DOLLAR)),
      unpaid_bytes: () => Number(provider?.sessions().reduce((sum, session) => sum + session.unpaidBytes, 0n) ?? 0n),
    },
  })
  try {
    const offers = await openSources(node, settings, placeInNetwork(node, settings), () => writeRegistry(node, settings))
    discovery = offers
    await node.client.check().catch((thrown) => {
      // A chain that is down must not keep a node down: what it served before it serves again.
      const error = asBywayError(thrown)
      if (error.code !== 'RPC_UNREACHABLE') throw error
      node.observer.warn('CHAIN_UNREACHABLE', {})
    })
    fast = await startFastPath(settings.path === 'fast', node.observer)
    const following = {
      tier: settings.policy,
      clock: systemClock,
      observer: node.observer,
      latency: () => latencyIn(settings.reports, node.wallet.address),
      offers: offers.offers,
      holdsForS: OFFER_LIFE_S,
    }
    const prices =
      settings.price === 'auto'
        ? followUse({ ...following, read: useReader(settings, node.network, node.wallet.address), onChanged: () => announcer?.renew() })
        : fixedPrice(settings.price)
    pricing = prices
    provider = await startProvider(node, settings, fast, {
      seenAs: () => reach?.seenAs() ?? [],
      document: () => announcer?.newest(),
      pricing: prices,
    })
    announcer = announceAs(node, settings, provider.pin, offers, offers.ownTransport, prices.asked)
    reach = startReach({ node, settings, provider, relays: () => knownRelays(offers, node), onWays: announcer.ways })
    const offer = await announcer.first
    claims = claimsOf(node)
    await node.serve(routesOf(node, provider, claims, reach, offers, settings, prices))
    const renewing = setInterval(announcer.renew, OFFER_LIFE_S * 500)
    const economy = rewardsOf(node, settings)
    const claiming = setInterval(() => void claimWhenWorth(node, claims!, economy, settings), CLAIM_CHECK_MS)
    const { host, port } = provider.listener
    const facts = {
      role: 'provider',
      home: paths.home,
      nodeKey: node.keys.nodeId,
      wallet: node.wallet.address,
      country: settings.country,
      host,
      port,
    }
    const text = offer === undefined ? undefined : offerText(offer)
    output.event('ready', { ...facts, pricePerGib: totalOf(prices.asked()), offer: text, reach: reach.view().kind })
    output.note(
      `selling as ${shortKey(node.keys.nodeId)} (${settings.country}) on ${host} port ${port}, ${formatUsd(totalOf(prices.asked()))} per GiB`,
    )
    if (text === undefined) output.note('nobody can reach this node yet; it is announced once somebody can (see `byway status`)')
    else output.line(text)
    const why = await untilAskedOrFailed(stopped, node.vault)
    output.note(`stopping (${why})`)
    clearInterval(renewing)
    announcer.stop()
    clearInterval(claiming)
  } finally {
    // First, or a change at the last moment would announce the offer again.
    pricing?.stop()
    await reach?.close()
    await discovery?.withdraw(node.keys.nodeId).catch(logged(node, 'offer not withdrawn'))
    await discovery?.close()
    await provider?.close()
    await fast?.close()
    await node.close()
  }
}

const logged = (node: Node, event: string) => (thrown: unknown) => node.observer.log(event, { why: asBywayError(thrown).message })

interface Besides {
  /** Addresses of this node that no interface shows. Behind a home's router they lead to the router. */
  seenAs: () => readonly string[]
  /** What is served to whoever asks for this node's offer document. */
  document: () => Uint8Array | undefined
  pricing: Pricing
}

async function startProvider(
  node: Node,
  settings: ShareSettings,
  fast: FastPath,
  { seenAs, document, pricing }: Besides,
): Promise<Provider> {
  const { network, keys, vault, observer, wallet, client } = node
  const ownPorts: number[] = []
  const rules = {
    ownAddresses: ownNetworks(
      () => [...(settings.publicHost === undefined ? [] : literalAddress(settings.publicHost)), ...seenAs()],
      () => performance.now(),
    ),
    tier: settings.policy,
  }
  const exceptions = { allowPrivate: settings.allowPrivate.map(parseCidr), ownPorts: () => ownPorts, observer }
  const egress = createEgress(rules, { ...exceptions, allowPrivateNodes: settings.allowPrivateNodes.map(parseCidr) })
  const datagrams = createUdpEgress(rules, exceptions)
  const provider = await createProvider({
    plane: fast.plane,
    vault,
    guard: {
      async inspect({ rootId, descriptor, proof }, payee) {
        const id = { rootId, index: proof.index, payee, signer: descriptor.signer }
        const [root, [channel]] = await Promise.all([client.rootState(rootId), client.channelsPaid([id])])
        return { open: root.state === 'open', paid: channel!.paid }
      },
    },
    separator: domainSeparator(network),
    payee: wallet.address,
    country: settings.country,
    clock: systemClock,
    observer,
    nodeKey: keys.nodeId,
    certificate: await certificateOf(settings, keys.tlsKey),
    terms: { chainId: network.chainId, channels: network.channels, payee: wallet.address, leastPerGib: pricing.least },
    listen: { host: settings.host, port: settings.port, cover: settings.cover, document },
    dialler: {
      dial: (host, port, signal) => egress.dial(parseDestination(host, port), signal),
      addresses: (host, port, signal) => egress.addresses(parseDestination(host, port), signal),
      associate: (guest) => datagrams.associate(guest),
    },
    relay: createRelay({
      reservations: settings.relay,
      dialNode: egress.dialNode,
      connect: connectLink,
      mayDial: egress.mayReachNode,
      clock: systemClock,
      observer,
    }),
  })
  ownPorts.push(provider.listener.port)
  return provider
}

/** The owner's own, or a self-signed one in the name that consumers dial. */
async function certificateOf({ tlsCert, tlsKey, publicHost }: ShareSettings, key: KeyObject): Promise<Certificate> {
  if (tlsCert === undefined && tlsKey === undefined) return createCertificate(key, new Date(systemClock.nowMs()), publicHost)
  if (tlsCert === undefined || tlsKey === undefined) {
    throw new BywayError('SETTING_INVALID', '--tls-cert and --tls-key go together', { hint: 'Give both files, or neither.' })
  }
  const read = (path: string) =>
    readFile(path, 'utf8').catch((cause: Error) => {
      throw new BywayError('SETTING_INVALID', `cannot read a TLS file: ${cause.message}`, { cause, facts: { path } })
    })
  return ownCertificate(await read(tlsCert), await read(tlsKey))
}

/** How this node takes part in the network of offers. Others dial the address the owner names, or the one it listens on. */
function placeInNetwork({ keys }: Node, { host, publicHost, p2pPort, p2pUpnp }: ShareSettings) {
  const [announce] = [...(publicHost === undefined ? [] : literalAddress(publicHost)), ...(isUnspecified(host) ? [] : literalAddress(host))]
  return { listen: { host, port: p2pPort }, announce, upnp: p2pUpnp, seed: keys.networkSeed() }
}

const isUnspecified = (host: string) => host === '0.0.0.0' || host === '::'

/** An exit behind a public address must not be asked to connect to itself from outside. A name is looked up by nobody here. */
const literalAddress = (host: string) => (/^[\d.]+$|:/.test(host) ? [host] : [])

export function claimsOf(node: Node): Claims {
  const { vault, client, wallet, observer } = node
  return createClaims({
    vault,
    payee: wallet.address,
    clock: systemClock,
    observer,
    chain: {
      channelsPaid: (channels) => client.channelsPaid(channels),
      burnt: () => client.burntOf(wallet.address),
      planClaims: (holdings) => client.planClaims(holdings),
      claim: (batch, sent) => client.claim(wallet.address, batch, wallet, { beforeSend: sent }),
      claimedBy: (tx) => client.claimedBy(tx),
    },
  })
}

/** The economy to claim rewards from; undefined where nobody publishes leaves. */
function rewardsOf({ network, paths }: Node, settings: ShareSettings): Economy | undefined {
  const contracts = settings.leaves === undefined ? undefined : economyContracts(settings, network)
  if (contracts === undefined) return undefined
  const rpc = createRpc({ urls: settings.rpc, chainId: network.chainId })
  return createEconomy({ rpc, network, contracts, turn: walletTurn(paths) })
}

/** Vouchers first, then what roots awarded: one after the other, because both send from one wallet. */
async function claimWhenWorth(node: Node, claims: Claims, economy: Economy | undefined, settings: ShareSettings): Promise<void> {
  await claimVouchers(node, claims, settings)
  if (economy !== undefined) await claimRewards(node, economy, settings).catch(logged(node, 'rewards not claimed'))
}

async function claimRewards({ wallet, observer }: Node, economy: Economy, settings: ShareSettings): Promise<void> {
  const actions = await claimsDue(economy, await leavesIn(settings.leaves), wallet.address)
  if (actions.length === 0) return
  await economy.actions.perform(wallet, await economy.actions.prepare(wallet.address, actions))
  observer.log('rewards claimed', { steps: actions.length })
}

async function claimVouchers(node: Node, claims: Claims, settings: ShareSettings): Promise<void> {
  const soon = claims.expiringBefore(Math.floor(systemClock.nowMs() / 1000) + CLAIM_BEFORE_EXPIRY_S)
  node.observer.warn('CHANNEL_EXPIRES_SOON', soon > 0n ? { units: soon.toString() } : undefined)
  const worth = settings.claimAt > 0n && claims.claimable() >= settings.claimAt
  if (worth || soon > 0n) await claims.claim().catch(logged(node, 'not claimed'))
}

function routesOf(
  node: Node,
  provider: Provider,
  claims: Claims,
  reach: Reach,
  sources: Sources,
  settings: ShareSettings,
  pricing: Pricing,
) {
  return {
    'GET /v1/status': () => ({
      role: 'provider',
      nodeKey: node.keys.nodeId,
      wallet: node.wallet.address,
      country: settings.country,
      listen: { host: provider.listener.host, port: provider.listener.port },
      reach: reach.view(),
      discovery: sources.view(),
      pricePerGib: totalOf(pricing.asked()),
      price: pricing.asked(),
      claimable: claims.claimable(),
      sessions: provider.sessions(),
      warnings: node.warnings.list(),
    }),
    'POST /v1/claim': async () => ({ claims: await claims.claim() }),
  } as const
}
