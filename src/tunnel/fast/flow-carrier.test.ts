/** A link that moves from a pair of sockets into the flow at its other end: what was on its way comes first, either way, and nothing twice. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { FlowCarrier } from './flow-carrier.ts'
import { Loop } from './loop.ts'
import { ERRNO, loadNative } from './native.ts'
import type { SealedLink } from './sealed-link.ts'
import { Thread } from './shared.ts'

const native = loadNative()

/** A pair with bytes on their way in both directions, and a flow that takes and brings what the test says. */
function world() {
  const loop = new Loop(native)
  const thread = new Thread(native, loop)
  const [ours, theirs] = native.socketPair()
  const memory = native.allocate(100_000)
  const write = (fd: number, bytes: Buffer) => {
    bytes.copy(memory.bytes)
    assert.equal(native.send(fd, memory.address, bytes.length), bytes.length)
  }
  const taken: Buffer[] = []
  /** What the flow brings next: bytes, or what reading says instead. */
  const brings: (Buffer | number)[] = []
  const flow = {
    canHold: true as boolean,
    room: true,
    let: 0,
    hold: () => ours,
    push(source: Buffer, at: number, bytes: number) {
      if (!flow.room) return -ERRNO.EAGAIN
      taken.push(Buffer.from(source.subarray(at, at + bytes)))
      return bytes
    },
    pull(target: { bytes: Buffer }, at: number, most: number) {
      const next = brings.shift() ?? -ERRNO.EAGAIN
      if (typeof next === 'number') return next
      assert.ok(next.length <= most)
      return next.copy(target.bytes, at)
    },
    letGo: () => {
      flow.let++
    },
  }
  const told: string[] = []
  const link = {
    onReady: (readable: boolean, writable: boolean, over: boolean) =>
      told.push([readable && 'read', writable && 'write', over && 'over'].filter(Boolean).join(' ')),
    broke: () => told.push('broke'),
  } as unknown as SealedLink
  return { loop, thread, ours, theirs, memory, write, flow, taken, brings, link, told }
}

test('what the pair held comes before what the flow brings and the link says', () => {
  const { loop, thread, ours, theirs, memory, write, flow, taken, brings, link, told } = world()
  const [heard, said, next, more] = [randomBytes(40_000), randomBytes(30_000), randomBytes(5_000), randomBytes(1_000)]
  write(ours, heard!)
  write(theirs, said!)
  const carrier = FlowCarrier.over(thread, flow, theirs)!
  // Nothing of it is lost while the flow takes nothing.
  flow.room = false
  carrier.start(link)
  more!.copy(memory.bytes)
  assert.equal(carrier.send(memory, 0, more!.length), -ERRNO.EAGAIN)
  assert.deepEqual(taken, [])
  flow.room = true
  carrier.onRoom()
  assert.deepEqual(told, ['write'])
  assert.equal(carrier.send(memory, 0, more!.length), more!.length)
  assert.deepEqual(Buffer.concat(taken), Buffer.concat([said!, more!]))

  assert.equal(carrier.read(memory, 10, 25_000), 25_000)
  assert.deepEqual(memory.bytes.subarray(10, 25_010), heard!.subarray(0, 25_000))
  // What the flow brings follows in the same read, and an end in between is told afterwards.
  brings.push(next!, 0)
  assert.equal(carrier.read(memory, 0, 90_000), 20_000)
  assert.deepEqual(memory.bytes.subarray(0, 15_000), heard!.subarray(25_000))
  assert.deepEqual(memory.bytes.subarray(15_000, 20_000), next)
  assert.equal(carrier.read(memory, 0, 90_000), 0)
  carrier.close()
  assert.equal(flow.let, 1)
  loop.end()
})

test('an end right behind what the pair held is told to the link', () => {
  const { loop, thread, ours, theirs, memory, write, flow, brings, link, told } = world()
  write(ours, Buffer.from('last'))
  const carrier = FlowCarrier.over(thread, flow, theirs)!
  carrier.start(link)
  brings.push(0)
  assert.equal(carrier.read(memory, 0, 1_000), 4)
  loop.turn(0)
  assert.deepEqual(told, ['read over'])
  carrier.onGone()
  assert.deepEqual(told, ['read over', 'broke'])
  loop.end()
})

test('a flow that cannot hold a link leaves the pair as it is', () => {
  const { loop, thread, ours, theirs, memory, write, flow } = world()
  flow.canHold = false
  write(ours, Buffer.from('here'))
  assert.equal(FlowCarrier.over(thread, flow, theirs), undefined)
  assert.equal(native.read(theirs, memory.address, 10), 4)
  native.close(ours)
  native.close(theirs)
  loop.end()
})
