/** The listening end: a TLS 1.3 server that hands over links. */
import type { AddressInfo, Socket } from 'node:net'
import { createServer } from 'node:tls'
import { BywayError } from '../protocol/errors.ts'
import type { Certificate } from './certificate.ts'
import { Link } from './link.ts'

export interface TlsListener {
  readonly host: string
  readonly port: number
  close(): Promise<void>
}

/** A peer that does not finish TLS in this time is a slow-loris or gone. */
const HANDSHAKE_TIMEOUT_MS = 10_000
/** Above this new connections are dropped: each costs about 40 KiB, and a home line serves hundreds of flows, not thousands. */
const MAX_CONNECTIONS = 8_192

export function listenTls(
  options: { host: string; port: number; certificate: Certificate; handshakeTimeoutMs?: number; onFailure: (reason: string) => void },
  onLink: (link: Link, remote: string) => void,
): Promise<TlsListener> {
  const { promise, resolve, reject } = Promise.withResolvers<TlsListener>()
  const sockets = new Set<Socket>()
  const server = createServer({
    cert: options.certificate.cert,
    key: options.certificate.key,
    minVersion: 'TLSv1.3',
    ALPNProtocols: ['http/1.1'],
    handshakeTimeout: options.handshakeTimeoutMs ?? HANDSHAKE_TIMEOUT_MS,
    noDelay: true,
  })
  server.maxConnections = MAX_CONNECTIONS
  // From the first byte on: one that never finishes its handshake must not hold up our closing.
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  server.on('drop', () => options.onFailure('dropped'))
  server.on('secureConnection', (socket) => {
    onLink(new Link(socket), socket.remoteAddress ?? '')
  })
  // Malformed hellos, scanners, peers that leave half-way: counted, never more.
  server.on('tlsClientError', (error, socket) => {
    options.onFailure((error as NodeJS.ErrnoException).code ?? 'unknown')
    socket.destroy()
  })
  server.once('error', (cause: NodeJS.ErrnoException) => {
    const busy = cause.code === 'EADDRINUSE'
    reject(
      new BywayError(busy ? 'PORT_BUSY' : 'INTERNAL', `cannot listen on ${options.host} port ${options.port}: ${cause.message}`, {
        cause,
        ...(busy ? { hint: 'Choose another port with --port, or 0 for any free one.' } : {}),
        facts: { host: options.host, port: options.port },
      }),
    )
  })
  server.listen(options.port, options.host, () => {
    // Once it listens an error is a connection that could not be accepted, most often for want of descriptors: others go on.
    server.on('error', (error: NodeJS.ErrnoException) => options.onFailure(error.code ?? 'unknown'))
    const address = server.address() as AddressInfo
    resolve({
      host: address.address,
      port: address.port,
      close: () =>
        new Promise<void>((done) => {
          server.close(() => done())
          for (const socket of sockets) socket.destroy()
        }),
    })
  })
  return promise
}
