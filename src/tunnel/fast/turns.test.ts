import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Turns } from './turns.ts'

test('turns that take more than a hundredth of the time are seen, rarer ones are not', () => {
  const thread = new Turns()
  const reader = new Turns(thread.shared)
  assert.equal(reader.p99Ms(1_000), 0, 'a thread that idles')
  for (let i = 0; i < 500; i++) thread.add(1)
  thread.add(9)
  assert.equal(reader.p99Ms(1_000), 1)
  for (let i = 0; i < 500; i++) thread.add(1)
  thread.add(32)
  assert.equal(reader.p99Ms(1_000), 32, 'only what went by since')
  assert.equal(reader.p99Ms(1_000), 0)
})

test('a turn counts as no shorter than it was, and at most a fifth longer', () => {
  for (const ms of [0.01, 0.07, 0.5, 3.3, 19, 250]) {
    const turns = new Turns()
    turns.add(ms)
    const read = turns.p99Ms(ms)
    assert.ok(read >= ms && read <= Math.max(0.0625, ms * 1.2), `${ms} ms is read as ${read}`)
  }
})
