/**
 * The dialling end of a link: TLS 1.3 to a provider whose key the offer pinned, then the proof that we know the node.
 *
 * Transports: `tls` is the node's own address; `ws` is a website's that passes WebSockets on to the node (a CDN), and the same TLS runs inside.
 */
import { randomBytes } from 'node:crypto'
import { connect as netConnect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { connect as connectTls, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls'
import type { Hex } from '../protocol/bytes.ts'
import { asBywayError, BywayError } from '../protocol/errors.ts'
import type { Transport } from '../protocol/offer.ts'
import { pinOf } from './certificate.ts'
import { HELLO, hostField, serverName } from './cover/hello.ts'
import { randomPadding } from './cover/padding.ts'
import { COVER_LABEL, coverKey, EXPORTER_BYTES, grantsUpgrade, proofOf, upgradeRequest } from './cover/proof.ts'
import { outerToken } from './cover/token.ts'
import { WebSocketCarrier } from './cover/websocket.ts'
import { descriptorOf } from './fast/detach.ts'
import type { Tap } from './fast/tap.ts'
import { rememberTap, tapOn, tapsWanted } from './fast/tapped.ts'
import { Link } from './link.ts'

/** Four round trips on the worst line (600 ms satellite), and a lost packet. */
const CONNECT_TIMEOUT_MS = 6_000
/** The first of them, and a lost packet: a machine that is switched off answers never. */
const ANSWER_TIMEOUT_MS = 2_000
/** A link that waits for its next flow says a sign of life this often, or routers on its way forget it: the most impatient do after a minute. */
const KEEPALIVE_MS = 50_000

/**
 * What all links to nodes have in common: making it took a tenth of a handshake. No authorities: none is asked, and loading the system's takes
 * memory. Nothing links two handshakes: sessions are resumed only where one is handed in.
 */
let context: SecureContext | undefined

export interface ConnectOptions {
  signal?: AbortSignal | undefined
  /** What the link runs over; undefined for a TCP connection to the transport's address. Destroyed when the attempt fails. */
  carrier?: Duplex | undefined
  /** Whether the first records of each flow are padded; they are unless said otherwise. */
  padded?: boolean
  /** The carrying thread will not take it over: it carries messages, and needs no memory of what went over it. */
  stays?: boolean
  /** Certificate authorities (PEM) for the website of a `ws` transport instead of the system's. */
  authorities?: string | undefined
  /** For the token of a `ws` transport. */
  nowMs?: () => number
}

/** Connects, checks the pin, proves that we know the node, and returns the link. PROVIDER_UNREACHABLE or PIN_MISMATCH. */
export async function connectLink(transport: Transport, nodeKey: Hex, options: ConnectOptions = {}): Promise<Link> {
  const { host, port, pin } = transport
  const { signal, padded = true, stays = false } = options
  const key = coverKey(nodeKey)
  const carrier = options.carrier ?? (transport.kind === 'ws' ? await dialWebSocket(transport, key, options) : undefined)
  // The fast path may take the connection over later.
  const tap = tapsWanted() && !stays ? tapUnder(carrier, transport) : undefined
  const under = tap ?? carrier
  context ??= createSecureContext({ ...HELLO, ca: [] })
  const socket = connectTls({
    ...HELLO,
    secureContext: context,
    // Where a call through a relay leads has no name.
    ...(transport.kind === 'relay' ? {} : serverName(host)),
    // The pin is the check: no authority vouches for a self-signed key, and none is asked.
    rejectUnauthorized: false,
    ...(under === undefined ? { host, port } : { socket: under }),
  })
  if (tap !== undefined) rememberTap(socket, tap, 'client')
  const secretOf = () => {
    if (pinShown(socket) !== pin) {
      throw new BywayError('PIN_MISMATCH', 'the address answers with another key than the offer pins', { facts: { host, port, pin } })
    }
    if (socket.getProtocol() !== 'TLSv1.3') throw unreachable(transport, 'the provider does not speak TLS 1.3')
    return proofOf(key, socket.exportKeyingMaterial(EXPORTER_BYTES, COVER_LABEL, Buffer.alloc(0)))
  }
  const dialled = carrier === undefined ? ((tap?.under as Socket | undefined) ?? socket) : undefined
  await upgraded(socket, { transport, dialled, signal, secretOf }).catch((thrown) => {
    under?.destroy()
    throw thrown
  })
  return new Link(socket, padded ? randomPadding() : undefined)
}

/** Over a connection of the system's; undefined when the carrier is something else. */
function tapUnder(carrier: Duplex | undefined, { host, port }: Transport): Tap | undefined {
  if (carrier === undefined) return tapOn(netConnect({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEPALIVE_MS }))
  return descriptorOf(carrier) < 0 ? undefined : tapOn(carrier)
}

/** Calls `silent` early where nobody is at home: the rest of a handshake may take long, its first answer may not. */
function unlessAnswered(dialled: Socket, silent: () => void): void {
  // A name is looked up before, in its own time.
  dialled.once('connectionAttempt', () => {
    const look = () => {
      if (dialled.connecting) silent()
    }
    // Where this process was late itself the answer may be here already, and is heard first.
    const timer = setTimeout(() => setImmediate(look), ANSWER_TIMEOUT_MS)
    const settled = () => clearTimeout(timer)
    dialled.once('connect', settled).once('close', settled)
  })
}

/** A WebSocket at the website of a `ws` transport that leads to the node. */
async function dialWebSocket(transport: Transport, key: Buffer, options: ConnectOptions): Promise<Duplex> {
  const { host, port } = transport
  const { signal, authorities, nowMs = Date.now } = options
  // The website must be who it says, as for any browser: one who only pretends would see the WebSocket.
  const socket = connectTls({ ...HELLO, ...serverName(host), host, port, ...(authorities === undefined ? {} : { ca: authorities }) })
  await upgraded(socket, { transport, dialled: socket, signal, secretOf: () => outerToken(key, randomBytes(16), nowMs()) })
  return new WebSocketCarrier(socket, 'client')
}

interface Upgrade {
  transport: Transport
  /** What dials, where this end does: the connection below, or TLS itself. */
  dialled: Socket | undefined
  signal: AbortSignal | undefined
  /** To be asked once TLS stands. It throws when the other end is not who it should be. */
  secretOf(): Buffer
}

/** Waits for TLS, asks for an upgrade with the secret, and waits until it is granted. The socket is paused then, or destroyed. */
function upgraded(socket: TLSSocket, { transport, dialled, signal, secretOf }: Upgrade): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  socket.setNoDelay(true)
  socket.setKeepAlive(true, KEEPALIVE_MS)
  const fail = (thrown: unknown) => {
    socket.destroy()
    reject(asBywayError(thrown))
  }
  const refuse = (why: string, cause?: Error) => fail(unreachable(transport, why, cause))
  const timer = setTimeout(() => refuse('the provider did not answer in time'), CONNECT_TIMEOUT_MS)
  const broke = (cause: Error) => refuse(`no TLS connection to the provider: ${cause.message}`, cause)
  if (dialled !== undefined) unlessAnswered(dialled, () => refuse('nothing answers at its address'))
  const ended = () => refuse('the provider closed the connection')
  const aborted = () => refuse('the attempt was given up')
  socket.once('error', broke).once('close', ended)
  signal?.addEventListener('abort', aborted, { once: true })
  if (signal?.aborted) aborted()
  socket.once('secureConnect', () => {
    try {
      const secret = secretOf()
      socket.write(upgradeRequest(hostField(transport.host, transport.port), secret))
      socket.once('data', (first: Buffer) => {
        socket.pause()
        const granted = grantsUpgrade(first, secret)
        if (granted === undefined) {
          refuse('the address answers as a website, not as the node that was asked for')
          return
        }
        if (granted.rest.length > 0) socket.unshift(granted.rest)
        resolve()
      })
    } catch (thrown) {
      fail(thrown)
    }
  })
  return promise.finally(() => {
    clearTimeout(timer)
    signal?.removeEventListener('abort', aborted)
    // After a failure the socket may still report its own end; nobody is left to hear it.
    socket
      .off('error', broke)
      .off('close', ended)
      .on('error', () => {})
  })
}

const unreachable = ({ host, port }: Transport, why: string, cause?: Error) =>
  new BywayError('PROVIDER_UNREACHABLE', why, { cause, facts: { host, port } })

function pinShown(socket: TLSSocket): string | undefined {
  const certificate = socket.getPeerX509Certificate()
  return certificate === undefined ? undefined : pinOf(certificate)
}
