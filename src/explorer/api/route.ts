/** A route of the public API: one entry says its path, what it takes, what it answers and how the answer is found. */
import type { Transaction } from 'kysely'
import { z } from 'zod'
import { BywayError } from '../../protocol/errors.ts'
import type { Database } from '../store/index.ts'

/** What a handler knows besides the database. */
export interface Moment {
  /** Unix seconds: which offers hold now. */
  readonly nowS: number
}

export interface RouteSpec {
  readonly path: string
  readonly summary: string
  readonly query: z.ZodObject
  readonly params: z.ZodObject
  /** Without `asOf`, which every answer has. */
  readonly answer: z.ZodObject
  handle(db: Transaction<Database>, input: never, moment: Moment): Promise<object>
}

export interface TypedRoute<Q extends z.ZodObject, P extends z.ZodObject, A extends z.ZodObject> extends Omit<RouteSpec, 'handle'> {
  readonly query: Q
  readonly params: P
  readonly answer: A
  handle(db: Transaction<Database>, input: z.output<Q> & z.output<P>, moment: Moment): Promise<z.input<A>>
}

/** Only keeps the types together. */
export const route = <Q extends z.ZodObject, P extends z.ZodObject, A extends z.ZodObject>(
  spec: TypedRoute<Q, P, A>,
): TypedRoute<Q, P, A> => spec

/** What a route answers. */
export type AnswerOf<R extends { answer: z.ZodObject }> = z.output<R['answer']> & { asOf: z.output<typeof asOf> }

/** An answer as the page shows it, with the address at which anybody finds it. */
export interface Shown<A> {
  readonly href: string
  readonly answer: A
}

/** The path of a question. */
export function pathOf({ path }: Pick<RouteSpec, 'path'>, query: Readonly<Record<string, string | number>> = {}): string {
  const text = new URLSearchParams(Object.entries(query).map(([name, value]) => [name, String(value)])).toString()
  return text === '' ? path : `${path}?${text}`
}

export const NOTHING = z.object({})

/** Block up to which the chain was read for an answer; null before the first. */
export const asOf = z
  .object({ block: z.int(), hash: z.string(), timeS: z.int() })
  .nullable()
  .describe('Block up to which the chain was read for this answer')

/** Amounts are in the smallest unit of their token, and beyond what a double holds. */
export const amount = z
  .string()
  .regex(/^-?\d+$/)
  .describe('Decimal string, in the smallest unit: a millionth of a dollar, 10^-18 of a WAY')
export const timeS = z.int().describe('Unix seconds')
export const addressText = z.string().regex(/^0x[0-9a-f]{40}$/)
export const nodeText = z.string().regex(/^0x[0-9a-f]{64}$/)
/** Taken in any case, answered in lower case. */
export const addressInput = z
  .string()
  .regex(/^0x[0-9a-fA-F]{40}$/)
  .transform((text) => text.toLowerCase())
export const nodeInput = z
  .string()
  .regex(/^0x[0-9a-fA-F]{64}$/)
  .transform((text) => text.toLowerCase())
export const countryInput = z
  .string()
  .regex(/^[a-z]{2}$/)
  .describe('Two lower-case letters (ISO 3166)')

// --- Pages ---
const MOST = 200
/** Where the next page begins: made here, opaque to everybody else. */
export const cursorText = z
  .string()
  .max(200)
  .regex(/^[A-Za-z0-9_-]+$/)
  .describe('`next` of the page before')
export const pageQuery = z.object({
  limit: z.coerce.number().int().min(1).max(MOST).default(50).describe('Rows on a page'),
  cursor: cursorText.optional(),
})
export const nextCursor = z.string().nullable().describe('Cursor of the next page; null on the last')

export function cursorOf(key: readonly (string | number)[]): string {
  return Buffer.from(JSON.stringify(key)).toString('base64url')
}

/** Key after which a page begins; undefined for the first page. */
export function readCursor<S extends z.ZodType>(cursor: string | undefined, key: S): z.output<S> | undefined {
  if (cursor === undefined) return undefined
  let said: unknown
  try {
    said = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'))
  } catch {
    said = undefined // fails the schema, which says what is wrong
  }
  const parsed = key.safeParse(said)
  if (parsed.success) return parsed.data
  throw new BywayError('ARGUMENT_INVALID', 'the cursor is none of this list', { hint: 'take it from `next` of the page before, unchanged' })
}

/** A page and where the next one begins; ask for one row more than the page has. */
export function pageOf<T>(
  rows: readonly T[],
  limit: number,
  keyOf: (row: T) => readonly (string | number)[],
): { rows: T[]; next: string | null } {
  const page = rows.slice(0, limit)
  return { rows: page, next: rows.length > limit ? cursorOf(keyOf(page.at(-1)!)) : null }
}

// --- Time series ---
const DAY_S = 86_400
/** What a chart can show; a longer series is asked for in parts or in longer steps. */
export const MOST_POINTS = 750
const STEPS = { minute: 60, hour: 3_600, day: DAY_S, week: 7 * DAY_S } as const
export const seriesQuery = z.object({
  step: z.enum(['minute', 'hour', 'day', 'week']).default('day').describe('Length of a point'),
  from: z.coerce
    .number()
    .int()
    .min(0)
    .max(2 ** 40)
    .optional()
    .describe('Unix seconds; 30 steps ago by default'),
  to: z.coerce
    .number()
    .int()
    .min(0)
    .max(2 ** 40)
    .optional()
    .describe('Unix seconds; now by default'),
})

/** First second of each point, whole steps since 1970, the last one under way; ARGUMENT_INVALID when there would be too many. */
export function pointsOf({ step, from, to }: z.output<typeof seriesQuery>, nowS: number): { stepS: number; firstS: number; lastS: number } {
  const stepS = STEPS[step]
  const floor = (at: number) => Math.floor(at / stepS) * stepS
  const lastS = floor(to ?? nowS)
  const firstS = floor(from ?? lastS - 29 * stepS)
  const points = (lastS - firstS) / stepS + 1
  if (points < 1 || points > MOST_POINTS) {
    throw new BywayError('ARGUMENT_INVALID', `the series would have ${Math.max(0, points)} points`, {
      facts: { points: Math.max(0, points), most: MOST_POINTS },
      hint: 'choose a longer step, or a time between `from` and `to` of at least one and at most 750 steps',
    })
  }
  return { stepS, firstS, lastS }
}
