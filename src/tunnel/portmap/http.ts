/** One small HTTP exchange with a router: bounded in time and size, no redirects, no connection kept. */
import { request } from 'node:http'

/** Descriptions of real routers take 2 to 30 KB. */
const MAX_BODY_BYTES = 65_536
/** Cheap routers take a second to add a rule. */
const TIMEOUT_MS = 3_000

export interface Exchange {
  status: number
  body: string
}

/** Undefined when the router did not answer, answered too much, or not in HTTP. */
export function exchange(
  url: URL,
  { headers = {}, body }: { headers?: Record<string, string>; body?: string },
  signal: AbortSignal,
): Promise<Exchange | undefined> {
  const { promise, resolve } = Promise.withResolvers<Exchange | undefined>()
  const limit = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)])
  const outgoing = request(
    url,
    { method: body === undefined ? 'GET' : 'POST', headers: { ...headers, connection: 'close' }, agent: false, signal: limit },
    (response) => {
      const parts: Buffer[] = []
      let length = 0
      response.on('data', (part: Buffer) => {
        length += part.length
        if (length > MAX_BODY_BYTES) outgoing.destroy()
        else parts.push(part)
      })
      response.on('error', () => resolve(undefined))
      response.on('close', () => {
        const whole = response.complete && length <= MAX_BODY_BYTES
        resolve(whole ? { status: response.statusCode ?? 0, body: Buffer.concat(parts).toString('utf8') } : undefined)
      })
    },
  )
  outgoing.on('error', () => resolve(undefined))
  outgoing.end(body)
  return promise
}
