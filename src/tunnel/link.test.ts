import assert from 'node:assert/strict'
import { duplexPair } from 'node:stream'
import { test } from 'node:test'
import { DATA_TYPE } from '../protocol/messages.ts'
import { Link, type Wire } from './link.ts'

const TEN_SECONDS = 10_000

test('a link that is held back says something now and then, so that its loss is noticed; one that is read does not', (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] })
  const [near, far] = duplexPair()
  const link = new Link(Object.assign(near, { exportKeyingMaterial: () => Buffer.alloc(32) }) as Wire)
  link.listen({ onMessage: () => {}, onData: () => {}, onClose: () => {} })
  t.mock.timers.tick(3 * TEN_SECONDS)
  assert.equal(far.read(), null)
  link.pause()
  t.mock.timers.tick(TEN_SECONDS)
  assert.deepEqual([...(far.read() as Buffer)], [DATA_TYPE, 0, 0, 0])
  link.resume()
  t.mock.timers.tick(3 * TEN_SECONDS)
  assert.equal(far.read(), null)
  link.destroy()
})
