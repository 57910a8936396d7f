/**
 * Captures for the classifier: the TLS records of links that carry HTTPS, and of ordinary visits and WebSockets, all over real TLS on loopback,
 * seen by a tap between the two ends.
 *
 * Times are not used: loopback has no round trips, and traffic made by a script has no people behind it; both would tell the classes apart for
 * reasons that do not exist on a real path.
 */
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, connect, type Server, type Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { connect as connectTls, createServer as createTlsServer } from 'node:tls'
import { PROTOCOL_VERSION } from '../../src/protocol/messages.ts'
import { HELLO } from '../../src/tunnel/cover/hello.ts'
import { upgradeRequest } from '../../src/tunnel/cover/proof.ts'
import { connectLink, createCertificate, type Link, listenTls } from '../../src/tunnel/index.ts'
import { NODE_KEY } from './node.ts'

/** Application records in order: bytes, positive from the client, negative from the server. */
export type Capture = number[]

const APPLICATION_DATA = 0x17
const RECORD_HEADER = 5
/** What the classifier looks at, and a little more. */
const MAX_RECORDS = 40

const between = (least: number, most: number) => least + Math.floor(Math.random() * (most - least + 1))
const portOf = (server: Server) => (server.address() as AddressInfo).port
const listening = async <T extends Server>(server: T): Promise<T> => {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}

/** Notes the sizes of records as they pass. */
function tapOf(records: Capture, sign: 1 | -1): (chunk: Buffer) => void {
  let header = Buffer.alloc(0)
  let left = 0
  return (chunk) => {
    let rest = chunk
    while (rest.length > 0) {
      if (left > 0) {
        const taken = Math.min(left, rest.length)
        left -= taken
        rest = rest.subarray(taken)
        continue
      }
      header = Buffer.concat([header, rest.subarray(0, RECORD_HEADER - header.length)])
      rest = rest.subarray(Math.min(rest.length, RECORD_HEADER - (header.length - Math.min(rest.length, RECORD_HEADER))))
      if (header.length < RECORD_HEADER) return
      left = header.readUInt16BE(3)
      if (header[0] === APPLICATION_DATA && records.length < MAX_RECORDS) records.push(sign * left)
      header = Buffer.alloc(0)
    }
  }
}

/** A carrier to `port` that notes what passes. The last records of the handshake look like any other, and are among them. */
function tapped(port: number): { carrier: Duplex; records: Capture } {
  const records: Capture = []
  const [up, down] = [tapOf(records, 1), tapOf(records, -1)]
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  const carrier = new Duplex({
    read: () => socket.resume(),
    write(chunk: Buffer, _encoding, done) {
      up(chunk)
      socket.write(chunk, done)
    },
    final: (done) => socket.end(done),
    destroy(error, done) {
      socket.destroy()
      done(error)
    },
  })
  carrier.on('error', () => {})
  socket.on('error', (error) => carrier.destroy(error))
  socket.on('end', () => carrier.push(null))
  socket.on('data', (chunk: Buffer) => {
    down(chunk)
    if (!carrier.push(chunk)) socket.pause()
  })
  return { carrier, records }
}

export interface Studio {
  /** HTTPS through a link, to an origin with a chain of certificates as the web has them. */
  link(padded: boolean): Promise<Capture>
  /** A page and what belongs to it, over one connection. */
  visit(): Promise<Capture>
  /** A WebSocket of one of a few habits. */
  webSocket(): Promise<Capture>
  close(): void
}

export async function openStudio(): Promise<Studio> {
  const certificates = await Promise.all(
    Array.from({ length: 6 }, () =>
      createCertificate(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey, new Date(), 'example.org'),
    ),
  )
  const own = certificates[0]!
  // What a page server says to a request line "GET /<bytes>": that many bytes. The site shakes hands as the node does.
  const pages = (chain: number, asNode = false) =>
    listening(
      createTlsServer(
        {
          key: own.key,
          cert: certificates
            .slice(0, chain)
            .map(({ cert }) => cert)
            .join('\n'),
          ...(asNode ? { honorCipherOrder: false, ALPNProtocols: ['http/1.1'] } : {}),
        },
        (socket) => {
          socket.setNoDelay(true)
          socket.on('error', () => {})
          socket.on('data', (request: Buffer) => answer(socket, request.toString('latin1')))
        },
      ),
    )
  const origins = await Promise.all([2, 3, 4, 6].map((chain) => pages(chain)))
  const site = await pages(1, true)
  const listeners = await Promise.all(
    [true, false].map((padded) =>
      listenTls({ host: '127.0.0.1', port: 0, certificate: own, nodeKey: NODE_KEY, padded, onFailure: () => {} }, (link) =>
        exit(link, origins.map(portOf)),
      ),
    ),
  )
  return {
    async link(padded) {
      const { carrier, records } = tapped(listeners[padded ? 0 : 1]!.port)
      const link = await connectLink({ kind: 'tls', host: 'example.org', port: 443, pin: own.pin }, NODE_KEY, { carrier, padded })
      const flow = flowOn(link)
      link.send('attach', { version: PROTOCOL_VERSION, sessionId: `0x${'11'.repeat(16)}`, token: `0x${'22'.repeat(32)}` })
      await once(flow, 'ready')
      const host = 'abcdefghijklmnopqrstuvwxyz'.repeat(2).slice(0, between(5, 40))
      link.send('open', { flowId: 1, protocol: 0, host, port: 443 })
      await once(flow, 'ready')
      await browse(flow, `${host}.org`)
      carrier.destroy()
      return records
    },
    async visit() {
      const { carrier, records } = tapped(portOf(site))
      await browse(carrier, 'example.org')
      carrier.destroy()
      return records
    },
    async webSocket() {
      const { carrier, records } = tapped(portOf(site))
      await talk(carrier)
      carrier.destroy()
      return records
    },
    close() {
      for (const server of [...origins, site]) server.close()
      for (const listener of listeners) void listener.close()
    },
  }
}

/** Answers `GET /bytes`, and the upgrade of a WebSocket, after which a message `wants` says what to send. */
function answer(socket: Duplex, request: string): void {
  if (request.includes('Upgrade: websocket')) {
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${'a'.repeat(28)}\r\n\r\n`,
    )
    return
  }
  const wants = /^(?:GET \/|#)([\d,]+)/.exec(request)?.[1]
  if (wants === undefined) return
  if (request.startsWith('#')) for (const bytes of wants.split(',')) socket.write(Buffer.alloc(Number(bytes)))
  else
    socket.write(
      `HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: ${new Date().toUTCString()}\r\nContent-Length: ${wants}\r\n\r\n${'x'.repeat(Number(wants))}`,
    )
}

/** Waits for at least so many more bytes than it waited for before. */
function hearing(stream: Duplex): (bytes: number) => Promise<void> {
  let [heard, awaited] = [0, 0]
  stream.on('data', (part: Buffer) => {
    heard += part.length
    stream.emit('heard')
  })
  stream.once('close', () => stream.emit('heard'))
  return async (bytes) => {
    awaited += bytes
    while (heard < awaited && !stream.destroyed) await once(stream, 'heard')
  }
}

/** A browser on a connection: TLS, a few requests one after the other. */
async function browse(carrier: Duplex, servername: string): Promise<void> {
  const classic = Math.random() < 0.4
  const tls = connectTls({
    socket: carrier,
    servername,
    rejectUnauthorized: false,
    ...HELLO,
    ...(classic ? { ecdhCurve: 'X25519:P-256' } : {}),
    ...(Math.random() < 0.1 ? { maxVersion: 'TLSv1.2' as const } : {}),
  })
  tls.on('error', () => {})
  const heard = hearing(tls)
  await once(tls, 'secureConnect')
  for (let turn = between(1, 6); turn > 0; turn--) {
    const size = Math.random() < 0.7 ? between(200, 6_000) : between(6_000, 60_000)
    tls.write(`GET /${size} HTTP/1.1\r\nHost: ${servername}\r\nUser-Agent: ${'u'.repeat(between(250, 1_100))}\r\n\r\n`)
    await heard(size)
  }
  tls.destroy()
}

/** Around `middle`, sometimes much more (log-normal). */
function sizeAround(middle: number, spread: number): number {
  const normal = Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random())
  return Math.max(16, Math.min(12_000, Math.round(middle * Math.exp(spread * normal))))
}
const logBetween = (least: number, most: number) => least * (most / least) ** Math.random()

/**
 * Somebody's WebSocket. Applications differ in how much they ask and are told, in how many messages, and whether they begin with a login and a
 * snapshot; each connection is one such application.
 */
async function talk(carrier: Duplex): Promise<void> {
  const tls = connectTls({ socket: carrier, servername: 'example.org', rejectUnauthorized: false, ...HELLO })
  tls.on('error', () => {})
  const heard = hearing(tls)
  await once(tls, 'secureConnect')
  tls.write(upgradeRequest('example.org', randomBytes(32)))
  await heard(100)
  const [asks, tells, most] = [logBetween(40, 900), logBetween(40, 3_000), between(1, 5)]
  const loginAt = Math.random() < 0.5 ? between(0, 2) : -1
  for (let turn = 0, turns = between(3, 12); turn < turns; turn++) {
    const replies = Array.from({ length: between(1, most) }, () => sizeAround(tells, 0.9))
    if (turn === loginAt) replies.push(between(1_500, 8_000))
    tls.write(`#${replies.join(',')};`.padEnd(turn === loginAt ? between(300, 2_200) : sizeAround(asks, 0.7)))
    await heard(replies.reduce((sum, bytes) => sum + bytes, 0))
  }
  tls.destroy()
}

/** The far end: answers `attach`, connects on `open` to one of the origins, and passes bytes on. */
function exit(link: Link, ports: readonly number[]): void {
  let flow: Socket | undefined
  link.listen({
    onMessage({ name }) {
      if (name === 'attach') link.send('attached', {})
      if (name !== 'open') return
      flow = connect({ port: ports[between(0, ports.length - 1)]!, host: '127.0.0.1', noDelay: true })
      flow.once('connect', () => link.send('opened', {}))
      flow.on('error', () => {}).on('data', (chunk: Buffer) => link.sendData(chunk, () => {}))
    },
    onData: (chunk) => flow?.write(chunk),
    onClose: () => flow?.destroy(),
  })
}

/** The near end as a stream; it says `ready` for each message that is an answer. */
function flowOn(link: Link): Duplex {
  const flow = new Duplex({
    read: () => {},
    write: (chunk: Buffer, _encoding, done) => link.sendData(chunk, done),
  })
  flow.on('error', () => {})
  link.listen({ onMessage: () => flow.emit('ready'), onData: (chunk) => flow.push(chunk), onClose: () => flow.destroy() })
  return flow
}
