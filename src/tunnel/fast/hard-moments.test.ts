/**
 * Moments that are hard for a flow: its link breaks, its application stops reading, a peer keeps no rules, and several of these at once. Nothing may
 * reach the loop as an exception, which would end the thread and every session in it.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BywayError } from '../../protocol/errors.ts'
import { encodeMessage, FLOW_PROTOCOLS } from '../../protocol/messages.ts'
import { drained, native, type RawPeer, twoSides } from './testing.ts'

type World = ReturnType<typeof twoSides>
/** More than a socket of this machine takes unread. */
const MUCH = 230_000

/** A download of {@link MUCH} with its end, and perhaps a last word, which the application does not read. */
function sendMuch({ turns }: World, peer: RawPeer, lastWord?: { up: bigint; down: bigint }): void {
  for (let sent = 0; sent < MUCH - 60_000; sent += 10_000) {
    peer.data(10_000)
    turns()
  }
  // Its last piece in one read with the end.
  peer.data(60_000)
  peer.end()
  if (lastWord !== undefined) peer.link.sendFrame(encodeMessage('done', lastWord))
  peer.link.flush()
  turns()
}

/** A flow of the consumer's side on one of two links of the test's own. */
function openedByTest(world: World, options?: { reply?: Buffer }) {
  const links = [world.raw('consumer'), world.raw('consumer')] as const
  const { application, ours } = world.begin(options)
  const [peer, other] = links[0].messages.length > 0 ? links : [links[1], links[0]]
  const [asked] = peer.messages
  assert.ok(asked?.name === 'open')
  return { peer, other, id: asked.body.flowId, application, ours }
}

test('a flow whose application does not read goes on on another link, and loses nothing', () => {
  const world = twoSides()
  world.pay()
  const [, second] = [world.link(), world.link()]
  const { application } = world.begin()
  const { flow } = world.providerSaid('asked')[0]!
  const { destination } = world.connected(flow)
  let written = 0
  for (let i = 0; i < 40; i++) {
    for (let count = 1; count > 0; ) {
      count = world.write(destination, 65_536)
      if (count > 0) written += count
    }
    world.turns(10)
  }
  assert.equal(world.meters.consumer.held, 1)
  world.consumer.flows.get(flow)!.link!.destroy(undefined)
  world.turns()
  assert.equal(world.consumerSaid('suspended').length, 1)
  world.resume(flow, world.consumer.links.has(second) ? second : 1)
  native.shutdownWrite(destination)
  assert.deepEqual(drained(world, application), { bytes: written, ended: true })
})

test('what came early and is not paid for waits, with what comes right behind it', () => {
  const world = twoSides()
  const peer = world.raw('provider')
  peer.link.send('open', { flowId: 1, protocol: FLOW_PROTOCOLS.tcp, host: 'a.example', port: 80 })
  peer.data(100)
  world.turns()
  // Connected, and more to read, in one turn of the loop.
  peer.data(100)
  const { destination } = world.connected(1)
  assert.equal(world.meters.provider.up, 0n)
  world.pay()
  world.provider.room()
  assert.equal(drained(world, destination).bytes, 200)
})

test('a consumer that resumes a flow and sends on in the same breath, while something waits to be paid, is heard', () => {
  const world = twoSides()
  const [one, two] = [world.raw('provider'), world.raw('provider')]
  world.ask(one, 1)
  const { destination } = world.connected(1)
  one.data(100)
  world.turns()
  two.link.send('resume', { flowId: 1, received: 0n, over: 0 })
  two.data(100)
  world.turns()
  world.pay()
  world.provider.room()
  assert.equal(drained(world, destination).bytes, 200)
})

test('a flow that was given up while it asked to go on does not: the link goes, so that the provider knows', () => {
  const world = twoSides()
  const { peer, other, id, application } = openedByTest(world)
  peer.link.send('opened', {})
  world.turns()
  world.write(application, 1_000)
  world.turns()
  peer.link.destroy(undefined)
  world.turns()
  world.resume(id, other.id)
  assert.equal(other.messages[0]?.name, 'resume')
  world.consumer.lost(id, { up: 0n, down: 0n })
  other.link.send('resumed', { received: 1_000n, over: 0 })
  world.turns()
  assert.equal(world.consumer.links.has(other.id), false)
  assert.equal(world.consumerSaid('carried-on').length, 1)
})

test('an application that left while its flow opened is told nothing, nor is whoever has its descriptor by then', () => {
  const world = twoSides()
  const { peer, application, ours } = openedByTest(world, { reply: Buffer.from('granted') })
  // It closes with bytes unread, which is a reset.
  world.write(ours, 2)
  native.close(application)
  world.turns()
  const pair = native.socketPair()
  assert.ok(pair.includes(ours), 'control: the number is used again')
  peer.link.send('opened', {})
  world.turns()
  assert.equal(typeof world.read(pair[0] === ours ? pair[1] : pair[0]), 'number', 'nothing to read')
})

test('control: an application that waits is told', () => {
  const world = twoSides()
  const { peer, application } = openedByTest(world, { reply: Buffer.from('granted') })
  peer.link.send('opened', {})
  world.turns()
  assert.equal(String(world.read(application)), 'granted')
})

for (const heard of ['', ' and `done`']) {
  test(`an application that reads slowly gets all of a download whose link breaks after the end${heard}`, () => {
    const world = twoSides()
    const { peer, other, id, application } = openedByTest(world)
    peer.link.send('opened', {})
    native.shutdownWrite(application)
    world.turns()
    sendMuch(world, peer, heard === '' ? undefined : { up: 0n, down: BigInt(MUCH) })
    assert.equal(world.meters.consumer.held, 1)
    world.consumer.flows.get(id)!.link!.destroy(undefined)
    world.turns()
    if (heard === '') {
      world.resume(id, other.id)
      other.link.send('done', { up: 0n, down: BigInt(MUCH) })
      world.turns()
    }
    assert.deepEqual(drained(world, application), { bytes: MUCH, ended: true })
    assert.equal(world.consumer.flows.size, 0)
  })
}

test('an application that half-closed, stopped reading and went away leaves a link that is free again', () => {
  const world = twoSides()
  const { peer, application } = openedByTest(world)
  peer.link.send('opened', {})
  native.shutdownWrite(application)
  world.turns()
  sendMuch(world, peer)
  native.close(application)
  world.turns()
  peer.link.send('done', { up: 0n, down: BigInt(MUCH) })
  world.turns()
  assert.equal(world.consumer.flows.size, 0)
  assert.equal(world.meters.consumer.held, 0)
})

test('a destination that half-closed, stopped reading and reset: the last acknowledgement is heard', () => {
  const world = twoSides()
  world.pay()
  const peer = world.raw('provider')
  world.ask(peer, 1)
  const { destination } = world.connected(1)
  sendMuch(world, peer)
  world.write(destination, Buffer.from('answer'))
  native.shutdownWrite(destination)
  world.turns()
  peer.link.send('ack', { received: 6n })
  world.turns()
  native.close(destination)
  world.turns()
  assert.equal(world.provider.flows.size, 0)
})

test('a consumer that ends says what it has, and hears the end and that it is over in one', () => {
  const world = twoSides()
  world.pay()
  const peer = world.raw('provider')
  world.ask(peer, 1)
  const { destination } = world.connected(1)
  world.write(destination, Buffer.from('answer'))
  world.turns()
  peer.link.send('ack', { received: 6n })
  peer.end()
  world.turns()
  native.shutdownWrite(destination)
  world.turns()
  assert.deepEqual(
    peer.messages.map(({ name }) => name),
    ['opened', 'end', 'done'],
  )
})

test('an application that ends acknowledges what came right before', () => {
  const world = twoSides()
  const { peer, application } = openedByTest(world)
  peer.link.send('opened', {})
  peer.data(1_000)
  world.turns()
  assert.equal(drained(world, application).bytes, 1_000)
  native.shutdownWrite(application)
  world.turns()
  assert.deepEqual(peer.messages.slice(1), [
    { name: 'ack', body: { received: 1_000n } },
    { name: 'end', body: {} },
  ])
})

test('a reset reaches a destination that does not read, on another link', () => {
  const world = twoSides()
  world.pay()
  const first = world.link()
  const { application, ours } = world.begin()
  const { flow } = world.providerSaid('asked')[0]!
  world.connected(flow)
  for (let i = 0; i < 100; i++) {
    world.write(application, 65_536)
    world.turns(3)
  }
  assert.equal(world.meters.provider.held, 1)
  const { state } = world.provider.flows.get(flow)!
  // It leaves with bytes unread, which is a reset.
  world.write(ours, 6)
  native.close(application)
  world.turns()
  assert.equal(state.aborted, false, 'control: it waits behind what nobody takes')
  world.later(5_500)
  assert.equal(world.consumer.links.has(first), false)
  world.resume(flow, world.link())
  assert.equal(state.aborted, true)
  assert.equal(world.provider.flows.size, 0)
})

test('a flow that is resumed from where it cannot be goes on waiting, and not for ever', () => {
  const world = twoSides()
  world.pay()
  const [one, two] = [world.raw('provider'), world.raw('provider')]
  world.ask(one, 1)
  world.connected(1)
  one.link.destroy(undefined)
  world.turns()
  two.link.send('resume', { flowId: 1, received: 12_345n, over: 0 })
  world.turns()
  assert.equal(world.provider.links.has(two.id), false)
  assert.equal(world.provider.flows.size, 1, 'control: it waits')
  world.later(61_000)
  assert.equal(world.provider.flows.size, 0)
})

test('an answer that cannot be ends its link, and whoever asked for another hears', () => {
  const world = twoSides()
  const { peer, other, id } = openedByTest(world)
  peer.link.send('opened', {})
  world.turns()
  peer.link.destroy(undefined)
  world.turns()
  world.resume(id, other.id)
  other.link.send('resumed', { received: 99n, over: 0 })
  world.turns()
  assert.deepEqual(
    world.consumerSaid('carried-on').map(({ trouble }) => trouble?.code),
    ['MESSAGE_UNEXPECTED'],
  )
})

for (const together of [false, true]) {
  test(`what is no stream of bytes is given back as it came, ${together ? 'all in one record' : 'in records of its own'}`, () => {
    const world = twoSides()
    const { link } = world.raw('provider')
    const frames = [
      encodeMessage('open', { flowId: 1, protocol: FLOW_PROTOCOLS.udp, host: 'udp.byway.internal', port: 0 }),
      Buffer.from('\x13\0\0\x05hello', 'latin1'),
    ]
    for (const record of together ? [Buffer.concat(frames)] : frames) {
      const memory = native.allocate(record.length + 1)
      record.copy(memory.bytes)
      link.seal(memory, 0, record.length)
    }
    link.flush()
    world.turns()
    const [{ fd } = { fd: -1 }] = world.providerSaid('given-back')
    assert.equal(String(world.read(fd)), String(Buffer.concat(frames)))
  })
}

test('a node without descriptors refuses what needs one, and lives on', () => {
  const none = () => {
    throw new BywayError('PROVIDER_BUSY', 'no descriptors are left')
  }
  const world = twoSides({ ...native, socketPair: none })
  const peer = world.raw('provider')
  peer.link.send('resume', { flowId: 77, received: 0n, over: 0 })
  world.turns()
  assert.equal(world.provider.links.size, 0)
})

test('a link whose peer reads nothing ends when too much waits for it, wherever that is noticed', () => {
  const world = twoSides()
  world.pay()
  const peer = world.raw('provider')
  world.ask(peer, 1)
  world.connected(1)
  const { link } = world.provider.flows.get(1)!
  peer.link.pause()
  // Said by a flow, or by an order of the main thread: not while the link is read, where whatever is thrown ends it.
  let said = 0
  for (; world.provider.links.size > 0 && said < 2_000_000; said++) {
    link!.send('ack', { received: 1n })
    if (said % 1_000 === 0) world.turns(1)
  }
  assert.equal(world.provider.links.size, 0)
  assert.ok(said > 100_000, `control: after ${said} words`)
})
