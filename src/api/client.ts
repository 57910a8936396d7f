/** How the command asks a running daemon: one request over its socket, the daemon's own error thrown here. */
import { request } from 'node:http'
import { BywayError } from '../protocol/errors.ts'
import type { Route } from './app.ts'
import { jsonText } from './json.ts'
import { fromProblem, PROBLEM_TYPE } from './problem.ts'

export interface CallOptions {
  body?: unknown
  timeoutMs?: number
}

/** A daemon answers in milliseconds; one that is busy with its disk may take a few seconds. A claim, which waits for the chain, asks for more. */
const TIMEOUT_MS = 10_000
/** A ledger of many sessions is long, yet no answer should fill the memory of a command. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024

/** Asks the daemon at `socket` (see socketPath) and returns its JSON, unchecked, or the text of another type. */
export async function callDaemon(socket: string, route: Route, options: CallOptions = {}, signal?: AbortSignal): Promise<unknown> {
  const timeout = AbortSignal.timeout(options.timeoutMs ?? TIMEOUT_MS)
  const either = signal === undefined ? timeout : AbortSignal.any([signal, timeout])
  try {
    return read(await send(socket, route, options.body, either))
  } catch (thrown) {
    if (thrown instanceof BywayError) throw thrown
    signal?.throwIfAborted()
    throw unreachable(socket, thrown, timeout.aborted)
  }
}

interface Answer {
  status: number
  type: string
  text: string
}

function send(socketPath: string, route: Route, body: unknown, signal: AbortSignal): Promise<Answer> {
  const [method, path] = route.split(' ')
  return new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : { 'content-type': 'application/json' }
    const outgoing = request({ socketPath, method, path, headers, signal, agent: false }, (incoming) => {
      const parts: Buffer[] = []
      let size = 0
      incoming.on('data', (part: Buffer) => {
        size += part.length
        if (size > MAX_ANSWER_BYTES)
          incoming.destroy(
            new BywayError('MESSAGE_TOO_LARGE', 'the answer of the daemon is too long', { facts: { allowedBytes: MAX_ANSWER_BYTES } }),
          )
        else parts.push(part)
      })
      incoming.on('error', reject)
      incoming.on('end', () => {
        resolve({
          status: incoming.statusCode ?? 0,
          type: incoming.headers['content-type'] ?? '',
          text: Buffer.concat(parts).toString('utf8'),
        })
      })
    })
    outgoing.on('error', reject)
    outgoing.end(body === undefined ? undefined : jsonText(body))
  })
}

function read({ status, type, text }: Answer): unknown {
  const json: unknown = type.includes('json') ? JSON.parse(text) : undefined
  if (type.startsWith(PROBLEM_TYPE) || status >= 400) throw fromProblem(json)
  return json ?? text
}

function unreachable(socket: string, cause: unknown, late: boolean): BywayError {
  const why = late
    ? 'no answer in time'
    : ((cause as NodeJS.ErrnoException).code ?? (cause instanceof Error ? cause.message : String(cause)))
  return new BywayError('DAEMON_UNREACHABLE', 'no daemon answers for this home', {
    cause,
    facts: { socket, why },
    hint: 'start one with `byway share` or `byway connect`, or name the folder of a running one with --home',
  })
}
