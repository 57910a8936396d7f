/** Votes over the parameters: proposals, how they stand, who voted. */
import { sql, type Transaction } from 'kysely'
import { z } from 'zod'
import { BywayError } from '../../protocol/errors.ts'
import type { Database } from '../store/index.ts'
import { addressText, amount, NOTHING, nextCursor, pageOf, pageQuery, readCursor, route, timeS } from './route.ts'

const STATES = ['pending', 'active', 'ended', 'queued', 'executed', 'cancelled'] as const

const proposal = z.object({
  id: z.string(),
  proposer: addressText,
  description: z.string(),
  state: z
    .enum(STATES)
    .describe('`ended`: voting is over, and nobody has queued it; whether it passed follows from tally, quorum and majority'),
  startS: timeS,
  endS: timeS,
  inFavour: amount.describe('WAY'),
  against: amount,
  abstaining: amount,
  quorum: amount.describe('WAY that must be in favour or abstain: a third of what there was when voting began'),
  calls: z.array(z.object({ target: addressText, data: z.string() })),
})

interface Row {
  block: number
  place: number
  args: {
    proposalId: string
    proposer: string
    description: string
    voteStart: string
    voteEnd: string
    targets: string[]
    calldatas: string[]
  }
}

interface Ballot {
  block: number
  place: number
  args: { voter: string; support: number; weight: string; reason: string }
}

/** As contracts/src/governance/Governance.sol has it. */
const QUORUM_PERCENT = 33n

async function withTally(db: Transaction<Database>, row: Row, nowS: number): Promise<z.input<typeof proposal>> {
  const { proposalId: id, proposer, description, voteStart, voteEnd, targets, calldatas } = row.args
  const { rows: tally } = await sql<{ support: number; weight: string }>`
    select (args->>'support')::int as support, sum((args->>'weight')::numeric)::text as weight from events
    where contract = 'governance' and name in ('VoteCast', 'VoteCastWithParams') and args->>'proposalId' = ${id} group by 1`.execute(db)
  const { rows: ends } = await sql<{ name: string }>`
    select name from events where contract = 'governance' and name in ('ProposalQueued', 'ProposalExecuted', 'ProposalCanceled')
    and args->>'proposalId' = ${id} order by block desc, place desc limit 1`.execute(db)
  const { rows: supply } = await sql<{ sum: string }>`
    select coalesce(sum(case measure when 'minted' then amount else -amount end), 0)::text as sum from entries
    where measure in ('minted', 'burnt') and unit = 'way' and time_s <= ${Number(voteStart)}`.execute(db)
  const of = (support: number) => tally.find((vote) => vote.support === support)?.weight ?? '0'
  const [startS, endS] = [Number(voteStart), Number(voteEnd)]
  return {
    id,
    proposer,
    description,
    state: stateOf(ends[0]?.name, startS, endS, nowS),
    startS,
    endS,
    against: of(0),
    inFavour: of(1),
    abstaining: of(2),
    // Rounded up, as the contract does.
    quorum: `${(BigInt(supply[0]!.sum) * QUORUM_PERCENT + 99n) / 100n}`,
    calls: targets.map((target, i) => ({ target, data: calldatas[i] ?? '0x' })),
  }
}

function stateOf(end: string | undefined, startS: number, endS: number, nowS: number): (typeof STATES)[number] {
  if (end === 'ProposalCanceled') return 'cancelled'
  if (end === 'ProposalExecuted') return 'executed'
  if (end === 'ProposalQueued') return 'queued'
  if (nowS <= startS) return 'pending'
  return nowS <= endS ? 'active' : 'ended'
}

const created = (db: Transaction<Database>) =>
  db.selectFrom('events').select(['block', 'place', 'args']).where('contract', '=', 'governance').where('name', '=', 'ProposalCreated')

export const votes = route({
  path: '/v1/votes',
  summary: 'Proposals, newest first, and how they stand',
  query: pageQuery,
  params: NOTHING,
  answer: z.object({ proposals: z.array(proposal), next: nextCursor }),
  async handle(db, { limit, cursor }, { nowS }) {
    const before = readCursor(cursor, z.tuple([z.int(), z.int()]))
    let ask = created(db).orderBy('block', 'desc').orderBy('place', 'desc')
    if (before !== undefined) ask = ask.where(sql<boolean>`(block, place) < (${before[0]}, ${before[1]})`)
    const page = pageOf((await ask.limit(limit + 1).execute()) as unknown as Row[], limit, (row) => [row.block, row.place])
    const proposals = []
    for (const row of page.rows) proposals.push(await withTally(db, row, nowS))
    return { proposals, next: page.next }
  },
})

export const voteDetail = route({
  path: '/v1/votes/{id}',
  summary: 'One proposal, and who voted how, newest first',
  query: pageQuery,
  params: z.object({ id: z.string().regex(/^\d{1,78}$/) }),
  answer: z.object({
    proposal,
    ballots: z.array(
      z.object({
        voter: addressText,
        support: z.enum(['against', 'inFavour', 'abstaining']),
        weight: amount,
        reason: z.string(),
        block: z.int(),
      }),
    ),
    next: nextCursor,
  }),
  async handle(db, { id, limit, cursor }, { nowS }) {
    const row = await created(db).where(sql<string>`args->>'proposalId'`, '=', id).limit(1).executeTakeFirst()
    if (row === undefined) throw new BywayError('NOT_KNOWN', 'there is no proposal with this id', { facts: { id } })
    const before = readCursor(cursor, z.tuple([z.int(), z.int()]))
    let ask = db
      .selectFrom('events')
      .select(['block', 'place', 'args'])
      .where('contract', '=', 'governance')
      .where('name', 'in', ['VoteCast', 'VoteCastWithParams'])
      .where(sql<string>`args->>'proposalId'`, '=', id)
      .orderBy('block', 'desc')
      .orderBy('place', 'desc')
    if (before !== undefined) ask = ask.where(sql<boolean>`(block, place) < (${before[0]}, ${before[1]})`)
    const page = pageOf(await ask.limit(limit + 1).execute(), limit, (vote) => [vote.block, vote.place])
    const WORDS = ['against', 'inFavour', 'abstaining'] as const
    const ballots = (page.rows as unknown as Ballot[]).map(({ block, args }) => ({
      voter: args.voter,
      support: WORDS[args.support] ?? ('abstaining' as const),
      weight: args.weight,
      reason: args.reason,
      block,
    }))
    return { proposal: await withTally(db, row as unknown as Row, nowS), ballots, next: page.next }
  },
})
