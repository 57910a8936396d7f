/** Datagrams over a paid session, end to end: a SOCKS5 application, a proxy, a link, an exit. */
import assert from 'node:assert/strict'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket as NetSocket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { createProxy } from '../../src/consumer/index.ts'
import { parseSocksDatagram } from '../../src/consumer/proxy/udp.ts'
import { encodeDatagram, encodeEndpoint } from '../../src/protocol/datagram.ts'
import { parseDestination } from '../../src/protocol/destination.ts'
import { type Plane, startPlane } from '../../src/tunnel/fast/plane.ts'
import { MemoryChain } from '../support/memory-chain.ts'
import { part, startConsumer, startProvider } from '../support/pair.ts'
import { resetAtAnyMoment } from '../support/reset.ts'

/** `via`: a port that leads to the provider's, for tests that cut the line. */
async function world(t: TestContext, via: (port: number) => Promise<number> = async (port) => port, plane?: Plane) {
  const chain = new MemoryChain()
  const seller = await startProvider({ chain, ...(plane === undefined ? {} : { plane }) })
  const { body, signature } = seller.offer
  const offer = { body: { ...body, transports: [{ ...body.transports[0]!, port: await via(seller.port) }] }, signature }
  const buyer = await startConsumer({ chain, offers: () => [offer] })
  const proxy = createProxy({ dialer: buyer.consumer })
  const { port } = await proxy.listen('127.0.0.1', 0)
  t.after(async () => {
    await proxy.close(0)
    await buyer.consumer.close()
    await seller.provider.close()
    await Promise.all([buyer.vault.close(), seller.vault.close()])
  })
  return { seller, buyer, port }
}

/** Above all other numbers. */
const LAST = 1_000_000

/** Answers each datagram with `times` copies. */
async function echo(t: TestContext, times = 1): Promise<number> {
  const socket = createSocket('udp4')
  socket.on('message', (message, { port, address }) => {
    for (let i = 0; i < times; i++) socket.send(message, port, address)
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  t.after(() => socket.close())
  return socket.address().port
}

async function associate(t: TestContext, proxyPort: number): Promise<{ socket: Socket; relay: number; leave: () => void }> {
  const control = connect({ host: '127.0.0.1', port: proxyPort })
  t.after(() => control.destroy())
  control.write(Buffer.from([5, 1, 0, 5, 3, 0, 1, 0, 0, 0, 0, 0, 0]))
  let answer = Buffer.alloc(0)
  while (answer.length < 12) answer = Buffer.concat([answer, ((await once(control, 'data')) as [Buffer])[0]])
  const socket = createSocket('udp4')
  t.after(() => socket.close())
  return { socket, relay: answer.readUInt16BE(10), leave: () => control.end() }
}

test('what datagrams weigh is the same in both books, and is paid', async (t) => {
  const { seller, buyer, port } = await world(t)
  const server = await echo(t, 2)
  const { socket, relay, leave } = await associate(t, port)
  const destination = parseDestination('127.0.0.1', server)
  let expected = { up: 0, down: 0 }
  for (const size of [0, 1, 100, 1_200, 9_000]) {
    const payload = Buffer.alloc(size, size)
    socket.send(Buffer.concat([Buffer.alloc(3), encodeEndpoint(destination), payload]), relay, '127.0.0.1')
    for (let copy = 0; copy < 2; copy++) {
      const [message] = (await once(socket, 'message')) as [Buffer]
      assert.deepEqual(Buffer.from(parseSocksDatagram(message)!.payload), payload)
    }
    const weight = encodeDatagram({ endpoint: destination, payload }).length
    expected = { up: expected.up + weight, down: expected.down + 2 * weight }
  }
  const [open] = seller.provider.sessions()
  leave()
  await part(buyer, [seller])
  const [bought, sold] = [buyer, seller].map(({ vault }) => [...vault.book.sessions.values()][0]!)
  for (const row of [bought!, sold!]) assert.deepEqual({ up: Number(row.up), down: Number(row.down) }, expected)
  assert.equal(open!.id, sold!.id)
})

test('many datagrams in both directions: what is dropped is dropped before it is counted', async (t) => {
  const { seller, buyer, port } = await world(t)
  const server = await echo(t)
  const { socket, relay, leave } = await associate(t, port)
  const head = Buffer.concat([Buffer.alloc(3), encodeEndpoint(parseDestination('127.0.0.1', server))])
  let back = 0
  let last = 0
  socket.on('message', (message) => {
    back++
    const number = Buffer.from(parseSocksDatagram(message)!.payload).readUInt32BE()
    assert.ok(number > last || number === LAST, 'in order, none twice')
    last = number
  })
  const payload = Buffer.alloc(1_200)
  for (let number = 1; number <= 5_000; number++) {
    payload.writeUInt32BE(number)
    socket.send(Buffer.concat([head, payload]), relay, '127.0.0.1')
    if (number % 20 === 0) await new Promise(setImmediate)
  }
  // The path is alive after all that: the same question until it is answered, for any one may be dropped.
  payload.writeUInt32BE(LAST)
  while (last < LAST) {
    socket.send(Buffer.concat([head, payload]), relay, '127.0.0.1')
    await new Promise(setImmediate)
  }
  socket.removeAllListeners('message')
  assert.ok(back > 100, `${back} of 5,000 came back`)
  leave()
  await part(buyer, [seller])
  const [bought, sold] = [buyer, seller].map(({ vault }) => [...vault.book.sessions.values()][0]!)
  assert.deepEqual([bought!.up, bought!.down], [sold!.up, sold!.down])
  assert.ok(bought!.down >= BigInt(back * 1_200))
})

for (const path of ['portable', 'fast'] as const) {
  test(`an association outlives the loss of all links to a ${path} provider: all of it arrives once, and the books agree`, async (t) => {
    const plane = path === 'fast' ? await startPlane().catch(() => undefined) : undefined
    if (path === 'fast' && plane === undefined) return t.skip('this machine has no fast path')
    const lines = new Set<NetSocket>()
    const { seller, buyer, port } = await world(
      t,
      async (to) => {
        const forwarder = createServer((near) => {
          const far = connect({ host: '127.0.0.1', port: to })
          for (const socket of [near, far]) {
            lines.add(socket)
            socket.on('error', () => {})
            socket.once('close', () => lines.delete(socket))
          }
          near.pipe(far).pipe(near)
        })
        forwarder.listen(0, '127.0.0.1')
        await once(forwarder, 'listening')
        t.after(() => forwarder.close())
        return (forwarder.address() as AddressInfo).port
      },
      plane,
    )
    t.after(() => plane?.close())
    const server = await echo(t)
    const { socket, relay, leave } = await associate(t, port)
    const destination = parseDestination('127.0.0.1', server)
    const heard: string[] = []
    const send = (text: string) =>
      socket.send(Buffer.concat([Buffer.alloc(3), encodeEndpoint(destination), Buffer.from(text)]), relay, '127.0.0.1')
    const hear = async () =>
      heard.push(Buffer.from(parseSocksDatagram(((await once(socket, 'message')) as [Buffer])[0])!.payload).toString())
    for (let round = 0; round < 5; round++) {
      send(`before ${round}`)
      await hear()
      assert.ok(lines.size > 0)
      for (const line of lines) resetAtAnyMoment(line)
      send(`after ${round}`)
      await hear()
    }
    assert.deepEqual(
      heard,
      [0, 1, 2, 3, 4].flatMap((round) => [`before ${round}`, `after ${round}`]),
    )
    leave()
    await part(buyer, [seller])
    const [bought, sold] = [buyer, seller].map(({ vault }) => [...vault.book.sessions.values()])
    assert.equal(bought!.length, 1, 'one session all the time')
    assert.deepEqual([bought![0]!.up, bought![0]!.down], [sold![0]!.up, sold![0]!.down])
  })
}
