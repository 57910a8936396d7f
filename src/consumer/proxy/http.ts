/**
 * The HTTP side of the port: CONNECT, and absolute-form requests for plain `http://` (forward.ts).
 *
 * Parsing is Node's own strict parser on connections handed to a server that never listens. What it refuses, or what two parsers could read
 * in two ways, is answered 400 and the connection closed: nothing is repaired.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { type Destination, parseDestination } from '../../protocol/destination.ts'
import { asBywayError, BywayError } from '../../protocol/errors.ts'
import { refuse, serveFlow } from './flow.ts'
import { answerError, createForwarder } from './forward.ts'
import type { Front } from './index.ts'
import { rawConnected, rawHttpReply } from './replies.ts'
import { parseParameters, type RouteParameters } from './username.ts'

/** How often connections are checked for late request heads; the limit itself is `headersMs`. */
const CHECK_EVERY_MS = 1_000

export interface HttpFront {
  /** `client` is paused, with nothing of it consumed. */
  accept(client: Duplex): void
  /** Ends idle connections now and others when their answer is out. */
  close(): void
}

export function createHttpFront(front: Front): HttpFront {
  const { observer, limits } = front
  const forward = createForwarder(front)
  const server = createServer({
    insecureHTTPParser: false,
    maxHeaderSize: limits.headerBytes,
    headersTimeout: limits.headersMs,
    requestTimeout: 0, // an upload may take hours
    connectionsCheckingInterval: Math.min(CHECK_EVERY_MS, limits.headersMs),
    keepAliveTimeout: limits.keepAliveMs,
    requireHostHeader: false, // forward.ts checks it and says why
    shouldUpgradeCallback: () => false, // an upgrade is an ordinary request here; forward.ts refuses what needs one
  })
  server.maxHeadersCount = 0 // no header is dropped in silence; their size is limited already
  // Node starts the clocks of its connections when a server listens; this one never does.
  server.emit('listening')

  /** Requests of a connection whose answers are not out yet. */
  const unanswered = new WeakMap<Duplex, number>()
  let closing = false

  function onRequest(request: IncomingMessage, response: ServerResponse): void {
    const client = request.socket
    unanswered.set(client, (unanswered.get(client) ?? 0) + 1)
    response.once('close', () => {
      unanswered.set(client, (unanswered.get(client) ?? 1) - 1)
      if (closing) server.closeIdleConnections()
    })
    try {
      checkVersion(request)
      forward.request(request, response, requestParameters(request))
    } catch (thrown) {
      answerError(response, asBywayError(thrown), front)
    }
  }

  server.on('request', onRequest)
  server.on('checkContinue', onRequest)
  server.on('checkExpectation', (_request: IncomingMessage, response: ServerResponse) => {
    answerError(response, new BywayError('PROXY_MALFORMED', 'the request expects something no proxy can promise'), front)
  })

  server.on('connect', (request: IncomingMessage, client: Duplex, head: Buffer) => {
    // Tunnel bytes must never mix with the answer to a request before them on the same connection.
    if ((unanswered.get(client) ?? 0) > 0) {
      observer.count('malformed', 1, { where: 'http' })
      client.destroy()
      return
    }
    client.pause()
    if (head.length > 0) client.unshift(head)
    try {
      checkVersion(request)
      const destination = connectTarget(request)
      const parameters = requestParameters(request)
      void serveFlow(client, { destination, parameters }, ANSWERS, front)
    } catch (thrown) {
      observer.count('malformed', 1, { where: 'http' })
      refuse(client, rawHttpReply(asBywayError(thrown)))
    }
  })

  server.on('clientError', (error: NodeJS.ErrnoException, client: Duplex) => {
    if (error.code === 'ECONNRESET' || (unanswered.get(client) ?? 0) > 0 || !client.writable) {
      client.destroy()
      return
    }
    observer.count('malformed', 1, { where: 'http' })
    refuse(client, rawHttpReply(parseError(error)))
  })

  return {
    accept: (client) => {
      server.emit('connection', client)
      client.resume()
    },
    close: () => {
      closing = true
      forward.close()
      server.close(() => {}) // reports that it does not listen, which is so
      server.closeIdleConnections()
    },
  }
}

const ANSWERS = { connected: rawConnected, failed: rawHttpReply }

/** Node's parser also lets 0.9 and 2.0 pass. */
function checkVersion({ httpVersion }: IncomingMessage): void {
  if (httpVersion !== '1.1' && httpVersion !== '1.0') throw new BywayError('PROXY_MALFORMED', 'the request is not HTTP/1.1 or HTTP/1.0')
}

function connectTarget(request: IncomingMessage): Destination {
  const match = /^(\[[^\]]+\]|[^:[\]@/]+):(\d{1,5})$/.exec(request.url ?? '')
  if (match === null) throw new BywayError('PROXY_MALFORMED', 'the CONNECT target is not host:port')
  const { 'content-length': length = '0', 'transfer-encoding': encoding } = request.headers
  if (length !== '0' || encoding !== undefined) throw new BywayError('PROXY_MALFORMED', 'a CONNECT request has no body')
  return parseDestination(match[1]!, Number(match[2]))
}

/** Username and `Byway-*` headers together. */
function requestParameters(request: IncomingMessage): RouteParameters {
  const values = request.rawHeaders.filter((_, i) => i % 2 === 1 && request.rawHeaders[i - 1]!.toLowerCase() === 'proxy-authorization')
  if (values.length > 1) throw new BywayError('PROXY_MALFORMED', 'the request has more than one Proxy-Authorization')
  return parseParameters(values[0] === undefined ? undefined : basicUsername(values[0]), request.rawHeaders)
}

/** The password is not looked at: the port listens on loopback only, and the username carries no secret. */
function basicUsername(authorization: string): string {
  const match = /^basic +([A-Za-z0-9+/]+={0,2})$/i.exec(authorization)
  const text = match === null ? '' : Buffer.from(match[1]!, 'base64').toString('latin1')
  const colon = text.indexOf(':')
  if (colon === -1) {
    throw new BywayError('PROXY_PARAMETER_INVALID', 'Proxy-Authorization is not Basic with a username and a password', {
      hint: 'Put route parameters into the username; any password will do.',
    })
  }
  return text.slice(0, colon)
}

function parseError(error: NodeJS.ErrnoException): BywayError {
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT')
    return new BywayError('PROXY_TIMEOUT', 'the request head did not arrive in time', { cause: error })
  const why = error.code === 'HPE_HEADER_OVERFLOW' ? 'the request head is too large' : 'the request is not valid HTTP/1.1'
  return new BywayError('PROXY_MALFORMED', why, { cause: error, hint: 'This port is a SOCKS5 and HTTP proxy.' })
}
