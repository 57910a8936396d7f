/**
 * The log: one event a line, JSON for machines or a plain line for people.
 *
 * It never holds a secret, nor where a guest went: both are masked by the name of the fact here, so that a slip elsewhere stays harmless.
 */
import { jsonText, printable, withoutUrlPaths } from './json.ts'

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]
export type LogFacts = Readonly<Record<string, string | number | bigint | boolean>>

export type Log = Readonly<Record<Exclude<LogLevel, 'silent'>, (event: string, facts?: LogFacts) => void>>

export interface LogOptions {
  level: LogLevel
  /** Plain lines instead of JSON. */
  human: boolean
  write: (line: string) => void
  now: () => number
}

const SECRET = /secret|passphrase|password|private.?key|mnemonic|seed|signature|authorization|cookie|credential/i
const DESTINATION = /^(destination|domain|hostname|target|url|query)$/i
const MASK = '***'

export function createLog({ level, human, write, now }: LogOptions): Log {
  const least = LOG_LEVELS.indexOf(level)
  const at = (name: Exclude<LogLevel, 'silent'>) => {
    if (LOG_LEVELS.indexOf(name) < least) return () => {}
    return (event: string, facts: LogFacts = {}) => {
      const time = new Date(now()).toISOString()
      const safe = Object.entries(facts).map(([key, value]) => [key, redact(key, value)] as const)
      // Our own members come first and win: a fact called `level` cannot change the line's meaning.
      write(
        human
          ? [
              time.slice(11, 19),
              name.padEnd(5),
              printable(event),
              ...safe.map(([key, value]) => `${key}=${printable(String(value))}`),
            ].join(' ')
          : jsonText({ ...Object.fromEntries(safe), time, level: name, event }),
      )
    }
  }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

function redact(key: string, value: string | number | bigint | boolean): string | number | bigint | boolean {
  if (SECRET.test(key) || DESTINATION.test(key)) return MASK
  return typeof value === 'string' ? withoutUrlPaths(value) : value
}
