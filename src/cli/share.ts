/** `byway share`: sells this line. */
import type { Command } from 'commander'
import { folderDiscovery } from '../discovery/index.ts'
import { systemClock } from '../protocol/clock.ts'
import { parseDestination } from '../protocol/destination.ts'
import { UNITS_PER_DOLLAR } from '../protocol/dollars.ts'
import { asBywayError } from '../protocol/errors.ts'
import { type Offer, offerText, shortKey, signOffer, TIERS } from '../protocol/offer.ts'
import { domainSeparator } from '../protocol/voucher.ts'
import { type Claims, createClaims, createProvider, type Provider } from '../provider/index.ts'
import { parseCidr } from '../tunnel/egress/address.ts'
import { createEgress } from '../tunnel/egress/dial.ts'
import { ownNetworks } from '../tunnel/egress/own.ts'
import { policyHash } from '../tunnel/egress/policy.ts'
import { createCertificate } from '../tunnel/index.ts'
import { untilAsked, untilAskedOrFailed } from './daemon.ts'
import { formatUsd } from './format.ts'
import { daemonHome } from './homes.ts'
import { type Node, openNode } from './node.ts'
import type { Output } from './output.ts'
import { type Env, loadSettings, type Settings } from './resolve.ts'
import { type KeysOf, keysOf } from './settings.ts'

/** An offer lives this long and is renewed at half of it, so that a node that vanished is forgotten within a day. */
const OFFER_LIFE_S = 86_400
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
  const node = await openNode({
    role: 'provider',
    paths,
    settings,
    env,
    gauges: {
      sessions_open: () => provider?.sessions().length,
      flows_open: () => provider?.sessions().reduce((sum, session) => sum + session.links, 0),
      claimable_dollars: () => (claims === undefined ? undefined : Number(claims.claimable()) / Number(UNITS_PER_DOLLAR)),
      unpaid_bytes: () => Number(provider?.sessions().reduce((sum, session) => sum + session.unpaidBytes, 0n) ?? 0n),
    },
  })
  const discovery = folderDiscovery(settings.offers, { clock: systemClock, observer: node.observer })
  try {
    await node.client.check().catch((thrown) => {
      // A chain that is down must not keep a node down: what it served before it serves again.
      const error = asBywayError(thrown)
      if (error.code !== 'RPC_UNREACHABLE') throw error
      node.observer.warn('CHAIN_UNREACHABLE', {})
    })
    provider = await startProvider(node, settings)
    const offer = await announce(node, settings, provider, discovery)
    claims = claimsOf(node)
    await node.serve(routesOf(node, provider, claims, settings))
    const renewing = setInterval(
      () => void announce(node, settings, provider!, discovery).catch(logged(node, 'offer not renewed')),
      OFFER_LIFE_S * 500,
    )
    const claiming = setInterval(() => void claimWhenWorth(node, claims!, settings), CLAIM_CHECK_MS)
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
    output.event('ready', { ...facts, pricePerGib: settings.price, offer: offerText(offer) })
    output.note(
      `selling as ${shortKey(node.keys.nodeId)} (${settings.country}) on ${host} port ${port}, ${formatUsd(settings.price)} per GiB`,
    )
    output.line(offerText(offer))
    const why = await untilAskedOrFailed(stopped, node.vault)
    output.note(`stopping (${why})`)
    clearInterval(renewing)
    clearInterval(claiming)
  } finally {
    await discovery.withdraw(node.keys.nodeId).catch(logged(node, 'offer not withdrawn'))
    await provider?.close()
    await node.close()
  }
}

const logged = (node: Node, event: string) => (thrown: unknown) => node.observer.log(event, { why: asBywayError(thrown).message })

async function startProvider(node: Node, settings: ShareSettings): Promise<Provider> {
  const { network, keys, vault, observer, wallet, client } = node
  const ownPorts: number[] = []
  const egress = createEgress(
    {
      ownAddresses: ownNetworks(
        () => (settings.publicHost === undefined ? [] : literalAddress(settings.publicHost)),
        () => performance.now(),
      ),
      tier: settings.policy,
    },
    { allowPrivate: settings.allowPrivate.map(parseCidr), ownPorts: () => ownPorts, observer },
  )
  const provider = await createProvider({
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
    certificate: await createCertificate(keys.tlsKey, new Date()),
    terms: { chainId: network.chainId, channels: network.channels, payee: wallet.address, pricePerGib: settings.price },
    listen: { host: settings.host, port: settings.port },
    dial: (host, port, signal) => egress.dial(parseDestination(host, port), signal),
  })
  ownPorts.push(provider.listener.port)
  return provider
}

/** An exit behind a public address must not be asked to connect to itself from outside. A name is looked up by nobody here. */
const literalAddress = (host: string) => (/^[\d.]+$|:/.test(host) ? [host] : [])

async function announce(node: Node, settings: ShareSettings, provider: Provider, discovery: ReturnType<typeof folderDiscovery>) {
  const nowS = BigInt(Math.floor(systemClock.nowMs() / 1000))
  const { listener } = provider
  const terms: Offer = {
    version: 1,
    nodeKey: node.keys.nodeId,
    payee: node.wallet.address,
    chainId: BigInt(node.network.chainId),
    channels: node.network.channels,
    sequence: BigInt(systemClock.nowMs()),
    issuedAt: nowS,
    expiresAt: nowS + BigInt(OFFER_LIFE_S),
    country: settings.country,
    asn: 0,
    transports: [{ kind: 'tls', host: settings.publicHost ?? listener.host, port: listener.port, pin: provider.pin }],
    pricePerGib: settings.price,
    tier: TIERS.indexOf(settings.policy),
    policyHash: policyHash(settings.policy),
  }
  const offer = signOffer(terms, node.keys.nodeKey)
  await discovery.announce(offer)
  return offer
}

export function claimsOf(node: Node): Claims {
  const { vault, client, wallet, observer } = node
  return createClaims({
    vault,
    payee: wallet.address,
    clock: systemClock,
    observer,
    chain: {
      channelsPaid: (channels) => client.channelsPaid(channels),
      planClaims: (holdings) => client.planClaims(holdings),
      claim: (batch, sent) => client.claim(wallet.address, batch, wallet, { beforeSend: sent }),
      claimedBy: (tx) => client.claimedBy(tx),
    },
  })
}

async function claimWhenWorth(node: Node, claims: Claims, settings: ShareSettings): Promise<void> {
  const soon = claims.expiringBefore(Math.floor(systemClock.nowMs() / 1000) + CLAIM_BEFORE_EXPIRY_S)
  node.observer.warn('CHANNEL_EXPIRES_SOON', soon > 0n ? { units: soon.toString() } : undefined)
  const worth = settings.claimAt > 0n && claims.claimable() >= settings.claimAt
  if (worth || soon > 0n) await claims.claim().catch(logged(node, 'not claimed'))
}

function routesOf(node: Node, provider: Provider, claims: Claims, settings: ShareSettings) {
  return {
    'GET /v1/status': () => ({
      role: 'provider',
      nodeKey: node.keys.nodeId,
      wallet: node.wallet.address,
      country: settings.country,
      listen: { host: provider.listener.host, port: provider.listener.port },
      pricePerGib: settings.price,
      claimable: claims.claimable(),
      sessions: provider.sessions(),
      warnings: node.warnings.list(),
    }),
    'POST /v1/claim': async () => ({ claims: await claims.claim() }),
  } as const
}
