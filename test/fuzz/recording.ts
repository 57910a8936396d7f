/** What was recorded, and how a target says what it made of an input. */
import { readFileSync } from 'node:fs'
import { BywayError, type ErrorCode } from '../../src/protocol/errors.ts'
import type { Recording } from './record.ts'

export const recording = JSON.parse(readFileSync(new URL('recording.json', import.meta.url), 'utf8')) as Recording

/** Bytes of no message at all, among damaged ones. */
export const NOISE = Buffer.from(Array.from({ length: 1_024 }, (_, i) => (i * 167 + (i >> 3)) & 0xff))

export type Outcome = 'accepted' | 'refused'

/** An error of the parser's own codes is a refusal, any other a crash. */
export function refused(error: unknown, codes: readonly ErrorCode[]): 'refused' {
  if (error instanceof BywayError && codes.includes(error.code)) return 'refused'
  throw error
}

export function outcome(parse: () => unknown, codes: readonly ErrorCode[]): Outcome {
  try {
    parse()
    return 'accepted'
  } catch (error) {
    return refused(error, codes)
  }
}

export function must(holds: boolean, what: string): void {
  if (!holds) throw new Error(what)
}
