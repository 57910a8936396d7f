/**
 * The debug switch BYWAY_DEBUG_TRACE_FD: every voucher that was sent or acknowledged becomes a line on that file descriptor, right after
 * it was put on the link. A crash test that inherits a file to its nodes thus knows what was promised without asking their journals.
 */
import { writeSync } from 'node:fs'
import { BywayError } from '../protocol/errors.ts'
import type { Observer } from '../protocol/observe.ts'
import type { Env } from './resolve.ts'

/** `observer`, which also writes the trace if the switch asks for one. */
export function traced(observer: Observer, env: Env): Observer {
  const text = env.BYWAY_DEBUG_TRACE_FD ?? ''
  if (text === '') return observer
  if (!/^\d{1,4}$/.test(text)) {
    throw new BywayError('SETTING_INVALID', 'BYWAY_DEBUG_TRACE_FD is not a file descriptor', { facts: { setting: 'BYWAY_DEBUG_TRACE_FD' } })
  }
  const fd = Number(text)
  // Synchronous: a kill right after leaves the line, as it leaves what is on the wire.
  const write = (line: object) =>
    writeSync(fd, `${JSON.stringify(line, (_key, value) => (typeof value === 'bigint' ? `${value}` : value))}\n`)
  return { ...observer, voucher: (did, voucher) => void write({ did, ...voucher }) }
}
