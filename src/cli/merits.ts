/**
 * The merits of providers as the chain tells them: what committees proved of their bandwidth, read again once in an epoch.
 *
 * A chain that does not answer, or whose contracts are not named, tells nothing new: what was known stays, and what was never known is nothing.
 */
import { setImmediate as turn } from 'node:timers/promises'
import type { UseReadings } from '../chain/index.ts'
import type { Directory, Merits } from '../discovery/directory/index.ts'
import type { Hex } from '../protocol/bytes.ts'
import { asBywayError } from '../protocol/errors.ts'
import type { Observer } from '../protocol/observe.ts'
import type { Offer } from '../protocol/offer.ts'

/** An epoch is a day where money is real; nobody asks the chain more often than every half minute, nor less than every hour. */
const LEAST_WAIT_MS = 30_000
const MOST_WAIT_MS = 3_600_000
/** Offers ranked anew before others have their turn. */
const AT_ONCE = 256

export interface ChainMerits {
  of(offer: Offer): Merits
  /** Keeps this directory ranked by them. */
  follow(directory: Directory): void
  stop(): void
}

export interface ChainMeritsNeeds {
  read(signal: AbortSignal): Promise<Pick<UseReadings, 'audits' | 'epoch' | 'epochS' | 'goodFor' | 'regions'>>
  observer: Observer
}

export function chainMerits({ read, observer }: ChainMeritsNeeds): ChainMerits {
  let merits: ReadonlyMap<Hex, Merits> = new Map()
  const stopping = new AbortController()
  let timer: NodeJS.Timeout | undefined

  async function look(directory: Directory): Promise<void> {
    let waitMs = LEAST_WAIT_MS
    try {
      const readings = await read(stopping.signal)
      const before = merits
      merits = meritsFrom(readings)
      let ranked = 0
      for (const { body } of directory.offers()) {
        if (before.get(body.payee)?.provenMbps !== merits.get(body.payee)?.provenMbps) directory.judge(body.nodeKey)
        if (++ranked % AT_ONCE === 0) await turn()
      }
      waitMs = Math.min(MOST_WAIT_MS, Math.max(LEAST_WAIT_MS, Number(readings.epochS) * 1000))
    } catch (thrown) {
      if (stopping.signal.aborted) return
      observer.log('merits not read', { why: asBywayError(thrown).message })
    }
    timer = setTimeout(() => void look(directory), waitMs).unref()
  }

  return {
    of: ({ payee }) => merits.get(payee) ?? NOTHING,
    follow: (directory) => void look(directory),
    stop() {
      stopping.abort()
      clearTimeout(timer)
    },
  }
}

const NOTHING: Merits = { provenMbps: 0, score: 0, stake: 0 }

/** The newest proof that is still good. Whoever is registered has something at stake, and more who proved something. */
export function meritsFrom({
  audits,
  epoch,
  goodFor,
  regions,
}: Pick<UseReadings, 'audits' | 'epoch' | 'goodFor' | 'regions'>): Map<Hex, Merits> {
  const found = new Map<Hex, Merits>([...regions.keys()].map((operator) => [operator, { ...NOTHING, stake: 1 }]))
  for (const audit of [...audits].sort((a, b) => Number(a.epoch - b.epoch))) {
    if (audit.epoch + goodFor >= epoch) found.set(audit.operator, { provenMbps: Number(audit.mbps), score: 0, stake: 2 })
  }
  return found
}
