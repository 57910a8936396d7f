/** Offers kept in this process. */
import type { Clock } from '../protocol/clock.ts'
import { BywayError } from '../protocol/errors.ts'
import { encodeOffer, readOffer, type SignedOffer } from '../protocol/offer.ts'
import type { Discovery } from './index.ts'

/** `most`: how many are kept; those that were announced longest ago give way. */
export function memoryDiscovery(clock: Clock, most = Number.POSITIVE_INFINITY): Discovery {
  const known = new Map<string, SignedOffer>()
  const nowS = () => Math.floor(clock.nowMs() / 1000)
  return {
    async announce(offer) {
      const read = readOffer(encodeOffer(offer), nowS())
      refuseStale(known.get(read.body.nodeKey), read)
      known.delete(read.body.nodeKey)
      known.set(read.body.nodeKey, read)
      if (known.size > most) known.delete(known.keys().next().value!)
    },
    async withdraw(nodeKey) {
      known.delete(nodeKey)
    },
    async offers() {
      return [...known.values()].filter((offer) => offer.body.expiresAt > BigInt(nowS()))
    },
  }
}

/** An older offer must not replace a newer one, whoever brings it. */
export function refuseStale(known: SignedOffer | undefined, offer: SignedOffer): void {
  if (known !== undefined && known.body.sequence > offer.body.sequence) {
    throw new BywayError('OFFER_STALE', 'a newer offer of this node is known', {
      facts: { known: known.body.sequence, offered: offer.body.sequence },
    })
  }
}
