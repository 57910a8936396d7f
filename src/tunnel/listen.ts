/**
 * The listening end: a TLS server that hands over links, and joins whoever is no peer to the cover.
 *
 * A connection arrives at the port, or as a carrier from elsewhere (a flow of another hop, a WebSocket). It passes TLS, then the reception of
 * cover/, and only then becomes a link.
 */
import { type AddressInfo, createServer, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { createSecureContext, createServer as createTlsServer, type SecureContextOptions, TLSSocket, type TlsOptions } from 'node:tls'
import { fromHex, type Hex } from '../protocol/bytes.ts'
import { asksForDocument, documentAnswer } from '../protocol/document.ts'
import { BywayError } from '../protocol/errors.ts'
import type { Certificate } from './certificate.ts'
import {
  type CoverAddress,
  coverKey,
  joinVisitor,
  looksLikeHello,
  OuterTokens,
  openCover,
  receivePlain,
  receiveTls,
} from './cover/index.ts'
import { randomPadding } from './cover/padding.ts'
import { Tap } from './fast/tap.ts'
import { rememberTap, tapOn, tapsWanted } from './fast/tapped.ts'
import { Link } from './link.ts'

export interface TlsListener {
  readonly host: string
  readonly port: number
  /** A carrier that somebody dialled elsewhere, as if it had connected to the port; `remote` says where from. */
  accept(carrier: Duplex, remote: string): void
  close(): Promise<void>
}

export interface ListenOptions {
  host: string
  port: number
  certificate: Certificate
  nodeKey: Hex
  /** Where visitors go; undefined for the built-in site. */
  cover?: CoverAddress | undefined
  handshakeTimeoutMs?: number
  /** Whether the first records of each flow are padded; they are unless said otherwise. */
  padded?: boolean
  /** The newest signed offer of this node, served to whoever asks for its document; undefined while there is none. */
  document?: (() => Uint8Array | undefined) | undefined
  /** For the tokens of links that come through a proxy. */
  nowMs?: () => number
  onFailure: (reason: string) => void
}

/** What web servers grant: nginx 60 s, Node 120 s. A node that hangs up sooner is no web server. */
const HANDSHAKE_TIMEOUT_MS = 60_000
/** Above this new connections are dropped: each costs about 40 KiB, and a home line serves hundreds of flows, not thousands. */
const MAX_CONNECTIONS = 8_192
/** ssl_session_timeout, where nobody sets it. */
const NGINX_TICKET_S = 300
/** What nginx answers with, in its order; one who offers none of these gets the alert of RFC 7301. */
const ALPN = ['http/1.1', 'http/1.0', 'http/0.9']

export async function listenTls(options: ListenOptions, onLink: (link: Link, remote: string) => void): Promise<TlsListener> {
  const { certificate, nodeKey, onFailure, handshakeTimeoutMs = HANDSHAKE_TIMEOUT_MS, padded = true, nowMs = Date.now } = options
  const key = coverKey(nodeKey)
  const cover = await openCover(options.cover, fromHex(nodeKey, 32))
  const sockets = new Set<Duplex>()
  const settings: TlsOptions & SecureContextOptions = {
    cert: certificate.cert,
    key: certificate.key,
    // Nobody is asked for a certificate: no list of who might have signed it.
    ca: [],
    // Links need 1.3, visitors get what ordinary sites offer.
    minVersion: 'TLSv1.2',
    // As web servers do by now: the client knows what its processor is good at.
    honorCipherOrder: false,
    // Tickets live as long as the cover's own would: nginx's, or what Node grants when nobody says.
    ...(options.cover === undefined ? {} : { sessionTimeout: NGINX_TICKET_S }),
  }
  const tokens = new OuterTokens(key, nowMs())
  const document = (first: Buffer) => {
    const offer = asksForDocument(first, nodeKey) ? options.document?.() : undefined
    return offer === undefined ? undefined : documentAnswer(offer)
  }
  const reception = (remote: string) => ({ key, cover, tokens, nowMs, document, onCarrier: (carrier: Duplex) => accept(carrier, remote) })
  const meet = (socket: TLSSocket, remote: string) => {
    socket.allowHalfOpen = true
    receiveTls(socket, { ...reception(remote), onPeer: (peer) => onLink(new Link(peer, padded ? randomPadding() : undefined), remote) })
  }
  const tls = createTlsServer({ ...settings, ALPNProtocols: ALPN, handshakeTimeout: handshakeTimeoutMs })
  tls.on('secureConnection', (socket) => meet(socket, socket.remoteAddress ?? ''))
  // Malformed hellos, scanners, peers that leave half-way: counted, never more.
  tls.on('tlsClientError', (error, socket) => {
    onFailure((error as NodeJS.ErrnoException).code ?? 'unknown')
    socket.destroy()
  })
  const context = createSecureContext(settings)

  /** From the first byte on: one that never finishes its handshake must not hold up our closing. */
  const track = (carrier: Duplex) => {
    sockets.add(carrier)
    carrier.once('close', () => sockets.delete(carrier))
  }
  function accept(carrier: Duplex, remote: string): void {
    track(carrier)
    greetTls(carrier, remote)
  }
  function greetTls(carrier: Duplex, remote: string): void {
    const socket = new TLSSocket(carrier, { isServer: true, secureContext: context, ALPNProtocols: ALPN })
    if (carrier instanceof Tap) rememberTap(socket, carrier, 'server')
    const failed = (error: NodeJS.ErrnoException) => {
      onFailure(error.code ?? 'unknown')
      carrier.destroy()
    }
    const late = () => socket.destroy(Object.assign(new Error('no TLS in time'), { code: 'ERR_TLS_HANDSHAKE_TIMEOUT' }))
    const timer = setTimeout(late, handshakeTimeoutMs)
    const left = () => socket.destroy()
    socket
      .once('error', failed)
      .once('end', left)
      .once('close', () => clearTimeout(timer))
    socket.once('secure', () => {
      clearTimeout(timer)
      socket.off('error', failed).off('end', left)
      meet(socket, remote)
    })
  }
  const greet = (socket: Socket) => {
    track(socket)
    const fail = () => socket.destroy()
    const timer = setTimeout(() => {
      onFailure('ERR_TLS_HANDSHAKE_TIMEOUT')
      fail()
    }, handshakeTimeoutMs)
    const ended = () => socket.end()
    socket.once('error', fail).once('end', ended)
    socket.once('close', () => clearTimeout(timer))
    socket.once('data', (first: Buffer) => {
      clearTimeout(timer)
      socket.off('error', fail).off('end', ended)
      socket.pause()
      const isHello = looksLikeHello(first)
      if (!isHello && receivePlain(socket, first, reception(socket.remoteAddress ?? ''))) return
      const site = isHello ? undefined : cover.openPlain(first)
      if (site === undefined) {
        socket.unshift(first)
        // Nobody half-closes in the middle of a handshake; TLS would wait for the other half for ever.
        socket.allowHalfOpen = false
        // The fast path may take the connection over later.
        if (tapsWanted()) greetTls(tapOn(socket), socket.remoteAddress ?? '')
        else tls.emit('connection', socket)
        return
      }
      site.write(first)
      joinVisitor(socket, site)
    })
  }
  const server = createServer({ allowHalfOpen: true, noDelay: true }, greet)
  server.maxConnections = MAX_CONNECTIONS
  server.on('drop', () => onFailure('dropped'))
  await listening(server, options).catch(async (error) => {
    await cover.close()
    throw error
  })
  // Once it listens an error is a connection that could not be accepted, most often for want of descriptors: others go on.
  server.on('error', (error: NodeJS.ErrnoException) => onFailure(error.code ?? 'unknown'))
  const address = server.address() as AddressInfo
  return {
    host: address.address,
    port: address.port,
    accept,
    async close() {
      const closed = new Promise<void>((done) => server.close(() => done()))
      for (const socket of sockets) socket.destroy()
      await Promise.all([closed, cover.close()])
    },
  }
}

function listening(server: ReturnType<typeof createServer>, { host, port }: ListenOptions): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const failed = (cause: NodeJS.ErrnoException) => {
    const busy = cause.code === 'EADDRINUSE'
    reject(
      new BywayError(busy ? 'PORT_BUSY' : 'INTERNAL', `cannot listen on ${host} port ${port}: ${cause.message}`, {
        cause,
        ...(busy ? { hint: 'Choose another port with --port, or 0 for any free one.' } : {}),
        facts: { host, port },
      }),
    )
  }
  server.once('error', failed)
  server.listen(port, host, () => {
    server.off('error', failed)
    resolve()
  })
  return promise
}
