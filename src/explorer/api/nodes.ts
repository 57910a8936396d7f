/** Nodes: who sells now, at which terms, and what the chain says about them. */
import { sql, type Transaction } from 'kysely'
import { z } from 'zod'
import { BywayError } from '../../protocol/errors.ts'
import { LINES, TIERS } from '../../protocol/offer.ts'
import { regionText } from '../indexer/entries.ts'
import { GONE_AFTER_S } from '../indexer/offers.ts'
import type { Database } from '../store/index.ts'
import type { TermsTable } from '../store/schema.ts'
import { addressText, amount, countryInput, nextCursor, nodeInput, nodeText, pageOf, pageQuery, readCursor, route, timeS } from './route.ts'
import { scoresOf } from './scores.ts'

const terms = z.object({
  country: z.string().describe('As the node claims it'),
  region: z.string().describe('Part of the country, as the node claims it; empty when it does not say'),
  city: z.string(),
  asn: z.int().describe('Autonomous system as the node claims it; 0 when it does not say'),
  line: z.enum(LINES).describe('Kind of line, as the node claims it'),
  mbps: z.int().describe('What the line is said to carry; 0 when the node does not say'),
  tier: z.enum(TIERS),
  pricePerGib: amount,
  relay: z.boolean().describe('Whether others can be called through it'),
  ways: z.array(z.string()).describe('How it is reached'),
  sinceS: timeS,
  untilS: timeS,
})

const evidence = z.object({
  claimed: amount.describe('Paid to its payee for traffic, in dollars'),
  withheld: amount.describe('The part of it that burns WAY'),
  rewarded: amount.describe('WAY paid to the operator or its payee for usage and capacity'),
  staked: amount.describe('WAY behind the operator now'),
  slashed: amount.describe('WAY ever taken from it'),
  audits: z.int().describe('Bandwidth audits that were decided'),
  auditsFailed: z.int().describe('Those that cost stake'),
  provenMbps: z.int().nullable().describe('Bandwidth proven in the last audit; null without one'),
})

const operator = z
  .object({
    address: addressText,
    region: z.string(),
    mbps: z.int(),
    commissionBps: z.int(),
    role: z.enum(['none', 'provider', 'prober', 'both']),
  })
  .nullable()
  .describe('Profile in the registry, when it names this node and the offer of the node pays this very operator')

const score = z.number().nullable().describe('From 0 to 1, with its evidence at /v1/scores/{operator}; null for a node without an operator')

const node = z.object({ node: nodeText, payee: addressText, ...terms.shape, operator, score, evidence })

type Row = Omit<TermsTable, 'price'> & { price: string }

const termsText = (row: Row) => ({
  country: row.country,
  region: row.region,
  city: row.city,
  asn: row.asn,
  line: row.line as (typeof LINES)[number],
  mbps: row.mbps,
  tier: row.tier as (typeof TIERS)[number],
  pricePerGib: row.price,
  relay: row.relay,
  ways: row.ways.split(' '),
  sinceS: row.since_s,
  untilS: row.until_s,
})

/** Rows of nodes that sell now. */
export const selling = (nowS: number) => sql<boolean>`since_s <= ${nowS} and until_s > ${nowS} and seen_s > ${nowS - GONE_AFTER_S}`

export const nodes = route({
  path: '/v1/nodes',
  summary: 'Nodes that sell now, in the order of their keys',
  query: pageQuery.extend({
    country: countryInput.optional(),
    tier: z.enum(TIERS).optional(),
    payee: z
      .string()
      .regex(/^0x[0-9a-fA-F]{40}$/)
      .transform((text) => text.toLowerCase())
      .optional(),
  }),
  params: z.object({}),
  answer: z.object({ nodes: z.array(node), next: nextCursor }),
  async handle(db, { limit, cursor, country, tier, payee }, { nowS }) {
    const after = readCursor(cursor, z.tuple([nodeText]))
    let ask = db.selectFrom('terms').distinctOn('node').selectAll().where(selling(nowS)).orderBy('node').orderBy('since_s', 'desc')
    if (country !== undefined) ask = ask.where('country', '=', country)
    if (tier !== undefined) ask = ask.where('tier', '=', tier)
    if (payee !== undefined) ask = ask.where('payee', '=', payee)
    if (after !== undefined) ask = ask.where('node', '>', after[0])
    const page = pageOf(await ask.limit(limit + 1).execute(), limit, (row) => [row.node])
    return { nodes: await withEvidence(db, page.rows, nowS), next: page.next }
  },
})

export const nodeDetail = route({
  path: '/v1/nodes/{node}',
  summary: 'One node: its newest terms, what it asked before, and the evidence of the chain',
  query: z.object({}),
  params: z.object({ node: nodeInput }),
  answer: node.extend({
    sells: z.boolean().describe('Whether its offer holds and is found now'),
    history: z
      .array(terms.pick({ pricePerGib: true, country: true, tier: true, sinceS: true, untilS: true }))
      .describe('Newest first, at most 100'),
  }),
  async handle(db, { node: key }, { nowS }) {
    const rows = await db.selectFrom('terms').selectAll().where('node', '=', key).orderBy('since_s', 'desc').limit(100).execute()
    const [newest] = rows
    if (newest === undefined) throw new BywayError('NOT_KNOWN', 'no node with this key ever made an offer here', { facts: { node: key } })
    const [shown] = await withEvidence(db, [newest], nowS)
    const history = rows
      .map(termsText)
      .map(({ pricePerGib, country, tier, sinceS, untilS }) => ({ pricePerGib, country, tier, sinceS, untilS }))
    return { ...shown!, sells: newest.until_s > nowS && newest.seen_s > nowS - GONE_AFTER_S, history }
  },
})

const ROLES = ['none', 'provider', 'prober', 'both'] as const

async function withEvidence(db: Transaction<Database>, rows: readonly Row[], nowS: number): Promise<z.input<typeof node>[]> {
  if (rows.length === 0) return []
  const [operators, found] = await Promise.all([operatorsOf(db, rows), evidenceOf(db, [...new Set(rows.map(({ payee }) => payee))])])
  const scored = await scoresOf(
    db,
    [...operators.values()].flatMap((each) => (each === null ? [] : [each.address])),
    nowS,
  )
  return rows.map((row) => ({
    node: row.node,
    payee: row.payee,
    ...termsText(row),
    operator: operators.get(row.node) ?? null,
    score: scored.get(operators.get(row.node)?.address ?? '')?.value ?? null,
    evidence: found.get(row.payee)!,
  }))
}

/**
 * The newest profile that names a node. Anybody may name any node, so it counts only when the node agrees: its offer, signed with its key, pays
 * the operator itself.
 */
async function operatorsOf(db: Transaction<Database>, rows: readonly Row[]): Promise<Map<string, z.input<typeof operator>>> {
  const wanted = rows.map(({ node: key, payee }) => sql`(${key}::text, ${payee}::text)`)
  const { rows: found } = await sql<{
    node: string
    operator: string
    profile: { region: string; mbps: number; commissionBps: number; role: number }
  }>`
    select distinct on (w.node) w.node, w.payee as operator, e.args->'profile' as profile
    from (values ${sql.join(wanted)}) as w (node, payee)
    join mentions m on m.name = w.node
    join events e on e.block = m.block and e.place = m.place
    where e.contract = 'registry' and e.name = 'ProfileSet' and e.args->>'operator' = w.payee
    order by w.node, e.block desc, e.place desc`.execute(db)
  return new Map(
    found.map(({ node: key, operator: address, profile }) => [
      key,
      {
        address,
        region: regionText(profile.region),
        mbps: profile.mbps,
        commissionBps: profile.commissionBps,
        role: ROLES[profile.role] ?? 'none',
      },
    ]),
  )
}

type Evidence = z.input<typeof evidence>

/** What the chain says about these addresses, as payee or operator. */
export async function evidenceOf(db: Transaction<Database>, owners: readonly string[]): Promise<Map<string, Evidence>> {
  const sums = await db
    .selectFrom('entries')
    .select(['owner', 'measure', 'unit', ({ fn }) => fn.sum<string>('amount').as('sum')])
    .where('owner', 'in', owners)
    .where('measure', 'in', ['claimed', 'withheld', 'rewarded_usage', 'rewarded_capacity', 'rewarded_bootstrap', 'staked', 'slashed'])
    .groupBy(['owner', 'measure', 'unit'])
    .execute()
  const { rows: audits } = await sql<{ owner: string; audits: number; failed: number; proven: number }>`
    select args->>'operator' as owner, count(*)::int as audits, count(*) filter (where (args->>'slashed')::numeric > 0)::int as failed,
      (array_agg((args->>'proven')::int order by e.block desc, e.place desc))[1] as proven
    from mentions m join events e on e.block = m.block and e.place = m.place
    where m.name in (${sql.join(owners)}) and e.contract = 'audits' and e.name = 'Audited' and e.args->>'operator' = m.name
    group by 1`.execute(db)
  const audited = new Map(audits.map((row) => [row.owner, row]))
  return new Map(
    owners.map((owner) => {
      const of = (unit: string, ...measures: string[]) =>
        sums
          .filter((row) => row.owner === owner && row.unit === unit && measures.includes(row.measure))
          .reduce((sum, row) => sum + BigInt(row.sum), 0n)
          .toString()
      const seen = audited.get(owner)
      return [
        owner,
        {
          claimed: of('dollar', 'claimed'),
          withheld: of('dollar', 'withheld'),
          rewarded: of('way', 'rewarded_usage', 'rewarded_capacity', 'rewarded_bootstrap'),
          staked: of('way', 'staked'),
          slashed: of('way', 'slashed'),
          audits: seen?.audits ?? 0,
          auditsFailed: seen?.failed ?? 0,
          provenMbps: seen?.proven ?? null,
        },
      ]
    }),
  )
}
