import assert from 'node:assert/strict'
import { test } from 'node:test'
import { whyNot } from '../nat/world.ts'
import { run } from './outage.ts'

const skip = whyNot([])

test('the address of a consumer changes in the middle of a download: whole, and nothing disputed', { skip }, async (t) => {
  const facts = await run('roam', 20)
  t.diagnostic(JSON.stringify(facts))
  assert.equal(facts['sessions'], 1)
})

test('a provider that stands still is noticed, and another serves what is new', { skip }, async (t) => {
  // Who serves is asserted where it happens; how fast is for people.
  const { noticedMs, servedMs } = await run('frozen', 0)
  t.diagnostic(`noticed after ${noticedMs} ms, another served after ${servedMs} ms`)
})
