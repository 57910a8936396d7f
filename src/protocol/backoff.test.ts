import assert from 'node:assert/strict'
import { test } from 'node:test'
import { backoffMs } from './backoff.ts'

const LIMITS = { firstMs: 1_000, longestMs: 10_000 }
const pauses = (random: number) => [1, 2, 3, 4, 5, 5_000].map((failures) => backoffMs(failures, LIMITS, () => random))

test('each failure doubles the pause, up to the longest', () => {
  assert.deepEqual(pauses(0), [1_000, 2_000, 4_000, 8_000, 10_000, 10_000])
})

test('who failed together comes back apart, and never sooner than half the pause', () => {
  assert.deepEqual(pauses(0.5), [750, 1_500, 3_000, 6_000, 7_500, 7_500])
  for (const [at, ms] of pauses(1 - Number.EPSILON).entries()) assert.ok(ms >= pauses(0)[at]! / 2)
})
