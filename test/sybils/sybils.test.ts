/** A small part of sybils.ts: fewer look-ups, the two cases that were asked for, and the control. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { attack, inMemory } from './attack.ts'

const LOOKUPS = 40

test('twenty sybils around a shelf hide nothing from a look-up as shipped, and nearly everything from one without defence', async (t) => {
  const sizes = { honest: 200, sybils: 20, shelves: 1, lookups: LOOKUPS }
  for (const addresses of ['one subnet', 'everywhere'] as const) {
    const what = { ...sizes, addresses, defended: true }
    const { found, questions } = await attack(inMemory(what), what)
    t.diagnostic(`${addresses}: ${found} of ${LOOKUPS}, ${questions.toFixed(0)} questions each`)
    assert.equal(found, LOOKUPS)
  }
  const control = { ...sizes, addresses: 'everywhere' as const, defended: false }
  const { found } = await attack(inMemory(control), control)
  t.diagnostic(`control: ${found} of ${LOOKUPS}`)
  assert.ok(found < LOOKUPS / 2, `${found} of ${LOOKUPS} without defence`)
})
