import assert from 'node:assert/strict'
import { test } from 'node:test'
import { answerCache } from './cache.ts'
import { askerOfAddress, limiter } from './limit.ts'

test('an asker has a burst, then so many a second, and is told how long to wait; others are not touched', () => {
  const clock = { ms: 0, nowMs: () => clock.ms }
  const limit = limiter(clock)
  const granted = (asker: string, times: number) =>
    Array.from({ length: times }, () => limit.waitS(asker)).filter((wait) => wait === 0).length
  assert.equal(granted('a', 150), 100)
  assert.equal(limit.waitS('a'), 1)
  assert.equal(limit.waitS('b'), 0)
  clock.ms += 1_000
  assert.equal(granted('a', 50), 20)
  clock.ms -= 5_000
  assert.equal(granted('a', 1), 0, 'a clock that was set back fills nothing')
  clock.ms += 3_600_000
  assert.equal(granted('a', 150), 100, 'never more than a burst')
})

test('one household is one asker, and this machine is none', () => {
  assert.equal(askerOfAddress('203.0.113.7'), '203.0.113.7')
  assert.equal(askerOfAddress('::ffff:203.0.113.7'), '203.0.113.7')
  assert.equal(askerOfAddress('2001:db8:1:2:3::9'), askerOfAddress('2001:db8:1:2:ffff:0:0:1'))
  assert.equal(askerOfAddress('2001:db8::1'), '2001:db8:0:0')
  assert.notEqual(askerOfAddress('2001:db8:1:2::1'), askerOfAddress('2001:db8:1:3::1'))
  for (const own of ['127.0.0.1', '127.8.8.8', '::1', '::ffff:127.0.0.1', undefined])
    assert.equal(askerOfAddress(own), undefined, String(own))
})

test('an answer is made once for all who ask in the same moment, and a failure is not kept', async () => {
  const clock = { ms: 0, nowMs: () => clock.ms }
  const cache = answerCache(clock)
  let made = 0
  const make = async () => `${++made}`
  assert.deepEqual(await Promise.all([cache.get('k', make), cache.get('k', make)]), ['1', '1'])
  assert.equal(await cache.get('other', make), '2')
  clock.ms += 2_001
  assert.equal(await cache.get('k', make), '3')
  const fail = () => Promise.reject(new Error('no'))
  await assert.rejects(cache.get('bad', fail))
  assert.equal(await cache.get('bad', make), '4')
})
