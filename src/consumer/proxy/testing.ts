/** For tests only: a dialer without exits that connects to loopback itself, and raw connections to talk to the proxy with. */
import { once } from 'node:events'
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, createServer, type Server, Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { asBywayError, BywayError } from '../../protocol/errors.ts'
import { connectError } from '../../tunnel/egress/dial.ts'
import { createProxy, type Dialer, type DialRequest, type LocalProxy, type ProxyOptions } from './index.ts'

export interface LoopbackDialer extends Dialer {
  requests: DialRequest[]
  streams: Socket[]
}

/** Every destination is the same port of 127.0.0.1, whatever its name. The route repeats what was asked. */
export function loopbackDialer(): LoopbackDialer {
  const requests: DialRequest[] = []
  const streams: Socket[] = []
  return {
    requests,
    streams,
    dial: async (request, signal) => {
      requests.push(request)
      const stream = resettable(connect({ host: '127.0.0.1', port: request.destination.port, allowHalfOpen: true, noDelay: true, signal }))
      await once(stream, 'connect').catch((error: Error) => {
        throw signal.aborted ? asBywayError(signal.reason) : connectError(error)
      })
      streams.push(stream)
      const { country = 'zz', sessionId = 'none' } = request.parameters
      return { stream, route: { sessionId, country, pricePerGib: 20_000n, provider: '0xp', hops: 1 } }
    },
  }
}

/** A socket whose `destroy(error)` resets it, as a flow's does. */
function resettable(socket: Socket): Socket {
  socket._destroy = (error, done) => {
    if (error !== null) Object.assign(socket, { resetAndClosing: true })
    Socket.prototype._destroy.call(socket, error, done)
  }
  return socket
}

/** Answers every request with this error, thrown as it is. */
export function failingDialer(error: Error): Dialer {
  return { dial: () => Promise.reject(error) }
}

export async function startProxy(
  t: TestContext,
  dialer: Dialer,
  options: ProxyOptions = {},
): Promise<{ proxy: LocalProxy; port: number; url: string }> {
  const proxy = createProxy({ dialer }, options)
  const { port } = await proxy.listen('127.0.0.1', 0)
  t.after(() => proxy.close(0))
  return { proxy, port, url: `http://127.0.0.1:${port}` }
}

/** A TCP server on loopback; its connections are closed when the test ends. */
export async function startOrigin(t: TestContext, server: Server | ((socket: Socket) => void)): Promise<number> {
  const listener = typeof server === 'function' ? createServer({ allowHalfOpen: true, noDelay: true }, server) : server
  const sockets = new Set<Socket>()
  listener.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.once('close', () => sockets.delete(socket))
  })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    listener.close()
  })
  return (listener.address() as AddressInfo).port
}

export function httpOrigin(t: TestContext, serve: (request: IncomingMessage, response: ServerResponse) => void): Promise<number> {
  return startOrigin(t, createHttpServer(serve))
}

/** A plain request for `a.test`, as an application sends it to a proxy. */
export function getRequest(port: number, path = '/', headers = ''): string {
  return `GET http://a.test:${port}${path} HTTP/1.1\r\nHost: a.test:${port}\r\n${headers}\r\n`
}

export const CLOSE = 'Connection: close\r\n'

/** A connection whose received bytes can be waited for. */
export class RawClient {
  readonly socket: Socket
  received: Buffer = Buffer.alloc(0)
  error: Error | undefined
  #wake = Promise.withResolvers<void>()

  private constructor(socket: Socket) {
    this.socket = socket
    const wake = () => {
      this.#wake.resolve()
      this.#wake = Promise.withResolvers<void>()
    }
    socket.on('data', (chunk) => {
      this.received = Buffer.concat([this.received, chunk as Buffer])
      wake()
    })
    socket.on('error', (error) => {
      this.error = error
    })
    socket.on('end', wake)
    socket.on('close', wake)
  }

  static async connect(t: TestContext, port: number): Promise<RawClient> {
    const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true, noDelay: true })
    await once(socket, 'connect')
    t.after(() => socket.destroy())
    return new RawClient(socket)
  }

  write(bytes: Uint8Array | string): void {
    this.socket.write(bytes)
  }

  /** Resolves when `enough` says so; rejects when the connection ends before. */
  async until(enough: (received: Buffer) => boolean): Promise<Buffer> {
    while (!enough(this.received)) {
      if (this.socket.closed || this.socket.readableEnded)
        throw new BywayError('CONNECTION_RESET', `ended after ${this.received.toString('latin1')}`)
      await this.#wake.promise
    }
    return this.received
  }

  bytes(count: number): Promise<Buffer> {
    return this.until((received) => received.length >= count)
  }

  text(part: string): Promise<Buffer> {
    return this.until((received) => received.includes(part))
  }

  /** All bytes until the other side ended. */
  async ended(): Promise<Buffer> {
    while (!this.socket.readableEnded && !this.socket.closed) await this.#wake.promise
    return this.received
  }

  async closed(): Promise<Buffer> {
    while (!this.socket.closed) await this.#wake.promise
    return this.received
  }
}

/** Sends bytes and returns all that came back until the proxy ended the connection. */
export async function exchange(t: TestContext, port: number, bytes: Uint8Array | string): Promise<string> {
  const client = await RawClient.connect(t, port)
  client.write(bytes)
  const received = (await client.ended()).toString('latin1')
  client.socket.destroy()
  return received
}
