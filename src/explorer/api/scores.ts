/**
 * Scores, with the evidence they are computed from: what contracts said about an operator, turned into what src/economy/reputation reads. Whoever
 * has the events comes to the same score.
 *
 * Signs of life are signed by probers and are not on the chain; without them nothing is known of uptime, so the score is given without that factor
 * and says so.
 */
import { sql, type Transaction } from 'kysely'
import { z } from 'zod'
import { type Evidence, reasonsOf, type Score, scoreOf } from '../../economy/reputation/index.ts'
import type { Database } from '../store/index.ts'
import { addressInput, addressText, NOTHING, nextCursor, pageOf, pageQuery, readCursor, route, timeS } from './route.ts'

/** A year of weekly audits and a few agreements a day; older evidence hardly counts. */
const MOST_EVIDENCE = 2_000
/** Of a double that is computed alike everywhere; six digits are more than anybody compares. */
const DIGITS = 6

const factors = ['audits', 'answers', 'agreements', 'vetting'] as const
const score = z.object({
  value: z.number().describe('From 0 to 1: the product of the factors'),
  factors: z.object(Object.fromEntries(factors.map((name) => [name, z.number()])) as Record<(typeof factors)[number], z.ZodNumber>),
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
  const { rows: audits } = await sql<{
    operator: string
    name: string
    epoch: string
    claimed: number
    proven: number | null
    tx: string
    time_s: number
  }>`
    select m.name as operator, e.name, e.args->>'epoch' as epoch, (e.args->>'claimed')::int8 as claimed, (e.args->>'proven')::int8 as proven, e.tx, b.time_s
    from mentions m join events e on e.block = m.block and e.place = m.place join blocks b on b.number = e.block
    where m.name in (${wanted}) and e.contract = 'audits' and e.name in ('Called', 'Audited') and e.args->>'operator' = m.name
    order by e.block, e.place`.execute(db)
  const waiting = new Map<string, { epoch: string; tx: string }>()
  for (const { operator, name, epoch, claimed, proven, tx, time_s: atS } of audits) {
    const of = found.get(operator)!
    if (name === 'Audited') {
      if (waiting.get(operator)?.epoch === epoch) waiting.delete(operator)
      of.push({ kind: 'audit', atS, proof: tx, claimedMbps: claimed, provenMbps: proven ?? 0 })
      continue
    }
    // Called again, and the last call has brought no report.
    const before = waiting.get(operator)
    if (before !== undefined) of.push({ kind: 'silence', atS, proof: before.tx })
    waiting.set(operator, { epoch, tx })
  }
  const { rows: agreements } = await sql<{ provider: string; state: number; measured: boolean; tx: string; time_s: number }>`
    select o.args->>'provider' as provider, (e.args->>'state')::int as state, e.tx, b.time_s,
      exists (select 1 from events r where r.contract = 'serviceAgreements' and r.name = 'Reported' and r.args->>'id' = o.args->>'id') as measured
    from mentions m join events o on o.block = m.block and o.place = m.place
    join events e on e.contract = o.contract and e.args->>'id' = o.args->>'id' and e.name = 'Ended'
    join blocks b on b.number = e.block
    where m.name in (${wanted}) and o.contract = 'serviceAgreements' and o.name = 'Opened' and o.args->>'provider' = m.name
    order by e.block, e.place`.execute(db)
  for (const { provider, state, measured, tx, time_s: atS } of agreements) {
    if (state === MET || state === BROKEN) found.get(provider)!.push({ kind: 'agreement', atS, proof: tx, kept: state === MET, measured })
  }
  for (const [operator, evidence] of found) found.set(operator, evidence.sort((a, b) => a.atS - b.atS).slice(-MOST_EVIDENCE))
  return found
}

/** Of the enum State in contracts/src/agreements/ServiceAgreements.sol; a cancelled one says nothing of anybody. */
const MET = 4
const BROKEN = 5

const short = (value: number): number => Number(value.toFixed(DIGITS))

function scoreText(evidence: readonly Evidence[], nowS: number): ScoreText {
  const whole: Score = scoreOf(evidence, nowS)
  const known = Object.fromEntries(factors.map((name) => [name, short(whole.factors[name])])) as ScoreText['factors']
  return {
    value: short(factors.reduce((product, name) => product * whole.factors[name], 1)),
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
