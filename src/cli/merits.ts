/**
 * The merits of providers as the chain tells them: what committees proved of their bandwidth, and the score that all they said comes to, computed here
 * from the same events by the same function as an explorer does it. Read again once in an epoch.
 *
 * A chain that does not answer, or whose contracts are not named, tells nothing new: what was known stays, and who was never known is a stranger.
 */
import { setImmediate as turn } from 'node:timers/promises'
import type { UseReadings } from '../chain/index.ts'
import type { Directory, Merits } from '../discovery/directory/index.ts'
import { evidenceFrom, publicScore, type SaidEvent } from '../economy/reputation/index.ts'
import { backoffMs } from '../protocol/backoff.ts'
import type { Hex } from '../protocol/bytes.ts'
import type { Clock } from '../protocol/clock.ts'
import { asBywayError } from '../protocol/errors.ts'
import type { Observer } from '../protocol/observe.ts'
import type { Offer } from '../protocol/offer.ts'

/** An epoch is a day where money is real; nobody asks the chain more often than every half minute, nor less than every hour. */
const LEAST_WAIT_MS = 30_000
const MOST_WAIT_MS = 3_600_000
/** A chain that does not answer is asked ever more rarely. */
const FAILED = { firstMs: LEAST_WAIT_MS, longestMs: MOST_WAIT_MS }
/** Offers ranked anew before others have their turn. */
const AT_ONCE = 256

export interface ChainMerits {
  of(offer: Offer): Merits
  /** Keeps this directory ranked by them. */
  follow(directory: Directory): void
  stop(): void
}

export type MeritReadings = Pick<UseReadings, 'audits' | 'epoch' | 'goodFor' | 'regions'> & { readonly said: readonly SaidEvent[] }

export interface ChainMeritsNeeds {
  read(signal: AbortSignal): Promise<MeritReadings & { readonly epochS: bigint }>
  clock: Clock
  observer: Observer
  /** A number in [0, 1). */
  random(): number
}

export function chainMerits({ read, clock, observer, random }: ChainMeritsNeeds): ChainMerits {
  let merits: ReadonlyMap<Hex, Merits> = new Map()
  const stopping = new AbortController()
  let timer: NodeJS.Timeout | undefined

  async function look(directory: Directory, failures = 0): Promise<void> {
    let waitMs: number
    let failed = 0
    try {
      const readings = await read(stopping.signal)
      const before = merits
      merits = meritsFrom(readings, Math.floor(clock.nowMs() / 1000))
      let ranked = 0
      for (const { body } of directory.offers()) {
        if (!alike(before.get(body.payee), merits.get(body.payee))) directory.judge(body.nodeKey)
        if (++ranked % AT_ONCE === 0) await turn()
      }
      waitMs = Math.min(MOST_WAIT_MS, Math.max(LEAST_WAIT_MS, Number(readings.epochS) * 1000))
    } catch (thrown) {
      if (stopping.signal.aborted) return
      observer.log('merits not read', { why: asBywayError(thrown).message })
      failed = failures + 1
      waitMs = backoffMs(failed, FAILED, random)
    }
    timer = setTimeout(() => void look(directory, failed), waitMs).unref()
  }

  return {
    of: ({ payee }) => merits.get(payee) ?? STRANGER,
    follow: (directory) => void look(directory),
    stop() {
      stopping.abort()
      clearTimeout(timer)
    },
  }
}

/** Where everybody began: a new name is worth no more than this. */
const STRANGER: Merits = { provenMbps: 0, score: publicScore([], 0).value, stake: 0 }

const alike = (a = STRANGER, b = STRANGER) => a.provenMbps === b.provenMbps && a.score === b.score

/** The newest proof that is still good. Whoever is registered has something at stake, and more who proved something. */
export function meritsFrom({ audits, epoch, goodFor, regions, said }: MeritReadings, nowS: number): Map<Hex, Merits> {
  const found = new Map<Hex, Merits>([...regions.keys()].map((operator) => [operator, { ...STRANGER, stake: 1 }]))
  for (const audit of [...audits].sort((a, b) => Number(a.epoch - b.epoch))) {
    if (audit.epoch + goodFor >= epoch) found.set(audit.operator, { ...STRANGER, provenMbps: Number(audit.mbps), stake: 2 })
  }
  for (const [operator, evidence] of evidenceFrom(said)) {
    const { provenMbps, stake } = found.get(operator as Hex) ?? STRANGER
    found.set(operator as Hex, { provenMbps, stake, score: publicScore(evidence, nowS).value })
  }
  return found
}
