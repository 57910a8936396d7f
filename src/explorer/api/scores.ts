/**
 * Scores, with the evidence they are computed from: what contracts said about an operator, read by src/economy/reputation/said.ts. Whoever has the
 * events comes to the same score, and consumers do: it ranks their offers.
 */
import { sql, type Transaction } from 'kysely'
import { z } from 'zod'
import { type Evidence, evidenceFrom, PUBLIC_FACTORS, publicScore, reasonsOf, type SaidEvent } from '../../economy/reputation/index.ts'
import type { Database } from '../store/index.ts'
import { addressInput, addressText, NOTHING, nextCursor, pageOf, pageQuery, readCursor, route, timeS } from './route.ts'

/** Of a double that is computed alike everywhere; six digits are more than anybody compares. */
const DIGITS = 6

const score = z.object({
  value: z.number().describe('From 0 to 1: the product of the factors'),
  factors: z.object(
    Object.fromEntries(PUBLIC_FACTORS.map((name) => [name, z.number()])) as Record<(typeof PUBLIC_FACTORS)[number], z.ZodNumber>,
  ),
  unknown: z.array(z.string()).describe('Factors nothing is known of: they are left out of the product'),
  reasons: z.array(z.string()).describe('What lowers it, most first'),
  sinceS: timeS.nullable().describe('Since when the record counts; null before there is evidence'),
  evidence: z.int(),
})
export type ScoreText = z.input<typeof score>

/** What contracts said about each of these operators, oldest first. */
async function evidenceOf(db: Transaction<Database>, operators: readonly string[]): Promise<Map<string, Evidence[]>> {
  const found = new Map<string, Evidence[]>(operators.map((operator) => [operator, []]))
  if (operators.length === 0) return found
  const wanted = sql.join(operators)
  type Row = Omit<SaidEvent, 'timeS'> & { time_s: number }
  const { rows: audits } = await sql<Row>`
    select e.contract, e.name, e.args, e.tx, b.time_s
    from mentions m join events e on e.block = m.block and e.place = m.place join blocks b on b.number = e.block
    where m.name in (${wanted}) and e.contract = 'audits' and e.name in ('Called', 'Audited') and e.args->>'operator' = m.name
    order by e.block, e.place`.execute(db)
  const { rows: agreements } = await sql<Row>`
    select e.contract, e.name, e.args, e.tx, b.time_s
    from mentions m join events o on o.block = m.block and o.place = m.place
    join events e on e.contract = o.contract and e.args->>'id' = o.args->>'id' and e.name in ('Opened', 'Reported', 'Ended')
    join blocks b on b.number = e.block
    where m.name in (${wanted}) and o.contract = 'serviceAgreements' and o.name = 'Opened' and o.args->>'provider' = m.name
    order by e.block, e.place`.execute(db)
  const said = [...audits, ...agreements].map(({ time_s: timeS, ...event }): SaidEvent => ({ ...event, timeS }))
  for (const [operator, evidence] of evidenceFrom(said))
    found.set(
      operator,
      evidence.toSorted((a, b) => a.atS - b.atS),
    )
  return found
}

const short = (value: number): number => Number(value.toFixed(DIGITS))

function scoreText(evidence: readonly Evidence[], nowS: number): ScoreText {
  const whole = publicScore(evidence, nowS)
  const known = Object.fromEntries(PUBLIC_FACTORS.map((name) => [name, short(whole.factors[name])])) as ScoreText['factors']
  return {
    value: short(whole.value),
    factors: known,
    unknown: ['uptime'],
    reasons: reasonsOf(whole)
      .filter(({ factor }) => factor in known)
      .map(({ text }) => text),
    sinceS: whole.evidence === 0 ? null : whole.sinceS,
    evidence: whole.evidence,
  }
}

/** Scores of these operators. */
export async function scoresOf(db: Transaction<Database>, operators: readonly string[], nowS: number): Promise<Map<string, ScoreText>> {
  const found = await evidenceOf(db, operators)
  return new Map([...found].map(([operator, evidence]) => [operator, scoreText(evidence, nowS)]))
}

export const scores = route({
  path: '/v1/scores',
  summary: 'Operators of the registry with their scores, in the order of their addresses',
  query: pageQuery,
  params: NOTHING,
  answer: z.object({ operators: z.array(z.object({ operator: addressText, score })), next: nextCursor }),
  async handle(db, { limit, cursor }, { nowS }) {
    const after = readCursor(cursor, z.tuple([addressText]))
    const { rows } = await sql<{ operator: string }>`
      select distinct args->>'operator' collate "C" as operator from events where contract = 'registry' and name = 'ProfileSet'
      ${after === undefined ? sql`` : sql`and args->>'operator' > ${after[0]}`} order by 1 limit ${limit + 1}`.execute(db)
    const page = pageOf(rows, limit, ({ operator }) => [operator])
    const found = await scoresOf(
      db,
      page.rows.map(({ operator }) => operator),
      nowS,
    )
    return { operators: page.rows.map(({ operator }) => ({ operator, score: found.get(operator)! })), next: page.next }
  },
})

export const scoreDetail = route({
  path: '/v1/scores/{operator}',
  summary: 'The score of one operator, and every piece of evidence behind it, newest first',
  query: NOTHING,
  params: z.object({ operator: addressInput }),
  answer: z.object({
    operator: addressText,
    score,
    evidence: z.array(
      z.object({
        kind: z.enum(['audit', 'silence', 'agreement']),
        atS: timeS,
        proof: z.string().describe('Transaction in which it was said'),
        claimedMbps: z.int().optional(),
        provenMbps: z.int().optional(),
        kept: z.boolean().optional(),
        measured: z.boolean().optional().describe('Whether a committee measured it; otherwise it counts for nothing'),
      }),
    ),
  }),
  async handle(db, { operator }, { nowS }) {
    const evidence = (await evidenceOf(db, [operator])).get(operator)!
    const shown = evidence.flatMap((each) =>
      each.kind === 'audit' || each.kind === 'silence' || each.kind === 'agreement' ? [{ ...each }] : [],
    )
    return { operator, score: scoreText(evidence, nowS), evidence: shown.toReversed() }
  },
})
