/** What contracts said, word for word: the evidence behind every number. */
import { sql } from 'kysely'
import { z } from 'zod'
import { NOTHING, nextCursor, pageOf, pageQuery, readCursor, route, timeS } from './route.ts'

const word = z.string().regex(/^[A-Za-z0-9:_.-]{1,64}$/)

export const events = route({
  path: '/v1/events',
  summary: 'Events of the contracts, newest first',
  query: pageQuery.extend({
    contract: word.optional().describe('Name of the contract in the deployment, such as `channels` or `vaults:de`'),
    name: word.optional().describe('Name of the event, such as `Claimed`'),
    mentions: z
      .string()
      .regex(/^0x([0-9a-fA-F]{40}|[0-9a-fA-F]{64})$/)
      .transform((text) => text.toLowerCase())
      .optional()
      .describe('An address or node key that the event names'),
  }),
  params: NOTHING,
  answer: z.object({
    events: z.array(
      z.object({
        block: z.int(),
        place: z.int().describe('Index of the log in its block'),
        timeS,
        tx: z.string(),
        contract: z.string(),
        address: z.string(),
        name: z.string(),
        args: z.record(z.string(), z.unknown()),
      }),
    ),
    next: nextCursor,
  }),
  async handle(db, { limit, cursor, contract, name, mentions }) {
    const before = readCursor(cursor, z.tuple([z.int(), z.int()]))
    let ask = db
      .selectFrom('events')
      .innerJoin('blocks', 'blocks.number', 'events.block')
      .select(['block', 'place', 'time_s', 'tx', 'contract', 'address', 'name', 'args'])
      .orderBy('block', 'desc')
      .orderBy('place', 'desc')
    if (contract !== undefined) ask = ask.where('contract', '=', contract)
    if (name !== undefined) ask = ask.where('name', '=', name)
    if (mentions !== undefined) {
      ask = ask.where(({ exists, selectFrom }) =>
        exists(
          selectFrom('mentions')
            .whereRef('mentions.block', '=', 'events.block')
            .whereRef('mentions.place', '=', 'events.place')
            .where('mentions.name', '=', mentions)
            .select('mentions.name'),
        ),
      )
    }
    if (before !== undefined) ask = ask.where(sql<boolean>`(block, place) < (${before[0]}, ${before[1]})`)
    const page = pageOf(await ask.limit(limit + 1).execute(), limit, (row) => [row.block, row.place])
    return { events: page.rows.map(({ time_s, ...row }) => ({ ...row, timeS: time_s })), next: page.next }
  },
})
