/** When the main thread hears of counts: mostly soon, and where a payment hangs on it at once. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { COUNTED_WITHIN_MS } from '../../protocol/credit.ts'
import { ENDLESS } from './meter.ts'
import { type RawPeer, twoSides } from './testing.ts'

const FLOW = 1

/** A provider with a flow, and room for so many bytes. */
function provider(roomBytes: bigint): { world: ReturnType<typeof twoSides>; peer: RawPeer; counted(): number } {
  const world = twoSides()
  world.meters.provider.tellAt({ up: ENDLESS, down: ENDLESS })
  world.meters.provider.give(roomBytes)
  const peer = world.raw('provider')
  world.ask(peer, FLOW)
  world.connected(FLOW)
  return { world, peer, counted: () => world.providerSaid('counted').length }
}

test('what is carried is told soon, and not at once', () => {
  const { world, peer, counted } = provider(1_000n)
  peer.data(300)
  world.turns()
  assert.equal(counted(), 0)
  world.later(COUNTED_WITHIN_MS)
  assert.equal(counted(), 1)
  assert.equal(world.urgent(), 0)
})

test('uploads of a flow that waits for a payment are told, or the consumer would not know what to pay for', () => {
  const { world, peer, counted } = provider(100n)
  peer.data(300)
  world.turns()
  assert.equal(world.meters.provider.up, 100n, 'control: so much was paid for')
  assert.equal(counted(), 1)
})

test('one count that a payment hangs on is told in the middle of a turn, and those behind it are not', () => {
  const { world, peer, counted } = provider(1_000n)
  world.meters.provider.tellAt({ up: 200n, down: ENDLESS })
  peer.data(199)
  world.turns()
  assert.deepEqual([counted(), world.urgent()], [0, 0])
  peer.data(1)
  world.turns()
  assert.deepEqual([counted(), world.urgent()], [1, 1])
  peer.data(300)
  world.turns()
  assert.deepEqual([counted(), world.urgent()], [1, 1])
})
