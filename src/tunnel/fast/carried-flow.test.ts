/** What a flow asks for and what it holds, with a link that only writes down what it is given. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { MAX_UNACKED_BYTES } from '../../protocol/flow.ts'
import { encodeMessage } from '../../protocol/messages.ts'
import { CarriedFlow } from './carried-flow.ts'
import { KeptBudget } from './kept.ts'
import { Loop } from './loop.ts'
import { Meter } from './meter.ts'
import { EPOLL, loadNative } from './native.ts'
import type { SealedLink } from './sealed-link.ts'
import { PIECE_BYTES, Thread } from './shared.ts'
import { Waiters } from './waiters.ts'

const native = loadNative()
const ASK = encodeMessage('ask', {})

function world(t: TestContext, side: 'consumer' | 'provider') {
  const loop = new Loop(native)
  const thread = new Thread(native, loop)
  const [ours, theirs] = native.socketPair()
  const meter = new Meter()
  const budget = new KeptBudget({ window: 0 })
  const said: Uint8Array[] = []
  const link = {
    blocked: false,
    sealPadded: () => {},
    sendFrame: (frame: Uint8Array) => said.push(frame),
    send: () => {},
    flush: () => {},
    pause: () => {},
    resume: () => {},
  } as unknown as SealedLink
  const events = { onCounted: () => {}, onOver: () => {}, onSuspended: () => {} }
  const flow = new CarriedFlow(1, { thread, side, meter, waiters: new Waiters(meter, loop), budget, events })
  flow.join(ours)
  flow.link = link
  const piece = native.allocate(PIECE_BYTES)
  t.after(() => {
    flow.abandon()
    native.close(theirs)
    loop.end()
  })
  return {
    thread,
    meter,
    budget,
    flow,
    theirs,
    /** The application says as much as its socket takes, and the flow has its turn. Returns how much was sent. */
    carry(): number {
      const before = flow.state.sent
      while (native.send(theirs, piece.address, PIECE_BYTES) > 0);
      flow.onEvents(EPOLL.IN)
      flow.run()
      return flow.state.sent - before
    },
    asks: () => said.splice(0).filter((frame) => Buffer.compare(frame, ASK) === 0).length,
  }
}

test('a flow that must stop has asked what arrived, and goes on when it hears', (t) => {
  const { flow, carry, asks } = world(t, 'consumer')
  while (carry() > 0);
  const { sent } = flow.state
  assert.ok(sent > 0 && sent < MAX_UNACKED_BYTES, `${sent} bytes`)
  assert.ok(asks() > 0)
  assert.equal(carry(), 0)
  assert.equal(asks(), 0, 'once')
  flow.onMessage({ name: 'ack', body: { received: BigInt(sent) } })
  assert.ok(carry() > 0)
})

test('a flow that must stop because others keep much asks when it stops', (t) => {
  const { flow, budget, carry, asks } = world(t, 'consumer')
  while (flow.state.sent < 700_000) carry()
  assert.equal(asks(), 0, 'there is room for more')
  budget.used += 8 * MAX_UNACKED_BYTES
  assert.equal(carry(), 0)
  assert.equal(asks(), 1)
})

test('a few flows that are held back keep what was read where it is; one of many takes it along, and loses nothing', (t) => {
  const { thread, meter, flow, theirs } = world(t, 'provider')
  const { input } = thread
  const payload = randomBytes(30_000)
  const hear = (): boolean => {
    const memory = input.take()
    payload.copy(memory.bytes, 500)
    flow.onData(memory, 500, 10_000)
    flow.onData(memory, 10_500, 20_000)
    const kept = flow.onBatch(memory)
    if (!kept) {
      input.give(memory)
      // It is somebody else's by now.
      memory.bytes.fill(0)
    }
    return kept
  }
  const heard = native.allocate(payload.length + 1)
  const deliver = () => {
    meter.give(BigInt(payload.length))
    flow.run()
    assert.equal(native.read(theirs, heard.address, heard.bytes.length), payload.length)
    assert.deepEqual(heard.bytes.subarray(0, payload.length), payload)
  }
  assert.equal(hear(), true)
  assert.equal(input.out, 1)
  deliver()
  assert.equal(input.out, 0)
  const others = Array.from({ length: 40 }, () => input.take())
  assert.equal(hear(), false)
  deliver()
  assert.equal(input.out, others.length, 'nothing was given back twice')
})
