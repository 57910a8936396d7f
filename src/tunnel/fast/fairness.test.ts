/** Who has much to carry does not hold up what comes for others: at once it carries a little, and the rest in turns. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CarriedFlow } from './carried-flow.ts'
import { KeptBudget } from './kept.ts'
import { Loop } from './loop.ts'
import { Meter } from './meter.ts'
import { EPOLL, loadNative } from './native.ts'
import type { SealedLink } from './sealed-link.ts'
import { PIECE_BYTES, PIECES_A_TURN, Thread } from './shared.ts'
import { Waiters } from './waiters.ts'

const native = loadNative()
const FRAME_BYTES = PIECE_BYTES + 4

/** A flow with a socket that always has more to read, and a link that says how much of it was sealed. */
function busyFlow(loop: Loop, thread: Thread, id: number) {
  const [ours, theirs] = native.socketPair()
  const meter = new Meter()
  const sealed: number[] = []
  const link = {
    blocked: false,
    sealPadded: (_memory: unknown, _at: number, bytes: number) => sealed.push(bytes - 4),
    flush: () => {},
    pause: () => {},
    resume: () => {},
  } as unknown as SealedLink
  const events = { onCounted: () => {}, onOver: () => {}, onSuspended: () => {} }
  const waiters = new Waiters(meter, loop)
  const flow = new CarriedFlow(id, { thread, side: 'consumer', meter, waiters, budget: new KeptBudget({ window: 0 }), events })
  const { address } = native.allocate(FRAME_BYTES)
  /** As much as the socket takes. */
  const fill = () => {
    while (native.send(theirs, address, FRAME_BYTES) > 0);
  }
  flow.join(ours)
  flow.link = link
  fill()
  return { flow, fill, moved: () => sealed.splice(0).reduce((sum, bytes) => sum + bytes, 0), close: () => native.close(theirs) }
}

test('a flow that has much to carry carries a piece at once, and more only when all that came was looked at', (t) => {
  const loop = new Loop(native)
  const thread = new Thread(native, loop)
  const busy = busyFlow(loop, thread, 1)
  t.after(() => {
    busy.flow.abandon()
    busy.close()
    loop.end()
  })
  busy.flow.onEvents(EPOLL.IN)
  const first = busy.moved()
  assert.ok(first > 0 && first <= PIECE_BYTES, `${first} bytes at once`)
  busy.fill()
  // It is known by now: nothing at once.
  busy.flow.onEvents(EPOLL.IN)
  assert.equal(busy.moved(), 0)
  busy.flow.run()
  const turn = busy.moved()
  assert.ok(turn > 0 && turn <= PIECES_A_TURN * PIECE_BYTES, `${turn} bytes in its turn`)
})
