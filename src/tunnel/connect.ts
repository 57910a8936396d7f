/** The dialling end of a link: TLS 1.3 to a provider whose key the offer pinned. */
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { BywayError } from '../protocol/errors.ts'
import type { Transport } from '../protocol/offer.ts'
import { pinOf } from './certificate.ts'
import { Link } from './link.ts'

/** Three round trips on the worst line (600 ms satellite), times three for a lost packet. */
const CONNECT_TIMEOUT_MS = 6_000

/** Connects, checks the pin, and returns the link. PROVIDER_UNREACHABLE or PIN_MISMATCH. */
export function connectLink(transport: Transport, signal?: AbortSignal): Promise<Link> {
  const { promise, resolve, reject } = Promise.withResolvers<Link>()
  const { host, port, pin } = transport
  const where = { host, port }
  const socket = connectTls({
    host,
    port,
    minVersion: 'TLSv1.3',
    ALPNProtocols: ['http/1.1'],
    // The pin below is the check: no authority vouches for a self-signed key, and none is asked.
    rejectUnauthorized: false,
  })
  socket.setNoDelay(true)
  const fail = (error: BywayError) => {
    socket.destroy()
    reject(error)
  }
  const timer = setTimeout(
    () => fail(new BywayError('PROVIDER_UNREACHABLE', 'the provider did not answer in time', { facts: where })),
    CONNECT_TIMEOUT_MS,
  )
  const broke = (cause: Error) =>
    fail(new BywayError('PROVIDER_UNREACHABLE', `no TLS connection to the provider: ${cause.message}`, { cause, facts: where }))
  const ended = () => fail(new BywayError('PROVIDER_UNREACHABLE', 'the provider closed the connection', { facts: where }))
  const aborted = () => fail(new BywayError('PROVIDER_UNREACHABLE', 'the attempt was given up', { facts: where }))
  socket.once('error', broke)
  socket.once('close', ended)
  signal?.addEventListener('abort', aborted, { once: true })
  socket.once('secureConnect', () => {
    const shown = pinShown(socket)
    if (shown !== pin) {
      fail(new BywayError('PIN_MISMATCH', 'the address answers with another key than the offer pins', { facts: { ...where, pin } }))
      return
    }
    socket.off('error', broke)
    socket.off('close', ended)
    resolve(new Link(socket))
  })
  return promise.finally(() => {
    clearTimeout(timer)
    signal?.removeEventListener('abort', aborted)
    // After a failure the socket may still report its own end; nobody is left to hear it.
    socket.on('error', () => {})
  })
}

function pinShown(socket: TLSSocket): string | undefined {
  const certificate = socket.getPeerX509Certificate()
  return certificate === undefined ? undefined : pinOf(certificate)
}
