import assert from 'node:assert/strict'
import { once } from 'node:events'
import { duplexPair } from 'node:stream'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { DATA_TYPE, encodeMessage, frameHeader } from '../protocol/messages.ts'
import { FlowStream } from './flow.ts'
import { KeepingBudget } from './keeping.ts'
import { Link, type Wire } from './link.ts'

/** A link over a pair of streams, and the far end as the peer sees it. */
function fakeLink() {
  const [near, far] = duplexPair()
  const wire = Object.assign(near, { exportKeyingMaterial: () => Buffer.alloc(32) }) as Wire
  return { link: new Link(wire), far }
}

test('an end that arrives in one piece with the data before it does not leave the link held back', async () => {
  for (const bytes of [1_000, 200_000]) {
    const { link, far } = fakeLink()
    const done = Promise.withResolvers<{ up: bigint; down: bigint } | undefined>()
    const flow = new FlowStream({ link, side: 'consumer', budget: new KeepingBudget(), onDone: done.resolve, onSuspended: done.reject })
    const frames: Buffer[] = []
    for (let left = bytes; left > 0; left -= 10_000)
      frames.push(frameHeader(DATA_TYPE, Math.min(left, 10_000)), Buffer.alloc(Math.min(left, 10_000)))
    // More than the flow buffers, so that it pauses the link in the middle of this very piece.
    far.write(Buffer.concat([...frames, encodeMessage('end', {})]))
    await once(flow, 'readable')
    flow.end()
    let got = 0
    for await (const chunk of flow) got += (chunk as Buffer).length
    assert.equal(got, bytes)
    far.write(encodeMessage('done', { up: 0n, down: BigInt(bytes) }))
    assert.deepEqual(await done.promise, { up: 0n, down: BigInt(bytes) })
  }
})

test('what was not acknowledged is sent again in order, before anything new', async () => {
  const first = fakeLink()
  const suspended = Promise.withResolvers<void>()
  const flow = new FlowStream({
    link: first.link,
    side: 'consumer',
    budget: new KeepingBudget(),
    onDone: () => {},
    onSuspended: () => suspended.resolve(),
  })
  // The far end takes nothing: one piece is under way, the rest waits in the stream.
  const pieces = Array.from({ length: 8 }, (_, i) => Buffer.alloc(16_384, i + 1))
  for (const piece of pieces) flow.write(piece)
  first.far.destroy()
  first.link.destroy()
  await suspended.promise
  const second = fakeLink()
  const got: Buffer[] = []
  second.far.on('data', (chunk: Buffer) => got.push(chunk))
  flow.continueOn(second.link, { received: 0, over: false })
  const frames = pieces.flatMap((piece) => [frameHeader(DATA_TYPE, piece.length), piece])
  const expected = Buffer.concat(frames)
  while (got.reduce((sum, { length }) => sum + length, 0) < expected.length) await turn()
  assert.ok(Buffer.concat(got).equals(expected))
  flow.destroy()
})
