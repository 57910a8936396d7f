/**
 * Plain HTTP through an exit: a request that names its whole URL is sent to the origin, and the origin's answer comes back untouched.
 *
 * Headers that belong to one connection stay on it, those that speak to this proxy are removed, and `Via` is not added: an exit is not to
 * be told apart from a household. The framing of bodies is decided anew from what the parser understood, never copied.
 */
import { type ClientRequest, request as httpRequest, type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import { type Destination, parseDestination } from '../../protocol/destination.ts'
import { BywayError } from '../../protocol/errors.ts'
import { reset } from '../../tunnel/splice.ts'
import type { Front } from './index.ts'
import { FlowAgent, type PoolOptions, routeOf } from './pool.ts'
import { claimsToBeUs, type HeaderList, httpReply, routeHeaders } from './replies.ts'
import { isParameterHeader, type RouteParameters } from './username.ts'

const HTTP_PORT = 80
const MALFORMED_STATUS = 400
/** Largest head of an answer: as much as browsers take. Sites answer with more than Node's 16 KiB (cookies, policies) now and then. */
const MAX_ANSWER_HEAD_BYTES = 262_144
/** Requests that may be sent twice, so that a pooled stream found dead costs nothing. Others never use a pooled stream. */
const REPEATABLE: readonly string[] = ['GET', 'HEAD', 'OPTIONS', 'TRACE']
/** Headers of one connection (RFC 9110, 7.6.1), beside those that `Connection` names. */
// biome-ignore format: two lines
const HOP_BY_HOP: readonly string[] = [
  'connection', 'keep-alive', 'proxy-authenticate', 'proxy-authorization', 'proxy-connection',
  'te', 'trailer', 'transfer-encoding', 'upgrade',
]

export interface Forwarder {
  /** Throws a BywayError for a request that cannot be forwarded; after that every failure is answered here. */
  request(request: IncomingMessage, response: ServerResponse, parameters: RouteParameters): void
  close(): void
}

export function createForwarder(front: Front): Forwarder {
  const pooled = new FlowAgent(front.dialer, front.limits.pooledMs)
  const single = new FlowAgent(front.dialer, 0)

  function forward(request: IncomingMessage, response: ServerResponse, parameters: RouteParameters): void {
    const { destination, path, host } = parseTarget(request)
    const hasBody = bodyFraming(request).length > 0
    const repeatable = REPEATABLE.includes(request.method!) && !hasBody
    const left = new AbortController()
    const flow: PoolOptions = { destination, parameters, client: request.socket, signal: left.signal }
    const headers = [...originHeaders(request, host), ...bodyFraming(request)]
    const to = { method: request.method!, path, host: destination.host, port: destination.port, headers, setHost: false, flow }
    const options = { ...to, maxHeaderSize: MAX_ANSWER_HEAD_BYTES }
    let upstream: ClientRequest
    response.sendDate = false // the origin's own, or none

    response.once('close', () => {
      if (response.writableFinished) return
      const why = new BywayError('CONNECTION_RESET', 'the application went away')
      left.abort(why)
      upstream.destroy(why)
    })

    function send(agent: FlowAgent): void {
      upstream = httpRequest({ ...options, agent })
      upstream.maxHeadersCount = 0 // as for requests: none is dropped in silence
      let answer: IncomingMessage | undefined
      let failed = false
      const fail = (error: Error) => {
        if (failed) return
        failed = true
        request.unpipe(upstream)
        if (response.destroyed || answer?.complete === true) request.resume()
        else if (answer !== undefined) reset(request.socket, error)
        else if (upstream.reusedSocket && repeatable) send(single)
        else {
          request.resume()
          answerError(response, upstreamError(error), front)
        }
      }
      upstream.on('error', fail)
      upstream.on('close', () => {
        if (answer === undefined) fail(new BywayError('CONNECTION_RESET', 'the destination closed the connection without an answer'))
      })
      if (request.headers.expect !== undefined) upstream.once('continue', () => response.writeContinue())
      upstream.on('response', (incoming) => {
        try {
          response.writeHead(incoming.statusCode!, incoming.statusMessage, answerHeaders(incoming, request))
        } catch (thrown) {
          upstream.destroy(thrown as Error)
          return
        }
        answer = incoming
        incoming.on('error', fail)
        incoming.on('close', () => {
          if (!incoming.complete) fail(new BywayError('CONNECTION_RESET', 'the destination broke off its answer'))
        })
        incoming.pipe(response)
      })
      // Sent before the body is there, for an origin that must say 100 Continue first.
      upstream.flushHeaders()
      request.pipe(upstream)
    }

    send(repeatable ? pooled : single)
  }

  return { request: forward, close: () => pooled.closeIdle() }
}

/** Our own answer to a request whose connection goes on. */
export function answerError(response: ServerResponse, error: BywayError, { observer }: Front): void {
  observer.log('request-refused', { code: error.code })
  if (response.headersSent) {
    reset(response.req.socket, error)
    return
  }
  const { status, headers, body } = httpReply(error)
  if (status === MALFORMED_STATUS) observer.count('malformed', 1, { where: 'http' })
  // A client that waits for 100 Continue will not send its body: where the next request starts would be anyone's guess.
  const last = response.req.headers.expect === undefined ? [] : ['Connection', 'close']
  // The reason is given on purpose: one an origin chose may be left on the response.
  response.writeHead(status, STATUS_CODES[status], [...headers, ...last])
  response.end(response.req.method === 'HEAD' ? undefined : body)
}

function parseTarget(request: IncomingMessage): { destination: Destination; path: string; host: string } {
  const { url = '', rawHeaders } = request
  if (/^https:/i.test(url)) throw malformed('an https:// URL cannot be forwarded', 'Use CONNECT, as every client does for https.')
  const match = /^http:\/\/([^/?#]*)([/?][^#]*)?$/i.exec(url)
  if (match === null) {
    throw malformed(
      'this is a proxy, not a web server',
      'Set it as the HTTP or SOCKS5 proxy of your program: curl -x http://127.0.0.1:PORT http://...',
    )
  }
  const [, authority = '', rest = '/'] = match
  const destination = parseAuthority(authority)
  const named = rawHeaders.filter((_, i) => i % 2 === 1 && rawHeaders[i - 1]!.toLowerCase() === 'host')
  if (named.length > 1) throw malformed('the request has more than one Host')
  if (named.length === 0 && request.httpVersion === '1.1') throw malformed('the request has no Host')
  const other = named[0] === undefined ? destination : parseAuthority(named[0])
  if (other.host !== destination.host || other.port !== destination.port) throw malformed('Host names another destination than the URL')
  if (/(^|,)\s*websocket\s*(,|$)/i.test(request.headers.upgrade ?? '')) {
    throw new BywayError('PROXY_COMMAND_UNSUPPORTED', 'a WebSocket cannot be forwarded as a plain request', {
      hint: 'Use CONNECT, as RFC 6455 asks of clients.',
    })
  }
  const name = destination.kind === 'ip' && destination.family === 6 ? `[${destination.host}]` : destination.host
  const host = destination.port === HTTP_PORT ? name : `${name}:${destination.port}`
  return { destination, path: rest.startsWith('/') ? rest : `/${rest}`, host }
}

function parseAuthority(authority: string): Destination {
  const match = /^(\[[^\]]*\]|[\x21-\x39\x3b-\x7e]+)(?::(\d{0,5}))?$/.exec(authority)
  if (match === null || authority.includes('@')) throw malformed('the URL does not name a host, or names a user')
  return parseDestination(match[1]!, match[2] === undefined || match[2] === '' ? HTTP_PORT : Number(match[2]))
}

/** How the body, if there is one, is to be delimited on the way to the origin. */
function bodyFraming({ headers, method }: IncomingMessage): HeaderList {
  const { 'content-length': length, 'transfer-encoding': encoding } = headers
  if (encoding !== undefined) {
    if (encoding.toLowerCase() !== 'chunked') throw malformed('the transfer coding is not chunked')
    return ['Transfer-Encoding', 'chunked']
  }
  if (length !== undefined) return ['Content-Length', length]
  // Node would announce a chunked body for these.
  return REPEATABLE.includes(method!) || method === 'DELETE' ? [] : ['Content-Length', '0']
}

function originHeaders(request: IncomingMessage, host: string): HeaderList {
  const kept = filter(request, (name) => name !== 'host' && name !== 'content-length' && !isParameterHeader(name))
  return ['Host', host, ...kept]
}

/** The origin's headers without those of its connection, and with what our own say. */
function answerHeaders(answer: IncomingMessage, request: IncomingMessage): HeaderList {
  const coding = answer.headers['transfer-encoding']
  if (coding !== undefined && coding.toLowerCase() !== 'chunked')
    throw new BywayError('DESTINATION_MALFORMED', 'the answer has an unknown transfer coding')
  const kept = filter(answer, (name, value) => !isParameterHeader(name) && !(name === 'proxy-status' && claimsToBeUs(value)))
  const route = routeOf(answer.socket)
  // See answerError: a client still waiting for 100 Continue leaves its body unsent.
  const last = request.headers.expect !== undefined && !request.complete ? ['Connection', 'close'] : []
  return [...kept, ...(route === undefined ? [] : routeHeaders(route)), ...last]
}

function filter({ rawHeaders, headers }: IncomingMessage, keep: (name: string, value: string) => boolean): HeaderList {
  const named = (headers.connection ?? '')
    .toLowerCase()
    .split(',')
    .map((name) => name.trim())
  const kept: HeaderList = []
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const [name, value] = [rawHeaders[i]!, rawHeaders[i + 1]!]
    const lower = name.toLowerCase()
    if (!HOP_BY_HOP.includes(lower) && !named.includes(lower) && keep(lower, value)) kept.push(name, value)
  }
  return kept
}

/** What the HTTP client said, as an error with a code. The stream's own error is a BywayError or a reset already. */
function upstreamError(error: Error): BywayError {
  if (error instanceof BywayError) return error
  const { code = '' } = error as NodeJS.ErrnoException
  if (code === 'HPE_HEADER_OVERFLOW')
    return new BywayError('DESTINATION_MALFORMED', 'the head of the answer is too large', {
      facts: { allowedBytes: MAX_ANSWER_HEAD_BYTES },
    })
  if (code.startsWith('HPE_') || code.startsWith('ERR_'))
    return new BywayError('DESTINATION_MALFORMED', 'the answer of the destination is not valid HTTP', { cause: error })
  return new BywayError('CONNECTION_RESET', 'the destination closed the connection before it answered', { cause: error })
}

function malformed(why: string, hint?: string): BywayError {
  return new BywayError('PROXY_MALFORMED', why, hint === undefined ? {} : { hint })
}
