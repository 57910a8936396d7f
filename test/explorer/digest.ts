/** One hash over every table that follows from the chain, as the database has it and as the chain itself says. */
import { createHash } from 'node:crypto'
import type { Kysely } from 'kysely'
import { type Block, type ChainEvent, eventReader, type NamedContracts } from '../../src/chain/index.ts'
import { entriesOf } from '../../src/explorer/indexer/entries.ts'
import type { Database } from '../../src/explorer/store/index.ts'
import type { SimulatedChain } from './simulated-chain.ts'

type Tables = Readonly<Record<'blocks' | 'events' | 'mentions' | 'entries', readonly object[]>>

function digest(tables: Tables): string {
  const sum = createHash('sha256')
  for (const [table, rows] of Object.entries(tables)) {
    sum.update(`${table} ${rows.length}\n`)
    for (const row of rows) sum.update(`${JSON.stringify(sorted(row))}\n`)
  }
  return sum.digest('hex')
}

/** Members in the order of their names: where they come from has its own. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(members.map(([name, item]) => [name, sorted(item)]))
}

export async function chainDigest(db: Kysely<Database>): Promise<string> {
  return digest({
    blocks: await db.selectFrom('blocks').selectAll().orderBy('number').execute(),
    events: await db.selectFrom('events').selectAll().orderBy('block').orderBy('place').execute(),
    mentions: await db.selectFrom('mentions').selectAll().orderBy('block').orderBy('place').orderBy('name').execute(),
    entries: await db.selectFrom('entries').selectAll().orderBy('block').orderBy('place').orderBy('part').execute(),
  })
}

interface Said {
  readonly rows: Tables
  readonly events: readonly ChainEvent[]
}

/**
 * The same hash, computed without a database from all blocks of a chain as it is now. What a block adds follows from its hash, which holds all
 * below it, so it is computed once.
 */
export function expectedDigests(contracts: NamedContracts): (chain: SimulatedChain) => Promise<string> {
  const read = eventReader(contracts)
  const known = new Map<string, Said>()
  return async (chain) => {
    const below: ChainEvent[] = []
    const tables: Record<keyof Tables, object[]> = { blocks: [], events: [], mentions: [], entries: [] }
    for (let number = 0; number <= chain.height; number++) {
      const block = (await chain.block(number))!
      const said = known.get(block.hash) ?? (await saidIn(block, ((await chain.logsOf(block)) ?? []).map(read), below))
      known.set(block.hash, said)
      below.push(...said.events)
      for (const [table, rows] of Object.entries(said.rows) as [keyof Tables, readonly object[]][]) tables[table].push(...rows)
    }
    return digest(tables)
  }
}

async function saidIn(block: Block, found: readonly (ChainEvent | undefined)[], below: readonly ChainEvent[]): Promise<Said> {
  const here = found.filter((event) => event !== undefined)
  const rows: Record<keyof Tables, object[]> = { blocks: [], events: [], mentions: [], entries: [] }
  if (here.length > 0) rows.blocks.push({ number: block.number, hash: block.hash, time_s: block.timeS })
  for (const [i, event] of here.entries()) {
    const { block: number, index: place, tx, contract, address, name, args, names } = event
    rows.events.push({ block: number, place, tx, contract, address, name, args })
    rows.mentions.push(...[...names].sort().map((mention) => ({ name: mention, block: number, place })))
    const before = [...below, ...here.slice(0, i)]
    const earlier = (wanted: string, id: string) =>
      Promise.resolve(before.findLast((other) => other.contract === contract && other.name === wanted && other.args.id === id)?.args)
    for (const [part, { measure, unit, owner, amount, region = '' }] of (await entriesOf(event, earlier)).entries()) {
      rows.entries.push({ block: number, place, part, measure, unit, owner, region, amount: amount.toString(), time_s: block.timeS })
    }
  }
  return { rows, events: here }
}
