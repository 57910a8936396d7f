/** What goes out together: each message of its own costs both ends a system call, a record and a wake-up. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeMessage, FLOW_PROTOCOLS } from '../../protocol/messages.ts'
import { ANYWHERE, NOTHING, native, type RawPeer, twoSides } from './testing.ts'

type World = ReturnType<typeof twoSides>

/** Whatever is to be done now, and no time goes by. */
function atOnce({ thread }: World): void {
  const now = performance.now.bind(performance)
  performance.now = () => thread.loop.nowMs
  for (let i = 0; i < 3; i++) thread.loop.turn(0)
  performance.now = now
}

const names = (peer: RawPeer) => peer.messages.map(({ name }) => name)

/** An application that was answered at once and said nothing yet. */
function answered(world: World): number {
  const [ours, application] = native.socketPair()
  const asker = { onOpened() {}, onFailed() {}, onOver() {} }
  const told = { fd: ours, events: 0, early: NOTHING, reply: Buffer.from('go'), atOnce: true }
  assert.ok(world.consumer.begin(ANYWHERE, told, { asker, timeoutMs: 10_000 }))
  assert.equal(String(world.read(application)), 'go', 'it hears so before anything else is done')
  return application
}

test('the request for a flow goes out with the first words of an application that was answered', () => {
  const world = twoSides()
  const peer = world.raw('consumer')
  const application = answered(world)
  atOnce(world)
  assert.deepEqual(names(peer), [])
  world.write(application, 100)
  atOnce(world)
  assert.deepEqual(names(peer), ['open'])
  assert.equal(peer.heard(), 100)
})

test('an application that leaves before its first words leaves no flow behind: the request goes out, and its end behind it', () => {
  const world = twoSides()
  const peer = world.raw('consumer')
  native.close(answered(world))
  world.turns()
  assert.deepEqual(names(peer), ['open'])
  peer.link.send('opened', {})
  world.turns()
  assert.deepEqual(names(peer), ['open', 'end'])
  assert.equal(world.consumer.flows.size, 1, 'control: it waits for the last word')
  peer.end()
  peer.link.send('done', { up: 0n, down: 0n })
  world.turns()
  assert.equal(world.consumer.flows.size, 0)
})

test('and alone where the application waits for the other side to speak', () => {
  const world = twoSides()
  const peer = world.raw('consumer')
  answered(world)
  world.turns()
  assert.deepEqual(names(peer), ['open'])
})

/** A flow that was asked for with so many early bytes, whose destination is connected. */
function early(world: World, bytes: number): { peer: RawPeer; destination: number } {
  world.pay()
  const peer = world.raw('provider')
  peer.link.sendFrame(encodeMessage('open', { flowId: 1, protocol: FLOW_PROTOCOLS.tcp, ...ANYWHERE }))
  if (bytes > 0) peer.data(bytes)
  peer.link.flush()
  world.turns()
  const [ours, destination] = native.socketPair()
  world.provider.use(1, ours)
  return { peer, destination }
}

test('`opened` goes out with the first words of a destination that heard a request', () => {
  const world = twoSides()
  const { peer, destination } = early(world, 100)
  atOnce(world)
  assert.deepEqual(names(peer), [])
  world.write(destination, 50)
  atOnce(world)
  assert.deepEqual(names(peer), ['opened'])
  assert.equal(peer.heard(), 50)
})

test('and alone where the destination takes its time', () => {
  const world = twoSides()
  const { peer } = early(world, 100)
  world.turns()
  assert.deepEqual(names(peer), ['opened'])
})

for (const [what, bytes] of [
  ['nothing was said to it', 0],
  ['an upload waits for it', 16_000],
] as const) {
  test(`and at once where ${what}`, () => {
    const world = twoSides()
    const { peer } = early(world, bytes)
    atOnce(world)
    assert.deepEqual(names(peer), ['opened'])
  })
}

for (const [bytes, acknowledged] of [
  [4_000, false],
  [5_000, true],
] as const) {
  test(`a provider ${acknowledged ? 'acknowledges' : 'leaves to `done`'} ${bytes} bytes in front of an end`, () => {
    const world = twoSides()
    const { peer, destination } = early(world, 0)
    world.turns()
    peer.data(bytes)
    peer.end()
    world.turns()
    assert.deepEqual(names(peer), acknowledged ? ['opened', 'ack'] : ['opened'])
    native.close(destination)
    world.turns()
    assert.equal(names(peer).at(-1), 'done')
  })
}
