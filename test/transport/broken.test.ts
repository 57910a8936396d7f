import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { MAX_UNACKED_BYTES } from '../../src/protocol/flow.ts'
import type { FlowStream } from '../../src/tunnel/index.ts'
import { descriptors, echo, settled, sink } from '../attacks/world.ts'
import { type Random, seeded } from '../fuzz/mutate.ts'
import { resetAtAnyMoment } from '../support/reset.ts'
import { booksAgree, contentOf, originOf, type Pair, startPair, until } from './pair.ts'

const AT_ONCE = 4
/** So that nobody waits half a second for the next attempt. */
const QUICK = { limitMs: 60_000, againMs: 5 }

/** Answers with anything, and leaves in any way. */
const moody = (random: Random) => (socket: Socket) => {
  socket.resume().write(Buffer.alloc(1 + random(200_000)))
  const mood = random(6)
  if (mood === 0) socket.end()
  else if (mood === 1) setImmediate(() => resetAtAnyMoment(socket))
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

/** Echoes, and is asked for a while: what goes up must come down, whatever breaks in between. */
async function conversation(pair: Pair, port: number, random: Random, onPiece: () => void): Promise<number> {
  // A link may break while the flow is being opened: as with a refused connection, the application hears at once and may ask again.
  const dialled = await pair.dial(port).catch(() => undefined)
  if (dialled === undefined) return 0
  const said = randomBytes(1 + random(400_000))
  const heard = contentOf(dialled)
  let at = 0
  while (at < said.length) {
    const piece = said.subarray(at, at + 1 + random(60_000))
    at += piece.length
    if (!dialled.write(piece)) await once(dialled, 'drain')
    for (let turns = random(4); turns > 0; turns--) await turn()
    onPiece()
  }
  dialled.end()
  assert.ok((await heard).equals(said), 'an echo of other bytes')
  return said.length
}

test('200 links broken at random moments, the control link among them: no flow notices, both books agree, nothing is disputed', async (t) => {
  const random = seeded(9)
  const pair = await startPair(t, { outage: QUICK })
  const mirror = await originOf(t, echo)
  const open = descriptors()
  let [cut, cutControl, talks, bytes] = [0, 0, 0, 0]
  /** Any link that lives. */
  const breakOne = () => {
    const alive = pair.connections.filter(({ destroyed }) => !destroyed)
    const socket = alive[random(Math.max(1, alive.length))]
    if (socket === undefined) return
    if (socket === alive[0]) cutControl++
    if (random(2) === 0) socket.destroy()
    else resetAtAnyMoment(socket)
    cut++
  }
  const worker = async () => {
    while (cut < 200) {
      const got = await conversation(pair, mirror.port, random, () => {
        if (random(4) === 0) breakOne()
      })
      bytes += got
      if (got > 0) talks++
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  await stillWorks(pair, mirror.port)
  await pair.rest()
  const resumed = pair.resumed()
  assert.ok(resumed > 20, `only ${resumed} flows went on elsewhere`)
  await pair.close()
  const { disputed, reasons, bytes: billed } = booksAgree(pair)
  assert.deepEqual({ reasons, disputed }, { reasons: ['shutdown'], disputed: 0n })
  // Every byte went up once and down once, but for what flows had begun to say that never opened: nobody counts that.
  assert.equal(billed, 2n * BigInt(bytes + 'still here'.length))
  await until(() => descriptors() <= open, `descriptors: ${open} before`)
  t.diagnostic(
    `${cut} links broken, ${cutControl} of them the oldest: ${talks} conversations of ${bytes} bytes, ${resumed} times on another link`,
  )
})

test('a link that is lost while the destination does not read: the flow waits on another, and nothing is lost or sent twice', async (t) => {
  const pair = await startPair(t, { outage: QUICK })
  const deaf = await originOf(t, (socket, self) => {
    sink(socket, self)
    socket.pause()
  })
  const flow = await pair.dial(deaf.port)
  let written = 0
  const more = () => {
    let room = true
    while (room && !flow.writableEnded) {
      room = flow.write(Buffer.alloc(65_536))
      written += 65_536
    }
  }
  flow.on('drain', more)
  more()
  await settled(() => BigInt(written))
  const before = flow.sent
  const [, link] = pair.connections
  link!.destroy()
  await until(() => pair.resumed() === 1, 'flows without a link')
  // What was on its way is sent again, and that is all: the destination still does not read.
  await settled(() => flow.sent)
  const room = MAX_UNACKED_BYTES + 4 * 65_536
  assert.ok(flow.sent - before <= BigInt(room), `${flow.sent - before} bytes more were sent`)
  assert.ok(!flow.destroyed)
  flow.end()
  for (const socket of deaf.sockets) socket.resume()
  await until(() => deaf.received === written, 'bytes that did not arrive')
  for (const socket of deaf.sockets) socket.end()
  flow.resume()
  await pair.rest()
  await pair.close()
  assert.deepEqual(booksAgree(pair), { bytes: BigInt(written), disputed: 0n, reasons: ['shutdown'] })
})
