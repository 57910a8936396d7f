/**
 * Peers that come in crowds, take their time or never stop: each is cut off within its limit, and memory and descriptors come back.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Duplex } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import type { Clock } from '../../src/protocol/clock.ts'
import { encodeMessage, frameHeader } from '../../src/protocol/messages.ts'
import { connectLink, createCertificate, Link, listenTls, type Wire } from '../../src/tunnel/index.ts'
import { MemoryChain } from '../support/memory-chain.ts'
import { type ProviderOptions, startProvider } from '../support/pair.ts'
import { dial, openRoot, Rogue, type Seller, sessionOf, Talk, until } from './rogue.ts'
import { descriptors, descriptorsAfterVisit, echo, firehose, type Origin, origin, Recorder, settled } from './world.ts'

interface World {
  chain: MemoryChain
  seller: Seller
  observer: Recorder
  source: Origin
}

async function world(t: TestContext, options: Partial<ProviderOptions> = {}): Promise<World> {
  const chain = options.chain ?? new MemoryChain()
  const observer = new Recorder()
  const seller = await startProvider({ chain, observer, ...options })
  const source = await origin(echo)
  t.after(async () => {
    await seller.provider.close()
    await seller.vault.close()
    await source.close()
  })
  return { chain, seller, observer, source }
}

/** Of no node: both ends only have to agree on it; few-descriptors.ts has the same. */
const NODE_KEY = `0x${'4e'.repeat(32)}` as const

/** Time that jumps when a test says so. */
class Jumping implements Clock {
  aheadMs = 0
  nowMs = () => Date.now() + this.aheadMs
}

async function echoes(rogue: Rogue, port: number): Promise<void> {
  const flow = await rogue.flow(port)
  flow.link.sendData(Buffer.from('still here'), () => {})
  await flow.bytes(10n)
  flow.link.destroy()
}

const closed = (socket: Socket) => new Promise<void>((resolve) => socket.resume().once('close', () => resolve()))

test('a peer that does not finish its handshake is cut off, at every stage, and holds up no closing', async (t) => {
  // Enough for an honest handshake on a slow machine.
  const LIMIT_MS = 2_000
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const certificate = await createCertificate(privateKey, new Date())
  const reasons: string[] = []
  let links = 0
  const listener = await listenTls(
    {
      host: '127.0.0.1',
      port: 0,
      certificate,
      nodeKey: NODE_KEY,
      handshakeTimeoutMs: LIMIT_MS,
      onFailure: (reason) => reasons.push(reason),
    },
    (link) => {
      links++
      link.destroy()
    },
  )
  t.after(() => listener.close())
  const before = await descriptorsAfterVisit(listener.port)
  reasons.length = 0
  // Says nothing; says half a hello; says a whole hello and takes no answer.
  const { port } = listener
  const hello = await recordHello()
  const peers = [Buffer.alloc(0), hello.subarray(0, 40), hello].map((bytes) => {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => {})
    if (bytes.length > 0) socket.write(bytes)
    return socket
  })
  await Promise.all(peers.map(closed))
  assert.deepEqual(reasons, ['ERR_TLS_HANDSHAKE_TIMEOUT', 'ERR_TLS_HANDSHAKE_TIMEOUT', 'ERR_TLS_HANDSHAKE_TIMEOUT'])
  assert.equal(links, 0)
  const honest = await connectLink({ kind: 'tls', host: '127.0.0.1', port, pin: certificate.pin }, NODE_KEY)
  await until(() => links === 1, 'an honest peer gets through')
  honest.destroy()
  await until(() => descriptors() <= before, 'no descriptor is kept')
  const last = connect(port, '127.0.0.1')
  last.on('error', () => {})
  await once(last, 'connect')
  const known = reasons.length
  await listener.close()
  assert.equal(reasons.length, known, 'closing does not wait until it has taken too long')
  await closed(last)
})

/** The first bytes a TLS client says. */
async function recordHello(): Promise<Buffer> {
  const heard = Promise.withResolvers<Buffer>()
  const server = await origin((socket) => socket.once('data', heard.resolve))
  const client = connectTls({ port: server.port, host: '127.0.0.1', rejectUnauthorized: false })
  client.on('error', () => {})
  const hello = await heard.promise
  client.destroy()
  await server.close()
  return hello
}

test('a link that says nothing, or half a message, is refused in time', async (t) => {
  const w = await world(t)
  const before = await descriptorsAfterVisit(w.seller.port)
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const session = encodeMessage('ping', { nonce: 1n })
  const peers: Talk[] = []
  for (const bytes of [Buffer.alloc(0), session.subarray(0, 2), session.subarray(0, 7), frameHeader(0x13, 100)]) {
    // Padding of its own would complete what is left half said.
    const link = new Talk(await connectLink(w.seller.offer.body.transports[0]!, w.seller.offer.body.nodeKey, { padded: false }))
    if (bytes.length > 0) link.link.wire.write(bytes)
    peers.push(link)
  }
  await until(() => {
    t.mock.timers.tick(1_000)
    return w.observer.counted('handshakes_failed', 'SESSION_TIMEOUT') === peers.length
  }, 'all are refused')
  await until(() => {
    t.mock.timers.tick(1_000)
    return peers.every((peer) => peer.closed)
  }, 'all are closed')
  t.mock.timers.reset()
  for (const { inbox } of peers)
    assert.deepEqual(
      inbox.map(({ name }) => name),
      ['refused'],
    )
  await until(() => descriptors() <= before, 'no descriptor is kept')
  const witness = await Rogue.open(w.seller, openRoot(w.chain, w.seller.payee))
  await echoes(witness, w.source.port)
  witness.leave()
})

test('a session that falls silent ends; one that pings stays', async (t) => {
  const clock = new Jumping()
  const w = await world(t, { clock })
  const silent = await Rogue.open(w.seller, openRoot(w.chain, w.seller.payee))
  const alive = await Rogue.open(w.seller, openRoot(w.chain, w.seller.payee))
  clock.aheadMs += 74_000
  alive.control.send('ping', { nonce: 1n })
  await alive.control.next('pong')
  clock.aheadMs += 2_000
  await silent.control.gone()
  await until(() => w.seller.provider.sessions().length === 1, 'one is left')
  assert.equal(w.observer.counted('sessions', 'peer-lost'), 1)
  await echoes(alive, w.source.port)
  alive.leave()
})

test('flows that wait thirty seconds for payment end their session; being paid in between resets the clock', async (t) => {
  const clock = new Jumping()
  const w = await world(t, { clock })
  const source = await origin(firehose())
  t.after(() => source.close())
  const rogue = await Rogue.open(w.seller, openRoot(w.chain, w.seller.payee))
  const flow = await rogue.flow(source.port)
  const stalled = () => w.observer.events.length
  const first = await settled(() => flow.received)
  await until(() => stalled() > 0, 'the session is open')
  // The provider looks once a second; each look must find the flow waiting.
  await new Promise((resolve) => setTimeout(resolve, 1_100))
  clock.aheadMs += 25_000
  await rogue.pay(0n, first)
  await flow.bytes(first + 65_536n)
  await settled(() => flow.received)
  await new Promise((resolve) => setTimeout(resolve, 1_100))
  clock.aheadMs += 28_000
  rogue.control.send('ping', { nonce: 1n })
  await rogue.control.next('pong')
  // Repeating what was paid before is no payment.
  await rogue.pay(0n, first)
  assert.equal(w.seller.provider.sessions().length, 1, 'not yet')
  clock.aheadMs += 4_000
  assert.equal((await rogue.control.next('bye')).body.code, 'UNPAID')
  assert.equal(w.observer.counted('sessions', 'unpaid'), 1)
})

test('what is said to a peer that never reads is bounded, however much it asks', async () => {
  // A connection whose other end takes nothing.
  const stuck = new Duplex({ read: () => {}, write: () => {} }) as Wire
  stuck.exportKeyingMaterial = () => Buffer.alloc(32)
  const link = new Link(stuck)
  let closedBy: string | undefined
  let answers = 0
  link.listen({
    onMessage: (message) => {
      answers++
      if (message.name === 'ping') link.send('pong', message.body)
    },
    onData: () => {},
    onClose: (error) => {
      closedBy = error?.code
    },
  })
  const pings = Buffer.concat(Array.from({ length: 1_000 }, () => encodeMessage('ping', { nonce: 1n })))
  await until(() => {
    if (!stuck.destroyed) stuck.push(pings)
    return closedBy !== undefined
  }, 'the link is cut')
  assert.equal(closedBy, 'MESSAGE_UNEXPECTED')
  assert.ok(answers > 10_000 && answers < 30_000, `${answers} answers`)
})

test('openings from one address wait for the chain in small number; the rest is told to come back', async (t) => {
  const w = await world(t)
  const { inspect } = w.chain.guard
  const chainIsBack = Promise.withResolvers<void>()
  let asked = 0
  w.chain.guard.inspect = async (channel) => {
    asked++
    await chainIsBack.promise
    return inspect(channel)
  }
  const peers = await Promise.all(Array.from({ length: 50 }, () => dial(w.seller)))
  for (const peer of peers) peer.send('session', sessionOf(peer.link, openRoot(w.chain, w.seller.payee), w.seller))
  await until(() => w.observer.counted('handshakes_failed', 'PROVIDER_BUSY') === 18, 'all above 32 are refused')
  assert.equal(asked, 32)
  chainIsBack.resolve()
  await until(() => w.seller.provider.sessions().length === 32, 'the others are served')
  for (const peer of peers) peer.send('bye', { code: 'SESSION_UNKNOWN', message: 'done' })
  await until(() => w.seller.provider.sessions().length === 0, 'all are gone')
  const witness = await Rogue.open(w.seller, openRoot(w.chain, w.seller.payee))
  await echoes(witness, w.source.port)
  witness.leave()
})

test('three hundred idle connections beside a transfer, in half-open TCP, half TLS and links', async (t) => {
  const w = await world(t)
  const witness = await Rogue.open(w.seller, openRoot(w.chain, w.seller.payee))
  const flow = await witness.flow(w.source.port)
  const before = descriptors()
  const sockets = Array.from({ length: 200 }, (_, i) => {
    const socket = connect(w.seller.port, '127.0.0.1')
    socket.on('error', () => {})
    if (i % 2 === 0) socket.write(Buffer.from('160301', 'hex'))
    return socket
  })
  const links = await Promise.all(Array.from({ length: 100 }, () => dial(w.seller)))
  const message = Buffer.from('one two three four')
  for (let turn = 1n; turn <= 20n; turn++) {
    flow.link.sendData(message, () => {})
    await flow.bytes(turn * BigInt(message.length))
  }
  for (const socket of sockets) socket.destroy()
  for (const link of links) link.link.destroy()
  await until(() => descriptors() <= before, 'all descriptors came back')
  witness.leave()
})

test('a listener that ran out of descriptors goes on when it has some again', { skip: process.platform !== 'linux' }, async (t) => {
  const script = join(import.meta.dirname, 'few-descriptors.ts')
  const child = spawn('/bin/sh', ['-c', `ulimit -n 64 && exec "$0" "$1"`, process.execPath, script], { stdio: ['pipe', 'pipe', 'inherit'] })
  t.after(() => child.kill('SIGKILL'))
  let exited = false
  child.once('exit', () => {
    exited = true
  })
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
  const { port, pin } = JSON.parse(line) as { port: number; pin: `0x${string}` }
  let turnedAway = 0
  for (let wave = 0; wave < 3; wave++) {
    const crowd = Array.from({ length: 120 }, () => connect(port, '127.0.0.1'))
    await Promise.all(crowd.map((socket) => once(socket, 'connect').catch(() => {})))
    for (const socket of crowd) socket.on('error', () => {})
    await settled(() => BigInt(crowd.filter((socket) => socket.destroyed).length))
    turnedAway += crowd.filter((socket) => socket.destroyed).length
    for (const socket of crowd) socket.destroy()
  }
  assert.ok(turnedAway > 0, 'the control: it did run out')
  // The kernel still holds connections that it has no room for: some more are turned away.
  const again = () => connectLink({ kind: 'tls', host: '127.0.0.1', port, pin }, NODE_KEY).catch(() => undefined)
  let accepted = await again()
  for (const deadline = Date.now() + 60_000; accepted === undefined && Date.now() < deadline; ) accepted = await again()
  const link = new Talk(accepted!)
  link.send('ping', { nonce: 1n })
  await link.next('pong')
  assert.equal(exited, false)
  link.link.destroy()
})
