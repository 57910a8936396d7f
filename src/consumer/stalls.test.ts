import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Stalls } from './stalls.ts'

/** What `look` says of so many bytes stated and received. */
function watch() {
  const stalls = new Stalls()
  return (nowMs: number, stated: bigint, received: bigint) => {
    stalls.stated = stated
    return stalls.look(nowMs, { received, disputedDown: 0n, discarding: 0n })
  }
}

test('bytes under way that do not come for three seconds stand still, and each time it is waited twice as long', () => {
  const look = watch()
  const still = (nowMs: number) => look(nowMs, 1_000n, 400n)
  assert.ok(!still(0))
  assert.ok(!still(2_999))
  assert.ok(still(3_000))
  assert.ok(!still(8_999))
  assert.ok(still(9_000))
})

test('bytes that arrive, however few, and nothing under way are no standstill', () => {
  const look = watch()
  for (let s = 0; s < 20; s++) assert.ok(!look(s * 1_000, 1_000n, BigInt(s)), 'a slow line')
  for (let s = 20; s < 40; s++) assert.ok(!look(s * 1_000, 1_000n, 1_000n), 'a quiet one')
  assert.ok(!look(40_000, 1_500n, 1_000n), 'the first bytes after the quiet have just left')
  assert.ok(look(43_000, 1_500n, 1_000n))
})
