/** Peers become links, everybody else meets the website, whatever they say and over whatever they come. */
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { duplexPair } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { createCertificate } from '../certificate.ts'
import { connectLink } from '../connect.ts'
import type { Link } from '../link.ts'
import { type ListenOptions, listenTls } from '../listen.ts'
import { COVER_LABEL, coverKey, proofOf, upgradeRequest } from './proof.ts'

const NODE_KEY = `0x${'4e'.repeat(32)}` as const
const OTHER_KEY = `0x${'4f'.repeat(32)}` as const

async function node(t: TestContext, options: Partial<ListenOptions> = {}) {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const certificate = await createCertificate(privateKey, new Date())
  const links: { link: Link; remote: string }[] = []
  const listener = await listenTls(
    { host: '127.0.0.1', port: 0, certificate, nodeKey: NODE_KEY, onFailure: () => {}, ...options },
    (link, remote) => {
      links.push({ link, remote })
      link.listen({
        onMessage: ({ name, body }) => name === 'ping' && link.send('pong', body),
        onData: () => {},
        onClose: () => {},
      })
    },
  )
  t.after(() => listener.close())
  const transport = { kind: 'tls', host: '127.0.0.1', port: listener.port, pin: certificate.pin }
  return { listener, links, transport, port: listener.port }
}

/** A message there and back. */
async function answers(link: Link): Promise<void> {
  const pong = Promise.withResolvers<bigint>()
  link.listen({
    onMessage: (message) => message.name === 'pong' && pong.resolve(message.body.nonce),
    onData: () => {},
    onClose: (error) => pong.reject(error ?? new Error('closed')),
  })
  link.send('ping', { nonce: 7n })
  assert.equal(await pong.promise, 7n)
}

async function visitor(port: number): Promise<TLSSocket> {
  const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] })
  socket.on('error', () => {})
  await once(socket, 'secureConnect')
  return socket
}

/** The request that is right on this connection. */
const proofOn = (socket: TLSSocket) =>
  upgradeRequest('localhost', proofOf(coverKey(NODE_KEY), socket.exportKeyingMaterial(32, COVER_LABEL, Buffer.alloc(0))))

/** Everything heard until the other side hangs up. */
async function heard(socket: Socket): Promise<string> {
  const parts: Buffer[] = []
  socket.on('data', (part: Buffer) => parts.push(part))
  if (!socket.closed) await once(socket, 'close')
  return Buffer.concat(parts).toString('latin1')
}

/** A cover that repeats what it is told and says how often it was asked. */
async function parrot(t: TestContext): Promise<{ address: string; asked: () => number }> {
  let asked = 0
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {})
    socket.once('data', () => asked++)
    socket.pipe(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return { address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked: () => asked }
}

test('who knows the node key gets a link, who does not gets the website', async (t) => {
  const { transport, links, port } = await node(t)
  const link = await connectLink(transport, NODE_KEY)
  await answers(link)
  link.destroy()
  assert.equal(links.length, 1)
  await assert.rejects(connectLink(transport, OTHER_KEY), { code: 'PROVIDER_UNREACHABLE' })
  await assert.rejects(connectLink({ ...transport, pin: OTHER_KEY }, NODE_KEY), { code: 'PIN_MISMATCH' })
  const guest = await visitor(port)
  guest.write('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
  assert.match(await heard(guest), /^HTTP\/1.1 200 OK\r\n.*<\/html>\n$/s)
  assert.equal(links.length, 1)
})

test('a proof is worth nothing on another connection', async (t) => {
  const cover = await parrot(t)
  const { links, port } = await node(t, { cover: cover.address })
  const first = await visitor(port)
  const proof = () => proofOn(first)
  const second = await visitor(port)
  second.end(proof())
  assert.equal(await heard(second), proof(), 'the cover hears every byte')
  assert.equal(links.length, 0)
  first.write(proof())
  const [answer] = (await once(first, 'data')) as [Buffer]
  assert.match(answer.toString(), /^HTTP\/1.1 101 /, 'the control: on its own connection it is right')
  assert.equal(links.length, 1)
  assert.equal(cover.asked(), 1, 'the cover never hears of peers')
  first.destroy()
})

test('a proof that comes after the cover was joined still makes a link', async (t) => {
  const cover = await parrot(t)
  const { links, port } = await node(t, { cover: cover.address })
  const late = await visitor(port)
  // The cover is joined when it accepts; what the visitor says first still decides.
  await new Promise((resolve) => setTimeout(resolve, 100))
  late.write(proofOn(late))
  const [answer] = (await once(late, 'data')) as [Buffer]
  assert.match(answer.toString(), /^HTTP\/1.1 101 /)
  assert.deepEqual([links.length, cover.asked()], [1, 0])
  late.destroy()
})

test('what a visitor says reaches the cover unchanged and in order, with both ends and in pieces', async (t) => {
  const cover = await parrot(t)
  const { port } = await node(t, { cover: cover.address })
  for (const length of [1, 2, 5, 517, 4_096, 200_000]) {
    const said = Buffer.from(Array.from({ length }, (_, at) => (at * 31 + length) % 256))
    const guest = await visitor(port)
    guest.write(said.subarray(0, length >> 1))
    guest.end(said.subarray(length >> 1))
    assert.equal(await heard(guest), said.toString('latin1'))
  }
  // In the clear: what is no hello goes to the cover as well.
  const plain = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  plain.end('GET / HTTP/1.0\r\n\r\n')
  assert.equal(await heard(plain), 'GET / HTTP/1.0\r\n\r\n')
})

test('a cover that is down breaks visitors off, and peers get through', async (t) => {
  const { transport, port } = await node(t, { cover: 'http://127.0.0.1:1' })
  const guest = await visitor(port)
  guest.write('GET / HTTP/1.1\r\n\r\n')
  assert.equal(await heard(guest), '')
  const link = await connectLink(transport, NODE_KEY)
  await answers(link)
  link.destroy()
})

test('a link runs over any carrier, and says where it came from', async (t) => {
  const { listener, transport, links } = await node(t)
  const [near, far] = duplexPair()
  listener.accept(far, 'elsewhere')
  const link = await connectLink(transport, NODE_KEY, { carrier: near })
  await answers(link)
  assert.equal(links[0]!.remote, 'elsewhere')
  link.destroy()
})
