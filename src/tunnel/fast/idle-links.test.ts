/** Links that wait for a flow go after a while; the last stays, so that the next flow needs no handshake. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { twoSides } from './testing.ts'

const MINUTE_MS = 60_000

test('idle links are closed after a minute, but not the last', () => {
  const world = twoSides()
  world.pay()
  world.link()
  world.link()
  const links = () => [...world.consumer.links.values()].filter(({ closed }) => !closed).length
  world.later(MINUTE_MS / 2)
  assert.equal(links(), 2, 'positive control: both wait')
  world.later(MINUTE_MS * 1.5)
  assert.equal(links(), 1)
  world.later(MINUTE_MS * 100)
  assert.equal(links(), 1)
  world.begin()
  assert.deepEqual(
    world.providerSaid('asked').map(({ flow }) => flow),
    [1],
    'and a flow begins on it',
  )
})
