/** Regions and prices: where one can buy, and what it costs and cost. */
import { sql } from 'kysely'
import { z } from 'zod'
import { TIERS } from '../../protocol/offer.ts'
import { regionText } from '../indexer/entries.ts'
import { selling } from './nodes.ts'
import { amount, countryInput, NOTHING, pointsOf, route, seriesQuery, timeS } from './route.ts'

const spread = z.object({
  low: amount.describe('A tenth of the offers ask this or less, per GiB'),
  median: amount,
  high: amount.describe('A tenth of the offers ask this or more'),
})

/** Percentiles that are one of the prices themselves: no rounding, so every database says the same. */
const SPREAD = sql<{ low: string; median: string; high: string }>`
  percentile_disc(0.1) within group (order by price)::text as low,
  percentile_disc(0.5) within group (order by price)::text as median,
  percentile_disc(0.9) within group (order by price)::text as high`

export const regions = route({
  path: '/v1/regions',
  summary: 'Countries with nodes that sell now, and the regions of the reward schedule',
  query: NOTHING,
  params: NOTHING,
  answer: z.object({
    countries: z.array(
      z.object({
        country: z.string(),
        nodes: z.int(),
        networks: z.int().describe('Autonomous systems they name'),
        relays: z.int(),
        pricePerGib: spread,
      }),
    ),
    regions: z.array(
      z.object({
        region: z.string(),
        multiplier: amount.nullable().describe('Newest multiplier announced; null when nobody reported the region'),
        asked: amount.describe('WAY offered for more capacity there'),
        vaulted: amount.describe('Dollars investors have in its vault'),
        subsidised: amount.describe('Dollars its vault paid to providers'),
      }),
    ),
  }),
  async handle(db, _input, { nowS }) {
    const { rows: countries } = await sql<{
      country: string
      nodes: number
      networks: number
      relays: number
      low: string
      median: string
      high: string
    }>`
      select country, count(*)::int as nodes, count(distinct nullif(asn, 0))::int as networks, count(*) filter (where relay)::int as relays, ${SPREAD}
      from (select distinct on (node) * from terms where ${selling(nowS)} order by node, since_s desc) as now
      group by country order by country`.execute(db)
    const { rows: multipliers } = await sql<{ region: string; multiplier: string }>`
      select distinct on (args->>'region') args->>'region' as region, args->>'multiplier' as multiplier from events
      where contract = 'regionMultipliers' and name in ('MultiplierRaised', 'MultiplierWillFall')
      order by args->>'region', block desc, place desc`.execute(db)
    const sums = await db
      .selectFrom('entries')
      .select(['region', 'measure', ({ fn }) => fn.sum<string>('amount').as('sum')])
      .where('measure', 'in', ['surcharged', 'vaulted', 'subsidised'])
      .groupBy(['region', 'measure'])
      .execute()
    const multiplierOf = new Map(multipliers.map(({ region, multiplier }) => [regionText(region), multiplier]))
    const names = [...new Set([...multiplierOf.keys(), ...sums.map(({ region }) => region)])].filter((name) => name !== '').sort()
    const sumOf = (region: string, measure: string) => sums.find((row) => row.region === region && row.measure === measure)?.sum ?? '0'
    return {
      countries: countries.map(({ low, median, high, ...row }) => ({ ...row, pricePerGib: { low, median, high } })),
      regions: names.map((region) => ({
        region,
        multiplier: multiplierOf.get(region) ?? null,
        asked: sumOf(region, 'surcharged'),
        vaulted: sumOf(region, 'vaulted'),
        subsidised: sumOf(region, 'subsidised'),
      })),
    }
  },
})

export const prices = route({
  path: '/v1/prices',
  summary: 'What nodes asked over time, by their signed offers',
  query: seriesQuery.extend({ country: countryInput.optional(), tier: z.enum(TIERS).optional() }),
  params: NOTHING,
  answer: z.object({
    stepS: z.int(),
    points: z.array(z.object({ timeS, nodes: z.int(), pricePerGib: spread.nullable().describe('Null while nobody sold') })),
  }),
  async handle(db, input, { nowS }) {
    const { stepS, firstS, lastS } = pointsOf(input, nowS)
    const { rows } = await sql<{ time_s: number; nodes: number; low: string | null; median: string; high: string }>`
      select at.time_s, count(distinct node)::int as nodes, ${SPREAD}
      from generate_series(${firstS}::int8, ${lastS}::int8, ${stepS}::int8) as at (time_s)
      left join terms on since_s < at.time_s + ${stepS}::int8 and least(until_s, seen_s + 1) > at.time_s
        ${input.country === undefined ? sql`` : sql`and country = ${input.country}`} ${input.tier === undefined ? sql`` : sql`and tier = ${input.tier}`}
      group by at.time_s order by at.time_s`.execute(db)
    return {
      stepS,
      points: rows.map(({ time_s, nodes, low, median, high }) => ({
        timeS: time_s,
        nodes,
        pricePerGib: low === null ? null : { low, median, high },
      })),
    }
  },
})
