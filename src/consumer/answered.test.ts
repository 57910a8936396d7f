import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { parseDestination } from '../protocol/destination.ts'
import { Answered } from './answered.ts'

const EXIT = `0x${'e1'.repeat(32)}` as const
const OTHER = `0x${'e2'.repeat(32)}` as const
const site = parseDestination('example.com', 443)

function world() {
  const clock = { ms: 1_000_000, nowMs: () => clock.ms }
  return { clock, answered: new Answered(clock) }
}

test('a destination that answered is known for five minutes, through that exit and at that port only', () => {
  const { clock, answered } = world()
  assert.ok(!answered.has(EXIT, site))
  answered.watch(EXIT, site, new PassThrough())
  assert.ok(answered.has(EXIT, site))
  assert.ok(!answered.has(OTHER, site))
  assert.ok(!answered.has(EXIT, parseDestination('example.com', 80)))
  clock.ms += 299_999
  assert.ok(answered.has(EXIT, site))
  clock.ms += 1
  assert.ok(!answered.has(EXIT, site))
})

test('one whose flow failed is asked again first', async () => {
  const { answered } = world()
  const flow = new PassThrough()
  answered.watch(EXIT, site, flow)
  const failed = new Promise((resolve) => flow.once('error', resolve))
  flow.destroy(new Error('reset'))
  await failed
  assert.ok(!answered.has(EXIT, site))
})

test('memory is bounded: the one that answered longest ago is forgotten', () => {
  const { answered } = world()
  const nth = (n: number) => parseDestination(`host-${n}.example`, 443)
  for (let n = 0; n < 4_097; n++) answered.watch(EXIT, nth(n), new PassThrough())
  assert.ok(!answered.has(EXIT, nth(0)))
  assert.ok(answered.has(EXIT, nth(1)))
  assert.ok(answered.has(EXIT, nth(4_096)))
})
