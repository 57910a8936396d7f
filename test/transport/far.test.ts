/** Payment must not throttle a far line: where flows wait for a voucher that is on its way, the provider lends more. */
import assert from 'node:assert/strict'
import { after, before, type TestContext, test } from 'node:test'
import { STRANGER_WINDOW_BYTES } from '../../src/protocol/credit.ts'
import { parseDestination } from '../../src/protocol/destination.ts'
import { type Plane, startPlane } from '../../src/tunnel/fast/plane.ts'
import { MemoryChain } from '../support/memory-chain.ts'
import { anyRoute, startConsumer, startProvider, takeDown } from '../support/pair.ts'
import { wayTo } from '../support/way.ts'
import { originOf, until } from './pair.ts'

/** A voucher takes longer than the quarter second that is lent otherwise. */
const ONE_WAY_MS = 150
/** So much was paid that a quarter of it is far above what a stranger is lent. */
const PAID_BYTES = 16n * STRANGER_WINDOW_BYTES
/** A megabyte a second: in a quarter second as much as a stranger is lent. */
const SLOW = { bytes: 50_000, everyMs: 50 }

const PIECE = Buffer.alloc(65_536)

let plane: Plane
before(async () => {
  plane = await startPlane()
})
after(() => plane.close())

async function download(t: TestContext, path: string, oneWayMs: number, origin: Parameters<typeof originOf>[1]) {
  const chain = new MemoryChain()
  const carrying = path === 'fast' ? { plane } : {}
  const seller = await startProvider({ chain, ...carrying })
  const { way, offer } = await wayTo(t, seller)
  way.oneWayMs = oneWayMs
  const buyer = await startConsumer({ chain, offers: () => [offer], ...carrying })
  t.after(() => takeDown(buyer, [seller]))
  const { port } = await originOf(t, origin)
  const request = { destination: parseDestination('127.0.0.1', port), parameters: anyRoute }
  const { stream } = await buyer.consumer.dial(request, AbortSignal.timeout(60_000))
  stream.on('error', () => {}).resume()
  t.after(() => stream.destroy())
  const session = () => seller.provider.sessions()[0]!
  await until(() => session().down >= PAID_BYTES, 'bytes to carry')
  return session
}

for (const path of ['portable', 'fast']) {
  test(`a far stranger who waits for payment is lent more (${path})`, async (t) => {
    const session = await download(t, path, ONE_WAY_MS, (socket) => {
      const more = () => {
        if (!socket.destroyed) socket.write(PIECE, more)
      }
      socket.on('error', () => {})
      more()
    })
    await until(() => session().window > 2n * STRANGER_WINDOW_BYTES, 'a window that throttles')
  })

  test(`control: one who does not wait is lent what goes by in a quarter second (${path})`, async (t) => {
    const session = await download(t, path, 0, (socket) => {
      const timer = setInterval(() => socket.write(Buffer.alloc(SLOW.bytes)), SLOW.everyMs)
      socket.on('error', () => {}).once('close', () => clearInterval(timer))
    })
    assert.ok(session().window <= 2n * STRANGER_WINDOW_BYTES, `${session().window}`)
  })
}
