/** Names and datagrams through the exit with real clients: dig over both transports, and nothing resolved on this side. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createSocket, type Socket } from 'node:dgram'
import dns from 'node:dns'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, isIP, type Socket as NetSocket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { createProxy } from '../../src/consumer/index.ts'
import { parseSocksDatagram } from '../../src/consumer/proxy/udp.ts'
import { encodeEndpoint } from '../../src/protocol/datagram.ts'
import { parseDestination } from '../../src/protocol/destination.ts'
import type { Tier } from '../../src/protocol/offer.ts'
import { parseCidr } from '../../src/tunnel/egress/address.ts'
import { createEgress } from '../../src/tunnel/egress/dial.ts'
import { createNameServer } from '../../src/tunnel/egress/names.ts'
import { createUdpEgress } from '../../src/tunnel/egress/udp.ts'
import { MemoryChain } from '../support/memory-chain.ts'
import { startConsumer, startProvider } from '../support/pair.ts'
import { lacks, PATH } from '../support/programs.ts'

const skip = lacks('dig')
const dig = (...words: string[]) => promisify(execFile)('dig', words, { env: { ...process.env, PATH } })
const ANSWER = '192.0.2.77'

/** The answer a name server gives: one A record, whatever is asked. */
function answerTo(question: Buffer): Buffer {
  const end = question.indexOf(0, 12) + 5
  const head = Buffer.from([question[0]!, question[1]!, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0])
  const record = Buffer.concat([Buffer.from('c00c00010001000000050004', 'hex'), Buffer.from(ANSWER.split('.').map(Number))])
  return Buffer.concat([head, question.subarray(12, end), record])
}

/** A name server on loopback, over UDP and TCP. */
async function nameServer(t: TestContext) {
  const asked: string[] = []
  const tcp = createServer((socket) => {
    socket.on('error', () => {})
    socket.on('data', (message: Buffer) => {
      asked.push('tcp')
      const answer = answerTo(message.subarray(2))
      socket.end(Buffer.concat([Buffer.from([answer.length >> 8, answer.length & 255]), answer]))
    })
  })
  tcp.listen(0, '127.0.0.1')
  await once(tcp, 'listening')
  const { port } = tcp.address() as AddressInfo
  const udp = createSocket('udp4')
  udp.on('message', (message, from) => {
    asked.push('udp')
    udp.send(answerTo(message), from.port, from.address)
  })
  udp.bind(port, '127.0.0.1')
  await once(udp, 'listening')
  t.after(() => {
    tcp.close()
    udp.close()
  })
  return { asked, port }
}

async function world(t: TestContext, tier: Tier, resolver: number) {
  const chain = new MemoryChain()
  const resolved: string[] = []
  const lookup = async (host: string) => {
    resolved.push(host)
    return ['127.0.0.1']
  }
  const rules = { ownAddresses: () => [], tier }
  const exceptions = { allowPrivate: [parseCidr('127.0.0.0/8')], lookup }
  const egress = createEgress(rules, exceptions)
  const udp = createUdpEgress(rules, { ...exceptions, names: createNameServer(() => [`127.0.0.1:${resolver}`]) })
  const dial = (host: string, port: number, signal: AbortSignal) => egress.dial(parseDestination(host, port), signal)
  const seller = await startProvider({ chain, dial, udp })
  const buyer = await startConsumer({ chain, offers: () => [seller.offer] })
  const proxy = createProxy({ dialer: buyer.consumer })
  const { port } = await proxy.listen('127.0.0.1', 0)
  t.after(async () => {
    await proxy.close(0)
    await buyer.consumer.close()
    await seller.provider.close()
    await Promise.all([buyer.vault.close(), seller.vault.close()])
    udp.close()
  })
  return { port, resolved }
}

/** Speaks SOCKS5 up to the answer: [5, reply, ...]. */
async function ask(t: TestContext, proxy: number, command: number, endpoint: Buffer) {
  const socket = connect({ host: '127.0.0.1', port: proxy })
  t.after(() => socket.destroy())
  socket.on('error', () => {})
  socket.write(Buffer.concat([Buffer.from([5, 1, 0, 5, command, 0]), endpoint]))
  let answer = Buffer.alloc(0)
  while (answer.length < 12) answer = Buffer.concat([answer, ((await once(socket, 'data')) as [Buffer])[0]])
  return { socket, answer: answer.subarray(2) }
}

/** For programs that know no SOCKS5: a port whose datagrams go to `host` and `port` through an association. */
async function shim(t: TestContext, proxy: number, host: string, port: number): Promise<number> {
  const { answer } = await ask(t, proxy, 3, Buffer.from([1, 0, 0, 0, 0, 0, 0]))
  const [inner, outer] = [createSocket('udp4'), createSocket('udp4')] as [Socket, Socket]
  let client = 0
  inner.on('message', (message, from) => {
    client = from.port
    const head = Buffer.concat([Buffer.alloc(3), encodeEndpoint(parseDestination(host, port))])
    outer.send(Buffer.concat([head, message]), answer.readUInt16BE(8), '127.0.0.1')
  })
  outer.on('message', (message) => inner.send(parseSocksDatagram(message)!.payload, client, '127.0.0.1'))
  inner.bind(0, '127.0.0.1')
  await once(inner, 'listening')
  t.after(() => {
    inner.close()
    outer.close()
  })
  return inner.address().port
}

test('dig asks any server over UDP and the exit’s own answers, in the tiers that say so', { skip }, async (t) => {
  const server = await nameServer(t)
  for (const tier of ['basic', 'standard'] as const) {
    const { port } = await world(t, tier, server.port)
    const at = await shim(t, port, '9.9.9.9', 53)
    const { stdout } = await dig('@127.0.0.1', '-p', `${at}`, '+short', '+tries=1', '+time=60', '+nocookie', 'www.example.com')
    assert.equal(stdout, `${ANSWER}\n`)
    const { stdout: refused } = await dig('@127.0.0.1', '-p', `${at}`, '+tries=1', '+time=60', 'printer.lan')
    assert.match(refused, /status: REFUSED/)
  }
  assert.deepEqual(server.asked, ['udp', 'udp'])
})

test('dig asks over TCP where the policy lets it, and the port is closed where not', { skip }, async (t) => {
  const server = await nameServer(t)
  const { port } = await world(t, 'open', server.port)
  const join = async (client: NetSocket) => {
    const { socket, answer } = await ask(t, port, 1, encodeEndpoint(parseDestination('dns.example', server.port)))
    assert.equal(answer[1], 0)
    client
      .on('error', () => {})
      .pipe(socket)
      .pipe(client)
  }
  const forward = createServer((client) => void join(client))
  forward.listen(0, '127.0.0.1')
  await once(forward, 'listening')
  t.after(() => forward.close())
  const at = (forward.address() as AddressInfo).port
  const { stdout } = await dig('@127.0.0.1', '-p', `${at}`, '+tcp', '+short', '+tries=1', '+time=60', 'www.example.com')
  assert.equal(stdout, `${ANSWER}\n`)
  assert.deepEqual(server.asked, ['tcp'])
  const { port: basic } = await world(t, 'basic', server.port)
  const { answer } = await ask(t, basic, 1, encodeEndpoint(parseDestination('9.9.9.9', 53)))
  assert.equal(answer[1], 2, 'not allowed by the rules')
})

test('nothing is resolved on this side: not for SOCKS, not for HTTP, not for datagrams', async (t) => {
  const server = await nameServer(t)
  const { port, resolved } = await world(t, 'open', server.port)
  const names: string[] = []
  const original = dns.lookup
  const watching = (host: string, options: object, done: (error: Error | null, address?: string, family?: number) => void) => {
    if (isIP(host) !== 0) return original(host, options, done as never)
    names.push(host)
    done(new Error('no names here'))
  }
  t.mock.method(dns, 'lookup', watching)
  const asked = t.mock.method(dns.promises.Resolver.prototype, 'resolve4').mock
  const { answer } = await ask(t, port, 1, encodeEndpoint(parseDestination('socks.example', server.port)))
  assert.equal(answer[1], 0)
  const at = await shim(t, port, 'datagrams.example', server.port)
  const client = createSocket('udp4')
  t.after(() => client.close())
  client.send(Buffer.from('abcd01000001000000000000016107657861 6d706c650000010001'.replace(' ', ''), 'hex'), at, '127.0.0.1')
  await once(client, 'message')
  const http = connect({ host: '127.0.0.1', port })
  t.after(() => http.destroy())
  http.on('error', () => {})
  http.write(`CONNECT http.example:${server.port} HTTP/1.1\r\nHost: http.example\r\n\r\n`)
  const [head] = (await once(http, 'data')) as [Buffer]
  assert.match(head.toString(), /^HTTP\/1.1 200/)
  assert.deepEqual(resolved, ['socks.example', 'datagrams.example', 'http.example'], 'the exit was asked')
  assert.deepEqual(names, [])
  assert.equal(asked.callCount(), 0)
  // Control: a look-up on this side would have been seen.
  await once(connect({ host: 'control.invalid', port: 9 }), 'error')
  assert.deepEqual(names, ['control.invalid'])
})
