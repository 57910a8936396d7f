/** Supply, burns, rewards, and every other measure: totals and series over entries. */
import { sql, type Transaction } from 'kysely'
import { z } from 'zod'
import { MEASURES, type Measure, type Unit } from '../indexer/entries.ts'
import type { Database } from '../store/index.ts'
import { addressInput, amount, NOTHING, nextCursor, pageOf, pageQuery, pointsOf, readCursor, route, seriesQuery, timeS } from './route.ts'

const NAMES = Object.keys(MEASURES) as [Measure, ...Measure[]]
const units = z.enum(['dollar', 'way', 'gb'])

async function total(db: Transaction<Database>, measure: Measure, unit: Unit, beforeS?: number): Promise<bigint> {
  const { rows } = await sql<{ sum: string }>`
    select coalesce(sum(amount), 0)::text as sum from entries where measure = ${measure} and unit = ${unit}
    ${beforeS === undefined ? sql`` : sql`and time_s < ${beforeS}`}`.execute(db)
  return BigInt(rows[0]!.sum)
}

/** Sum of each point; none is left out. */
async function series(
  db: Transaction<Database>,
  measure: Measure,
  unit: Unit,
  points: ReturnType<typeof pointsOf>,
): Promise<{ timeS: number; sum: bigint }[]> {
  const { stepS, firstS, lastS } = points
  const { rows } = await sql<{ time_s: number; sum: string }>`
    select at.time_s, coalesce(sum(amount), 0)::text as sum
    from generate_series(${firstS}::int8, ${lastS}::int8, ${stepS}::int8) as at (time_s)
    left join entries e on e.measure = ${measure} and e.unit = ${unit} and e.time_s >= at.time_s and e.time_s < at.time_s + ${stepS}::int8
    group by at.time_s order by at.time_s`.execute(db)
  return rows.map((row) => ({ timeS: row.time_s, sum: BigInt(row.sum) }))
}

export const supply = route({
  path: '/v1/supply',
  summary: 'WAY there is, over time',
  query: seriesQuery,
  params: NOTHING,
  answer: z.object({
    supply: amount,
    minted: amount,
    burnt: amount,
    stepS: z.int(),
    points: z.array(z.object({ timeS, minted: amount, burnt: amount, supply: amount.describe('At the end of the point') })),
  }),
  async handle(db, input, { nowS }) {
    const points = pointsOf(input, nowS)
    const minted = await series(db, 'minted', 'way', points)
    const burnt = await series(db, 'burnt', 'way', points)
    let left = (await total(db, 'minted', 'way', points.firstS)) - (await total(db, 'burnt', 'way', points.firstS))
    const rows = minted.map(({ timeS: at, sum }, i) => {
      left += sum - burnt[i]!.sum
      return { timeS: at, minted: `${sum}`, burnt: `${burnt[i]!.sum}`, supply: `${left}` }
    })
    const [ever, gone] = [await total(db, 'minted', 'way'), await total(db, 'burnt', 'way')]
    return { supply: `${ever - gone}`, minted: `${ever}`, burnt: `${gone}`, stepS: points.stepS, points: rows }
  },
})

const entry = z.object({
  measure: z.enum(NAMES),
  unit: units,
  owner: z.string(),
  region: z.string(),
  amount,
  timeS,
  block: z.int(),
  tx: z.string(),
})

/** Newest entries of these measures. */
async function entriesOf(
  db: Transaction<Database>,
  measures: readonly Measure[],
  { limit, cursor, owner }: { limit: number; cursor?: string | undefined; owner?: string | undefined },
) {
  const before = readCursor(cursor, z.tuple([z.int(), z.int(), z.int()]))
  let ask = db
    .selectFrom('entries')
    .innerJoin('events', (join) => join.onRef('events.block', '=', 'entries.block').onRef('events.place', '=', 'entries.place'))
    .select(['entries.block', 'entries.place', 'part', 'measure', 'unit', 'owner', 'region', 'amount', 'time_s', 'tx'])
    .where('measure', 'in', measures)
    .orderBy('entries.block', 'desc')
    .orderBy('entries.place', 'desc')
    .orderBy('part', 'desc')
  if (owner !== undefined) ask = ask.where('owner', '=', owner)
  if (before !== undefined) ask = ask.where(sql<boolean>`(entries.block, entries.place, part) < (${before[0]}, ${before[1]}, ${before[2]})`)
  const page = pageOf(await ask.limit(limit + 1).execute(), limit, (row) => [row.block, row.place, row.part])
  const entries = page.rows.map(({ measure, unit, owner: whose, region, amount: size, time_s, block, tx }) => {
    return { measure: measure as Measure, unit: unit as Unit, owner: whose, region, amount: size, timeS: time_s, block, tx }
  })
  return { entries, next: page.next }
}

export const burns = route({
  path: '/v1/burns',
  summary: 'WAY that burnt, newest first, and what claims left to burn',
  query: pageQuery,
  params: NOTHING,
  answer: z.object({
    burnt: amount,
    withheld: amount.describe('Dollars that claims left to burn'),
    sold: amount.describe('Dollars of it that were sold for the WAY that burnt'),
    entries: z.array(entry),
    next: nextCursor,
  }),
  async handle(db, input) {
    const [burnt, withheld, sold] = [
      await total(db, 'burnt', 'way'),
      await total(db, 'withheld', 'dollar'),
      await total(db, 'sold', 'dollar'),
    ]
    return { burnt: `${burnt}`, withheld: `${withheld}`, sold: `${sold}`, ...(await entriesOf(db, ['burnt'], input)) }
  },
})

const REWARDS = ['rewarded_usage', 'rewarded_capacity', 'rewarded_bootstrap'] as const

export const rewards = route({
  path: '/v1/rewards',
  summary: 'WAY paid to providers and probers, newest first',
  query: pageQuery.extend({ owner: addressInput.optional() }),
  params: NOTHING,
  answer: z.object({ usage: amount, capacity: amount, bootstrap: amount, entries: z.array(entry), next: nextCursor }),
  async handle(db, input) {
    const [usage, capacity, bootstrap] = [
      await total(db, 'rewarded_usage', 'way'),
      await total(db, 'rewarded_capacity', 'way'),
      await total(db, 'rewarded_bootstrap', 'way'),
    ]
    return { usage: `${usage}`, capacity: `${capacity}`, bootstrap: `${bootstrap}`, ...(await entriesOf(db, REWARDS, input)) }
  },
})

export const measures = route({
  path: '/v1/measures',
  summary: 'Everything that is measured, with its meaning and its total',
  query: NOTHING,
  params: NOTHING,
  answer: z.object({
    measures: z.array(z.object({ measure: z.enum(NAMES), about: z.string(), unit: units, total: amount, entries: z.int() })),
  }),
  async handle(db) {
    const rows = await db
      .selectFrom('entries')
      .select(['measure', 'unit', ({ fn }) => fn.sum<string>('amount').as('total'), sql<number>`count(*)::int`.as('entries')])
      .groupBy(['measure', 'unit'])
      .orderBy('measure')
      .orderBy('unit')
      .execute()
    return {
      measures: rows.map(({ measure, unit, total: sum, entries }) => {
        return { measure: measure as Measure, about: MEASURES[measure as Measure], unit: unit as Unit, total: sum, entries }
      }),
    }
  },
})

export const measureSeries = route({
  path: '/v1/measures/{measure}',
  summary: 'One measure over time',
  query: seriesQuery.extend({ unit: units.default('dollar') }),
  params: z.object({ measure: z.enum(NAMES) }),
  answer: z.object({ measure: z.enum(NAMES), unit: units, total: amount, stepS: z.int(), points: z.array(z.object({ timeS, amount })) }),
  async handle(db, { measure, unit, ...input }, { nowS }) {
    const points = pointsOf(input, nowS)
    const rows = (await series(db, measure, unit, points)).map(({ timeS: at, sum }) => ({ timeS: at, amount: `${sum}` }))
    return { measure, unit, total: `${await total(db, measure, unit)}`, stepS: points.stepS, points: rows }
  },
})
