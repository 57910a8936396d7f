import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { MAX_UNACKED_BYTES } from '../protocol/flow.ts'
import { Keeping, KeepingBudget } from './keeping.ts'

test('whatever is added and released, what is left is the end of what was added', () => {
  // Sizes around what is gathered into blocks, and so many that blocks fill up.
  const step = fc.oneof(
    fc.record({ add: fc.integer({ min: 1, max: 1_200 }), times: fc.integer({ min: 1, max: 40 }) }),
    fc.record({ release: fc.double({ min: 0, max: 1, noNaN: true }) }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const budget = new KeepingBudget()
      const keeping = new Keeping(budget)
      let next = 0
      let model = Buffer.alloc(0)
      for (const act of steps) {
        if ('add' in act) {
          for (let i = 0; i < act.times; i++) {
            const chunk = Buffer.alloc(act.add, next++ & 0xff)
            keeping.add(chunk)
            model = Buffer.concat([model, chunk])
          }
        } else {
          const bytes = Math.floor(act.release * model.length)
          keeping.release(bytes)
          model = model.subarray(bytes)
        }
        assert.ok(Buffer.concat(keeping.chunks()).equals(model))
        assert.equal(keeping.bytes, model.length)
        assert.equal(budget.used, model.length)
      }
      keeping.clear()
      assert.equal(budget.used, 0)
      assert.equal(keeping.chunks().length, 0)
    }),
    { numRuns: 200 },
  )
})

test('a million single bytes are kept in a few blocks', () => {
  const keeping = new Keeping(new KeepingBudget())
  const crumb = Buffer.from('x')
  for (let i = 0; i < 1_000_000; i++) keeping.add(crumb)
  assert.ok(keeping.chunks().length < 100, `${keeping.chunks().length} chunks`)
  assert.equal(Buffer.concat(keeping.chunks()).length, 1_000_000)
})

test('one flow stops at its limit, and when the budget is gone each still keeps its least', () => {
  const budget = new KeepingBudget(3 * MAX_UNACKED_BYTES)
  const fill = () => {
    const keeping = new Keeping(budget)
    const chunk = Buffer.alloc(65_536)
    while (!keeping.full) keeping.add(chunk)
    return keeping
  }
  const all = Array.from({ length: 10 }, fill)
  assert.deepEqual(
    all.map(({ bytes }) => bytes / 1024),
    [8_192, 8_192, 8_192, 512, 512, 512, 512, 512, 512, 512],
  )
  // Positive control: what was acknowledged makes room.
  all[0]!.release(MAX_UNACKED_BYTES)
  all[1]!.release(MAX_UNACKED_BYTES)
  assert.ok(!all[9]!.full)
})
