/**
 * The local API as a Hono app: a plain table of routes in, JSON out, errors as problem documents.
 *
 * Handlers know nothing of HTTP: they get a query and a parsed body, return a value or throw a BywayError. Amounts leave as decimal strings.
 */
import { Hono } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { asBywayError, BywayError, ERRORS } from '../protocol/errors.ts'
import { jsonText } from './json.ts'
import type { Metrics } from './metrics.ts'
import { PROBLEM_TYPE, problem } from './problem.ts'
import type { Warnings } from './warnings.ts'

export interface ApiRequest {
  readonly query: Readonly<Record<string, string>>
  /** The JSON body of a POST, unchecked; undefined when there was none. */
  readonly body: unknown
  /** Aborts when the client goes away. */
  readonly signal: AbortSignal
}

export type Handler = (request: ApiRequest) => unknown
export type Route = `${'GET' | 'POST'} /${string}`
export type Routes = Readonly<Partial<Record<Route, Handler>>>

/** Something other than JSON. */
class TextAnswer {
  readonly contentType: string
  readonly text: string
  constructor(contentType: string, text: string) {
    this.contentType = contentType
    this.text = text
  }
}

/** A claim names channels and a fee; nothing the API takes is longer. */
const MAX_BODY_BYTES = 64 * 1024

/** The routes every daemon has. `health` throws a BywayError while the daemon cannot do its work. */
export function standardRoutes({ metrics, warnings, health }: { metrics: Metrics; warnings: Warnings; health: () => unknown }): Routes {
  return {
    'GET /healthz': () => health(),
    'GET /metrics': async () => new TextAnswer(metrics.contentType, await metrics.text()),
    'GET /v1/warnings': () => ({ warnings: warnings.list() }),
  }
}

export function apiApp(routes: Routes): Hono {
  const app = new Hono()
  app.use(
    bodyLimit({
      maxSize: MAX_BODY_BYTES,
      onError: () => {
        throw new BywayError('MESSAGE_TOO_LARGE', 'the request body is too long', { facts: { allowedBytes: MAX_BODY_BYTES } })
      },
    }),
  )
  for (const [route, handle] of Object.entries(routes)) {
    const [method = '', path = ''] = route.split(' ')
    app.on(method, path, async (context) => {
      const body = method === 'POST' ? parseBody(await context.req.text()) : undefined
      const answer: unknown = await handle!({ query: context.req.query(), body, signal: context.req.raw.signal })
      if (answer instanceof TextAnswer) return context.body(answer.text, 200, { 'content-type': answer.contentType })
      return context.body(jsonText(answer), 200, { 'content-type': 'application/json' })
    })
  }
  app.notFound((context) => {
    throw new BywayError('ROUTE_UNKNOWN', `there is no ${context.req.method} ${context.req.path}`, {
      hint: `there are: ${Object.keys(routes).join(', ')}`,
    })
  })
  app.onError((thrown) => {
    const error = asBywayError(thrown)
    return new Response(jsonText(problem(error)), { status: ERRORS[error.code].status, headers: { 'content-type': PROBLEM_TYPE } })
  })
  return app
}

function parseBody(text: string): unknown {
  if (text === '') return undefined
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new BywayError('ARGUMENT_INVALID', 'the request body is not JSON', { cause })
  }
}
