/**
 * The offers a consumer knew last, on its disk: what it starts with when no source of offers answers.
 *
 * A file of one offer a line, as `byway share` prints them, the best first. It is replaced by rename, so that a power cut leaves the old or the
 * new one, and it is believed no more than the network: each line is verified when it is read.
 */
import { open, readFile, rename, stat } from 'node:fs/promises'
import type { Clock } from '../protocol/clock.ts'
import { asBywayError } from '../protocol/errors.ts'
import type { Observer } from '../protocol/observe.ts'
import { offerText, readOfferText, type SignedOffer } from '../protocol/offer.ts'

/** Several exits for each country there is. Reading them takes a quarter of a second, mostly for their signatures. */
const MAX_CACHED = 4_096
/** Usual offers take 500 bytes; with a few huge ones among them fewer are kept. */
const MAX_FILE_BYTES = 8 * 1024 * 1024
/** For its owner alone: it tells where he shops. */
const FILE_MODE = 0o600

export interface OfferCache {
  /** What was saved last and still verifies; nothing when there is no file. */
  load(): Promise<SignedOffer[]>
  /** Replaces what was saved. The best come first: only so many are kept. */
  save(offers: readonly SignedOffer[]): Promise<void>
}

export function offerCache(path: string, { clock, observer }: { clock: Clock; observer: Observer }): OfferCache {
  return {
    async load() {
      const size = (await stat(path).catch(() => undefined))?.size ?? 0 // no file: the first start
      if (size > MAX_FILE_BYTES) observer.count('malformed', 1, { where: 'offer' })
      if (size === 0 || size > MAX_FILE_BYTES) return []
      const nowS = Math.floor(clock.nowMs() / 1000)
      const lines = (await readFile(path, 'utf8').catch(() => '')).split('\n').slice(0, MAX_CACHED)
      return lines.filter(Boolean).flatMap((line) => {
        try {
          return readOfferText(line, nowS)
        } catch (thrown) {
          // That time passed is no fault of the file.
          if (asBywayError(thrown).code !== 'OFFER_EXPIRED') observer.count('malformed', 1, { where: 'offer' })
          return []
        }
      })
    },
    async save(offers) {
      let room = MAX_FILE_BYTES
      const lines: string[] = []
      for (const offer of offers.slice(0, MAX_CACHED)) {
        const line = `${offerText(offer)}\n`
        room -= line.length
        if (room < 0) break
        lines.push(line)
      }
      const file = await open(`${path}.new`, 'w', FILE_MODE)
      try {
        await file.writeFile(lines.join(''))
        await file.sync()
      } finally {
        await file.close()
      }
      await rename(`${path}.new`, path)
    },
  }
}
