/**
 * Follows the chain: reads what is new, and goes back when the chain did.
 *
 * Before each step the newest block we know is looked up on the chain. If it is there, so is all below it (its hash holds its parent's, and so
 * on), and reading goes on above it. If not, the chain has another branch: what lies above the last block both have is deleted and read anew.
 */
import { type Kysely, sql, type Transaction } from 'kysely'
import type { Block, BlockSource, ChainEvent, ChainLog } from '../../chain/index.ts'
import type { Observer } from '../../protocol/observe.ts'
import type { Database } from '../store/index.ts'
import { insertEvents } from './insert.ts'

// --- Our choices. Safe to change. ---
/** Blocks below the head that are read one by one, by hash: no chain that somebody would use goes back further while it is being read. */
const NEAR = 64
/** Blocks asked for at once further down. Public endpoints refuse ten thousand; a refusal halves it. */
const RANGE = 2_000
/** Requests under way at once: a public endpoint allows ten or more a second. */
const AT_ONCE = 8
/** Places to look for the common block that are kept below the head; further down the blocks with events serve. */
const CHECKPOINTS = 1_024
/** Held while rows are written, so that two explorers never write in turns: `bwrite` in ASCII. */
const WRITE_LOCK = 0x627772697465

export interface Position {
  readonly number: number
  readonly hash: string
  readonly timeS: number
}

export interface FollowNeeds {
  db: Kysely<Database>
  source: BlockSource
  /** An event, or undefined when the log is none of ours. */
  read: (log: ChainLog) => ChainEvent | undefined
  observer: Observer
}

interface Batch {
  readonly blocks: readonly Block[]
  readonly logs: readonly ChainLog[]
  /** Blocks that become checkpoints; the last is the new head. */
  readonly checkpoints: readonly Block[]
}

/** Where indexing stands; undefined before the first block. */
export async function positionOf(db: Kysely<Database>): Promise<Position | undefined> {
  const row = await db.selectFrom('checkpoints').selectAll().orderBy('number', 'desc').limit(1).executeTakeFirst()
  return row === undefined ? undefined : { number: row.number, hash: row.hash, timeS: row.time_s }
}

/** One step; `true` when there was something to do, so that another may follow at once. */
export async function step(needs: FollowNeeds, signal?: AbortSignal): Promise<boolean> {
  const { db, source } = needs
  const at = await positionOf(db)
  if (at !== undefined && (await source.block(at.number, signal))?.hash !== at.hash) {
    await goBack(needs, at, signal)
    return true
  }
  const head = await source.head(signal)
  const from = (at?.number ?? -1) + 1
  if (from > head.number) return false
  const batch =
    head.number - from >= NEAR
      ? await readFar(needs, from, Math.min(from + RANGE - 1, head.number - NEAR), signal)
      : await readNear(source, from, head, at, signal)
  // Undefined: the chain changed while it was read. The next step sees where it stands now.
  if (batch !== undefined) await write(needs, at, batch)
  return true
}

/** Blocks that cannot change any more, with their logs, in a range that is halved until the node answers. */
async function readFar({ source, read }: FollowNeeds, from: number, to: number, signal?: AbortSignal): Promise<Batch | undefined> {
  const last = await source.block(to, signal)
  if (last === undefined) return undefined
  const found = await source.logsIn(from, to, signal)
  if (found === undefined)
    return from === to ? undefined : readFar({ source, read } as FollowNeeds, from, from + ((to - from) >> 1), signal)
  const logs = found.filter((log) => read(log) !== undefined)
  const wanted = [...new Set(logs.map(({ block }) => block))]
  const blocks = await each(wanted, (number) => source.block(number, signal))
  const hashes = new Map(blocks.map((block) => [block?.number, block?.hash]))
  if (logs.some(({ block, blockHash }) => hashes.get(block) !== blockHash)) return undefined
  // The same last block before and after: what was read in between is the chain below it.
  if ((await source.block(to, signal))?.hash !== last.hash) return undefined
  return { blocks: blocks as Block[], logs, checkpoints: [last] }
}

/** The newest blocks, each linked to the one before, with the logs of exactly these blocks. */
async function readNear(
  source: BlockSource,
  from: number,
  head: Block,
  at: Position | undefined,
  signal?: AbortSignal,
): Promise<Batch | undefined> {
  const numbers = Array.from({ length: head.number - from + 1 }, (_, i) => from + i)
  const blocks = await each(numbers, (number) => source.block(number, signal))
  for (const [i, block] of blocks.entries()) {
    const before = i === 0 ? at : blocks[i - 1]
    if (block === undefined || (before !== undefined && block.parent !== before.hash)) return undefined
  }
  const known = blocks as Block[]
  const logs = await each(known, (block) => source.logsOf(block, signal))
  if (logs.includes(undefined)) return undefined
  return { blocks: known, logs: (logs as ChainLog[][]).flat(), checkpoints: known }
}

async function write({ db, read, observer }: FollowNeeds, at: Position | undefined, batch: Batch): Promise<void> {
  const events = batch.logs
    .map(read)
    .filter((event) => event !== undefined)
    .sort((a, b) => a.block - b.block || a.index - b.index)
  const written = await exclusively(db, at, async (trx) => {
    const times = new Map(batch.blocks.map((block) => [block.number, block.timeS]))
    await insertEvents(trx, events, times)
    await trx
      .insertInto('checkpoints')
      .values(batch.checkpoints.map(({ number, hash, timeS }) => ({ number, hash, time_s: timeS })))
      .execute()
    const newest = batch.checkpoints.at(-1)!.number
    await trx
      .deleteFrom('checkpoints')
      .where('number', '<', newest - CHECKPOINTS)
      .execute()
  })
  if (written && events.length > 0) observer.count('events_indexed', events.length)
}

/** Deletes what lies above the last block that the chain still has. */
async function goBack({ db, source, observer }: FollowNeeds, at: Position, signal?: AbortSignal): Promise<void> {
  const common = await commonBlock(db, source, signal)
  const above = common?.number ?? -1
  const done = await exclusively(db, at, async (trx) => {
    await trx.deleteFrom('blocks').where('number', '>', above).execute()
    await trx.deleteFrom('checkpoints').where('number', '>', above).execute()
    if (common === undefined) return
    await trx
      .insertInto('checkpoints')
      .values({ number: common.number, hash: common.hash, time_s: common.timeS })
      .onConflict((conflict) => conflict.doNothing())
      .execute()
  })
  if (!done) return
  observer.count('reorganisations')
  observer.log('chain reorganised', { from: at.number, to: above })
}

/**
 * The newest block we know that the chain has too. Below a common block all are common, so it is found by looking 1, 2, 4, 8 ... blocks down
 * and then halving: a few requests even when a devnet began anew.
 */
async function commonBlock(db: Kysely<Database>, source: BlockSource, signal?: AbortSignal): Promise<Position | undefined> {
  const known = db
    .selectFrom(db.selectFrom('checkpoints').selectAll().union(db.selectFrom('blocks').selectAll()).as('known'))
    .selectAll()
    .orderBy('number', 'desc')
    .limit(1)
  const candidate = async (place: number): Promise<Position | 'none' | 'gone'> => {
    const row = await known.offset(place).executeTakeFirst()
    if (row === undefined) return 'none'
    const there = (await source.block(row.number, signal))?.hash === row.hash
    return there ? { number: row.number, hash: row.hash, timeS: row.time_s } : 'gone'
  }
  // Everything up to place `gone` is gone; at `there` a block is common, or nothing is left.
  let gone = 0
  let there = 1
  let found = await candidate(there)
  while (found === 'gone') {
    gone = there
    there *= 2
    found = await candidate(there)
  }
  while (there - gone > 1) {
    const middle = (gone + there) >> 1
    const seen = await candidate(middle)
    if (seen === 'gone') gone = middle
    else [there, found] = [middle, seen]
  }
  return typeof found === 'string' ? undefined : found
}

/** Writes if we still stand where we thought, which another explorer on the same database may have changed. Returns whether it did. */
function exclusively(
  db: Kysely<Database>,
  at: Position | undefined,
  work: (trx: Transaction<Database>) => Promise<void>,
): Promise<boolean> {
  return db.transaction().execute(async (trx) => {
    await sql`select pg_advisory_xact_lock(${sql.lit(WRITE_LOCK)})`.execute(trx)
    if ((await positionOf(trx))?.hash !== at?.hash) return false
    await work(trx)
    return true
  })
}

/** Results in the order of the items, a few at a time. */
async function each<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  for (let i = 0; i < items.length; i += AT_ONCE) results.push(...(await Promise.all(items.slice(i, i + AT_ONCE).map(work))))
  return results
}
