import assert from 'node:assert/strict'
import { test } from 'node:test'
import { InPlace } from './in-place.ts'

const HOUR_MS = 3_600_000

/** An hour of a hundred writes a second: how many were in place, and how long they held up whoever waited. */
function writeAnHour(tookMs: (i: number) => number): { count: number; heldUpMs: number } {
  const inPlace = new InPlace()
  let [count, heldUpMs] = [0, 0]
  for (let i = 0; i < HOUR_MS / 10; i++) {
    const nowMs = i * 10
    if (!inPlace.isWorthIt(nowMs)) continue
    inPlace.took(tookMs(i), nowMs)
    count++
    heldUpMs += tookMs(i)
  }
  return { count, heldUpMs }
}

test('a disk that answers at once is waited for', () => {
  assert.equal(writeAnHour(() => 0.2).count, HOUR_MS / 10)
})

test('so is one for which now and then the processor is not there in time', () => {
  assert.equal(writeAnHour((i) => (i % 50 === 0 ? 6 : 0.2)).count, HOUR_MS / 10)
})

for (const ms of [2, 8, 300]) {
  test(`a disk that takes ${ms} ms holds up the event loop for less than a hundredth of the time`, () => {
    const { count, heldUpMs } = writeAnHour(() => ms)
    assert.ok(heldUpMs < HOUR_MS / 100, `${heldUpMs} ms of an hour`)
    assert.ok(count > 1, 'and is tried again')
  })
}

test('one that has to be woken up is left alone for hours, and one that became fast is trusted again', () => {
  const inPlace = new InPlace()
  inPlace.took(8_000, 0)
  assert.equal(inPlace.isWorthIt(2 * HOUR_MS), false)
  const laterMs = 3 * HOUR_MS
  for (let i = 0; i < 100; i++) {
    assert.ok(inPlace.isWorthIt(laterMs + i))
    inPlace.took(0.2, laterMs + i)
  }
})
