/**
 * Proxy: the local port applications talk to. One TCP port speaks SOCKS5 and HTTP; the first byte of a connection tells which.
 *
 * The rule it keeps: it never opens an outbound socket and never resolves a name. Every byte leaves through a {@link Dialer}, and when the
 * dialer has no exit the application gets an error, never a direct connection. What a route must be like comes in the username
 * (username.ts); what an error looks like comes from the one table (replies.ts). It has no password, so it listens on loopback only.
 *
 * Start reading at {@link createProxy}, then flow.ts (dial, answer, carry), socks5.ts, and http.ts with forward.ts for plain HTTP.
 */
import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Destination } from '../../protocol/destination.ts'
import { BywayError } from '../../protocol/errors.ts'
import { type Observer, silent } from '../../protocol/observe.ts'
import { reset } from '../../tunnel/splice.ts'
import { Count } from './count.ts'
import { limitFlows } from './flow.ts'
import { createHttpFront } from './http.ts'
import { SOCKS_VERSION } from './replies.ts'
import { serveSocks } from './socks.ts'
import type { RouteParameters } from './username.ts'

export type { RouteParameters } from './username.ts'

export interface DialRequest {
  destination: Destination
  parameters: RouteParameters
}

/** Which exit carries a flow. */
export interface Route {
  sessionId: string
  country: string
  /** Units per GiB. */
  pricePerGib: bigint
  provider: string
  hops: number
}

export interface Dialed {
  /** Allows half-open; `destroy(error)` resets it, as the other side's reset destroys it with an error. */
  stream: Duplex
  route: Route
}

/** Reaches destinations through exits. A rejection is a BywayError and becomes the application's answer. */
export interface Dialer {
  dial(request: DialRequest, signal: AbortSignal): Promise<Dialed>
  /**
   * Opens a flow and takes the application's socket itself: `client` is gone then, answered with one of `answers`. Undefined when it cannot be
   * taken; it is as it was. Missing where there is no such path.
   */
  carry?(request: DialRequest, client: Duplex, answers: Answers, signal: AbortSignal): Promise<Carried | undefined>
  /** Another thread that takes connections, where there is one. */
  entrance?(): Entrance | undefined
}

/** Takes connections in place of the proxy, serves those it can, and hands over all others. */
export interface Entrance {
  /**
   * Takes over from a listening server, which is closed and yet listens on; if the entrance goes, the server listens again. Returns how to close it;
   * undefined when there is none, and the server goes on.
   */
  open(server: Server, needs: EntranceOpen): (() => void) | undefined
}

export interface EntranceOpen {
  flows: Count
  connections: Count
  handshakeMs: number
  /** A connection for the proxy; its first bytes are in it again, and of what the proxy answers it has heard `said` bytes. */
  accept(client: Duplex, said: number): void
}

/** What the application is told. */
export interface Answers {
  connected: (route: Route) => Uint8Array
  failed: (error: BywayError) => Uint8Array
  /** The exit fell silent before it answered. The connection, on which nothing was said meanwhile, is the caller's again. */
  elsewhere?: ((client: Duplex) => void) | undefined
}

/** A flow that goes on without the proxy. */
export interface Carried {
  /** Rejects with why it could not be opened; the application was told. */
  opened: Promise<void>
  over: Promise<void>
}

export interface ProxyLimits {
  /** Connections of applications; one more is closed unread. Browsers keep a few hundred, a scraper a few thousand: twice what may be flows. */
  connections: number
  /** Streams open at once, pooled ones included, as many as a session may have; one more is answered PROXY_TOO_MANY_FLOWS. */
  flows: number
  /** From accept to the end of the SOCKS handshake, or to the first byte of HTTP. It is local: seconds are plenty. */
  handshakeMs: number
  /** To receive one HTTP request head. */
  headersMs: number
  /** Largest HTTP request head. Cookies make 8 KiB common; Node refuses more than this with an error, never in part. */
  headerBytes: number
  /** An idle HTTP connection of an application stays open this long. */
  keepAliveMs: number
  /** An idle pooled stream to an origin stays open this long: less than common servers allow, so that few are found dead. */
  pooledMs: number
}

export const DEFAULT_LIMITS: ProxyLimits = {
  connections: 16_384,
  flows: 8_192,
  handshakeMs: 10_000,
  headersMs: 20_000,
  headerBytes: 32_768,
  keepAliveMs: 30_000,
  pooledMs: 4_000,
}

/** Open flows get this long to finish when the proxy closes; whoever presses Ctrl-C does not wait longer. */
const CLOSE_GRACE_MS = 3_000

export interface ProxyNeeds {
  dialer: Dialer
}

export interface ProxyOptions {
  observer?: Observer
  limits?: Partial<ProxyLimits>
}

export interface LocalProxy {
  /** Throws PORT_BUSY, or ARGUMENT_INVALID for an address other machines could reach. Port 0 takes a free one. */
  listen(host: string, port: number): Promise<{ host: string; port: number }>
  /** Undefined while it does not listen. */
  readonly address: { host: string; port: number } | undefined
  /** Serves one connection accepted elsewhere. */
  accept(client: Duplex): void
  /** Takes no more connections, lets open flows finish for `graceMs`, resets the rest. */
  close(graceMs?: number): Promise<void>
}

/** What the two fronts share. */
export interface Front {
  dialer: Dialer
  observer: Observer
  limits: ProxyLimits
  /** Counts a connection until it is closed, and remembers it. False, the connection gone, when there are too many or the proxy closes. */
  admit(client: Duplex): boolean
}

export function createProxy({ dialer }: ProxyNeeds, { observer = silent, limits: overrides = {} }: ProxyOptions = {}): LocalProxy {
  const limits = { ...DEFAULT_LIMITS, ...overrides }
  const connections = Count.upTo(limits.connections)
  const flowCount = Count.upTo(limits.flows)
  const flows = limitFlows(dialer, flowCount)
  const front: Front = { dialer: flows.dialer, observer, limits, admit }
  const http = createHttpFront(front)
  const clients = new Set<Duplex>()
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => accept(client))
  let bound: { host: string; port: number } | undefined
  let leaveEntrance: (() => void) | undefined
  let closing: Promise<void> | undefined

  function admit(client: Duplex): boolean {
    // What ends a connection is acted on where it is served; an error must not end the process before or after that.
    client.on('error', () => {})
    if (closing !== undefined || !connections.take()) {
      client.destroy()
      return false
    }
    clients.add(client)
    client.once('close', () => {
      clients.delete(client)
      connections.give()
    })
    return true
  }

  /** `said`: bytes of our answers that the client has heard already. */
  function accept(client: Duplex, said = 0): void {
    if (!admit(client)) return
    const late = setTimeout(() => client.destroy(), limits.handshakeMs)
    const stopClock = () => clearTimeout(late)
    client.once('close', stopClock)
    client.once('end', endEarly)
    client.once('data', (first: Buffer) => {
      client.pause()
      client.unshift(first)
      client.off('end', endEarly)
      if (first[0] === SOCKS_VERSION) serveSocks(client, front, { onHandshake: stopClock, said })
      else {
        stopClock()
        http.accept(client)
      }
    })
    function endEarly(): void {
      client.destroy()
    }
  }

  async function listen(host: string, port: number): Promise<{ host: string; port: number }> {
    if (!isLoopback(host)) {
      throw new BywayError('ARGUMENT_INVALID', `the proxy cannot listen on ${host}: it has no password, so it stays on loopback`, {
        hint: 'Use 127.0.0.1 or ::1.',
      })
    }
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      // "localhost" is taken at its word, not looked up.
      server.listen({ host: host === 'localhost' ? '127.0.0.1' : host, port }, () => {
        server.off('error', reject)
        // Once it listens an error is a connection that could not be accepted, most often for want of descriptors: others go on.
        server.on('error', (error: NodeJS.ErrnoException) => observer.log('connection-refused', { code: error.code ?? 'unknown' }))
        resolve()
      })
    }).catch((error: NodeJS.ErrnoException) => {
      throw listenError(error, host, port)
    })
    const address = server.address()
    bound = address === null || typeof address === 'string' ? undefined : { host: address.address, port: address.port }
    leaveEntrance = dialer.entrance?.()?.open(server, { flows: flowCount, connections, handshakeMs: limits.handshakeMs, accept })
    return bound!
  }

  async function shut(graceMs: number): Promise<void> {
    leaveEntrance?.()
    bound = undefined
    const stopped = server.listening ? once(server, 'close') : undefined
    server.close()
    http.close()
    const quiet = Promise.all([...clients].map((client) => new Promise((resolve) => client.once('close', resolve))))
    const timer = setTimeout(() => {
      const why = new BywayError('CONNECTION_RESET', 'the proxy is closing')
      for (const stream of [...clients, ...flows.open]) reset(stream, why)
    }, graceMs)
    await quiet
    clearTimeout(timer)
    for (const stream of flows.open) stream.destroy()
    await stopped
  }

  const proxy: LocalProxy = {
    listen,
    get address() {
      return bound
    },
    accept,
    close: (graceMs = CLOSE_GRACE_MS) => {
      closing ??= shut(graceMs)
      return closing
    },
  }
  return proxy
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host)
}

function listenError(error: NodeJS.ErrnoException, host: string, port: number): BywayError {
  if (error.code === 'EADDRINUSE' || error.code === 'EACCES') {
    const why = error.code === 'EACCES' ? 'needs more rights than this user has' : 'is in use by another program'
    return new BywayError('PORT_BUSY', `port ${port} on ${host} ${why}`, {
      cause: error,
      facts: { port },
      hint: 'Choose another with --port N.',
    })
  }
  return new BywayError('ARGUMENT_INVALID', `cannot listen on ${host}:${port}`, { cause: error, hint: 'Use 127.0.0.1 and a free port.' })
}
