import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { parseDestination } from '../../protocol/destination.ts'
import { type CounterName, type Observer, silent, type WarningCode } from '../../protocol/observe.ts'
import { blockedReason, parseCidr } from './address.ts'
import { type Connect, connectError, createEgress, type EgressOptions } from './dial.ts'
import { ownNetworks } from './own.ts'
import { dnsLookup } from './resolve.ts'

const never = new AbortController().signal
const LOOPBACK = [parseCidr('127.0.0.0/8')]
const nobody = { ownAddresses: () => [], tier: 'open' as const }

/** A listening socket that remembers how many came. */
async function origin(t: TestContext, host: string, port = 0) {
  const seen: Socket[] = []
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    seen.push(socket)
    socket.on('error', () => {})
    socket.end(host)
  })
  server.listen(port, host)
  await once(server, 'listening')
  t.after(() => {
    for (const socket of seen) socket.destroy()
    server.close()
  })
  return { seen, port: (server.address() as AddressInfo).port }
}

/** Records who would have been connected to; every attempt stays silent for ever. */
function spy() {
  const asked: string[] = []
  const sockets: Socket[] = []
  const connectSpy: Connect = (address, port) => {
    asked.push(`${address} ${port}`)
    const socket = new Socket()
    sockets.push(socket)
    return socket
  }
  return { asked, sockets, connect: connectSpy }
}

const read = async (socket: Socket) => {
  let text = ''
  socket.on('data', (chunk) => {
    text += String(chunk)
  })
  await once(socket, 'end')
  return text
}

test('connects to an allowed address, half-open and ready for bytes', async (t) => {
  const { port } = await origin(t, '127.0.0.1')
  const egress = createEgress(nobody, { allowPrivate: LOOPBACK })
  const socket = await egress.dial(parseDestination('127.0.0.1', port), never)
  assert.equal(socket.allowHalfOpen, true)
  assert.equal(await read(socket), '127.0.0.1')
  assert.ok(socket.writable, 'its own side is still open after the origin ended')
  socket.destroy()
})

test('never starts a connection to a blocked destination, and counts it', async () => {
  const { asked, connect } = spy()
  const counts: string[] = []
  const observer: Observer = { ...silent, count: (name: CounterName, _by, labels) => counts.push(`${name} ${labels?.reason}`) }
  const egress = createEgress({ ownAddresses: () => [parseCidr('9.9.9.9')], tier: 'open' }, { connect, observer, timeoutMs: 20 })
  for (const host of [
    '127.0.0.1',
    '10.1.1.1',
    '169.254.169.254',
    '::1',
    '::ffff:10.0.0.1',
    '64:ff9b::a00:1',
    '2002:a00:1::',
    '9.9.9.9',
    'localhost',
    'a.localhost',
    'whoami.byway.internal',
    'x.byway.internal',
  ]) {
    await assert.rejects(egress.dial(parseDestination(host, 80), never), { code: 'DESTINATION_BLOCKED' }, host)
  }
  await assert.rejects(egress.dial(parseDestination('8.8.8.8', 25), never), { code: 'PORT_BLOCKED' })
  assert.deepEqual(asked, [])
  assert.deepEqual(counts, [...Array<string>(12).fill('blocked DESTINATION_BLOCKED'), 'blocked PORT_BLOCKED'])
  await assert.rejects(egress.dial(parseDestination('8.8.8.8', 80), never), { code: 'CONNECTION_TIMEOUT' })
  assert.deepEqual(asked, ['8.8.8.8 80'], 'control: a public address is tried')
})

test('allowing a private range opens neither port 25 nor the ports of the exit itself, and warns', async (t) => {
  const first = await origin(t, '127.0.0.1')
  const second = await origin(t, '127.0.0.1')
  const warned: WarningCode[] = []
  const options: EgressOptions = {
    allowPrivate: LOOPBACK,
    ownPorts: () => [first.port],
    observer: { ...silent, warn: (code) => warned.push(code) },
  }
  const egress = createEgress(
    {
      ownAddresses: ownNetworks(
        () => [],
        () => 0,
      ),
      tier: 'open',
    },
    options,
  )
  for (const host of ['127.0.0.1', '127.9.9.9', '::ffff:127.0.0.1', 'localhost'])
    await assert.rejects(egress.dial(parseDestination(host, first.port), never), { code: 'DESTINATION_BLOCKED' })
  await assert.rejects(egress.dial(parseDestination('127.0.0.1', 25), never), { code: 'PORT_BLOCKED' })
  const socket = await egress.dial(parseDestination('localhost', second.port), never)
  socket.destroy()
  assert.equal(first.seen.length, 0)
  assert.deepEqual(warned, ['PRIVATE_DESTINATIONS_ALLOWED'])
})

test('a name that changes its answer cannot move the connection off the checked address', async (t) => {
  const { port, seen: publicSeen } = await origin(t, '127.0.0.2')
  const { seen: secretSeen } = await origin(t, '127.0.0.3', port)
  const rules = { own: [], allowPrivate: [parseCidr('127.0.0.2')] }
  // Stands for a public address first and for one inside the owner's network ever after.
  const flipping = () => {
    let asked = 0
    return () => [asked++ === 0 ? '127.0.0.2' : '127.0.0.3']
  }
  const tries = 1_000
  for (let i = 0; i < tries; i++) {
    const answer = flipping()
    const egress = createEgress(nobody, { allowPrivate: rules.allowPrivate, lookup: () => Promise.resolve(answer()) })
    const socket = await egress.dial(parseDestination('rebind.example', port), never)
    assert.equal(socket.remoteAddress, '127.0.0.2')
    socket.destroy()
  }
  // Checking one answer and connecting by name is what goes wrong elsewhere.
  const resolve = flipping()
  assert.equal(blockedReason(resolve()[0]!, rules), undefined)
  const naive = connect({
    host: 'rebind.example',
    port,
    autoSelectFamily: false,
    lookup: (_host, _options, done) => done(null, resolve()[0]!, 4),
  })
  assert.equal(await read(naive), '127.0.0.3', 'control: the naive dialler is led inside')
  assert.equal(secretSeen.length, 1)
  assert.equal(publicSeen.length, tries)
})

test('of a mixed answer only the public addresses are tried, each family in turn', async () => {
  const { asked, connect } = spy()
  const lookup = () => Promise.resolve(['10.0.0.1', '8.8.8.8', '::1', '8.8.4.4', '2606:4700::1', 'nonsense'])
  const egress = createEgress(nobody, { connect, lookup, timeoutMs: 100, attemptDelayMs: 1 })
  await assert.rejects(egress.dial(parseDestination('mixed.example', 80), never), { code: 'CONNECTION_TIMEOUT' })
  assert.deepEqual(asked, ['2606:4700::1 80', '8.8.8.8 80', '8.8.4.4 80'])
  const inside = createEgress(nobody, { connect, lookup: () => Promise.resolve(['10.0.0.1', 'fd00::1']) })
  await assert.rejects(inside.dial(parseDestination('inside.example', 80), never), { code: 'DESTINATION_BLOCKED' })
  assert.equal(asked.length, 3)
})

test('falls back to the next address at once when one fails, and later when one hesitates', async (t) => {
  const { port } = await origin(t, '127.0.0.2')
  const refusing = createEgress(nobody, {
    allowPrivate: LOOPBACK,
    lookup: () => Promise.resolve(['127.0.0.9', '127.0.0.2']),
    attemptDelayMs: 60_000,
  })
  const socket = await refusing.dial(parseDestination('two.example', port), never)
  assert.equal(socket.remoteAddress, '127.0.0.2')
  socket.destroy()

  const silentSockets: Socket[] = []
  const connectSlow: Connect = (address, p) => {
    if (address === '127.0.0.2') return connect({ host: address, port: p, allowHalfOpen: true })
    const stuck = new Socket()
    silentSockets.push(stuck)
    return stuck
  }
  const slow = createEgress(nobody, {
    allowPrivate: LOOPBACK,
    connect: connectSlow,
    lookup: () => Promise.resolve(['127.0.0.9', '127.0.0.2']),
    attemptDelayMs: 1,
  })
  const winner = await slow.dial(parseDestination('slow.example', port), never)
  assert.equal(winner.remoteAddress, '127.0.0.2')
  assert.deepEqual(
    silentSockets.map((s) => s.destroyed),
    [true],
    'the loser is closed',
  )
  winner.destroy()
})

test('tries at most eight addresses of a name', async () => {
  const { asked, sockets, connect } = spy()
  const lookup = () => Promise.resolve(Array.from({ length: 50 }, (_, i) => `8.8.8.${i}`))
  const egress = createEgress(nobody, { connect, lookup, attemptDelayMs: 1 })
  const failed = assert.rejects(egress.dial(parseDestination('many.example', 80), never), { code: 'CONNECTION_REFUSED' })
  const refuseAll = () => {
    const error = Object.assign(new Error('refused'), { code: 'ECONNREFUSED' })
    for (const socket of sockets.splice(0)) socket.destroy(error)
    if (asked.length < 8 || sockets.length > 0) setImmediate(refuseAll)
  }
  refuseAll()
  await failed
  assert.equal(asked.length, 8)
})

test('a dial ends in time, by the deadline or by its signal, and leaves no socket behind', async () => {
  const { sockets, connect } = spy()
  const options = { connect, timeoutMs: 20 }
  await assert.rejects(createEgress(nobody, options).dial(parseDestination('8.8.8.8', 80), never), { code: 'CONNECTION_TIMEOUT' })
  const stuck = createEgress(nobody, { ...options, lookup: () => new Promise(() => {}) })
  await assert.rejects(stuck.dial(parseDestination('stuck.example', 80), never), { code: 'DNS_FAILED' })

  const abort = new AbortController()
  const why = new Error('the guest left')
  const dialing = createEgress(nobody, { connect, timeoutMs: 60_000 }).dial(parseDestination('8.8.8.8', 80), abort.signal)
  const resolving = createEgress(nobody, { connect, timeoutMs: 60_000, lookup: () => new Promise(() => {}) }).dial(
    parseDestination('a.b', 80),
    abort.signal,
  )
  abort.abort(why)
  await assert.rejects(dialing, why)
  await assert.rejects(resolving, why)
  await assert.rejects(createEgress(nobody, options).dial(parseDestination('8.8.8.8', 80), AbortSignal.abort(why)), why)
  assert.ok(sockets.every((socket) => socket.destroyed))
})

test('says what the system said, with codes from the one table', async (t) => {
  const egress = createEgress(nobody, { allowPrivate: [parseCidr('0.0.0.0/0'), parseCidr('::/0')], timeoutMs: 2_000 })
  const { port } = await origin(t, '127.0.0.1')
  const closed = createServer().listen(0, '127.0.0.1')
  await once(closed, 'listening')
  const { port: closedPort } = closed.address() as AddressInfo
  closed.close()
  await once(closed, 'close')
  await assert.rejects(egress.dial(parseDestination('127.0.0.1', closedPort), never), { code: 'CONNECTION_REFUSED' })
  ;(await egress.dial(parseDestination('127.0.0.1', port), never)).destroy()
  // Multicast has no TCP; the kernel says so at once, whatever the machine's routes are.
  await assert.rejects(egress.dial(parseDestination('224.0.0.1', 80), never), { code: 'NETWORK_UNREACHABLE' })
  await assert.rejects(egress.dial(parseDestination('255.255.255.255', 80), never), (error: Error & { code: string }) =>
    ['HOST_UNREACHABLE', 'NETWORK_UNREACHABLE'].includes(error.code),
  )
  const mapped: [string, string][] = [
    ['ECONNREFUSED', 'CONNECTION_REFUSED'],
    ['ECONNRESET', 'CONNECTION_RESET'],
    ['ETIMEDOUT', 'CONNECTION_TIMEOUT'],
    ['EHOSTUNREACH', 'HOST_UNREACHABLE'],
    ['ENETUNREACH', 'NETWORK_UNREACHABLE'],
    ['EACCES', 'HOST_UNREACHABLE'],
    ['EMFILE', 'PROVIDER_BUSY'],
    ['EWHATEVER', 'HOST_UNREACHABLE'],
  ]
  for (const [errno, code] of mapped)
    assert.equal(connectError(Object.assign(new Error('connect 10.0.0.1:80'), { code: errno })).code, code)
  assert.ok(!connectError(new Error('connect 10.0.0.1:80')).message.includes('10.0.0.1'), 'the address stays out of the message')
})

test('of several failures the most telling one is reported', async () => {
  const codes: Record<string, string> = { '2606:4700::1': 'ENETUNREACH', '8.8.8.8': 'ECONNREFUSED', '8.8.4.4': 'EHOSTUNREACH' }
  const failing: Connect = (address) => new Socket().destroy(Object.assign(new Error('x'), { code: codes[address] }))
  const egress = createEgress(nobody, { connect: failing, lookup: () => Promise.resolve(Object.keys(codes)) })
  await assert.rejects(egress.dial(parseDestination('a.b', 80), never), { code: 'CONNECTION_REFUSED' })
})

/** A name server on loopback: every A query gets the next answer of the list with a time to live of zero, everything else none. */
async function nameServer(t: TestContext, answers: string[]) {
  const server = createSocket('udp4')
  let queries = 0
  server.on('message', (query, from) => {
    const end = query.indexOf(0, 12) + 1
    const isA = query.readUInt16BE(end) === 1
    const address = isA ? answers[Math.min(queries++, answers.length - 1)] : undefined
    const header = Buffer.from([
      query[0]!,
      query[1]!,
      0x81,
      address === undefined && isA ? 0x83 : 0x80,
      0,
      1,
      0,
      address === undefined ? 0 : 1,
      0,
      0,
      0,
      0,
    ])
    const record = address === undefined ? [] : [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, ...address.split('.').map(Number)]
    server.send(Buffer.concat([header, query.subarray(12, end + 4), Buffer.from(record)]), from.port, from.address)
  })
  server.bind(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return { servers: [`127.0.0.1:${server.address().port}`], queries: () => queries }
}

test('asks the name server once for a flow, over real DNS with a time to live of zero', async (t) => {
  const { port, seen } = await origin(t, '127.0.0.2')
  const { seen: secretSeen } = await origin(t, '127.0.0.3', port)
  const { servers, queries } = await nameServer(t, ['127.0.0.2', '127.0.0.3'])
  const egress = createEgress(nobody, { allowPrivate: [parseCidr('127.0.0.2')], lookup: dnsLookup(() => 0, servers) })
  const socket = await egress.dial(parseDestination('rebind.example', port), never)
  socket.destroy()
  assert.equal(queries(), 1)
  await assert.rejects(egress.dial(parseDestination('rebind.example', port), never), { code: 'DESTINATION_BLOCKED' })
  assert.equal(seen.length, 1)
  assert.equal(secretSeen.length, 0)
})

test('a name without addresses is DNS_FAILED', async (t) => {
  const { servers } = await nameServer(t, [])
  const egress = createEgress(nobody, { lookup: dnsLookup(() => 0, servers) })
  await assert.rejects(egress.dial(parseDestination('missing.example', 80), never), { code: 'DNS_FAILED' })
})

test('the own networks hold every interface and follow what changes', () => {
  let nowMs = 0
  let extra = ['198.20.1.2']
  const own = ownNetworks(
    () => extra,
    () => nowMs,
  )
  const rules = () => ({ own: own(), allowPrivate: [] })
  assert.equal(blockedReason('127.0.0.1', rules()), 'own address')
  assert.equal(blockedReason('198.20.1.2', rules()), 'own address')
  extra = ['198.20.9.9']
  assert.equal(blockedReason('198.20.9.9', rules()), undefined, 'control: not read again yet')
  nowMs = 60_000
  assert.equal(blockedReason('198.20.9.9', rules()), 'own address')
})
