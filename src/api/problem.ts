/** Errors as programs read them: in `--json` output and as the API's `application/problem+json` (RFC 9457), with the same members. */
import { BywayError, ERRORS, errorCode, type Facts } from '../protocol/errors.ts'
import { printable, withoutUrlPaths } from './json.ts'

export const PROBLEM_TYPE = 'application/problem+json'

export interface ErrorFacts {
  readonly code: string
  readonly message: string
  readonly facts: Facts
  readonly hint?: string
  readonly retry: boolean
}

export function errorFacts(error: BywayError): ErrorFacts {
  const hint = error.hint === undefined ? {} : { hint: error.hint }
  return { code: error.code, message: errorMessage(error), facts: error.facts, ...hint, retry: ERRORS[error.code].retry }
}

/** Ours were written for the reader. What another library threw may hold an RPC key and a page of text: one line of it, without addresses. */
export function errorMessage(error: BywayError): string {
  return printable(error.code === 'INTERNAL' ? withoutUrlPaths(error.message.split('\n')[0] ?? '') : error.message)
}

export function problem(error: BywayError): Record<string, unknown> {
  const { message, ...members } = errorFacts(error)
  return { type: `urn:byway:error:${error.code}`, title: error.code, status: ERRORS[error.code].status, detail: message, ...members }
}

/** The error a daemon answered with, thrown again on this side. A document that is not one of ours becomes INTERNAL. */
export function fromProblem(document: unknown): BywayError {
  const { code, detail, hint, facts } = (typeof document === 'object' && document !== null ? document : {}) as Record<string, unknown>
  return new BywayError(
    errorCode(typeof code === 'string' ? code : '', 'INTERNAL'),
    typeof detail === 'string' ? detail : 'the daemon answered with an error it did not explain',
    {
      ...(typeof hint === 'string' ? { hint } : {}),
      ...(typeof facts === 'object' && facts !== null ? { facts: facts as Facts } : {}),
    },
  )
}
