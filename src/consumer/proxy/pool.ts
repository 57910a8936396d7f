/**
 * Streams for plain HTTP requests, dialled by the dialer and kept warm between requests.
 *
 * A pooled stream serves only requests with the same destination and the same route parameters; without a named session, which would hold on to
 * an exit, also only those of one connection of an application, so that each of its connections may leave elsewhere. It is Node's own http.Agent with the
 * dialer in place of `net.connect`; the few socket methods the agent expects of a stream are given to it.
 */
import { Agent, type ClientRequest } from 'node:http'
import type { Duplex } from 'node:stream'
import { formatDestination } from '../../protocol/destination.ts'
import type { Dialed, Dialer, DialRequest, Route } from './index.ts'
import { parametersKey } from './username.ts'

/**
 * Idle streams kept for one destination and route. A client with 200 connections leaves most of them idle between two requests: with 32
 * kept, `wrk -c 200` dialled anew every second request and cost three times the CPU. They are held for seconds only.
 */
const MAX_IDLE_EACH = 256

/** For an origin to end its side after its last answer; one that does not is reset. */
const END_GRACE_MS = 1_000

/** Travels through the request options of `http.request` to the agent. */
export interface PoolOptions extends DialRequest {
  /** The application's connection. */
  client: object
  signal: AbortSignal
}

const routes = new WeakMap<Duplex, Route>()

/** The exit behind a stream of a pool. */
export function routeOf(stream: Duplex | null): Route | undefined {
  return stream === null ? undefined : routes.get(stream)
}

export class FlowAgent extends Agent {
  readonly #dialer: Dialer
  readonly #idleMs: number
  readonly #idle = new Map<Duplex, NodeJS.Timeout>()
  readonly #clients = new WeakMap<object, number>()
  #lastClient = 0

  /** `idleMs` 0: every request gets a stream of its own. */
  constructor(dialer: Dialer, idleMs: number) {
    super({ keepAlive: idleMs > 0, maxFreeSockets: MAX_IDLE_EACH })
    this.#dialer = dialer
    this.#idleMs = idleMs
  }

  override getName(options?: object): string {
    const { destination, parameters, client } = flowOf(options)
    const held = parameters.sessionId !== undefined || parameters.split !== undefined
    return `${formatDestination(destination)} ${parametersKey(parameters)} ${held ? '' : this.#numberOf(client)}`
  }

  override createConnection(options: object, callback: (error: Error | null, stream: Duplex) => void): undefined {
    void this.#connect(flowOf(options), callback)
  }

  async #connect({ destination, parameters, signal }: PoolOptions, callback: (error: Error | null, stream: Duplex) => void): Promise<void> {
    let dialed: Dialed
    try {
      dialed = await this.#dialer.dial({ destination, parameters }, signal)
    } catch (error) {
      callback(error as Error, undefined as never) // the agent looks at the error first
      return
    }
    routes.set(dialed.stream, dialed.route)
    dialed.stream.once('close', () => this.#forget(dialed.stream))
    callback(null, likeSocket(dialed.stream))
  }

  override keepSocketAlive(stream: Duplex): boolean {
    // An origin that ended a connection, before or while it idles, ended it for good: half-open is of no use here.
    const keep = !stream.readableEnded && (super.keepSocketAlive(stream) as unknown as boolean)
    if (keep) {
      stream.once('end', close)
      this.#idle.set(
        stream,
        setTimeout(() => stream.destroy(), this.#idleMs),
      )
    }
    return keep
  }

  override reuseSocket(stream: Duplex, request: ClientRequest): void {
    this.#forget(stream)
    stream.off('end', close)
    super.reuseSocket(stream, request)
  }

  #numberOf(client: object): number {
    const number = this.#clients.get(client) ?? ++this.#lastClient
    this.#clients.set(client, number)
    return number
  }

  /** Closes what no request uses. */
  closeIdle(): void {
    for (const stream of this.#idle.keys()) stream.destroy()
  }

  #forget(stream: Duplex): void {
    clearTimeout(this.#idle.get(stream))
    this.#idle.delete(stream)
  }
}

function close(this: Duplex): void {
  this.destroy()
}

function flowOf(options: object | undefined): PoolOptions {
  return (options as { flow: PoolOptions }).flow
}

/** Socket methods Node's HTTP client calls without asking; on a flow they mean nothing, except `destroySoon`. */
function likeSocket(stream: Duplex): Duplex {
  const nothing = () => stream
  const missing = {
    ref: nothing,
    unref: nothing,
    setKeepAlive: nothing,
    setNoDelay: nothing,
    setTimeout: nothing,
    destroySoon: () => {
      // Destroying a flow resets it, and an origin that answered in order is owed an end. It was told `Connection: close`, so it ends too.
      if (stream.writable) stream.end()
      stream.resume()
      const timer = setTimeout(() => stream.destroy(), END_GRACE_MS)
      stream.once('close', () => clearTimeout(timer))
    },
  }
  for (const [name, method] of Object.entries(missing)) if (!(name in stream)) Object.assign(stream, { [name]: method })
  return stream
}
