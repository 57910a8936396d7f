/** A flow of any size looks to the engine like any other flow: see NO_BYTES in protocol/flow.ts. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInThisContext } from 'node:vm'
import { ackDue, askDue, newFlow, onAck, onAsk, onData } from '../../protocol/flow.ts'
import { Inflight } from '../inflight.ts'
import { Keeping, KeepingBudget } from '../keeping.ts'
import { CarriedFlow } from './carried-flow.ts'
import { KeptBudget, KeptBytes } from './kept.ts'
import { Loop } from './loop.ts'
import { Meter } from './meter.ts'
import { loadNative } from './native.ts'
import { PIECE_BYTES, Thread } from './shared.ts'
import { Waiters } from './waiters.ts'

setFlagsFromString('--allow-natives-syntax')
const haveSameShape = runInThisContext('(one, other) => %HaveSameMap(one, other)') as (one: object, other: object) => boolean

/** What a small integer does not hold on any machine, in the steps in which it comes. */
const STEP_BYTES = PIECE_BYTES - 4
const STEPS = Math.ceil(2 ** 31 / STEP_BYTES) + 1

const native = loadNative()
const loop = new Loop(native)
const thread = new Thread(native, loop)
const budget = () => new KeptBudget({ window: 0 })

/** Two of a kind of which one carries more than 2 GiB and the other nothing. */
function grow<T extends object>(make: () => T, step: (one: T, at: number) => void): boolean {
  const [small, large] = [make(), make()]
  for (let at = 0; at < STEPS; at++) step(large, at)
  return haveSameShape(small, large)
}

test('a count that began as a small integer does change its shape: what the others would do', () => {
  const count = grow(
    () => ({ plain: 0 }),
    (one) => {
      one.plain += STEP_BYTES
    },
  )
  assert.equal(count, false)
})

test('the state of a flow keeps its shape', () => {
  const kept = grow(newFlow, (flow) => {
    flow.sent += STEP_BYTES
    askDue(flow, STEP_BYTES)
    onAck(flow, flow.sent)
    onData(flow, STEP_BYTES)
    onAsk(flow)
    assert.equal(ackDue(flow), flow.received)
  })
  assert.equal(kept, true)
})

test('a carried flow keeps its shape', (t) => {
  t.after(() => loop.end())
  const meter = new Meter()
  const events = { onCounted: () => {}, onOver: () => {}, onSuspended: () => {} }
  const needs = { thread, side: 'consumer' as const, meter, waiters: new Waiters(meter, loop), budget: budget(), events }
  const kept = grow(
    () => new CarriedFlow(1, needs),
    (flow) => {
      flow.delivered += STEP_BYTES
      flow.discarded += STEP_BYTES
    },
  )
  assert.equal(kept, true)
})

test('what is under way keeps its shape', () => {
  const kept = grow(
    () => new Inflight(),
    (one, at) => {
      one.sent(STEP_BYTES, at)
      one.full(2 ** 31 - 1)
      one.acknowledged(STEP_BYTES, at + 1 / 3)
    },
  )
  assert.equal(kept, true)
})

test('what is kept keeps its shape, though what is acknowledged comes from counts that are none', () => {
  // Read from here it is a double, whatever it holds.
  const double = new Float64Array([STEP_BYTES])
  const kept = grow(
    () => new KeptBytes(thread.pieces, budget(), { nowMs: 0 }),
    (one) => {
      one.add(thread.pieces.take(), STEP_BYTES)
      one.release(double[0]!)
    },
  )
  const chunk = Buffer.alloc(STEP_BYTES)
  const budgets: KeepingBudget[] = []
  const portable = grow(
    () => new Keeping(budgets[budgets.push(new KeepingBudget()) - 1]!),
    (one) => {
      one.add(chunk)
      one.release(double[0]!)
    },
  )
  assert.deepEqual({ kept, portable, budget: haveSameShape(budgets[0]!, budgets[1]!) }, { kept: true, portable: true, budget: true })
})
