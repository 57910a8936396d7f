/** Writes events, whom they name and what they amount to: the rows of a few blocks in a few statements. */
import { sql, type Transaction } from 'kysely'
import type { ChainEvent, EventArgs } from '../../chain/index.ts'
import type { Database } from '../store/index.ts'
import { entriesOf } from './entries.ts'

/** PostgreSQL takes 65,535 parameters a statement; a row has at most nine. */
const ROWS = 2_000

/** `events` in the order of the chain; `times` of their blocks. */
export async function insertEvents(
  trx: Transaction<Database>,
  events: readonly ChainEvent[],
  times: ReadonlyMap<number, number>,
): Promise<void> {
  if (events.length === 0) return
  const blocks = new Map(events.map(({ block, blockHash }) => [block, { number: block, hash: blockHash, time_s: times.get(block)! }]))
  for (const rows of parts([...blocks.values()])) await trx.insertInto('blocks').values(rows).execute()
  const rows = events.map(({ block, index: place, tx, contract, address, name, args }) => {
    return { block, place, tx, contract, address, name, args: JSON.stringify(args) }
  })
  for (const part of parts(rows)) await trx.insertInto('events').values(part).execute()
  const mentions = events.flatMap(({ block, index: place, names }) => names.map((name) => ({ name, block, place })))
  for (const part of parts(mentions)) await trx.insertInto('mentions').values(part).execute()

  // After the events, because some ask what an earlier one said.
  const entries = []
  for (const event of events) {
    const earlier = (name: string, id: string) => earlierEvent(trx, event, name, id)
    for (const [part, { measure, unit, owner, amount, region = '' }] of (await entriesOf(event, earlier)).entries()) {
      const [block, place] = [event.block, event.index]
      entries.push({ block, place, part, measure, unit, owner, region, amount, time_s: times.get(block)! })
    }
  }
  for (const part of parts(entries)) await trx.insertInto('entries').values(part).execute()
}

async function earlierEvent(
  trx: Transaction<Database>,
  { contract, block, index }: ChainEvent,
  name: string,
  id: string,
): Promise<EventArgs | undefined> {
  const row = await trx
    .selectFrom('events')
    .select('args')
    .where('contract', '=', contract)
    .where('name', '=', name)
    .where(sql<string>`args->>'id'`, '=', id)
    .where((where) => where.or([where('block', '<', block), where.and([where('block', '=', block), where('place', '<', index)])]))
    .orderBy('block', 'desc')
    .orderBy('place', 'desc')
    .limit(1)
    .executeTakeFirst()
  return row?.args
}

function parts<T>(rows: readonly T[]): T[][] {
  return Array.from({ length: Math.ceil(rows.length / ROWS) }, (_, i) => rows.slice(i * ROWS, (i + 1) * ROWS))
}
