/**
 * The public API: who sells, for how much, what burnt, who was paid, and why.
 *
 * The rule it keeps: anybody may read it, nobody can change anything through it, and whoever asks too much is asked to wait. Answers are JSON
 * with amounts as decimal strings, errors are problem documents, and each answer says up to which block it holds. `/openapi.json` describes
 * it all, from the same schemas that check what comes in.
 *
 * Start reading at route.ts (what a route is), then nodes.ts.
 */
import { createHash } from 'node:crypto'
import { type Context, Hono } from 'hono'
import { describeRoute, openAPIRouteHandler, resolver } from 'hono-openapi'
import { z } from 'zod'
import { jsonText } from '../../api/json.ts'
import { fromProblem, PROBLEM_TYPE, problem } from '../../api/problem.ts'
import type { Clock } from '../../protocol/clock.ts'
import { asBywayError, BywayError, ERRORS } from '../../protocol/errors.ts'
import { positionOf } from '../indexer/follow.ts'
import { type Store, snapshot } from '../store/index.ts'
import { answerCache } from './cache.ts'
import { events } from './events.ts'
import type { Limiter } from './limit.ts'
import { burns, measureSeries, measures, rewards, supply } from './money.ts'
import { nodeDetail, nodes } from './nodes.ts'
import { prices, regions } from './prices.ts'
import { type AnswerOf, asOf, pathOf, type RouteSpec, type Shown } from './route.ts'
import { scoreDetail, scores } from './scores.ts'
import { voteDetail, votes } from './votes.ts'

export const ROUTES: readonly RouteSpec[] = [
  nodes,
  nodeDetail,
  regions,
  prices,
  supply,
  burns,
  rewards,
  measures,
  measureSeries,
  scores,
  scoreDetail,
  votes,
  voteDetail,
  events,
]

/** How long an answer may be shown without asking again: a block time. */
const FRESH_S = 5

export interface PublicApiNeeds {
  store: Store
  clock: Clock
  version: string
  limiter: Limiter
  /** Whether it keeps up, and how far it is. */
  health: () => { ok: boolean } & Record<string, unknown>
  /** Who asks, as the limiter counts it; undefined is not limited. */
  askerOf: (context: Context) => string | undefined
}

export interface PublicApi {
  app: Hono
  /** What the API answers, for the page: the same bytes, read again. */
  ask<R extends RouteSpec>(spec: R, query?: Readonly<Record<string, string | number>>): Promise<Shown<AnswerOf<R>>>
}

const PROBLEM = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  code: z.string(),
  facts: z.record(z.string(), z.unknown()),
  hint: z.string().optional(),
  retry: z.boolean(),
})

export function publicApi({ store, clock, version, limiter, health, askerOf }: PublicApiNeeds): PublicApi {
  const app = new Hono()
  const cache = answerCache(clock)

  app.use(async (context, next) => {
    const asker = askerOf(context)
    const waitS = asker === undefined ? 0 : limiter.waitS(asker)
    // Everybody's page may read it: there is nothing here that a browser knows and others do not.
    context.header('access-control-allow-origin', '*')
    context.header('access-control-expose-headers', 'etag, retry-after')
    context.header('x-content-type-options', 'nosniff')
    if (waitS > 0) {
      context.header('retry-after', String(waitS))
      throw new BywayError('TOO_MANY_REQUESTS', 'you ask faster than this explorer answers', {
        facts: { waitSeconds: waitS },
        hint: 'ask for larger pages, keep answers for as long as `cache-control` says, or run an explorer of your own: `byway explore`',
      })
    }
    if (context.req.method !== 'OPTIONS') return next()
    context.header('access-control-allow-methods', 'GET')
    context.header('access-control-max-age', '86400')
    return context.body(null, 204)
  })

  const answer = async (spec: RouteSpec, input: object): Promise<string> => {
    const body = await snapshot(store, async (db) => {
      const at = await positionOf(db)
      const said = await spec.handle(db, input as never, { nowS: Math.floor(clock.nowMs() / 1_000) })
      return { asOf: at === undefined ? null : { block: at.number, hash: at.hash, timeS: at.timeS }, ...said }
    })
    return jsonText(body)
  }

  for (const spec of ROUTES) {
    const document = describeRoute({
      summary: spec.summary,
      parameters: [...parametersOf('query', spec.query), ...parametersOf('path', spec.params)],
      responses: {
        200: { description: 'The answer', content: { 'application/json': { schema: resolver(z.object({ asOf, ...spec.answer.shape })) } } },
        default: { description: 'A problem', content: { [PROBLEM_TYPE]: { schema: resolver(PROBLEM) } } },
      },
    })
    app.get(spec.path.replaceAll(/\{(\w+)\}/g, ':$1'), document, async (context) => {
      const input = { ...parsed(spec.query, context.req.query(), 'query'), ...parsed(spec.params, context.req.param(), 'path') }
      const text = await cache.get(`${spec.path} ${JSON.stringify(input)}`, () => answer(spec, input))
      const etag = `"${createHash('sha256').update(text).digest('base64url').slice(0, 22)}"`
      const headers = { 'cache-control': `public, max-age=${FRESH_S}`, etag }
      if (context.req.header('if-none-match') === etag) return context.body(null, 304, headers)
      return context.body(text, 200, { ...headers, 'content-type': 'application/json' })
    })
  }

  app.get('/v1/health', (context) => {
    const said = health()
    return context.body(jsonText(said), said.ok ? 200 : 503, { 'content-type': 'application/json', 'cache-control': 'no-store' })
  })
  app.get(
    '/openapi.json',
    openAPIRouteHandler(app, {
      documentation: {
        info: { title: 'Byway explorer', version, description: 'Public data of the exchange, from its chain and its signed offers.' },
      },
    }),
  )
  app.notFound((context) => {
    throw new BywayError('ROUTE_UNKNOWN', `there is no ${context.req.method} ${context.req.path}`, { hint: 'see /openapi.json' })
  })
  app.onError((thrown, context) => {
    const error = asBywayError(thrown)
    const headers = new Headers(context.res.headers)
    headers.set('content-type', PROBLEM_TYPE)
    headers.set('cache-control', 'no-store')
    return new Response(jsonText(problem(error)), { status: ERRORS[error.code].status, headers })
  })

  return {
    app,
    async ask<R extends RouteSpec>(spec: R, query: Readonly<Record<string, string | number>> = {}) {
      const href = pathOf(spec, query)
      const response = await app.request(href)
      if (!response.ok) throw fromProblem(await response.json())
      return { href, answer: (await response.json()) as AnswerOf<R> }
    },
  }
}

function parsed(schema: z.ZodObject, said: Record<string, string>, where: string): object {
  // An unknown word is a slip of the pen; answering without it would be answering another question.
  const result = schema.strict().safeParse(said)
  if (result.success) return result.data
  const issue = result.error.issues[0]!
  const name = issue.code === 'unrecognized_keys' ? issue.keys.join(', ') : issue.path.join('.')
  throw new BywayError('ARGUMENT_INVALID', `${name}: ${issue.message}`, {
    facts: { where, parameter: name },
    hint: `it takes: ${Object.keys(schema.shape).join(', ') || 'nothing'}; see /openapi.json`,
  })
}

function parametersOf(where: 'query' | 'path', schema: z.ZodObject) {
  const { properties = {} } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' })
  return Object.entries(properties).map(([name, property]) => {
    const { description, ...rest } = property as { description?: string }
    return { name, in: where, required: where === 'path', ...(description === undefined ? {} : { description }), schema: rest as object }
  })
}
