/**
 * What a command prints: data on stdout, talk on stderr; tables for people, JSON lines for programs.
 *
 * Everything printed goes through here, so that `--json` stays clean, colours follow the terminal and `NO_COLOR`, text from a peer cannot
 * drive the terminal, and a rewritten status line never mixes with another.
 */
import { styleText } from 'node:util'
import { CommanderError } from 'commander'
import { jsonText, printable, withoutUrlPaths } from '../api/json.ts'
import { errorFacts, errorMessage } from '../api/problem.ts'
import { asBywayError, BywayError, ERRORS } from '../protocol/errors.ts'
import { type Column, clip, stackedLines, tableLines } from './format.ts'
import type { Env } from './resolve.ts'

type Format = Parameters<typeof styleText>[0]
export type Style = (format: Format, text: string) => string
const plain: Style = (_format, text) => text

export interface Output {
  readonly json: boolean
  /** Stderr is a terminal: a status line can be rewritten there. */
  readonly interactive: boolean
  readonly style: Style
  /** Data for people, on stdout. Nothing under `--json`. */
  line(text?: string): void
  /** A table for people, on stdout; rows under each other where the terminal is too narrow. Nothing under `--json`. */
  table(columns: readonly Column[], rows: readonly (readonly string[])[]): void
  /** Talk for people, on stderr. Nothing under `--json`. */
  note(text: string): void
  /** What a read command found: the value as one line of JSON, or else whatever `people` prints. */
  result(value: unknown, people: () => void): void
  /** Something that happened, one line of JSON. Nothing for people. */
  event(name: string, facts?: Readonly<Record<string, unknown>>): void
  /** The line at the bottom that is rewritten; undefined takes it away. Nothing unless interactive. */
  status(text: string | undefined): void
  /** Prints what was thrown and returns the exit code for it. */
  fail(thrown: unknown): number
}

/** The part of a stream that is used, so that a test can pass a plain object. */
export interface Sink {
  write(text: string): unknown
  readonly isTTY?: boolean | undefined
  readonly columns?: number | undefined
  on?(event: 'error', listener: (error: NodeJS.ErrnoException) => void): unknown
}

export interface OutputOptions {
  stdout: Sink
  stderr: Sink
  env: Env
  json: boolean
}

/** A terminal that does not say how wide it is. */
const USUAL_COLUMNS = 80
const CLEAR_LINE = '\r\u001b[2K'

export function createOutput({ stdout, stderr, env, json }: OutputOptions): Output {
  const interactive = !json && stderr.isTTY === true && env.TERM !== 'dumb'
  const style = styleFor(stdout, env)
  const talkStyle = styleFor(stderr, env)
  let status: string | undefined
  // `byway ledger | head` closes our stdout while we write; that is not an error, and there is nobody left to tell.
  for (const stream of [stdout, stderr]) {
    stream.on?.('error', (error) => {
      if (error.code !== 'EPIPE') throw error
    })
  }

  const drawStatus = (): void => {
    if (status !== undefined) stderr.write(CLEAR_LINE + clip(status, (stderr.columns ?? USUAL_COLUMNS) - 1))
  }
  const write = (sink: Sink, text: string): void => {
    if (status !== undefined) stderr.write(CLEAR_LINE)
    sink.write(`${text}\n`)
    drawStatus()
  }
  const output: Output = {
    json,
    interactive,
    style,
    line: (text = '') => {
      if (!json) write(stdout, text)
    },
    table: (columns, rows) => {
      const [title = '', ...rest] = tableLines(columns, rows)
      const most = stdout.isTTY === true ? (stdout.columns ?? USUAL_COLUMNS) : Number.POSITIVE_INFINITY
      if ([title, ...rest].some((line) => line.length > most)) {
        // A table that wraps is no table.
        for (const line of stackedLines(columns, rows, most)) output.line(line)
        return
      }
      output.line(style('bold', title))
      for (const row of rest) output.line(row)
    },
    note: (text) => {
      if (!json) write(stderr, text)
    },
    result: (value, people) => (json ? write(stdout, jsonText(value)) : people()),
    event: (name, facts = {}) => {
      if (json) write(stdout, jsonText({ event: name, ...facts }))
    },
    status: (text) => {
      if (!interactive) return
      if (text === undefined && status !== undefined) stderr.write(CLEAR_LINE)
      status = text === undefined ? undefined : printable(text)
      drawStatus()
    },
    fail: (thrown) => {
      if (thrown instanceof CommanderError && thrown.exitCode === 0) return 0
      const error = thrown instanceof CommanderError ? fromCommander(thrown) : asBywayError(thrown)
      output.status(undefined)
      if (json) output.event('error', { ...errorFacts(error) })
      else for (const text of errorLines(error, talkStyle)) output.note(text)
      if ((env.BYWAY_DEBUG_STACK ?? '') !== '') stderr.write(`${stackOf(error)}\n`)
      return ERRORS[error.code].exit
    },
  }
  return output
}

/** An error as people read it: what we were doing, the facts in a line, what to do about it. */
function errorLines(error: BywayError, style: Style): string[] {
  const facts = Object.entries(error.facts).map(([name, value]) => `${words(name)} ${printable(String(value))}`)
  return [
    `${style('red', 'error')} ${style('bold', error.code)}: ${errorMessage(error)}`,
    ...(facts.length === 0 ? [] : [`  ${facts.join('   ')}`]),
    ...(error.hint === undefined ? [] : [`  hint: ${printable(error.hint)}`]),
  ]
}

/** `allowedBytes` reads `allowed bytes`. */
const words = (name: string): string => name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)

/** `error: unknown option '--prize'\n(Did you mean --price?)` in our shape. */
function fromCommander(error: CommanderError): BywayError {
  const [message = '', suggestion] = error.message.replace(/^error: /, '').split('\n')
  const hint =
    suggestion?.replace(/^\(Did you mean (.*)\?\)$/, 'did you mean $1?') ??
    '`byway --help` lists the commands, `byway COMMAND --help` its options'
  return new BywayError('ARGUMENT_INVALID', message, { hint })
}

function stackOf(error: BywayError): string {
  const cause = error.cause instanceof Error ? `\ncaused by ${error.cause.stack ?? error.cause.message}` : ''
  return withoutUrlPaths(`${error.stack ?? error.message}${cause}`)
}

/** Colours when a person looks: a terminal, unless NO_COLOR says otherwise (no-color.org) or FORCE_COLOR insists. */
function styleFor(sink: Sink, env: Env): Style {
  const wanted = (env.FORCE_COLOR ?? '') !== '' || (sink.isTTY === true && env.TERM !== 'dumb')
  if (!wanted || (env.NO_COLOR ?? '') !== '') return plain
  return (format, text) => styleText(format, text, { validateStream: false })
}
