/** Broken flows are settled once, when both sides have spoken, and only if they were ever asked for. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MAX_SESSION_FLOWS } from '../protocol/flow.ts'
import { BrokenFlows } from './broken.ts'

function broken() {
  const settled: [received: bigint, down: bigint][] = []
  const flows = new BrokenFlows(({ received }, { down }) => settled.push([received, down]))
  return { flows, settled }
}

test('whoever speaks first, a broken flow is settled once', () => {
  for (const order of ['ours first', 'theirs first']) {
    const { flows, settled } = broken()
    flows.asked(1)
    if (order === 'ours first') flows.broke(1, { sent: 0n, received: 5n })
    flows.stated(1, { up: 0n, down: 7n })
    if (order === 'theirs first') flows.broke(1, { sent: 0n, received: 5n })
    assert.deepEqual(settled, [[5n, 7n]])
    flows.stated(1, { up: 0n, down: 9n })
    flows.broke(1, { sent: 0n, received: 5n })
    assert.deepEqual(settled, [[5n, 7n]])
  }
})

test('what is said of a flow that never was, or is over, is forgotten at once', () => {
  const { flows, settled } = broken()
  flows.stated(1, { up: 0n, down: 7n })
  flows.asked(1)
  flows.broke(1, { sent: 0n, received: 5n })
  assert.deepEqual(settled, [], 'not settled by what was said before it was asked for')
  flows.asked(2)
  flows.over(2)
  flows.stated(2, { up: 0n, down: 7n })
  flows.broke(2, { sent: 0n, received: 5n })
  assert.deepEqual(settled, [])
})

test('flows of which the provider never tells are forgotten, the oldest first', () => {
  const settled: bigint[] = []
  const broken = new BrokenFlows(({ sent }) => settled.push(sent))
  const COUNT = MAX_SESSION_FLOWS + 1
  for (let flowId = 1; flowId <= COUNT; flowId++) {
    broken.asked(flowId)
    broken.broke(flowId, { sent: BigInt(flowId), received: 0n })
  }
  broken.stated(1, { up: 0n, down: 0n })
  assert.deepEqual(settled, [])
  broken.stated(COUNT, { up: 0n, down: 0n })
  assert.deepEqual(settled, [BigInt(COUNT)])
})
