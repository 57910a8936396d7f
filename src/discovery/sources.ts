/** Several sources of offers as one: announced at all of them, found at any. */
import type { Hex } from '../protocol/bytes.ts'
import type { Clock } from '../protocol/clock.ts'
import { asBywayError, BywayError } from '../protocol/errors.ts'
import type { Observer } from '../protocol/observe.ts'
import { encodeOffer, readOffer, type SignedOffer } from '../protocol/offer.ts'
import type { Discovery } from './index.ts'

export interface Source {
  readonly name: string
  readonly discovery: Discovery
}

/** A source that fails takes nothing from the others: it is logged and tried again with the next call. */
export function combinedDiscovery(sources: readonly Source[], { clock, observer }: { clock: Clock; observer: Observer }): Discovery {
  /** What each source does; throws only when all of them failed. */
  async function all<T>(what: string, act: (discovery: Discovery) => Promise<T>): Promise<T[]> {
    const results = await Promise.allSettled(sources.map(({ discovery }) => act(discovery)))
    const done = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
    for (const [i, result] of results.entries()) {
      if (result.status === 'fulfilled') continue
      const error = asBywayError(result.reason)
      // The offer itself is at fault, wherever it is taken.
      if (error.code === 'OFFER_STALE' || done.length === 0) throw error
      observer.log(`${what} failed at a source`, { source: sources[i]!.name, why: error.message })
    }
    return done
  }

  return {
    async announce(offer) {
      const checked = readOffer(encodeOffer(offer), Math.floor(clock.nowMs() / 1000))
      await all('announcing', (discovery) => discovery.announce(checked))
    },
    async withdraw(nodeKey: Hex) {
      await all('withdrawing', (discovery) => discovery.withdraw(nodeKey))
    },
    async offers() {
      const found = await all('looking', (discovery) => discovery.offers())
      const newest = new Map<Hex, SignedOffer>()
      for (const offer of found.flat()) {
        const before = newest.get(offer.body.nodeKey)
        if (before === undefined || before.body.sequence < offer.body.sequence) newest.set(offer.body.nodeKey, offer)
      }
      return [...newest.values()]
    },
  }
}

/** `--discovery` without a source finds nothing and nobody. */
export function requireSources(names: readonly string[]): void {
  if (names.length === 0) {
    throw new BywayError('SETTING_INVALID', 'no source of offers is named', {
      hint: 'Set --discovery to one or more of folder, registry, libp2p.',
    })
  }
}
