/**
 * Offers as files in a folder, one a node, named by its key. Anything that shares files carries them: a local exchange, a synced folder.
 *
 * Files are replaced by rename, so a reader never sees half of one. A file that does not verify is counted and skipped.
 */
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../protocol/clock.ts'
import { asBywayError } from '../protocol/errors.ts'
import type { Observer } from '../protocol/observe.ts'
import { MAX_OFFER_BYTES, offerText, readOfferText, type SignedOffer } from '../protocol/offer.ts'
import type { Discovery } from './index.ts'
import { refuseStale } from './memory.ts'

const SUFFIX = '.offer'
/** base64url of the largest offer, its prefix and a line end. */
const MAX_FILE_BYTES = Math.ceil((MAX_OFFER_BYTES * 4) / 3) + 64

export function folderDiscovery(folder: string, needs: { clock: Clock; observer: Observer }): Discovery {
  /** By file name: verifying an unchanged file again would cost a signature check each time. */
  const read = new Map<string, { changedMs: number; offer: SignedOffer | undefined }>()
  const nowS = () => Math.floor(needs.clock.nowMs() / 1000)
  const fileOf = (nodeKey: string) => join(folder, `${nodeKey.slice(2)}${SUFFIX}`)

  async function readOne(name: string): Promise<SignedOffer | undefined> {
    const path = join(folder, name)
    const info = await stat(path).catch(() => undefined) // withdrawn since the folder was listed
    if (info === undefined || !info.isFile()) return undefined
    const before = read.get(name)
    if (before?.changedMs === info.mtimeMs) return before.offer
    let offer: SignedOffer | undefined
    try {
      if (info.size <= MAX_FILE_BYTES) offer = readOfferText(await readFile(path, 'utf8'), nowS())
      // A file under another node's name would let anyone hide that node.
      if (offer !== undefined && fileOf(offer.body.nodeKey) !== path) offer = undefined
      if (offer === undefined) needs.observer.count('malformed', 1, { where: 'offer' })
    } catch (thrown) {
      needs.observer.count('malformed', 1, { where: 'offer' })
      needs.observer.log('offer skipped', { file: name, why: asBywayError(thrown).code })
    }
    read.set(name, { changedMs: info.mtimeMs, offer })
    return offer
  }

  return {
    async announce(offer) {
      const line = offerText(offer)
      const checked = readOfferText(line, nowS())
      await mkdir(folder, { recursive: true })
      const path = fileOf(checked.body.nodeKey)
      refuseStale(await readOne(`${checked.body.nodeKey.slice(2)}${SUFFIX}`), checked)
      await writeFile(`${path}.new`, `${line}\n`)
      await rename(`${path}.new`, path)
    },
    async withdraw(nodeKey) {
      await rm(fileOf(nodeKey), { force: true })
    },
    async offers() {
      const names = await readdir(folder).catch(() => []) // no folder yet: nobody announced
      const found: SignedOffer[] = []
      for (const name of names.filter((n) => n.endsWith(SUFFIX)).sort()) {
        const offer = await readOne(name)
        if (offer !== undefined && offer.body.expiresAt > BigInt(nowS())) found.push(offer)
      }
      return found
    },
  }
}
