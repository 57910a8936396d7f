/**
 * Indexer: keeps the tables as the chain and the offers are.
 *
 * The rule it keeps: after any reorganisation the tables are what a fresh index would make of the chain. So rows from the chain are inserted
 * and deleted by block, never changed; and of several explorers on one database only one indexes, each write made only if the tables still
 * stand where the writer thinks.
 *
 * Start reading at follow.ts (the chain), then entries.ts (what an event amounts to) and offers.ts (what nodes ask). This file is the loop.
 */
import { type BlockSource, eventReader, type NamedContracts, readableContracts } from '../../chain/index.ts'
import type { Clock } from '../../protocol/clock.ts'
import { asBywayError, BywayError } from '../../protocol/errors.ts'
import type { Observer } from '../../protocol/observe.ts'
import type { SignedOffer } from '../../protocol/offer.ts'
import { type Store, storeError } from '../store/index.ts'
import { type Position, positionOf, step } from './follow.ts'
import { offerRecorder } from './offers.ts'

// --- Our choices. Safe to change. ---
/** Pause between two looks at a chain that has nothing new: a fraction of a block time. */
const LOOK_EVERY_MS = 1_000
/** Pause between two looks at the offers. */
const OFFERS_EVERY_MS = 5_000
/** Pause after something failed, doubled each time up to this many times. */
const FAILURE_PAUSE_MS = 1_000
const FAILURE_DOUBLINGS = 5
/** So many failures in a row are a condition somebody should know of. */
const FAILURES_TOLD = 3
/** Changes when events or entries of old blocks would come out differently: then everything is read again. */
const INDEX_VERSION = 1

export interface IndexerNeeds {
  store: Store
  source: BlockSource
  contracts: NamedContracts
  /** Offers that are valid now. */
  offers: () => Promise<SignedOffer[]>
  clock: Clock
  observer: Observer
}

export interface Progress {
  /** Whether this process is the one that indexes. */
  readonly leads: boolean
  readonly indexed: Position | undefined
  /** Height of the chain when it was last looked at. */
  readonly chainHeight: number | undefined
  /** When the chain was last reached. */
  readonly lookedAtMs: number | undefined
  /** Why the last round failed; undefined when it did not. */
  readonly failure: BywayError | undefined
}

export interface Indexer {
  /** As of the last round. */
  progress(): Progress
  /** Resolves at the end of the round under way, which it interrupts. */
  close(): Promise<void>
}

export function startIndexer(needs: IndexerNeeds): Indexer {
  const { store, source, clock, observer } = needs
  const follow = { db: store.db, source, read: eventReader(needs.contracts), observer }
  const recorder = offerRecorder(store.db)
  const ending = new AbortController()
  const { signal } = ending
  let leads = false
  let prepared = false
  let offersAtMs = Number.NEGATIVE_INFINITY
  let look: { height: number; atMs: number } | undefined
  let indexed: Position | undefined
  let failures = 0
  let failure: BywayError | undefined

  const round = async () => {
    leads = await store.lead()
    if (leads && !prepared) await prepare(store, source.chainId, needs.contracts, observer)
    prepared = leads
    let more = true
    while (more && !signal.aborted) {
      look = { height: (await source.head(signal)).number, atMs: clock.nowMs() }
      more = leads && (await step(follow, signal))
      indexed = await positionOf(store.db)
    }
    if (leads && clock.nowMs() - offersAtMs >= OFFERS_EVERY_MS) {
      offersAtMs = clock.nowMs()
      await recorder.record(await needs.offers(), Math.floor(clock.nowMs() / 1_000))
    }
  }
  const run = async () => {
    while (!signal.aborted) {
      let pauseMs = LOOK_EVERY_MS
      try {
        await round()
        if (failures >= FAILURES_TOLD) observer.warn('INDEX_BEHIND', undefined)
        failures = 0
        failure = undefined
      } catch (thrown) {
        if (signal.aborted) break
        failure = asBywayError(storeError(thrown))
        pauseMs = FAILURE_PAUSE_MS * 2 ** Math.min(failures, FAILURE_DOUBLINGS)
        failures += 1
        observer.log('index round failed', { code: failure.code, why: failure.message })
        if (failures === FAILURES_TOLD) observer.warn('INDEX_BEHIND', { code: failure.code })
      }
      await pause(pauseMs, signal)
    }
  }
  const running = run()
  return {
    progress: () => ({ leads, indexed, chainHeight: look?.height, lookedAtMs: look?.atMs, failure }),
    async close() {
      ending.abort()
      await running
    },
  }
}

/** The tables are of this chain and these contracts, or they are made so. STATE_OTHER_CHAIN when they belong to another exchange. */
export async function prepare({ db }: Pick<Store, 'db'>, chainId: number, contracts: NamedContracts, observer: Observer): Promise<void> {
  const readable = readableContracts(contracts)
  const exchange = JSON.stringify({ chainId, channels: readable.channels })
  const index = JSON.stringify({ version: INDEX_VERSION, contracts: readable })
  const rows = await db.selectFrom('meta').selectAll().execute()
  const of = (key: string) => rows.find((row) => row.key === key)?.value
  if (of('exchange') !== undefined && of('exchange') !== exchange) {
    throw new BywayError('STATE_OTHER_CHAIN', 'the database of the explorer belongs to another exchange', {
      facts: { there: of('exchange')!, here: exchange },
      hint: 'name another database or folder, or empty this one',
    })
  }
  if (of('index') === index) return
  if (of('index') !== undefined) observer.log('index begins anew', { why: 'the contracts that are read have changed' })
  await db.transaction().execute(async (trx) => {
    await trx.deleteFrom('blocks').execute()
    await trx.deleteFrom('checkpoints').execute()
    const values = [
      { key: 'exchange', value: exchange },
      { key: 'index', value: index },
    ]
    await trx
      .insertInto('meta')
      .values(values)
      .onConflict((conflict) => conflict.column('key').doUpdateSet(({ ref }) => ({ value: ref('excluded.value') })))
      .execute()
  })
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done, { once: true })
  })
}
