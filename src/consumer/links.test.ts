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

test('idle links are closed after a minute, but for six', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const none = () => Promise.reject(new Error('no new link is needed'))
  const pool = new LinkPool(none, systemClock, () => {})
  const links = Array.from({ length: 8 }, idleLink)
  const open = () => links.filter(({ closed }) => !closed).length
  for (const link of links) pool.put(link)
  t.mock.timers.tick(MINUTE_MS - 1)
  assert.equal(open(), 8, 'positive control: all wait')
  t.mock.timers.tick(1)
  assert.deepEqual([open(), pool.idle], [6, 6])
  t.mock.timers.tick(100 * MINUTE_MS)
  assert.equal(open(), 6)
  links.push(idleLink())
  pool.put(links.at(-1)!)
  t.mock.timers.tick(2 * MINUTE_MS)
  assert.deepEqual([open(), pool.idle], [6, 6])
  const session = { sessionId: '0x00', token: '0x00' } as const
  assert.equal((await pool.take(session, AbortSignal.timeout(MINUTE_MS))).closed, false)
})
