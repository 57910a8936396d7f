/** One wire, two implementations: the same promises hold whichever path carries bytes at either end, and when the carrying thread dies. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { after, before, describe, type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { createProxy, ENTRANCE_WORKER } from '../../src/consumer/index.ts'
import { signOffer } from '../../src/protocol/offer.ts'
import { type Plane, startPlane } from '../../src/tunnel/fast/plane.ts'
import { reset } from '../../src/tunnel/splice.ts'
import { MemoryChain } from '../support/memory-chain.ts'
import { startConsumer, startProvider, takeDown } from '../support/pair.ts'
import { until } from './pair.ts'

/** Consumer's path, and that of each provider of a route from the entry to the exit. */
const MIXES: readonly (readonly ['fast' | 'portable', ...('fast' | 'portable')[]])[] = [
  ['fast', 'fast'],
  ['fast', 'portable'],
  ['portable', 'fast'],
  ['portable', 'portable'],
  ['fast', 'fast', 'fast'],
  ['fast', 'portable', 'fast'],
  ['portable', 'fast', 'portable'],
  ['fast', 'fast', 'fast', 'fast'],
  ['fast', 'fast', 'portable', 'fast'],
  ['portable', 'portable', 'fast', 'fast'],
]
/** The exit's, so that requests name it. */
const EXIT = 'jp'

let plane: Plane
before(async () => {
  plane = await startPlane(undefined, ENTRANCE_WORKER)
})
after(() => plane.close())

/** A TCP relay in front of the provider whose connections can be cut. */
async function cuttable(t: TestContext, port: () => number) {
  const pairs = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, (near) => {
    const far = connect({ port: port(), host: '127.0.0.1', allowHalfOpen: true })
    for (const socket of [near, far]) {
      pairs.add(socket)
      socket.on('error', () => {})
      socket.once('close', () => {
        pairs.delete(socket)
        near.destroy()
        far.destroy()
      })
    }
    near.pipe(far)
    far.pipe(near)
  })
  const at = await listening(t, server)
  return {
    port: at,
    cut: () => {
      for (const socket of pairs) reset(socket, new Error('cut'))
    },
  }
}

async function listening(t: TestContext, server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return (server.address() as AddressInfo).port
}

async function world(t: TestContext, [consumerPath, ...providerPaths]: (typeof MIXES)[number], own: Plane = plane) {
  const chain = new MemoryChain()
  const planeOf = (path: string) => (path === 'fast' ? { plane: own } : {})
  // Half of the tests dial on the main thread, half have the carrying thread connect.
  const addresses = t.name.includes('reset') || t.name.includes('reached') ? async (host: string) => [host] : undefined
  const nodes = await Promise.all(
    providerPaths.map(async (path, i) => {
      const country = i === providerPaths.length - 1 ? EXIT : 'de'
      const seller = await startProvider({ chain, country, ...planeOf(path), ...(addresses && { addresses }) })
      const line = await cuttable(t, () => seller.port)
      const transports = seller.offer.body.transports.map((transport) => ({ ...transport, port: line.port }))
      return { seller, line, offer: signOffer({ ...seller.offer.body, transports }, seller.keys.node.privateKey) }
    }),
  )
  // Ever growing numbers: hops are preferred in the order of their paths.
  let drawn = 0
  const random = () => ++drawn / 1e9
  const hops = nodes.length
  const buyer = await startConsumer({ chain, hops, random, offers: () => nodes.map(({ offer }) => offer), ...planeOf(consumerPath) })
  const { seller } = nodes.at(-1)!
  const proxy = createProxy({ dialer: buyer.consumer })
  const { port } = await proxy.listen('127.0.0.1', 0)
  let closed = false
  const close = async () => {
    if (closed) return
    closed = true
    await proxy.close(0)
    await takeDown(
      buyer,
      nodes.map((node) => node.seller),
    )
  }
  t.after(close)
  return {
    seller,
    buyer,
    hops,
    /** Breaks the links of one of the nodes, another each time. */
    cut(times: number) {
      nodes[times % hops]!.line.cut()
    },
    /** Connects through the proxy; with what SOCKS answered. */
    async open(destination: number): Promise<{ socket: Socket; reply: number }> {
      const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
      socket.on('error', () => {})
      const username = Buffer.from(`any-country-${EXIT}`)
      socket.write(Buffer.concat([Buffer.from([5, 1, 2, 1, username.length]), username, Buffer.from([1, 0x78])]))
      socket.write(Buffer.from([5, 1, 0, 1, 127, 0, 0, 1, destination >> 8, destination & 0xff]))
      return { socket, reply: await replyOf(socket) }
    },
    /** Ends everything; all books tell the same, to the byte. Returns the bytes the exit's tells of. */
    async books(): Promise<bigint> {
      // Sessions with hops before the exit have flows as long as there are links inside.
      const last = () => buyer.consumer.sessions().filter((session) => session.hop === hops)
      await until(() => last().every(({ flows }) => flows === 0), 'flows that are not over')
      await until(() => seller.provider.sessions().every(({ unpaidBytes }) => unpaidBytes === 0n), 'bytes that are not paid')
      await close()
      const rows = (book: typeof buyer.vault.book) =>
        [...book.sessions.values()].map(({ id, up, down, billed }) => ({ id, up, down, billed }))
      const sold = nodes.flatMap((node) => rows(node.seller.vault.book))
      const byId = (a: { id: string }, b: { id: string }) => a.id.localeCompare(b.id)
      assert.deepEqual(rows(buyer.vault.book).sort(byId), sold.sort(byId))
      return rows(seller.vault.book).reduce((sum, { up, down }) => sum + up + down, 0n)
    },
  }
}

/** The fourteen bytes of method, authentication and reply; what follows them stays in the socket. */
function replyOf(socket: Socket): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  const take = () => {
    const answer = socket.read(14) as Buffer | null
    if (answer === null) return
    socket.off('readable', take)
    resolve(answer[5]!)
  }
  socket.on('readable', take)
  socket.once('close', () => reject(new Error('the proxy closed without an answer')))
  return promise
}

const hashOf = (...parts: readonly Uint8Array[]) => {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest('hex')
}

/** Says what it heard, once it has heard all of it, and then as much again. */
async function echoing(t: TestContext): Promise<number> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const heard: Buffer[] = []
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => heard.push(chunk))
    socket.once('end', () => socket.end(Buffer.concat([...heard, ...heard])))
  })
  return listening(t, server)
}

async function contentOf(socket: Socket): Promise<Buffer> {
  const heard: Buffer[] = []
  socket.on('data', (chunk: Buffer) => heard.push(chunk)).resume()
  await once(socket, 'end')
  return Buffer.concat(heard)
}

const SIZES = [0, 1, 16_383, 65_532, 65_537, 300_000, 3_000_000]

for (const mix of MIXES) {
  describe(`consumer ${mix[0]}, ${mix.length === 2 ? 'provider' : 'hops'} ${mix.slice(1).join(', ')}`, () => {
    test('every byte arrives, half-closed either way, and counts once', async (t) => {
      const pair = await world(t, mix)
      const origin = await echoing(t)
      await Promise.all(
        SIZES.map(async (size) => {
          const { socket, reply } = await pair.open(origin)
          assert.equal(reply, 0)
          const content = randomBytes(size)
          socket.end(content)
          assert.equal(hashOf(await contentOf(socket)), hashOf(content, content))
        }),
      )
      const carried = SIZES.reduce((sum, size) => sum + 3 * size, 0)
      assert.equal(await pair.books(), BigInt(carried))
    })

    test('a flow that breaks while its bytes are delivered leaves those of others alone', async (t) => {
      const pair = await world(t, mix)
      const origin = await echoing(t)
      const rude = createServer((socket) => {
        socket.on('error', () => {})
        socket.once('data', () => socket.resetAndDestroy())
      })
      const breaking = await listening(t, rude)
      let broken = 0
      const breakMany = async () => {
        for (let i = 0; i < 25; i++) {
          const { socket } = await pair.open(breaking)
          const closed = new Promise((resolve) => socket.once('close', resolve))
          socket.end(randomBytes(1_000_000))
          socket.resume()
          await closed
          broken++
        }
      }
      const verify = async () => {
        for (let i = 0; i < 8; i++) {
          const { socket } = await pair.open(origin)
          const content = randomBytes(700_000)
          socket.end(content)
          assert.equal(hashOf(await contentOf(socket)), hashOf(content, content))
        }
      }
      await Promise.all([breakMany(), breakMany(), verify(), verify(), verify(), verify()])
      assert.equal(broken, 50)
      await pair.books()
    })

    test('a reset goes through, from either end, and the link lives on', async (t) => {
      const pair = await world(t, mix)
      const arrived: Socket[] = []
      const server = createServer({ allowHalfOpen: true }, (socket) => {
        socket.on('error', () => {})
        arrived.push(socket)
        socket.once('data', () => socket.write('hello'))
      })
      const origin = await listening(t, server)
      for (const end of ['application', 'origin']) {
        const { socket } = await pair.open(origin)
        socket.write('x')
        await once(socket, 'data')
        const [from, to] = end === 'application' ? [socket, arrived.at(-1)!] : [arrived.at(-1)!, socket]
        const heard = once(to, 'error').catch((error: NodeJS.ErrnoException) => [error]) as Promise<[NodeJS.ErrnoException]>
        to.resume()
        from.resetAndDestroy()
        assert.equal((await heard)[0].code, 'ECONNRESET')
      }
      // Positive control: the same links carry another flow.
      const { socket } = await pair.open(origin)
      socket.write('x')
      assert.equal(String(((await once(socket, 'data')) as [Buffer])[0]), 'hello')
      socket.resetAndDestroy()
      await pair.books()
    })

    test('a destination that speaks first is heard', async (t) => {
      const pair = await world(t, mix)
      const origin = await listening(
        t,
        createServer((socket) => {
          socket.on('error', () => {})
          socket.end('SSH-2.0-first')
        }),
      )
      for (let i = 0; i < 5; i++) {
        const { socket } = await pair.open(origin)
        assert.equal(String(await contentOf(socket)), 'SSH-2.0-first')
        socket.end()
      }
      assert.equal(await pair.books(), BigInt(5 * 'SSH-2.0-first'.length))
    })

    test('what cannot be reached is refused, and costs nothing', async (t) => {
      const pair = await world(t, mix)
      const server = createServer()
      const port = await listening(t, server)
      server.close()
      const { socket, reply } = await pair.open(port)
      assert.notEqual(reply, 0)
      await contentOf(socket)
      assert.equal(await pair.books(), 0n)
    })

    test('flows go on over other links when theirs are cut in the middle', async (t) => {
      const pair = await world(t, mix)
      const origin = await echoing(t)
      const content = randomBytes(4_000_000)
      const flows = await Promise.all([1, 2, 3].map(() => pair.open(origin)))
      const done = flows.map(async ({ socket }) => {
        socket.end(content)
        assert.equal(hashOf(await contentOf(socket)), hashOf(content, content))
      })
      let before = 0n
      for (let cuts = 0; cuts < 3; cuts++) {
        const counted = () => pair.seller.provider.sessions().reduce((sum, { up, down }) => sum + up + down, 0n)
        await until(() => counted() > before + 1_000_000n, 'bytes that do not move')
        before = counted()
        pair.cut(cuts)
        await turn()
      }
      await Promise.all(done)
      assert.equal(await pair.books(), BigInt(3 * 3 * content.length))
    })
  })
}

/** Descriptors of this process that are one end of a pair. */
function pairEnds(): number {
  const inodes = new Set(
    readFileSync('/proc/self/net/unix', 'latin1')
      .split('\n')
      .map((line) => line.trim().split(/\s+/)[6]),
  )
  const isEnd = (fd: string) => {
    try {
      return inodes.has(/^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${fd}`))?.[1] ?? 'none')
    } catch {
      return false // the one this folder was read with
    }
  }
  return readdirSync('/proc/self/fd').filter(isEnd).length
}

test('links inside flows need no pair of sockets once they are handed over', async (t) => {
  const before = pairEnds()
  const pair = await world(t, ['fast', 'fast', 'fast'])
  const origin = await echoing(t)
  const talk = async () => {
    const flow = await pair.open(origin)
    flow.socket.write('x')
    return flow
  }
  const flows = [await talk()]
  // The exit's control link stays with the main thread, over a pair.
  const onlyControl = () => pairEnds() - before === 2
  await until(onlyControl, 'ends of pairs')
  for (let i = 0; i < 5; i++) flows.push(await talk())
  await until(onlyControl, 'ends of pairs')
  for (const { socket } of flows) {
    socket.end('y')
    assert.equal(String(await contentOf(socket)), 'xyxy')
  }
  await pair.books()
})

test('when the carrying thread dies sessions end with an error, and new ones work', async (t) => {
  let own = await startPlane(undefined, ENTRANCE_WORKER)
  t.after(() => own.close())
  const pair = await world(t, ['fast', 'portable'], own)
  const origin = await echoing(t)
  const { socket } = await pair.open(origin)
  socket.write('x')
  const gone = new Promise((resolve) => socket.once('close', resolve))
  socket.resume()
  await own.kill()
  await gone
  await until(() => pair.buyer.consumer.sessions().every(({ flows }) => flows === 0), 'flows of a dead thread')
  // The portable path takes over where nobody starts another thread.
  const again = await pair.open(origin)
  assert.equal(again.reply, 0)
  again.socket.end('y')
  assert.equal(String(await contentOf(again.socket)), 'yy')
  own = await startPlane(undefined, ENTRANCE_WORKER)
})

test('a carrying thread that is told to stop before its sessions are over lets them end', async (t) => {
  const own = await startPlane()
  t.after(() => own.close())
  const pair = await world(t, ['fast', 'fast'], own)
  const { socket } = await pair.open(await echoing(t))
  socket.resume()
  await own.close()
  await pair.books()
})
