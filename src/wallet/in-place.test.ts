import assert from 'node:assert/strict'
import { test } from 'node:test'
import { InPlace } from './in-place.ts'

/** Writes for so long, a hundred a second. How many were in place. */
function write(inPlace: InPlace, fromMs: number, forMs: number, tookMs: (i: number) => number): number {
  let count = 0
  for (let i = 0; i < forMs / 10; i++) {
    const nowMs = fromMs + i * 10
    if (!inPlace.isWorthIt(nowMs)) continue
    inPlace.took(tookMs(i), nowMs)
    count++
  }
  return count
}

test('a disk that answers at once is waited for', () => {
  assert.equal(
    write(new InPlace(), 0, 60_000, () => 0.2),
    6_000,
  )
})

test('so is one for which now and then the processor is not there in time', () => {
  assert.equal(
    write(new InPlace(), 0, 60_000, (i) => (i % 50 === 0 ? 6 : 0.2)),
    6_000,
  )
})

test('a disk that turns holds up the event loop for two writes, and ever more seldom', () => {
  const inPlace = new InPlace()
  assert.ok(write(inPlace, 0, 3_600_000, () => 8) < 30, 'of 360,000')
  assert.equal(
    write(inPlace, 3_600_000, 600_000, () => 8),
    2,
  )
})

test('a single long wait is enough', () => {
  const inPlace = new InPlace()
  inPlace.took(200, 0)
  assert.equal(inPlace.isWorthIt(4_999), false)
  assert.equal(inPlace.isWorthIt(5_000), true)
})

test('a disk that was slow for a while is trusted again', () => {
  const inPlace = new InPlace()
  write(inPlace, 0, 3_600_000, () => 8)
  assert.equal(
    write(inPlace, 4_300_000, 1_200_000, () => 0.2),
    120_000,
  )
  inPlace.took(200, 5_500_000)
  assert.equal(inPlace.isWorthIt(5_505_000), true, 'as if it had never been')
})
