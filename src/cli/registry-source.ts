/** The registry as a source of offers: what a daemon reads from the chain, and what a provider that is registered there says on it. */
import { type Action, createEconomy, createRpc, followRegistry, type Profile } from '../chain/index.ts'
import type { Hex } from '../protocol/bytes.ts'
import type { SignedOffer } from '../protocol/offer.ts'
import { walletTurn } from '../wallet/turn.ts'
import { contractsFor, type NetworkSettings, networkFor } from './network.ts'
import type { Node } from './node.ts'

export interface RegistrySource {
  providers: () => Promise<readonly { nodeKey: Hex; offerHash: Hex; endpoint: string | undefined }[]>
  publish?: (offer: SignedOffer, hash: Hex) => Promise<void>
}

export function readRegistry(settings: NetworkSettings): RegistrySource {
  const network = networkFor(settings)
  const rpc = createRpc({ urls: settings.rpc, chainId: network.chainId })
  return followRegistry(rpc, contractsFor(settings, network).registry)
}

/** Keeps the hash of our offer, and where it is served, on the chain, if this wallet is an operator there: registering is `byway stake`'s business. */
export function writeRegistry({ wallet, paths, network, observer }: Node, settings: NetworkSettings): RegistrySource {
  const rpc = createRpc({ urls: settings.rpc, chainId: network.chainId })
  const contracts = contractsFor(settings, network)
  const { registry, actions } = createEconomy({ rpc, network, contracts, turn: walletTurn(paths) })
  const feed = followRegistry(rpc, contracts.registry)
  const send = async (action: Action) => actions.perform(wallet, await actions.prepare(wallet.address, [action]))
  return {
    ...feed,
    async publish(offer, offerHash) {
      const { profile, struckOff } = await registry.operator(wallet.address)
      if (profile === undefined || struckOff) {
        observer.log('offer not named on the chain', { why: 'this wallet is no operator there; `byway stake` makes it one' })
        return
      }
      const nodeKey = offer.body.nodeKey
      const next: Profile = { ...profile, nodeKey, offerHash }
      if (profile.offerHash !== offerHash || profile.nodeKey !== nodeKey) await send(registry.setProfile(next))
      const endpoint = endpointOf(offer)
      const said = (await feed.providers()).find(({ operator }) => operator === wallet.address)?.endpoint ?? ''
      if (endpoint !== said) await send(registry.setEndpoint(endpoint))
    },
  }
}

/** Where others dial us and find the document; empty for a node that nobody can dial. */
function endpointOf({ body }: SignedOffer): string {
  const direct = body.transports.find(({ kind }) => kind === 'tls')
  if (direct === undefined) return ''
  return direct.host.includes(':') ? `[${direct.host}]:${direct.port}` : `${direct.host}:${direct.port}`
}
