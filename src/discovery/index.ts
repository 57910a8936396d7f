/**
 * Discovery: offers announced and found.
 *
 * The rule it keeps: an offer is verified before it is stored or shown, only the newest of a node counts, and a bad one harms no other.
 * Every implementation passes the same suite (compliance.ts).
 *
 * Start reading here. `memory` serves tests and offers given by hand, `folder` the local exchange and anything that can share files, `registry` is the chain
 * (registry.ts), `libp2p` the network of nodes itself (libp2p/index.ts). A node may use several at once (sources.ts). Nothing of libp2p is loaded before its thread starts.
 */
import type { Hex } from '../protocol/bytes.ts'
import type { SignedOffer } from '../protocol/offer.ts'

export interface Discovery {
  /** Makes an offer known; OFFER_* when it is not valid, OFFER_STALE when a newer one of the same node is known. */
  announce(offer: SignedOffer): Promise<void>
  /** Takes a node's offer back. */
  withdraw(nodeKey: Hex): Promise<void>
  /** Offers that are valid now, one a node. */
  offers(): Promise<SignedOffer[]>
}

export { fetchDocument } from './fetch-document.ts'
export { folderDiscovery } from './folder.ts'
export { reachableBy } from './libp2p/addresses.ts'
export {
  type Contact,
  contactsOf,
  type Endpoint,
  type Libp2pDiscovery,
  libp2pDiscovery,
  type NetState,
  P2P_KIND,
} from './libp2p/index.ts'
export { memoryDiscovery } from './memory.ts'
export { type RegistryDiscovery, registryDiscovery } from './registry.ts'
export { combinedDiscovery, requireSources, type Source } from './sources.ts'
