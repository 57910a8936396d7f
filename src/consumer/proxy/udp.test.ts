import assert from 'node:assert/strict'
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import { encodeEndpoint } from '../../protocol/datagram.ts'
import { parseDestination, UDP_NAME } from '../../protocol/destination.ts'
import { BywayError } from '../../protocol/errors.ts'
import { type Observer, silent } from '../../protocol/observe.ts'
import { parseCidr } from '../../tunnel/egress/address.ts'
import { createUdpEgress, type UdpEgressOptions } from '../../tunnel/egress/udp.ts'
import type { Dialer } from './index.ts'
import { failingDialer, RawClient, startProxy } from './testing.ts'
import { formatSocksDatagram, parseSocksDatagram } from './udp.ts'

const LOOPBACK = ['127.0.0.0/8', '::1'].map(parseCidr)

/** A dialer whose exit is in this process, and counts what was dropped anywhere. */
function localExit(t: TestContext, options: UdpEgressOptions = {}) {
  const dropped: string[] = []
  const wake: { on: () => void } = { on: () => {} }
  const observer: Observer = {
    ...silent,
    count: (name, _by, labels) => {
      if (name !== 'datagrams_dropped') return
      dropped.push(labels!.why!)
      wake.on()
    },
  }
  const egress = createUdpEgress({ ownAddresses: () => [], tier: 'open' }, { allowPrivate: LOOPBACK, observer, ...options })
  t.after(() => egress.close())
  const asked: string[] = []
  const dialer: Dialer = {
    dial: async ({ destination, parameters }) => {
      asked.push(`${destination.host} ${parameters.account}`)
      return { stream: egress.associate('guest'), route: { sessionId: 's', country: 'zz', pricePerGib: 1n, provider: 'p', hops: 1 } }
    },
  }
  /** Resolves once so many datagrams were dropped for this reason. */
  const drops = async (why: string, count = 1) => {
    while (dropped.filter((one) => one === why).length < count) await new Promise<void>((resolve) => (wake.on = resolve))
  }
  return { dialer, observer, dropped, drops, asked }
}

/** A server that answers every datagram with its own port and what it got. */
async function echo(t: TestContext, host = '127.0.0.1'): Promise<{ socket: Socket; port: number; from: RemoteInfo[] }> {
  const from: RemoteInfo[] = []
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
  socket.on('message', (message, sender) => {
    from.push(sender)
    socket.send(message, sender.port, sender.address)
  })
  socket.bind(0, host)
  await once(socket, 'listening')
  t.after(() => socket.close())
  return { socket, port: socket.address().port, from }
}

/** Asks for an association and returns the control connection with the port to send to. */
async function associate(t: TestContext, proxyPort: number, statedPort = 0) {
  const control = await RawClient.connect(t, proxyPort)
  control.write(Buffer.from([5, 1, 0, 5, 3, 0, 1, 0, 0, 0, 0, statedPort >> 8, statedPort & 255]))
  const answer = await control.bytes(12)
  assert.equal(answer.subarray(0, 10).toString('hex'), '0500050000017f000001')
  return { control, port: answer.readUInt16BE(10) }
}

async function application(t: TestContext): Promise<Socket> {
  const socket = createSocket('udp4')
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  t.after(() => socket.close())
  return socket
}

const packet = (host: string, port: number, payload: string | Buffer, fragment = 0) =>
  Buffer.concat([Buffer.from([0, 0, fragment]), encodeEndpoint(parseDestination(host, port)), Buffer.from(payload)])

async function answerTo(socket: Socket): Promise<{ host: string; port: number; payload: string }> {
  const [message] = (await once(socket, 'message')) as [Buffer]
  const { endpoint, payload } = parseSocksDatagram(message)!
  return { host: endpoint.host, port: endpoint.port, payload: Buffer.from(payload).toString() }
}

test('datagrams travel to their destinations and back', async (t) => {
  const { dialer, asked } = localExit(t)
  const [one, two, six] = [await echo(t), await echo(t), await echo(t, '::1')]
  const { port } = await startProxy(t, dialer)
  const { port: relay } = await associate(t, port)
  const socket = await application(t)
  for (const [host, at] of [
    ['127.0.0.1', one],
    ['127.0.0.1', two],
    ['::1', six],
  ] as const) {
    socket.send(packet(host, at.port, `to ${at.port}`), relay, '127.0.0.1')
    assert.deepEqual(await answerTo(socket), { host, port: at.port, payload: `to ${at.port}` })
  }
  assert.deepEqual(asked, [`${UDP_NAME} any`], 'one flow carries them all')
  assert.equal(one.from[0]!.port, two.from[0]!.port, 'destinations see one port: the mapping does not depend on them')
})

test('a stranger cannot send through an association, nor take its answers', async (t) => {
  const { dialer, drops, observer } = localExit(t)
  const server = await echo(t)
  const { port } = await startProxy(t, dialer, { observer })
  const { port: relay } = await associate(t, port)
  const [owner, thief] = [await application(t), await application(t)]
  owner.send(packet('127.0.0.1', server.port, 'mine'), relay, '127.0.0.1')
  assert.equal((await answerTo(owner)).payload, 'mine', 'control')
  thief.send(packet('127.0.0.1', server.port, 'stolen'), relay, '127.0.0.1')
  await drops('proxy-stranger')
  // From another loopback address, which the control connection does not have.
  const elsewhere = createSocket('udp4')
  elsewhere.bind(0, '127.0.0.2')
  await once(elsewhere, 'listening')
  elsewhere.send(packet('127.0.0.1', server.port, 'stolen'), relay, '127.0.0.1')
  await drops('proxy-stranger', 2)
  elsewhere.close()
  owner.send(packet('127.0.0.1', server.port, 'again'), relay, '127.0.0.1')
  assert.equal((await answerTo(owner)).payload, 'again')
  assert.equal(server.from.length, 2)
})

test('an application that names its port is heard from there only', async (t) => {
  const { dialer, drops, observer } = localExit(t)
  const server = await echo(t)
  const { port } = await startProxy(t, dialer, { observer })
  const [owner, thief] = [await application(t), await application(t)]
  const { port: relay } = await associate(t, port, owner.address().port)
  thief.send(packet('127.0.0.1', server.port, 'first'), relay, '127.0.0.1')
  await drops('proxy-stranger')
  owner.send(packet('127.0.0.1', server.port, 'mine'), relay, '127.0.0.1')
  assert.equal((await answerTo(owner)).payload, 'mine')
})

test('fragments and what is no datagram are dropped', async (t) => {
  const { dialer, drops, observer } = localExit(t)
  const server = await echo(t)
  const { port } = await startProxy(t, dialer, { observer })
  const { port: relay } = await associate(t, port)
  const socket = await application(t)
  const good = packet('127.0.0.1', server.port, 'good')
  const bad = [
    packet('127.0.0.1', server.port, 'x', 1),
    good.subarray(0, 6),
    Buffer.from([0, 0, 0, 9, 9]),
    Buffer.from([1, ...good.subarray(1)]),
  ]
  for (const message of bad) socket.send(message, relay, '127.0.0.1')
  await drops('proxy-malformed', bad.length)
  socket.send(good, relay, '127.0.0.1')
  assert.equal((await answerTo(socket)).payload, 'good')
  assert.equal(server.from.length, 1)
})

test('an association dies with its connection, whichever way that ends, and frees its port', async (t) => {
  const { dialer } = localExit(t)
  const server = await echo(t)
  const { port } = await startProxy(t, dialer)
  for (const leave of ['end', 'destroy', 'resetAndDestroy'] as const) {
    const streams: Promise<unknown>[] = []
    const { dial } = dialer
    dialer.dial = async (request, signal) => {
      const dialed = await dial(request, signal)
      streams.push(once(dialed.stream, 'close'))
      return dialed
    }
    const { control, port: relay } = await associate(t, port)
    const socket = await application(t)
    socket.send(packet('127.0.0.1', server.port, leave), relay, '127.0.0.1')
    assert.equal((await answerTo(socket)).payload, leave, 'control')
    control.socket[leave]()
    await streams[0]
    dialer.dial = dial
    const again = createSocket('udp4')
    again.bind(relay, '127.0.0.1')
    await once(again, 'listening')
    again.close()
  }
})

test('an association ends its connection when its exit is gone', async (t) => {
  const { dialer } = localExit(t)
  const opened = Promise.withResolvers<{ destroy(error: Error): unknown }>()
  const { dial } = dialer
  dialer.dial = async (request, signal) => {
    const dialed = await dial(request, signal)
    opened.resolve(dialed.stream)
    return dialed
  }
  const { port } = await startProxy(t, dialer)
  const { control } = await associate(t, port)
  ;(await opened.promise).destroy(new BywayError('PROVIDER_LOST', 'the session ended'))
  await control.ended()
})

test('without an exit the answer is an error, BIND is always one, and CONNECT still works', async (t) => {
  const { port } = await startProxy(t, failingDialer(new BywayError('NO_PROVIDER', 'no exit')))
  const ask = async (command: number) => {
    const client = await RawClient.connect(t, port)
    client.write(Buffer.from([5, 1, 0, 5, command, 0, 1, 127, 0, 0, 1, 0, 80]))
    return (await client.ended()).toString('hex')
  }
  assert.equal(await ask(3), '050005030001000000000000')
  assert.equal(await ask(1), '050005030001000000000000')
  assert.equal(await ask(2), '050005070001000000000000', 'BIND: command not supported')
  assert.equal(await ask(4), '050005070001000000000000')
})

test('names are resolved by the exit alone', async (t) => {
  const resolved: string[] = []
  const lookup = async (host: string) => {
    resolved.push(host)
    return ['127.0.0.1']
  }
  const { dialer } = localExit(t, { lookup })
  const server = await echo(t)
  const { port } = await startProxy(t, dialer)
  const { port: relay } = await associate(t, port)
  const socket = await application(t)
  for (const payload of ['one', 'two']) {
    socket.send(packet('nowhere.example', server.port, payload), relay, '127.0.0.1')
    assert.deepEqual(await answerTo(socket), { host: '127.0.0.1', port: server.port, payload })
  }
  assert.deepEqual(resolved, ['nowhere.example'], 'asked once')
})

test('the largest datagram fits the header as far as UDP goes', () => {
  const endpoint = parseDestination('1.2.3.4', 5)
  assert.equal(formatSocksDatagram({ endpoint, payload: Buffer.alloc(10) }).length, 20)
  assert.equal(formatSocksDatagram({ endpoint, payload: Buffer.alloc(65_507) }).length, 65_507)
})
