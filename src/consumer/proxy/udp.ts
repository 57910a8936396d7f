/**
 * UDP ASSOCIATE (RFC 1928, 7): a UDP port on loopback whose datagrams travel through one flow to an exit, as long as the connection that asked
 * for it stays open.
 *
 * Not an open relay: only datagrams from the address of that connection count, and from the first port that spoke (or the one it named).
 * Nothing is resolved and nothing is sent but to that application. What does not fit the flow at once is dropped, as networks do.
 */
import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { once } from 'node:events'
import { isIPv6 } from 'node:net'
import type { Duplex } from 'node:stream'
import { type Datagram, DatagramReader, encodeDatagram, encodeEndpoint, MAX_DATAGRAM_BYTES, readEndpoint } from '../../protocol/datagram.ts'
import { parseDestination, UDP_NAME } from '../../protocol/destination.ts'
import { asBywayError, BywayError } from '../../protocol/errors.ts'
import { refuse } from './flow.ts'
import type { Front } from './index.ts'
import { SOCKS_VERSION, socksReply } from './replies.ts'
import type { RouteParameters } from './username.ts'

/** Any will do: the exit looks at the name only. */
const UDP_DESTINATION = parseDestination(UDP_NAME, 443)
/** What may wait for the application's socket; loopback takes it at once, and a stuck program must not fill the memory. */
const MAX_QUEUED_BYTES = 1_048_576

// --- Fixed by RFC 1928: reserved u16, fragment u8, then the endpoint. ---
const HEADER_BYTES = 3
const FRAGMENT_AT = 2

/** `client` has asked for an association. Resolves when it is over; never rejects. */
export async function serveAssociation(
  client: Duplex,
  { port, parameters }: { port: number; parameters: RouteParameters },
  { dialer, observer }: Front,
): Promise<void> {
  const gone = new AbortController()
  const leave = () => gone.abort(new BywayError('CONNECTION_RESET', 'the application went away'))
  // The connection says nothing more; that it ends, in either way, is all there is to hear.
  client.once('close', leave).once('end', leave).resume()
  let stream: Duplex | undefined
  let socket: UdpSocket | undefined
  try {
    const from = addressOf(client)
    ;({ stream } = await dialer.dial({ destination: UDP_DESTINATION, parameters }, gone.signal))
    stream.on('error', () => {}) // its close is acted on below
    gone.signal.throwIfAborted()
    socket = await bind(from.localAddress)
    gone.signal.throwIfAborted()
    const { address, port: bound } = socket.address()
    const over = Promise.withResolvers<void>()
    stream.once('close', over.resolve)
    gone.signal.addEventListener('abort', () => over.resolve())
    carry(stream, socket, { address: from.remoteAddress, port }, (why) => observer.count('datagrams_dropped', 1, { why }))
    client.write(Buffer.concat([Buffer.from([SOCKS_VERSION, 0, 0]), encodeEndpoint(parseDestination(address, bound))]))
    await over.promise
  } catch (thrown) {
    const error = asBywayError(gone.signal.aborted ? gone.signal.reason : thrown)
    observer.log('association-refused', { code: error.code })
    refuse(client, socksReply(error.code))
  } finally {
    socket?.close()
    // An orderly end: what the exit still has for us is of no use to anybody, but its count is.
    stream?.end()
    stream?.resume()
    if (!client.writableEnded) client.end()
  }
}

/** The two ends of an application's connection. Only sockets have addresses to tell applications apart by. */
function addressOf(client: Duplex): { localAddress: string; remoteAddress: string } {
  const { localAddress, remoteAddress } = client as Duplex & { localAddress?: string; remoteAddress?: string }
  if (localAddress === undefined || remoteAddress === undefined) {
    throw new BywayError('PROXY_COMMAND_UNSUPPORTED', 'an association needs a connection with addresses')
  }
  return { localAddress, remoteAddress }
}

async function bind(address: string): Promise<UdpSocket> {
  const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4')
  try {
    const listening = once(socket, 'listening')
    socket.bind(0, address)
    await listening
    socket.on('error', () => {}) // a datagram that could not be sent is a lost datagram
    return socket
  } catch (cause) {
    socket.close()
    throw new BywayError('PORT_BUSY', 'no UDP port is free', { cause })
  }
}

function carry(stream: Duplex, socket: UdpSocket, from: { address: string; port: number }, dropped: (why: string) => void): void {
  let { port } = from
  socket.on('message', (message, sender) => {
    if (sender.address !== from.address || (port !== 0 && sender.port !== port)) {
      dropped('proxy-stranger')
      return
    }
    const datagram = parseSocksDatagram(message)
    if (datagram === undefined) dropped('proxy-malformed')
    else {
      port = sender.port
      if (stream.writableNeedDrain || !stream.writable) dropped('proxy-full')
      else stream.write(encodeDatagram(datagram))
    }
  })
  const reader = new DatagramReader()
  stream.once('end', () => stream.end())
  stream.on('data', (chunk: Buffer) => {
    try {
      reader.push(chunk, (datagram) => {
        if (port === 0 || socket.getSendQueueSize() > MAX_QUEUED_BYTES) dropped('proxy-full')
        else socket.send(formatSocksDatagram(datagram), port, from.address)
      })
    } catch (thrown) {
      stream.destroy(asBywayError(thrown))
    }
  })
}

/** What an application sent, or undefined for what is dropped: fragments, which nobody sends, and what is no datagram at all. */
export function parseSocksDatagram(message: Buffer): Datagram | undefined {
  if (message.length <= HEADER_BYTES || message.readUInt16BE() !== 0 || message[FRAGMENT_AT] !== 0) return undefined
  try {
    const head = readEndpoint(message.subarray(HEADER_BYTES))
    if (head === undefined) return undefined
    return { endpoint: head.endpoint, payload: message.subarray(HEADER_BYTES + head.length) }
  } catch {
    return undefined // an endpoint that cannot be: dropped like a fragment
  }
}

export function formatSocksDatagram({ endpoint, payload }: Datagram): Buffer {
  const head = encodeEndpoint(endpoint)
  // With the header in front it may no longer fit a datagram on loopback; that one is cut where UDP ends, and QUIC or DNS never are.
  return Buffer.concat([Buffer.alloc(HEADER_BYTES), head, payload]).subarray(0, MAX_DATAGRAM_BYTES)
}
