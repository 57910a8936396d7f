import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Loop } from './loop.ts'
import type { Memory, Native } from './native.ts'
import { Thread } from './shared.ts'

test('a minute after a burst the memory it took is with the system again, and that of a line that stays busy is not', () => {
  const back: Memory[] = []
  const allocate = (bytes: number): Memory => ({ bytes: Buffer.alloc(bytes), address: 4_096n })
  const native = { allocate, allocateHuge: allocate, giveBack: (memory: Memory) => void back.push(memory) } as unknown as Native
  const timers: { delayMs: number; act: () => void }[] = []
  const loop = { after: (delayMs: number, act: () => void) => void timers.push({ delayMs, act }) } as unknown as Loop
  const aMinutePasses = () => {
    const due = timers.splice(0)
    assert.deepEqual(
      due.map(({ delayMs }) => delayMs),
      [60_000],
    )
    for (const { act } of due) act()
  }
  const thread = new Thread(native, loop)
  const burst = () => {
    for (const pool of [thread.input, thread.output, thread.partials, thread.pieces]) {
      // Beyond what a node at rest has.
      const pieces = Array.from({ length: 9 }, () => pool.take())
      for (const piece of pieces) pool.give(piece)
    }
  }
  burst()
  aMinutePasses()
  // Used since the last time: one that comes again and again keeps what it has.
  assert.equal(back.length, 0)
  burst()
  aMinutePasses()
  assert.equal(back.length, 0)
  aMinutePasses()
  assert.ok(back.length >= 4, `${back.length} slabs went back`)
  const before = back.length
  aMinutePasses()
  assert.equal(back.length, before)
})
