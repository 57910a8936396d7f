import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Meter } from '../tunnel/fast/plane.ts'
import { Lease } from './lease.ts'

/** A meter from which the other thread takes in the middle of every look at it. */
class BusyMeter extends Meter {
  during: (() => void) | undefined

  override get left(): bigint {
    this.during?.()
    return super.left
  }

  override get up(): bigint {
    const up = super.up
    this.during?.()
    return up
  }
}

test('whatever is taken while it is collected, no direction ever has less than nothing, and the sum is exact', () => {
  const taken = fc.record({ way: fc.constantFrom('up' as const, 'down' as const), bytes: fc.integer({ min: 1, max: 1_000 }) })
  fc.assert(
    fc.property(fc.array(fc.array(taken, { maxLength: 4 }), { minLength: 1, maxLength: 30 }), (looks) => {
      const meter = new BusyMeter()
      const lease = new Lease(meter)
      lease.lend(10_000_000n)
      const collected = { up: 0n, down: 0n }
      const look = () => {
        const { up, down } = lease.collect()
        collected.up += up
        collected.down += down
        assert.ok(collected.up >= 0n && collected.down >= 0n, `${collected.up} up, ${collected.down} down`)
      }
      for (const pieces of looks) {
        const waiting = [...pieces]
        meter.during = () => {
          const piece = waiting.shift()
          if (piece !== undefined) assert.ok(meter.takeAll(piece.way, piece.bytes))
        }
        look()
      }
      meter.during = undefined
      look()
      assert.deepEqual(collected, { up: meter.up, down: meter.down })
    }),
  )
})
