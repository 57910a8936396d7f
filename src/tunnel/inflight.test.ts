import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MAX_UNACKED_BYTES } from '../protocol/flow.ts'
import { Inflight, LEAST_INFLIGHT_BYTES } from './inflight.ts'

const PIECE = 65_536

/** A line that carries `bytesPerMs` and takes `delayMs` there and back; the sender fills it as far as it may. Returns the limit after `forMs`. */
function carry(inflight: Inflight, line: { bytesPerMs: number; delayMs: number }, forMs: number, fromMs = 0): number {
  const way: { bytes: number; backMs: number }[] = []
  let unacked = 0
  let freeMs = fromMs
  for (let nowMs = fromMs; nowMs < fromMs + forMs; nowMs += 0.25) {
    while (way.length > 0 && way[0]!.backMs <= nowMs) {
      const { bytes } = way.shift()!
      unacked -= bytes
      inflight.acknowledged(bytes, nowMs)
    }
    while (!inflight.full(unacked)) {
      unacked += PIECE
      inflight.sent(unacked, nowMs)
      freeMs = Math.max(freeMs, nowMs) + PIECE / line.bytesPerMs
      way.push({ bytes: PIECE, backMs: freeMs + line.delayMs })
    }
  }
  const { limit } = inflight
  for (const { bytes } of way) inflight.acknowledged(bytes, fromMs + forMs + line.delayMs)
  return limit
}

test('a line without delay is not filled with more than a short burst', () => {
  const limit = carry(new Inflight(), { bytesPerMs: 600_000, delayMs: 0.2 }, 2_000)
  assert.ok(limit < 2 * LEAST_INFLIGHT_BYTES, `${limit}`)
})

test('a long fast line may be full, within a few round trips', () => {
  const line = { bytesPerMs: 100_000, delayMs: 40 }
  const limit = carry(new Inflight(), line, 400)
  assert.ok(limit >= line.bytesPerMs * line.delayMs, `${limit} of ${line.bytesPerMs * line.delayMs}`)
  assert.ok(limit <= MAX_UNACKED_BYTES)
})

test('what waits in a queue does not count as the line, however long it waits there', () => {
  const line = { bytesPerMs: 20_000, delayMs: 10 }
  for (const forMs of [5_000, 29_000, 31_000, 65_000, 100_000]) {
    const limit = carry(new Inflight(), line, forMs)
    // The least there is on the way is part of every measurement but the first.
    assert.ok(limit <= 3 * LEAST_INFLIGHT_BYTES + 2 * line.bytesPerMs * line.delayMs, `${limit} after ${forMs} ms`)
  }
})

test('a route that became longer is noticed', () => {
  const inflight = new Inflight()
  const near = carry(inflight, { bytesPerMs: 100_000, delayMs: 1 }, 1_000)
  const far = carry(inflight, { bytesPerMs: 100_000, delayMs: 50 }, 40_000, 1_000)
  assert.ok(near < 2 * LEAST_INFLIGHT_BYTES && far >= 5_000_000, `${near} ${far}`)
})

test('a flow with little to say keeps the limit it had', () => {
  const inflight = new Inflight()
  const limit = carry(inflight, { bytesPerMs: 100_000, delayMs: 40 }, 400)
  for (let nowMs = 400; nowMs < 4_000; nowMs += 50) {
    inflight.sent(100, nowMs)
    inflight.acknowledged(100, nowMs + 45)
  }
  assert.equal(inflight.limit, limit)
})
