import assert from 'node:assert/strict'
import { test } from 'node:test'
import { offeringNode } from '../../protocol/testing.ts'
import { commonPrefix, compareDistance, SHELVES, shelvesFor, shelvesOf, WORLD } from './shelves.ts'

test('any two shelves of a country hold every offer of it, and so do any two of the world', () => {
  for (let i = 0; i < 20; i++) {
    const { nodeKey, country } = offeringNode().offer().body
    const on = new Set(shelvesFor({ nodeKey, country }))
    assert.equal(on.size, 2 * (SHELVES - 1))
    for (const region of [country, WORLD]) {
      const missing = shelvesOf(region).filter((shelf) => !on.has(shelf))
      assert.equal(missing.length, 1)
    }
  }
})

test('shelves of different countries differ, and are the same for everybody', () => {
  assert.equal(new Set([...shelvesOf('de'), ...shelvesOf('us'), ...shelvesOf(WORLD)]).size, 3 * SHELVES)
  // Golden: a change moves every offer of the network.
  assert.equal(shelvesOf('de')[0], '0x86e42e5d691cfa7c0f2beed04ef3171fbbbc5adb166e69dc23a98f62573cdaea')
})

test('distance is that of Kademlia: the first differing bit decides', () => {
  const target = Buffer.from('0f00', 'hex')
  const near = Buffer.from('0f80', 'hex')
  const far = Buffer.from('0e00', 'hex')
  assert.ok(compareDistance(target, near, far) < 0)
  assert.equal(compareDistance(target, near, near), 0)
  assert.deepEqual([commonPrefix(target, near), commonPrefix(target, far), commonPrefix(target, target)], [8, 7, 16])
})
