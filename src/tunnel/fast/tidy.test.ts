import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Tidy, tidyWith } from './tidy.ts'

test('after many handovers, once they pause, and not before', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  let tidied = 0
  const tidy = new Tidy(() => tidied++)
  for (let i = 0; i < 255; i++) tidy.handedOver()
  t.mock.timers.tick(60_000)
  assert.equal(tidied, 0, 'few')
  tidy.handedOver()
  t.mock.timers.tick(900)
  tidy.handedOver()
  t.mock.timers.tick(900)
  assert.equal(tidied, 0, 'they go on')
  t.mock.timers.tick(100)
  assert.equal(tidied, 1)
  t.mock.timers.tick(60_000)
  assert.equal(tidied, 1, 'counted anew')
})

test('once after the start, thoroughly', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const seen: boolean[] = []
  const tidy = new Tidy((all) => seen.push(all))
  tidy.started()
  t.mock.timers.tick(2_999)
  assert.deepEqual(seen, [])
  t.mock.timers.tick(60_000)
  assert.deepEqual(seen, [true])
})

test('when a burst right after the start is over, once for both', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const seen: boolean[] = []
  const tidy = new Tidy((all) => seen.push(all))
  tidy.started()
  for (let i = 0; i < 50; i++) {
    for (let j = 0; j < 10; j++) tidy.handedOver()
    t.mock.timers.tick(100)
  }
  assert.deepEqual(seen, [], 'they go on')
  t.mock.timers.tick(2_000)
  assert.deepEqual(seen, [true])
  for (let i = 0; i < 300; i++) tidy.handedOver()
  t.mock.timers.tick(60_000)
  assert.deepEqual(seen, [true, false], 'the next burst is one like others')
})

test('after the start within a minute, though somebody comes every second', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const seen: boolean[] = []
  const tidy = new Tidy((all) => seen.push(all))
  tidy.started()
  for (let i = 0; i < 120; i++) {
    tidy.handedOver()
    t.mock.timers.tick(500)
  }
  assert.deepEqual(seen, [])
  for (let i = 0; i < 20; i++) {
    tidy.handedOver()
    t.mock.timers.tick(500)
  }
  assert.deepEqual(seen, [true])
})

test('what nobody holds is gone, and free pages are given back', async () => {
  let trimmed = 0
  const tidy = tidyWith({ trim: () => trimmed++ })
  const [held, dropped] = [{}, new WeakRef({})]
  const kept = new WeakRef(held)
  // A reference lives on until the turn in which it was made is over.
  await new Promise((resolve) => setImmediate(resolve))
  tidy(false)
  tidy(true)
  assert.equal(dropped.deref(), undefined)
  assert.equal(kept.deref(), held)
  assert.equal(trimmed, 2)
})
