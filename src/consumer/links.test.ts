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

/** A link whose provider attaches it at once. */
function attachedLink() {
  const wire = Object.assign(new EventEmitter(), { destroyed: false })
  let listener: Parameters<Link['listen']>[0]
  const link = {
    wire,
    closed: false,
    listen(events: typeof listener) {
      listener = events
    },
    unlisten() {},
    send: () => queueMicrotask(() => listener.onMessage({ name: 'attached', body: {} })),
    destroy() {},
  }
  return link as unknown as Link
}

const SESSION = { sessionId: '0x00', token: '0x00' } as const

test('a link that is being made over a way that is given up is made over the next', async () => {
  let nowMs = 1_000
  const ways: AbortSignal[] = []
  const made = attachedLink()
  // The first way is silent, the second works.
  const connect = (signal: AbortSignal) => {
    ways.push(signal)
    if (ways.length === 2) return Promise.resolve(made)
    return new Promise<Link>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)))
  }
  const pool = new LinkPool(connect, { nowMs: () => nowMs }, () => {})
  const wanted = pool.fresh(SESSION, AbortSignal.timeout(MINUTE_MS))
  pool.cut(nowMs - 1)
  await Promise.resolve()
  assert.equal(ways[0]!.aborted, false, 'control: it began after that way was given up')
  nowMs += 500
  pool.cut(nowMs)
  assert.equal(await wanted, made)
  assert.equal(ways.length, 2)
})

test('whoever gives up waiting for a link gets none, also when its way was given up before', async () => {
  const connect = (signal: AbortSignal) =>
    new Promise<Link>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)))
  const pool = new LinkPool(connect, systemClock, () => {})
  const given = new AbortController()
  const wanted = pool.fresh(SESSION, given.signal)
  pool.cut(systemClock.nowMs())
  await new Promise((resolve) => setImmediate(resolve))
  given.abort(new Error('nobody waits'))
  await assert.rejects(wanted, /nobody waits/)
})

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
  assert.equal((await pool.take(SESSION, AbortSignal.timeout(MINUTE_MS))).closed, false)
})
