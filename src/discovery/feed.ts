/**
 * The feed of a directory: what all sources list goes in, what none lists any more goes out, and the best of it is kept on disk.
 *
 * Sources are asked when somebody wants to know, at most every quarter of a second, and nobody waits for a slow one while anything is known. At the
 * start what was cached comes first: a consumer is ready when every source is down.
 */
import type { Hex } from '../protocol/bytes.ts'
import { asBywayError } from '../protocol/errors.ts'
import type { Observer } from '../protocol/observe.ts'
import type { SignedOffer } from '../protocol/offer.ts'
import type { OfferCache } from './cache.ts'
import type { Directory, Source } from './directory/index.ts'
import type { Discovery } from './index.ts'

export interface FedBy {
  readonly source: Source
  readonly discovery: Pick<Discovery, 'offers'>
  /** It lists all there are: what it does not list is no longer on offer. */
  readonly complete: boolean
}

export interface FeedNeeds {
  directory: Directory
  sources: readonly FedBy[]
  cache?: OfferCache
  observer: Observer
  /** Sources are not asked again within this time. */
  freshMs?: number
}

export interface Feed {
  /** The directory, as fresh as may be had without waiting for it. */
  fresh(): Promise<Directory>
  close(): Promise<void>
}

/** A burst of connections asks once, and not every source for each of them. */
const FRESH_MS = 250
/** A source with much to say is asked less often: it may take so much of the time. */
const SHARE_OF_TIME = 0.05
/** Longer than a folder needs and shorter than anybody notices: beyond it what is known has to do. */
const PATIENCE_MS = 100
/** While nothing is known there is nothing else to do than to wait. */
const FIRST_PATIENCE_MS = 2_000
/** A start that is cut short has something to go by; later it is enough to write down what changed in a minute. */
const FIRST_SAVE_MS = 2_000
const SAVE_EVERY_MS = 60_000
const MAX_CACHED = 4_096

const UNLIMITED = { burst: Number.POSITIVE_INFINITY, perSecond: Number.POSITIVE_INFINITY, privateAddresses: true }
/** The consumer's own disk: it was verified when it was read, and the owner may have let in private addresses. */
const CACHE: Source = { name: 'cache', ...UNLIMITED }
/** A folder the owner named himself. */
export const OWNERS_FOLDER: Source = { name: 'folder', ...UNLIMITED }

export function createFeed({ directory, sources, cache, observer, freshMs = FRESH_MS }: FeedNeeds): Feed {
  const listed = new Map<FedBy, ReadonlyMap<Hex, SignedOffer>>()
  let changes = 0
  let saved = 0
  let freshUntilMs = Number.NEGATIVE_INFINITY
  let asking: Promise<void> | undefined
  let loading: Promise<void> | undefined = cache?.load().then((offers) => {
    for (const offer of offers) directory.keep(offer, CACHE)
    observer.log('cached offers read', { offers: offers.length })
    loading = undefined
  })
  let timer = setTimeout(lookAgain, FIRST_SAVE_MS)
  timer.unref()

  async function ask(): Promise<void> {
    const startedMs = performance.now()
    const answers = await Promise.allSettled(sources.map(async (one) => take(one, await one.discovery.offers())))
    for (const [at, answer] of answers.entries()) {
      if (answer.status === 'rejected') {
        observer.log('source does not answer', { source: sources[at]!.source.name, why: asBywayError(answer.reason).message })
      }
    }
    if (answers.every(({ status }) => status === 'fulfilled') && sources.every(({ complete }) => complete)) forgetUnlisted()
    const tookMs = performance.now() - startedMs
    freshUntilMs = performance.now() + Math.max(freshMs, freshMs && tookMs / SHARE_OF_TIME)
  }

  function take(one: FedBy, offers: readonly SignedOffer[]): void {
    const before = listed.get(one)
    const now = new Map<Hex, SignedOffer>()
    for (const offer of offers) {
      now.set(offer.body.nodeKey, offer)
      // Sources keep what they read: the same object is the same offer.
      if (before?.get(offer.body.nodeKey) === offer) continue
      if (directory.keep(offer, one.source) === undefined) changes++
    }
    listed.set(one, now)
    for (const nodeKey of before?.keys() ?? []) if (!isListed(nodeKey)) forget(nodeKey)
  }

  const isListed = (nodeKey: Hex) => [...listed.values()].some((offers) => offers.has(nodeKey))

  function forget(nodeKey: Hex): void {
    directory.forget(nodeKey)
    changes++
  }

  /** What was cached and is no longer on offer. */
  function forgetUnlisted(): void {
    for (const { offer } of directory.find({}, directory.size)) if (!isListed(offer.body.nodeKey)) forget(offer.body.nodeKey)
  }

  async function save(): Promise<void> {
    if (cache === undefined || changes === saved) return
    saved = changes
    const best = directory.find({}, MAX_CACHED).map(({ offer }) => offer)
    await cache.save(best).catch((thrown) => observer.log('offers not cached', { why: asBywayError(thrown).message }))
  }

  /** Also while nobody wants to know: what is cached should be what is on offer. */
  function lookAgain(): void {
    timer = setTimeout(lookAgain, SAVE_EVERY_MS)
    timer.unref()
    void fresh().then(save)
  }

  async function fresh(): Promise<Directory> {
    await loading
    if (performance.now() < freshUntilMs) return directory
    asking ??= ask().finally(() => {
      asking = undefined
    })
    await within(asking, directory.size === 0 ? FIRST_PATIENCE_MS : PATIENCE_MS)
    return directory
  }

  return {
    fresh,
    async close() {
      clearTimeout(timer)
      await save()
    },
  }
}

/** Waits for it, but not longer than this. */
async function within(work: Promise<void>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms)
  })
  await Promise.race([work, late])
  clearTimeout(timer)
}
