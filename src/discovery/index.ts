/**
 * Discovery: offers announced and found.
 *
 * The rule it keeps: an offer is verified before it is stored or shown, only the newest of a node counts, and a bad one harms no other.
 * Every implementation passes the same suite (compliance.ts).
 *
 * Start reading here. `memory` serves tests and offers given by hand, `folder` the local exchange and anything that can share files.
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

export { folderDiscovery } from './folder.ts'
export { memoryDiscovery } from './memory.ts'
