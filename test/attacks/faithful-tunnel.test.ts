/**
 * Resets, stopped readers and cut links, in numbers: what a flow holds in memory stays small, and both sides count the same. What passes through
 * in peace is tested in test/transport.
 */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { after, type TestContext, test } from 'node:test'
import { STRANGER_WINDOW_BYTES } from '../../src/protocol/credit.ts'
import { type FlowStream, splice } from '../../src/tunnel/index.ts'
import { seeded } from '../fuzz/mutate.ts'
import { heapBytes } from '../support/heap.ts'
import { MemoryChain } from '../support/memory-chain.ts'
import { startProvider } from '../support/pair.ts'
import { resetAtAnyMoment } from '../support/reset.ts'
import { assertBooksAgree, ending, type HonestPair, honestPair } from './pair.ts'
import { openRoot, Rogue, until } from './rogue.ts'
import { echo, firehose, type Origin, origin, settled, sink } from './world.ts'

const measured: string[] = []
after(() => {
  for (const line of measured) console.log(line)
})

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

async function collect(stream: NodeJS.ReadableStream): Promise<Buffer> {
  const chunks: Buffer[] = []
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  await once(stream, 'end')
  return Buffer.concat(chunks)
}

async function originOf(t: TestContext, onSocket: (socket: Socket, self: Origin) => void | Promise<void>): Promise<Origin> {
  const self = await origin((socket, origin) => void onSocket(socket, origin))
  t.after(() => self.close())
  return self
}

/** A port on this side whose connections come out at the origin, as a proxy would make them. */
async function entrance(t: TestContext, pair: HonestPair, target: number): Promise<number> {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    socket.pause()
    void pair.dial(target).then(
      (flow) => {
        void splice(socket, flow)
        socket.resume()
      },
      () => socket.destroy(),
    )
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return (server.address() as AddressInfo).port
}

test('a reset arrives as a reset, from either side', async (t) => {
  const pair = await honestPair(t)
  const resets = await originOf(t, (socket) => {
    socket.once('data', () => socket.resetAndDestroy())
  })
  const heard = Promise.withResolvers<string>()
  const waits = await originOf(t, (socket) => {
    socket.once('error', (error: NodeJS.ErrnoException) => heard.resolve(error.code ?? 'none'))
    socket.once('end', () => heard.resolve('an orderly end'))
    socket.resume()
    socket.write('hello')
  })
  const client = connect({ port: await entrance(t, pair, resets.port) })
  client.write('go')
  const [error] = (await once(client, 'error')) as [NodeJS.ErrnoException]
  assert.equal(error.code, 'ECONNRESET', 'the origin reset, the client sees it')
  await pair.settle()
  const rude = connect({ port: await entrance(t, pair, waits.port) })
  await once(rude, 'data')
  rude.resetAndDestroy()
  assert.equal(await heard.promise, 'ECONNRESET', 'the client reset, the origin sees it')
  await pair.settle()
  assert.equal(pair.handshakes(), 2, 'the link is used again after a reset')
})

/** What a flow holds in the memory of both nodes together: stream buffers, one TLS read and one write, and what crypto copies. */
const MOST_HELD_BYTES = 1024 * 1024

test('a reader that stops holds little memory, in either direction, and loses nothing', async (t) => {
  const FLOWS = 4
  const pair = await honestPair(t)
  const source = await originOf(t, firehose())
  const deaf = await originOf(t, (socket) => void socket.pause())
  const first = await pair.dial(source.port)
  first.destroy()
  const before = await heapBytes()
  const stopped: FlowStream[] = []
  for (let i = 0; i < FLOWS; i++) {
    const flow = await pair.dial(source.port)
    flow.on('error', () => {})
    stopped.push(flow)
  }
  const received = await settled(() => stopped.reduce((sum, flow) => sum + flow.received, 0n))
  const down = ((await heapBytes()) - before) / FLOWS
  measured.push(
    `stopped reader: ${received / BigInt(FLOWS)} bytes arrived a flow, ${source.sent / FLOWS} left the origin, ${Math.round(down)} held`,
  )
  assert.ok(stopped.every((flow) => flow.received <= MOST_HELD_BYTES / 2))
  assert.ok(down < MOST_HELD_BYTES, `${down} bytes a flow`)
  for (const flow of stopped) flow.destroy()
  await pair.settle()
  // The other way: an origin that does not read.
  const middle = await heapBytes()
  let written = 0
  const talkers = await Promise.all(Array.from({ length: FLOWS }, () => pair.dial(deaf.port)))
  for (const flow of talkers) {
    flow.on('error', () => {})
    const piece = Buffer.alloc(16_384)
    const more = () => {
      do written += piece.length
      while (!flow.destroyed && flow.write(piece))
    }
    flow.on('drain', more)
    more()
  }
  await settled(() => BigInt(written))
  const up = ((await heapBytes()) - middle) / FLOWS
  measured.push(`stopped origin: ${written / FLOWS} bytes written a flow, ${Math.round(up)} held`)
  assert.ok(up < MOST_HELD_BYTES, `${up} bytes a flow`)
  for (const { unpaidBytes, window } of pair.seller.provider.sessions()) assert.ok(unpaidBytes <= window)
  // A witness beside them all.
  const witness = await originOf(t, echo)
  const payload = randomBytes(200_000)
  const flow = await pair.dial(witness.port)
  flow.end(payload)
  assert.equal(sha256(await collect(flow)), sha256(payload))
  for (const socket of deaf.sockets) socket.resume()
  for (const talker of talkers) talker.destroy()
  await pair.settle()
  await pair.close()
  assertBooksAgree(pair)
})

test('five hundred flows given up at any moment: both sides count the same and links are used again', async (t) => {
  const random = seeded(7)
  const pair = await honestPair(t)
  const source = await originOf(t, (socket) => {
    socket.on('data', () => {})
    socket.write(Buffer.alloc(1 + random(200_000)))
    if (random(3) === 0) socket.end()
    if (random(5) === 0) setImmediate(() => resetAtAnyMoment(socket))
  })
  let turns = 0
  const worker = async () => {
    while (turns < 500) {
      turns++
      const flow = await pair.dial(source.port)
      flow.on('error', () => {})
      if (random(2) === 0) flow.resume()
      if (random(2) === 0) flow.write(Buffer.alloc(1 + random(100_000)))
      if (random(4) === 0) flow.end()
      const moment = random(6)
      for (let i = 0; i < moment; i++) await new Promise((resolve) => setImmediate(resolve))
      flow.destroy()
      await until(() => flow.closed, 'it is closed')
    }
  }
  await Promise.all(Array.from({ length: 8 }, worker))
  await pair.settle()
  assert.ok(pair.handshakes() <= 30, `${pair.handshakes()} links for 500 flows`)
  assert.equal(pair.bought.counted('sessions', 'meter-diverged'), 0)
  const witness = await originOf(t, echo)
  const flow = await pair.dial(witness.port)
  flow.end('still here')
  assert.equal(String(await collect(flow)), 'still here')
  await pair.settle()
  await pair.close()
  const sum = assertBooksAgree(pair)
  measured.push(`500 flows given up: ${sum.bytes} bytes, disputed ${sum.disputed}, unpaid ${sum.unpaid}, links ${pair.handshakes()}`)
  assert.deepEqual({ disputed: sum.disputed, unpaid: sum.unpaid }, { disputed: 0n, unpaid: 0n })
})

test('two hundred links cut at any moment: the books agree, and nothing is in dispute', async (t) => {
  const random = seeded(11)
  const pair = await honestPair(t)
  const source = await originOf(t, (socket) => {
    socket.on('data', () => {})
    socket.write(Buffer.alloc(1 + random(120_000)))
  })
  // The control link is the first connection; it stays.
  const cut = () => {
    const alive = pair.wire.connections.slice(1).filter(([near]) => !near!.destroyed)
    const both = alive[random(Math.max(1, alive.length))]
    if (both === undefined) return false
    for (const socket of both) socket.destroy()
    return true
  }
  let cuts = 0
  const flows: FlowStream[] = []
  const worker = async () => {
    while (cuts < 200) {
      const flow = await pair.dial(source.port).catch(() => undefined)
      if (flow === undefined) continue
      flows.push(flow)
      flow.on('error', () => {})
      flow.resume()
      if (random(2) === 0) flow.write(Buffer.alloc(1 + random(50_000)))
      const moment = random(8)
      for (let i = 0; i < moment; i++) await new Promise((resolve) => setImmediate(resolve))
      if (cut()) cuts++
      else flow.destroy()
    }
  }
  await Promise.all(Array.from({ length: 4 }, worker))
  for (const flow of flows) flow.destroy()
  await pair.settle()
  assert.equal(pair.bought.counted('sessions', 'meter-diverged'), 0)
  const witness = await originOf(t, echo)
  const flow = await pair.dial(witness.port)
  flow.end('still here')
  assert.equal(String(await collect(flow)), 'still here')
  await pair.settle()
  await pair.close()
  const sum = assertBooksAgree(pair)
  measured.push(`${cuts} links cut: ${sum.bytes} bytes, disputed ${sum.disputed}, unpaid ${sum.unpaid}, sessions ${sum.sessions}`)
  assert.deepEqual({ unpaid: sum.unpaid, disputed: sum.disputed }, { unpaid: 0n, disputed: 0n })
})

test('uploads arrive whole though their links are cut, and count once', async (t) => {
  const random = seeded(13)
  const pair = await honestPair(t)
  const hole = await originOf(t, (socket, self) => {
    sink(socket, self)
    socket.once('end', () => socket.end())
  })
  let sent = 0
  for (let turn = 0; turn < 40; turn++) {
    const flow = await pair.dial(hole.port)
    const end = ending(flow.resume())
    const upload = Buffer.alloc(1 + random(200_000))
    sent += upload.length
    flow.end(upload)
    const moment = random(6)
    for (let i = 0; i < moment; i++) await new Promise((resolve) => setImmediate(resolve))
    for (const both of pair.wire.connections.slice(1)) for (const socket of both) socket.destroy()
    assert.equal(await end, 'end')
  }
  await pair.settle()
  const resumed = pair.sold.counted('flows_resumed')
  await pair.close()
  const { bytes, disputed } = assertBooksAgree(pair)
  measured.push(`40 uploads cut: ${bytes} bytes paid, ${hole.received} delivered, ${resumed} times on another link`)
  assert.deepEqual([bytes, hole.received, disputed], [BigInt(sent), sent, 0n])
  assert.ok(resumed > 0, 'no link was cut in time')
})

test('a flow is not called done while its last bytes wait for payment', async (t) => {
  const chain = new MemoryChain()
  const seller = await startProvider({ chain })
  t.after(async () => {
    await seller.provider.close()
    await seller.vault.close()
  })
  const FIRST = Number(STRANGER_WINDOW_BYTES) - 1_000
  const NEXT = 5_000
  const LAST = 3_000
  // Both ends have nothing more to say, but the exit may not carry the last bytes yet.
  const hole = await originOf(t, (socket, self) => {
    sink(socket, self)
    socket.end()
  })
  const rogue = await Rogue.open(seller, openRoot(chain, seller.payee))
  const flow = await rogue.flow(hole.port)
  flow.link.sendData(Buffer.alloc(FIRST), () => {})
  await until(() => hole.received === FIRST, 'what is lent was delivered')
  // One piece waits at the gate, the last one behind it; the first voucher lets only the one through.
  flow.link.sendData(Buffer.alloc(NEXT), () => {})
  assert.equal(await settled(() => BigInt(hole.received)), BigInt(FIRST))
  flow.link.sendData(Buffer.alloc(LAST), () => {})
  flow.send('end', {})
  await settled(() => BigInt(hole.received))
  await rogue.pay(BigInt(NEXT), 0n)
  assert.equal(await settled(() => BigInt(hole.received)), BigInt(FIRST + NEXT))
  assert.deepEqual(
    flow.inbox.map(({ name }) => name).filter((name) => name !== 'ack'),
    ['end'],
  )
  await rogue.pay(200_000n, 0n)
  assert.deepEqual((await flow.next('done')).body, { up: BigInt(FIRST + NEXT + LAST), down: 0n })
  await until(() => hole.received === FIRST + NEXT + LAST, 'all was delivered')
  rogue.leave()
  flow.link.destroy()
})
