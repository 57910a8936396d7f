/** When the loop runs what waits for the end of a turn. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Loop } from './loop.ts'
import { native } from './testing.ts'

test('what is to be said waits for a few events, and not for all that came: whoever waits for it has something to do meanwhile', (t) => {
  const loop = new Loop(native)
  const pairs = Array.from({ length: 40 }, () => native.socketPair())
  t.after(() => {
    for (const fd of pairs.flat()) native.close(fd)
    loop.end()
  })
  let events = 0
  const saidAfter: number[] = []
  for (const [fd] of pairs) {
    loop.watch(fd!, {
      onEvents: () => {
        events++
        loop.last({ run: () => void saidAfter.push(events) })
      },
    })
  }
  loop.turn(0)
  assert.equal(events, pairs.length, 'all of them in one turn')
  assert.equal(saidAfter.length, pairs.length, 'each was said once')
  const groups = [...new Set(saidAfter)]
  assert.deepEqual(groups, [8, 16, 24, 32, 40])
})
