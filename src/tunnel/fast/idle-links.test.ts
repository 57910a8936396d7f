/** Links that wait for a flow go after a while; a few stay, so that the next flows need no handshake. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { twoSides } from './testing.ts'

const MINUTE_MS = 60_000

test('idle links are closed after a minute, but for six', () => {
  const world = twoSides()
  world.pay()
  for (let i = 0; i < 8; i++) world.link()
  const links = () => [...world.consumer.links.values()].filter(({ closed }) => !closed).length
  world.later(MINUTE_MS / 2)
  assert.equal(links(), 8, 'positive control: all wait')
  world.later(MINUTE_MS * 1.5)
  assert.equal(links(), 6)
  world.later(MINUTE_MS * 100)
  assert.equal(links(), 6)
  world.begin()
  assert.deepEqual(
    world.providerSaid('asked').map(({ flow }) => flow),
    [1],
    'and a flow begins on it',
  )
})
