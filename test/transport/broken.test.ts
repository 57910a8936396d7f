import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { STRANGER_WINDOW_BYTES } from '../../src/protocol/credit.ts'
import type { FlowStream } from '../../src/tunnel/index.ts'
import { descriptors, echo, settled } from '../attacks/world.ts'
import { type Random, seeded } from '../fuzz/mutate.ts'
import { booksAgree, contentOf, endOf, originOf, type Pair, startPair, TEN_SECONDS, until } from './pair.ts'

const AT_ONCE = 4

/** Answers with anything, and leaves in any way. */
const moody = (random: Random) => (socket: Socket) => {
  socket.resume().write(Buffer.alloc(1 + random(200_000)))
  const mood = random(6)
  if (mood === 0) socket.end()
  else if (mood === 1) setImmediate(() => socket.resetAndDestroy())
  else socket.once('end', () => socket.end())
}

/** A flow in some state or other: reading or not, with words on their way, ended or open. */
async function busyFlow(pair: Pair, port: number, random: Random): Promise<FlowStream> {
  const flow = await pair.dial(port)
  if (random(2) === 0) flow.resume()
  if (random(2) === 0) flow.write(Buffer.alloc(1 + random(100_000)))
  if (random(4) === 0) flow.end()
  for (let turns = random(random(2) === 0 ? 6 : 200); turns > 0; turns--) await turn()
  return flow
}

/** Several at once, `count` in all. */
async function manyTimes(count: number, work: () => Promise<void>): Promise<void> {
  let begun = 0
  const worker = async () => {
    while (begun++ < count) await work()
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
}

async function stillWorks(pair: Pair, port: number): Promise<void> {
  const flow = await pair.dial(port)
  flow.end('still here')
  assert.equal(String(await contentOf(flow)), 'still here')
}

test('300 flows given up at random moments: both sides count the same, links live on, no descriptor is left', async (t) => {
  const random = seeded(3)
  const pair = await startPair(t)
  const [source, mirror] = [await originOf(t, moody(random)), await originOf(t, echo)]
  const open = descriptors()
  await manyTimes(300, async () => {
    const flow = await busyFlow(pair, source.port, random)
    flow.destroy()
  })
  await pair.rest()
  await stillWorks(pair, mirror.port)
  await pair.rest()
  // Links in use at once: those of the workers, and of flows given up whose last word is on its way.
  const links = pair.connections.length - 1
  assert.ok(links <= 60, `${links} links for 300 flows`)
  const [session] = pair.seller.provider.sessions()
  await until(() => source.sockets.size === 0, 'connections to the origin')
  await pair.close()
  await until(() => pair.connections.every(({ destroyed }) => destroyed), 'links')
  const { bytes, disputed, reasons } = booksAgree(pair)
  assert.deepEqual({ disputed, reasons }, { disputed: 0n, reasons: ['shutdown'] })
  assert.equal(bytes, session!.up + session!.down)
  // The origins and their listeners were there before.
  await until(() => descriptors() <= open, `descriptors: ${open} before`)
  t.diagnostic(`300 flows given up: ${bytes} bytes, ${links} links`)
})

test('100 links broken at random moments: new flows work, both books agree, what is disputed stays within the window', async (t) => {
  const random = seeded(9)
  const pair = await startPair(t)
  const [source, mirror] = [await originOf(t, moody(random)), await originOf(t, echo)]
  const open = descriptors()
  const flows: FlowStream[] = []
  let cut = 0
  /** Any flow link that lives; the first connection is the control link. */
  const breakOne = () => {
    const alive = pair.connections.slice(1).filter(({ destroyed }) => !destroyed)
    const socket = alive[random(Math.max(1, alive.length))]
    if (socket === undefined) return false
    if (random(2) === 0) socket.destroy()
    else socket.resetAndDestroy()
    cut++
    return true
  }
  const worker = async () => {
    while (cut < 100) {
      // A link may break while the flow is being opened.
      const flow = await busyFlow(pair, source.port, random).catch(() => undefined)
      if (flow !== undefined) flows.push(flow)
      if (!breakOne()) flow?.destroy()
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  // As with TCP, one that does not read does not hear that its connection is gone.
  for (const flow of flows) flow.resume()
  await until(() => source.sockets.size === 0 || breakOne(), 'connections to the origin')
  await stillWorks(pair, mirror.port)
  await pair.rest()
  await pair.close()
  const { bytes, disputed, reasons } = booksAgree(pair)
  assert.deepEqual(reasons, ['shutdown'])
  const bought = [...pair.buyer.vault.book.sessions.values()].reduce((sum, { up, down }) => sum + up + down, 0n)
  const window = bought / 4n > STRANGER_WINDOW_BYTES ? bought / 4n : STRANGER_WINDOW_BYTES
  assert.ok(disputed <= window, `${disputed} of ${bytes} bytes are disputed`)
  await until(() => descriptors() <= open, `descriptors: ${open} before`)
  t.diagnostic(`${cut} links broken: ${bytes} bytes, ${disputed} disputed, window ${window}`)
})

test('a link that is lost while its destination does not read is noticed all the same', async (t) => {
  // Before all else that cleans up: timers that began real must end real.
  t.after(() => t.mock.timers.reset())
  const pair = await startPair(t)
  const dialled: Socket[] = []
  const onSocket = (message: unknown) => {
    const { socket } = message as { socket: Socket }
    socket.once('connect', () => {
      if (socket.remotePort === pair.seller.port) dialled.push(socket)
    })
  }
  subscribe('net.client.socket', onSocket)
  t.after(() => unsubscribe('net.client.socket', onSocket))
  const ends: Promise<string>[] = []
  const deaf = await originOf(t, (socket) => {
    ends.push(endOf(socket.pause()))
  })
  t.mock.timers.enable({ apis: ['setInterval'] })
  const flow = await pair.dial(deaf.port)
  let written = 0n
  const more = () => {
    while (flow.write(Buffer.alloc(65_536))) written += 65_536n
  }
  flow.on('drain', more)
  more()
  await settled(() => written)
  const [, link] = dialled
  link!.destroy()
  await until(() => flow.closed, 'the flow of the consumer')
  // Positive control: nobody reads, so nobody hears.
  const look = () => pair.seller.provider.sessions()[0]!.links
  assert.equal(await settled(() => BigInt(look())), 1n)
  await until(() => {
    t.mock.timers.tick(TEN_SECONDS)
    return look() === 0
  }, 'links')
  t.mock.timers.reset()
  for (const socket of deaf.sockets) socket.resume()
  assert.equal(await ends[0], 'ECONNRESET')
  await pair.rest()
  await pair.close()
  booksAgree(pair)
})
