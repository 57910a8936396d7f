/** What was seen of nodes: the 95th percentile of the last round trips, the most that was carried, and a bound on how many are remembered. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Hex } from '../protocol/bytes.ts'
import { Seen } from './seen.ts'

const keyOf = (number: number): Hex => `0x${number.toString(16).padStart(64, '0')}`

test('a node is as far as 19 of 20 of its last round trips, and as fast as it was lately', () => {
  const seen = new Seen()
  const changed: Hex[] = []
  seen.onChanged = (nodeKey) => void changed.push(nodeKey)
  assert.equal(seen.of(keyOf(1)), undefined)
  let atMs = 0
  const look = (roundTripMs: number | undefined, bytes: bigint) => {
    atMs += 1_000
    seen.saw(keyOf(1), { atMs, roundTripMs, bytes })
  }
  look(undefined, 50n)
  assert.deepEqual(seen.of(keyOf(1)), { latencyMs: undefined, mbps: undefined })
  for (let i = 1; i <= 20; i++) look(i === 20 ? 9_000 : i, 12_500_050n)
  const { latencyMs, mbps } = seen.of(keyOf(1))!
  assert.equal(latencyMs, 19)
  assert.ok(mbps! < 100 && mbps! > 60, `${mbps}`)
  const before = seen.of(keyOf(1))!.mbps!
  for (let i = 0; i < 32; i++) look(5, 0n)
  assert.equal(seen.of(keyOf(1))!.latencyMs, 5, 'what was long ago is forgotten')
  assert.ok(seen.of(keyOf(1))!.mbps! < before, 'another session counts from nothing, and is no reason to think it fast')
  assert.equal(changed.length, 53)
})

test('of more nodes than are remembered the one used longest ago is forgotten, and told of', () => {
  const seen = new Seen()
  const look = { atMs: 1, roundTripMs: 1, bytes: 1n }
  for (let i = 0; i < 4_096; i++) seen.saw(keyOf(i), look)
  seen.saw(keyOf(0), look)
  const changed: Hex[] = []
  seen.onChanged = (nodeKey) => void changed.push(nodeKey)
  seen.saw(keyOf(5_000), look)
  assert.equal(seen.of(keyOf(1)), undefined)
  assert.ok(seen.of(keyOf(0)) !== undefined)
  assert.deepEqual(changed, [keyOf(1), keyOf(5_000)])
})
