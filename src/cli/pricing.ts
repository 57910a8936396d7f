/**
 * What a provider asks: a price the owner set, or one that follows its region's base fee, recomputed from the chain once in an epoch.
 *
 * An offer is a promise until it expires. So a session may pay what any offer asks that still holds, however far the price has risen since.
 */
import { createRpc, type Network, readUse, type UseReadings } from '../chain/index.ts'
import { FEE_TERMS, feeNow, type ProviderEpoch } from '../economy/fees.ts'
import { type Quote, quoteOf, totalOf } from '../economy/quote.ts'
import { backoffMs } from '../protocol/backoff.ts'
import type { Hex } from '../protocol/bytes.ts'
import type { Clock } from '../protocol/clock.ts'
import { asBywayError } from '../protocol/errors.ts'
import type { Observer } from '../protocol/observe.ts'
import { type SignedOffer, TIERS, type Tier } from '../protocol/offer.ts'
import { contractsFor, type NetworkSettings } from './network.ts'
import { SETTINGS } from './settings.ts'

/** Before anything is known of a region: what is asked when nobody sets a price. */
export const FIRST_FEE = SETTINGS.price.fallback as bigint
/** Epochs that are recomputed: in a third of them a fee has gone from any bound to any other several times over. */
const LOOK_BACK_EPOCHS = 100n
/** An epoch is a day where money is real; nobody asks the chain more often than every half minute, nor less than every hour. */
const LEAST_WAIT_MS = 30_000
const MOST_WAIT_MS = 3_600_000
/** A chain that does not answer is asked ever more rarely. */
const FAILED = { firstMs: LEAST_WAIT_MS, longestMs: MOST_WAIT_MS }

export interface Pricing {
  /** What the next offer asks. */
  asked(): Quote
  /** The least a session may pay per GiB. */
  least(): bigint
  stop(): void
}

/** What the owner set. */
export function fixedPrice(price: bigint): Pricing {
  const asked = { base: price, latency: 0n, scarcity: 0n }
  return { asked: () => asked, least: () => price, stop() {} }
}

export interface FollowingNeeds {
  /** Of this provider's own offer. */
  tier: Tier
  clock: Clock
  observer: Observer
  /** What the chain says now. */
  read(signal: AbortSignal): Promise<UseReadings>
  /** How near a committee found this provider to be, in milliseconds; undefined when nobody measured it. */
  latency(): Promise<bigint | undefined>
  /** What is known of others: their tiers. */
  offers(): Promise<SignedOffer[]>
  /** How long an offer is a promise. */
  holdsForS: number
  /** What was announced is no longer what is asked. */
  onChanged(): void
}

/** Follows use until it is stopped. */
export function followUse({ tier, clock, observer, read, latency, offers, holdsForS, onChanged }: FollowingNeeds): Pricing {
  let asked: Quote = { base: FIRST_FEE, latency: 0n, scarcity: 0n }
  /** Prices of offers that may still hold, the newest last. */
  let promised: { price: bigint; untilS: number }[] = []
  const nowS = () => clock.nowMs() / 1000
  let timer: NodeJS.Timeout | undefined
  const stopping = new AbortController()

  function change(next: Quote): void {
    if (totalOf(next) === totalOf(asked)) return
    promised = [...promised.filter(({ untilS }) => untilS > nowS()), { price: totalOf(asked), untilS: nowS() + holdsForS }]
    asked = next
    observer.log('price follows use', { pricePerGib: totalOf(next).toString() })
    onChanged()
  }

  async function look(failures = 0): Promise<void> {
    let waitMs: number
    let failed = 0
    try {
      const readings = await read(stopping.signal)
      const known = await offers()
      const tiers = new Map(known.map(({ body }) => [body.payee, TIERS[body.tier]]))
      change(quoteFrom(readings, { tier, latencyMs: await latency() }, tiers))
      waitMs = Math.min(MOST_WAIT_MS, Math.max(LEAST_WAIT_MS, Number(readings.epochS) * 1000))
    } catch (thrown) {
      if (stopping.signal.aborted) return
      // Yesterday's price is a price: it stays until the chain can be read.
      observer.log('price not recomputed', { why: asBywayError(thrown).message })
      failed = failures + 1
      waitMs = backoffMs(failed, FAILED, Math.random)
    }
    timer = setTimeout(() => void look(failed), waitMs).unref()
  }
  void look()

  return {
    asked: () => asked,
    least: () => promised.reduce((least, { price, untilS }) => (untilS > nowS() && price < least ? price : least), totalOf(asked)),
    stop() {
      stopping.abort()
      clearTimeout(timer)
    },
  }
}

/** Reads the chain of these settings for one provider. Throws when they name no contracts. */
export function useReader(settings: NetworkSettings & { readonly country: string }, network: Network, own: Hex): FollowingNeeds['read'] {
  const contracts = contractsFor(settings, network)
  const rpc = createRpc({ urls: settings.rpc, chainId: network.chainId })
  return (signal) => readUse(rpc, contracts, own, settings.country, signal)
}

/** What a provider asks by these readings. Others whose tier no known offer tells are taken to be of the same. */
export function quoteFrom(
  readings: UseReadings,
  { tier, latencyMs }: { tier: string; latencyMs?: bigint | undefined },
  tiers: ReadonlyMap<string, string | undefined>,
): Quote {
  const { epoch, epochS, regions, region, step, target, multiplier } = readings
  const beside = [...regions.keys()].filter((provider) => regions.get(provider) === region && (tiers.get(provider) ?? tier) === tier)
  const since = epoch > LOOK_BACK_EPOCHS ? epoch - LOOK_BACK_EPOCHS : 0n
  const epochs = beside.flatMap((provider) => epochsOf(readings, provider, since))
  const baseFee = feeNow(epochs, { since, now: epoch, epochS, first: FIRST_FEE, terms: { ...FEE_TERMS, step, target } })
  return quoteOf({ baseFee, latencyMs, multiplier }, FEE_TERMS.ceiling)
}

/** One entry an epoch: what it claimed then, and what was proven of it then or lately before. */
function epochsOf({ claims, audits, goodFor, epoch: now }: UseReadings, provider: Hex, since: bigint): ProviderEpoch[] {
  const found: ProviderEpoch[] = []
  for (let epoch = since; epoch < now; epoch++) {
    const proofs = audits.filter((audit) => audit.operator === provider && audit.epoch <= epoch && epoch <= audit.epoch + goodFor)
    const newest = proofs.reduce((best, audit) => (audit.epoch >= best.epoch ? audit : best), { epoch: -1n, mbps: 0n })
    const mine = claims.filter((claim) => claim.payee === provider && claim.epoch === epoch)
    found.push({ epoch, provider, claimed: mine.reduce((sum, { units }) => sum + units, 0n), mbps: newest.mbps })
  }
  return found
}
