import assert from 'node:assert/strict'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { type Datagram, DatagramReader, encodeDatagram } from '../../protocol/datagram.ts'
import { parseDestination } from '../../protocol/destination.ts'
import { type Observer, silent } from '../../protocol/observe.ts'
import type { Tier } from '../../protocol/offer.ts'
import { parseCidr } from './address.ts'
import { createNameServer } from './names.ts'
import { createUdpEgress, type UdpEgressOptions } from './udp.ts'

const LOOPBACK = ['127.0.0.0/8', '::1'].map(parseCidr)

/** An exit, and what it counted. */
function exit(t: TestContext, tier: Tier, options: UdpEgressOptions = {}) {
  const counts: string[] = []
  const observer: Observer = { ...silent, count: (name, _by, labels) => counts.push(`${name} ${labels?.reason ?? labels?.why}`) }
  const egress = createUdpEgress({ ownAddresses: () => [], tier }, { allowPrivate: LOOPBACK, observer, ...options })
  t.after(() => egress.close())
  return { egress, counts }
}

async function server(t: TestContext, host: string, answer: (message: Buffer, socket: Socket, port: number) => void, port = 0) {
  const seen: Buffer[] = []
  const socket = createSocket({ type: host.includes(':') ? 'udp6' : 'udp4', ipv6Only: host.includes(':') })
  socket.on('message', (message, from) => {
    seen.push(message)
    answer(message, socket, from.port)
  })
  socket.bind(port, host)
  await once(socket, 'listening')
  t.after(() => socket.close())
  return { seen, socket, port: socket.address().port }
}
const echo = (t: TestContext, host = '127.0.0.1', port = 0) =>
  server(t, host, (message, socket, to) => socket.send(message, to, host), port)

/** Datagrams that come out of an association, one at a time. */
function reading(association: Duplex): () => Promise<{ from: string; payload: string }> {
  const reader = new DatagramReader()
  const found: Datagram[] = []
  let wake = () => {}
  association.on('data', (chunk: Buffer) => {
    reader.push(chunk, (datagram) => found.push(datagram))
    wake()
  })
  return async () => {
    while (found.length === 0) await new Promise<void>((resolve) => (wake = resolve))
    const { endpoint, payload } = found.shift()!
    return { from: `${endpoint.host} ${endpoint.port}`, payload: Buffer.from(payload).toString('latin1') }
  }
}

const say = (association: Duplex, host: string, port: number, payload: string | Buffer) =>
  association.write(encodeDatagram({ endpoint: parseDestination(host, port), payload: Buffer.from(payload) }))

test('carries datagrams to IPv4, IPv6 and names, and says who answered', async (t) => {
  const { egress } = exit(t, 'open', { lookup: async (host) => (host === 'six.example' ? ['::1'] : ['127.0.0.1']) })
  const four = await echo(t)
  const six = await echo(t, '::1')
  const association = egress.associate('g')
  const next = reading(association)
  for (const [name, at, from] of [
    ['127.0.0.1', four, '127.0.0.1'],
    ['::1', six, '::1'],
    ['six.example', six, '::1'],
    ['a.example', four, '127.0.0.1'],
  ] as const) {
    say(association, name, at.port, name)
    assert.deepEqual(await next(), { from: `${from} ${at.port}`, payload: name })
  }
})

test('a name with IPv6 only, and one whose first address has no way', async (t) => {
  const { egress, counts } = exit(t, 'open', {
    // Loopback sockets have no way to the whole internet when they are asked for address families the machine lacks: 255.255.255.255 stands for it.
    lookup: async () => ['255.255.255.255', '::1'],
    allowPrivate: [...LOOPBACK, parseCidr('255.255.255.255')],
  })
  const six = await echo(t, '::1')
  const association = egress.associate('g')
  const next = reading(association)
  const again = setInterval(() => say(association, 'both.example', six.port, 'hello'), 20)
  t.after(() => clearInterval(again))
  assert.equal((await next()).from, `::1 ${six.port}`)
  assert.ok(counts.includes('datagrams_dropped exit-unsent'), 'the first address was tried')
})

test('destinations that are not the public internet, and ports that are not served, hear nothing', async (t) => {
  const { egress, counts } = exit(t, 'basic', { allowPrivate: LOOPBACK })
  const { egress: strict, counts: blocked } = exit(t, 'open', { allowPrivate: [], lookup: async () => ['127.0.0.1'] })
  const heard = await echo(t)
  const refusedPort = egress.associate('g')
  for (const port of [123, 1900, 11_211, 161, 389, 22, 80, heard.port]) say(refusedPort, '127.0.0.1', port, 'x')
  assert.equal(counts.filter((count) => count === 'blocked PORT_BLOCKED').length, 8)
  const association = strict.associate('g')
  const hosts = [
    '127.0.0.1',
    '10.0.0.1',
    '169.254.169.254',
    '224.0.0.251',
    '255.255.255.255',
    '0.0.0.0',
    '::1',
    'ff02::fb',
    'fe80::1',
    '::ffff:127.0.0.1',
    'fd00::1',
  ]
  for (const host of hosts) say(association, host, heard.port, 'x')
  say(association, 'whoami.byway.internal', heard.port, 'x')
  say(association, 'rebound.example', heard.port, 'x')
  while (blocked.filter((count) => count === 'blocked DESTINATION_BLOCKED').length < hosts.length + 2) await new Promise(setImmediate)
  // Control, in the same order: the server is there, and hears what is allowed.
  const { egress: open } = exit(t, 'open')
  const allowed = open.associate('g')
  const next = reading(allowed)
  say(allowed, '127.0.0.1', heard.port, 'allowed')
  await next()
  assert.deepEqual(heard.seen.map(String), ['allowed'])
})

test('only those it spoke to get through to the guest', async (t) => {
  const { egress, counts } = exit(t, 'open')
  const mapped = Promise.withResolvers<number>()
  const friend = await server(t, '127.0.0.1', (message, socket, port) => {
    mapped.resolve(port)
    socket.send(message, port, '127.0.0.1')
  })
  const stranger = await echo(t)
  const association = egress.associate('g')
  const next = reading(association)
  say(association, '127.0.0.1', friend.port, 'one')
  await next()
  stranger.socket.send('unasked', await mapped.promise, '127.0.0.1')
  while (!counts.includes('datagrams_dropped exit-unknown')) await new Promise(setImmediate)
  say(association, '127.0.0.1', stranger.port, 'asked')
  assert.equal((await next()).payload, 'asked', 'control: now it may')
})

test('questions to any name server are answered by the exit’s own', async (t) => {
  const answered = (message: Buffer) => {
    const answer = Buffer.from(message)
    answer[2] = 0x81
    return answer
  }
  const resolver = await server(t, '127.0.0.1', (message, socket, port) => socket.send(answered(message), port, '127.0.0.1'))
  const { egress, counts } = exit(t, 'basic', { allowPrivate: [], names: createNameServer(() => [`127.0.0.1:${resolver.port}`]) })
  const association = egress.associate('g')
  const next = reading(association)
  const question = Buffer.from('abcd01000001000000000000016107657861', 'hex')
  const whole = Buffer.concat([question, Buffer.from('6d706c650000010001', 'hex')])
  for (const host of ['8.8.8.8', '2001:4860:4860::8888', '10.0.0.1', 'dns.example']) {
    say(association, host, 53, whole)
    assert.deepEqual(await next(), { from: `${host} 53`, payload: answered(whole).toString('latin1') })
  }
  assert.equal(resolver.seen.length, 4)
  const ids = resolver.seen.map((message) => message.readUInt16BE(0))
  assert.ok(new Set(ids).size > 1, 'the id that travels is not the guest’s')
  say(association, '8.8.8.8', 53, 'this is no question')
  say(association, '8.8.8.8', 53, Buffer.concat([whole.subarray(0, 12), Buffer.from('036e6173036c616e0000010001', 'hex')]))
  const refused = await next()
  assert.equal(refused.payload.charCodeAt(3) & 15, 5, 'a name of the owner’s network is refused')
  assert.equal(counts.filter((count) => count === 'blocked DESTINATION_BLOCKED').length, 2)
  assert.equal(resolver.seen.length, 4)
})

test('answers that the flow does not take are dropped, not kept', async (t) => {
  const { egress, counts } = exit(t, 'open')
  const flood = await server(t, '127.0.0.1', (message, socket, port) => {
    for (let i = 0; i < 10; i++) socket.send(Buffer.alloc(9_000, message), port, '127.0.0.1')
  })
  const association = egress.associate('g')
  while (!counts.includes('datagrams_dropped exit-full')) {
    say(association, '127.0.0.1', flood.port, 'x')
    await new Promise(setImmediate)
  }
  assert.ok(association.readableLength < 262_144 + 9_100, `${association.readableLength} bytes wait`)
})

test('associations are limited for each guest, and a place becomes free again', async (t) => {
  const { egress } = exit(t, 'open')
  const all = Array.from({ length: 64 }, () => egress.associate('one'))
  assert.throws(() => egress.associate('one'), { code: 'PROVIDER_BUSY' })
  egress.associate('another')
  all[0]!.destroy()
  await once(all[0]!, 'close')
  egress.associate('one')
})

test('an association ends when its guest says no more, and by what is no datagram', async (t) => {
  const { egress } = exit(t, 'open')
  const orderly = egress.associate('g').resume()
  orderly.end()
  await once(orderly, 'close')
  const broken = egress.associate('g')
  broken.write(Buffer.from('ffff01', 'hex'))
  broken.write(Buffer.alloc(65_600))
  const [error] = await once(broken, 'error')
  assert.equal((error as { code: string }).code, 'MESSAGE_MALFORMED')
})

test('sockets nobody uses are closed after five minutes; the flow goes on from another port', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] })
  let now = 0
  const { egress } = exit(t, 'open', { nowMs: () => now })
  const ports: number[] = []
  const echoing = await server(t, '127.0.0.1', (message, socket, port) => {
    ports.push(port)
    socket.send(message, port, '127.0.0.1')
  })
  const association = egress.associate('g')
  const next = reading(association)
  const exchange = async (passed: number) => {
    now += passed
    t.mock.timers.tick(10_000)
    say(association, '127.0.0.1', echoing.port, 'x')
    await next()
  }
  await exchange(0)
  await exchange(299_000)
  assert.equal(ports[1], ports[0], 'control: in use the port stays')
  await exchange(301_000)
  assert.notEqual(ports[2], ports[0])
})
