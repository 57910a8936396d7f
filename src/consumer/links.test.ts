import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { test } from 'node:test'
import { systemClock } from '../protocol/clock.ts'
import type { Link } from '../tunnel/index.ts'
import { LinkPool } from './links.ts'

const MINUTE_MS = 60_000

/** As much of a link as a pool looks at while nobody uses it. */
function idleLink() {
  const link = Object.assign(new EventEmitter(), {
    closed: false,
    wire: { destroyed: false },
    listen() {},
    close() {
      link.closed = true
    },
  })
  return link as unknown as Link
}

test('idle links are closed after a minute, but not the last', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const none = () => Promise.reject(new Error('no new link is needed'))
  const pool = new LinkPool(none, systemClock, () => {})
  const [first, second] = [idleLink(), idleLink()]
  pool.put(first)
  pool.put(second)
  t.mock.timers.tick(MINUTE_MS - 1)
  assert.deepEqual([first.closed, second.closed], [false, false], 'positive control: both wait')
  t.mock.timers.tick(1)
  assert.deepEqual([first.closed, second.closed, pool.idle], [true, false, 1])
  t.mock.timers.tick(100 * MINUTE_MS)
  assert.equal(second.closed, false)
  const another = idleLink()
  pool.put(another)
  t.mock.timers.tick(2 * MINUTE_MS)
  assert.deepEqual([second.closed !== another.closed, pool.idle], [true, 1])
  const session = { sessionId: '0x00', token: '0x00' } as const
  assert.equal((await pool.take(session, AbortSignal.timeout(MINUTE_MS))).closed, false)
})
