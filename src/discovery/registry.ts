/**
 * Offers by the registry on the chain: events say which nodes there are, the hash of each one's offer and where it serves it; the document itself comes
 * over HTTPS from the provider (protocol/document.ts), and counts if it is what the chain says.
 *
 * Incremental: blocks and documents are asked for once. A chain that does not answer, or a provider that does not, takes nothing of what is known.
 */
import { backoffMs } from '../protocol/backoff.ts'
import type { Hex } from '../protocol/bytes.ts'
import { keccak } from '../protocol/bytes.ts'
import type { Clock } from '../protocol/clock.ts'
import { asBywayError, BywayError } from '../protocol/errors.ts'
import type { Observer } from '../protocol/observe.ts'
import { encodeOffer, readOffer, type SignedOffer } from '../protocol/offer.ts'
import type { Discovery } from './index.ts'
import { memoryDiscovery } from './memory.ts'

// --- Our choices. Safe to change. ---
/** The chain is asked for news so often at most, and one that does not answer ever more rarely. */
const REFRESH_MS = 60_000
const UNANSWERED = { firstMs: REFRESH_MS, longestMs: 1_800_000 }
/** Documents fetched at a time, and in one round: a consumer's line and his address are his own business, so there is no hurry. */
const AT_ONCE = 8
const MAX_FETCHED = 256
/** A provider that did not answer is asked again after this, doubled each time. */
const FIRST_PAUSE_MS = 60_000
const LONGEST_PAUSE_MS = 3_600_000
/** Offers held: as many as the registry of a large exchange has. */
const MAX_FOUND = 50_000
const NO_HASH: Hex = `0x${'00'.repeat(32)}`

export interface RegistryEntry {
  nodeKey: Hex
  offerHash: Hex
  endpoint: string | undefined
}

export interface RegistryNeeds {
  clock: Clock
  observer: Observer
  /** Providers there are now; rejects when the chain does not answer. */
  providers: () => Promise<readonly RegistryEntry[]>
  /** The document of a node at an endpoint anybody may have written: at most 16 KiB, from a public address. */
  fetchDocument: (endpoint: string, nodeKey: Hex) => Promise<Uint8Array>
  /** A number in [0, 1): nodes that miss one chain do not come back to it together. */
  random?: () => number
  /** Told why the chain does not answer, and undefined when it does again. */
  onDown?: (why: string | undefined) => void
  /** Says on the chain that this is our offer; undefined for a node that only looks. Rejects when that cannot be. */
  publish?: ((offer: SignedOffer, hash: Hex) => Promise<void>) | undefined
}

export interface RegistryDiscovery extends Discovery {
  /** Asks chain and providers for what is new; resolves when that is done, whatever became of it. */
  look(): Promise<void>
  state(): { up: boolean; registered: number; why?: string }
}

export function registryDiscovery({
  clock,
  observer,
  providers,
  fetchDocument,
  publish,
  onDown = () => {},
  random = Math.random,
}: RegistryNeeds): RegistryDiscovery {
  const known = memoryDiscovery(clock, MAX_FOUND)
  const failed = new Map<Hex, { untilMs: number; pauseMs: number }>()
  let lookedAtMs = Number.NEGATIVE_INFINITY
  let looking: Promise<void> | undefined
  let registered = 0
  let why: string | undefined
  let unanswered = 0
  let pauseMs = REFRESH_MS

  async function fetchOne({ nodeKey, offerHash, endpoint }: RegistryEntry): Promise<void> {
    try {
      const bytes = await fetchDocument(endpoint!, nodeKey)
      const offer = readOffer(bytes, Math.floor(clock.nowMs() / 1000))
      if (offer.body.nodeKey !== nodeKey) throw new BywayError('OFFER_MALFORMED', 'the document is of another node')
      if (offerHash !== NO_HASH && keccak(bytes) !== offerHash) {
        throw new BywayError('OFFER_MALFORMED', 'the document is not the one the chain names', { facts: { nodeKey } })
      }
      await known.announce(offer)
      failed.delete(nodeKey)
    } catch (thrown) {
      const pauseMs = Math.min(2 * (failed.get(nodeKey)?.pauseMs ?? FIRST_PAUSE_MS / 2), LONGEST_PAUSE_MS)
      failed.set(nodeKey, { untilMs: clock.nowMs() + pauseMs, pauseMs })
      if (asBywayError(thrown).code === 'OFFER_MALFORMED') observer.count('malformed', 1, { where: 'offer' })
    }
  }

  async function look(): Promise<void> {
    let entries: readonly RegistryEntry[]
    try {
      entries = await providers()
      why = undefined
      ;[unanswered, pauseMs] = [0, REFRESH_MS]
      onDown(undefined)
    } catch (thrown) {
      why = asBywayError(thrown).message
      pauseMs = backoffMs(++unanswered, UNANSWERED, random)
      onDown(why)
      return
    }
    registered = entries.length
    const have = new Map((await known.offers()).map((offer) => [offer.body.nodeKey, keccak(encodeOffer(offer))]))
    const nowMs = clock.nowMs()
    const due = entries.filter(({ nodeKey, offerHash, endpoint }) => {
      if (endpoint === undefined || (failed.get(nodeKey)?.untilMs ?? 0) > nowMs) return false
      const hash = have.get(nodeKey)
      return offerHash === NO_HASH ? hash === undefined : hash !== offerHash
    })
    const queue = due.slice(0, MAX_FETCHED)
    const worker = async () => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) await fetchOne(next)
    }
    await Promise.all(Array.from({ length: AT_ONCE }, worker))
  }

  /** One at a time, and not sooner than there may be news. */
  function lookIfDue(everyMs: number): Promise<void> {
    if (looking !== undefined) return looking
    if (clock.nowMs() - lookedAtMs < everyMs) return Promise.resolve()
    lookedAtMs = clock.nowMs()
    looking = look().finally(() => {
      looking = undefined
    })
    return looking
  }

  return {
    async announce(offer) {
      await known.announce(offer)
      if (publish === undefined) return
      await publish(offer, keccak(encodeOffer(offer))).catch((thrown) => {
        observer.log('offer not named on the chain', { why: asBywayError(thrown).message })
      })
    },
    withdraw: (nodeKey) => known.withdraw(nodeKey),
    async offers() {
      // Nobody waits for the chain: what is known is used meanwhile.
      void lookIfDue(pauseMs)
      return known.offers()
    },
    async look() {
      await looking
      await lookIfDue(Number.NEGATIVE_INFINITY)
    },
    state: () => ({ up: why === undefined, registered, ...(why === undefined ? {} : { why }) }),
  }
}
