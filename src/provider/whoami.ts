/**
 * The exit's own answer under the reserved name `whoami.byway.internal`: which exit carried the request. It lets anyone check a route without
 * any network behind the exit, and is metered and paid like any destination.
 */
import { createServer } from 'node:http'
import { type Duplex, duplexPair } from 'node:stream'
import { RESERVED_NAME } from '../protocol/destination.ts'

export interface Whoami {
  /** Hex of the exit's Ed25519 node key. */
  exit: string
  country: string
  /** Nodes between the consumer and the destination. */
  hops: number
  session: string
}

/**
 * The number of hops a request for the reserved name speaks of, or undefined if it is for another name. The exit knows only its neighbours: a
 * consumer whose route is longer says so (`2.whoami.byway.internal`), here and nowhere else.
 */
export function hopsAsked(host: string): number | undefined {
  if (host === RESERVED_NAME) return 1
  return /^[23]$/.test(host.slice(0, 1)) && host.slice(1) === `.${RESERVED_NAME}` ? Number(host[0]) : undefined
}

/** Opens a stream to an HTTP server that answers every request on it with `who` as JSON. */
export function connectWhoami(who: Whoami): Duplex {
  const [near, far] = duplexPair({ allowHalfOpen: true })
  server(who).emit('connection', far)
  return near
}

function server(who: Whoami) {
  const body = `${JSON.stringify(who)}\n`
  return createServer({ keepAliveTimeout: 0, requestTimeout: 0 }, (request, response) => {
    request.resume()
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body), 'cache-control': 'no-store' })
    response.end(request.method === 'HEAD' ? undefined : body)
  })
}
