/** Wires a provider's reach: which relays it knows, how it takes reservations there, and the router it may ask for a port. */
import { readFile } from 'node:fs/promises'
import { isRelay, type SignedOffer, type Transport } from '../protocol/offer.ts'
import { RESERVE_LABEL, signReservation } from '../protocol/reserve.ts'
import { createReach, type Provider, type Reach, takeReservation } from '../provider/index.ts'
import { blockedReason, parseCidr } from '../tunnel/egress/address.ts'
import { connectLink, type Link } from '../tunnel/index.ts'
import { defaultGateway, keepMapped } from '../tunnel/portmap/index.ts'
import type { Node } from './node.ts'
import type { Settings } from './resolve.ts'
import type { KeysOf } from './settings.ts'

/** Linux only: elsewhere no router is asked, and relays serve. */
const ROUTES_FILE = '/proc/net/route'

export interface ReachWiring {
  node: Node
  settings: Settings<KeysOf<'share'>>['values']
  provider: Provider
  relays(): Promise<SignedOffer[]>
  onWays(ways: Transport[]): void
}

export function startReach({ node, settings, provider, relays, onWays }: ReachWiring): Reach {
  const { keys, observer } = node
  const { listener, pin } = provider
  const connect = (relay: SignedOffer, signal: AbortSignal): Promise<Link> =>
    connectLink(relay.body.transports.find(({ kind }) => kind === 'tls')!, relay.body.nodeKey, { signal })
  const allowPrivate = settings.allowPrivateNodes.map(parseCidr)
  return createReach({
    mode: settings.reach,
    publicHost: settings.publicHost,
    listen: { host: listener.host, port: listener.port },
    nodeKey: keys.nodeId,
    pin,
    relays,
    connect,
    takeReservation: (relay, signal) => {
      const reservation = {
        nodeKey: keys.nodeId,
        sign: (link: Link) => signReservation(link.wire.exportKeyingMaterial(32, RESERVE_LABEL, Buffer.alloc(0)), keys.nodeKey),
        connect: (limit: AbortSignal) => connect(relay, limit),
        onCall: (carrier: Parameters<typeof listener.accept>[0]) => listener.accept(carrier, `relay ${relay.body.nodeKey}`),
      }
      return takeReservation(reservation, signal)
    },
    mapPort: (onChange) =>
      keepMapped({
        port: listener.port,
        gateway: async () => defaultGateway(await readFile(ROUTES_FILE, 'utf8').catch(() => '')),
        isPublic: (address) => blockedReason(address, { own: [], allowPrivate }) === undefined,
        onChange,
        observer,
      }),
    onWays,
    observer,
    random: Math.random,
  })
}

/** Relays among the known offers of our chain and contract, our own left out. */
export async function knownRelays(discovery: { offers(): Promise<SignedOffer[]> }, { keys, network }: Node): Promise<SignedOffer[]> {
  const offers = await discovery.offers()
  return offers.filter((offer) => {
    const { nodeKey, chainId, channels } = offer.body
    return isRelay(offer) && nodeKey !== keys.nodeId && chainId === BigInt(network.chainId) && channels === network.channels
  })
}
