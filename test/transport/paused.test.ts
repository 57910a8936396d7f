/** An application that stops reading, as a paused film does: what it leaves unread cannot be paid for, and must not take all of its session's credit. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type Plane, startPlane } from '../../src/tunnel/fast/plane.ts'
import { firehose, settled } from '../attacks/world.ts'
import { booksAgree, originOf, startPair, until } from './pair.ts'

/** Many windows of a stranger. */
const MUCH = 5_000_000n

let plane: Plane
before(async () => {
  plane = await startPlane()
})
after(() => plane.close())

test('two that do not read leave the others of their session room', async (t) => {
  const pair = await startPair(t, { provider: { plane } })
  const source = await originOf(t, firehose())
  const paused = await Promise.all([pair.dial(source.port), pair.dial(source.port)])
  await settled(() => BigInt(source.sent))
  const [session] = pair.seller.provider.sessions()
  const { unpaidBytes, window } = session!
  // Control: they took what they could of what the session may owe.
  assert.ok(unpaidBytes > window / 5n, `${unpaidBytes} bytes unpaid, ${window} may be`)
  const reading = await pair.dial(source.port)
  reading.resume()
  await until(() => reading.received > MUCH, 'flows that starve')
  for (const flow of [...paused, reading]) flow.destroy()
  await pair.rest()
  await pair.close()
  assert.equal(booksAgree(pair).disputed, 0n)
})
