/** Which way a link goes: the one that works, the one that worked, the better one that appears. */
import assert from 'node:assert/strict'
import { duplexPair } from 'node:stream'
import { test } from 'node:test'
import { BywayError } from '../protocol/errors.ts'
import { Link, type Wire } from '../tunnel/index.ts'
import { type Attempt, type Way, Ways } from './ways.ts'

const forever = new AbortController().signal
const attempt = { signal: forever, use: 'flows' } as const

function link(): Link {
  const [near] = duplexPair()
  return new Link(Object.assign(near, { exportKeyingMaterial: () => Buffer.alloc(32) }) as Wire)
}

/** A way that does what its switch says, and how often it was tried. */
function way(name: string, works: boolean | Promise<Link>) {
  const self = {
    name,
    works,
    tried: 0,
    async connect({ signal }: Attempt): Promise<Link> {
      self.tried++
      if (self.works === false) throw new BywayError('PROVIDER_UNREACHABLE', `${name} is blocked`)
      if (self.works === true) return link()
      const given = Promise.withResolvers<never>()
      signal.addEventListener('abort', () => given.reject(new BywayError('PROVIDER_UNREACHABLE', 'given up')))
      return Promise.race([self.works, given.promise])
    },
  }
  return self satisfies Way
}

test('the best way is taken, the next when it fails, and the one that worked comes first from then on', async () => {
  const [direct, ws, relay] = [way('direct', false), way('ws', false), way('relay', true)]
  const ways = new Ways(async () => [direct, ws, relay])
  await ways.connect(attempt)
  assert.equal(ways.current, 'relay')
  direct.works = true
  await ways.connect(attempt)
  assert.deepEqual([ways.current, direct.tried, ws.tried, relay.tried], ['relay', 1, 1, 2])
})

test('a better way that appears is found, and only then', async () => {
  const [direct, relay] = [way('direct', false), way('relay', true)]
  const ways = new Ways(async () => [direct, relay])
  await ways.connect(attempt)
  assert.equal(await ways.better(forever), undefined)
  direct.works = true
  assert.ok((await ways.better(forever)) !== undefined)
  assert.equal(ways.current, 'direct')
  assert.equal(await ways.better(forever), undefined)
})

test('a way that hesitates is joined by the next, and its link is closed if it comes after all', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const late = Promise.withResolvers<Link>()
  const [direct, relay] = [way('direct', late.promise), way('relay', true)]
  const ways = new Ways(async () => [direct, relay])
  const connected = ways.connect(attempt)
  while (direct.tried === 0) await Promise.resolve()
  assert.equal(relay.tried, 0)
  t.mock.timers.tick(1_200)
  await connected
  assert.deepEqual([ways.current, relay.tried], ['relay', 1])
})

test('when nothing works the reason is the best way’s; an attempt that is given up says so', async () => {
  const ways = new Ways(async () => [way('direct', false), way('relay', false)])
  await assert.rejects(ways.connect(attempt), /direct is blocked/)
  await assert.rejects(new Ways(async () => []).connect(attempt), { code: 'PROVIDER_UNREACHABLE' })
  const given = new AbortController()
  const waiting = new Ways(async () => [way('direct', new Promise<Link>(() => {}))]).connect({ ...attempt, signal: given.signal })
  given.abort()
  await assert.rejects(waiting, { code: 'PROVIDER_UNREACHABLE' })
})
