/**
 * Hops that die in the middle of a download, with and without a word: the exit's session goes on over others, every byte arrives, a new flow is
 * served at once, and what the dead hop loses is within the credit window.
 */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { type Plane, startPlane } from '../../src/tunnel/fast/plane.ts'
import { until } from '../attacks/rogue.ts'
import { origin } from '../attacks/world.ts'
import { contentOf } from '../transport/pair.ts'
import { assertLossBounded, hopsWorld } from './world.ts'

const MEGABYTE = 1_048_576
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
/** The first is the middle, the second the entry, the last the exit; the others take their places. */
const COUNTRIES = ['fr', 'us', 'br', 'za', 'jp']
/** Two seconds by the clock of a machine that does nothing else. */
const NOTICED_WITHIN_MS = 10_000
/** A moment later, by that clock; opening a session with a node that does not answer takes 15 seconds by any. */
const SERVED_WITHIN_MS = 14_000

let plane: Plane
before(async () => {
  plane = await startPlane()
})
after(() => plane.close())

for (const { who, hop, path } of [
  { who: 'the middle', hop: 2, path: 'fast' },
  { who: 'the entry', hop: 1, path: 'fast' },
  { who: 'the middle', hop: 2, path: 'portable' },
] as const) {
  for (const how of ['is killed', 'falls silent'] as const) {
    test(`${who} ${how} in the middle of a download, ${path}`, async (t) => {
      const world = await hopsWorld(t, { hops: 3, countries: COUNTRIES, ...(path === 'fast' && { plane }) })
      const bytes = randomBytes(6 * MEGABYTE)
      const server = await origin((socket) => socket.end(bytes))
      t.after(() => server.close())
      const { stream, route } = await world.dial(server.port)
      const content = contentOf(stream)
      let arrived = 0
      stream.on('data', (chunk: Buffer) => {
        arrived += chunk.length
      })
      const [victim] = world.serving(hop)
      assert.equal(victim, world.nodes[2 - hop])
      await until(() => arrived > MEGABYTE, 'the download is under way')

      const died = performance.now()
      if (how === 'is killed') victim!.die()
      else victim!.wire.hold()
      const elapsed = () => Math.round(performance.now() - died)
      const second = world.dial(server.port).then(async (flow) => sha256(await contentOf(flow.stream)))
      await until(() => !world.serving(hop).includes(victim!), 'it is noticed')
      const noticedMs = elapsed()
      assert.equal(await second, sha256(bytes), 'a new flow is served')
      const newFlowMs = elapsed()
      assert.equal(sha256(await content), sha256(bytes), 'every byte of the old one arrives')
      const oldFlowMs = elapsed()
      t.diagnostic(`noticed after ${noticedMs} ms; 6 MB of a new flow after ${newFlowMs} ms, of the old one after ${oldFlowMs} ms`)
      assert.ok(noticedMs < NOTICED_WITHIN_MS)
      assert.ok(oldFlowMs < SERVED_WITHIN_MS, 'nobody waited for the dead one to answer at another place')
      assert.ok(
        world.serving(hop).some((node) => node !== victim),
        'the route was rebuilt',
      )
      const exits = world.buyer.consumer.sessions().filter((session) => session.hop === 3)
      assert.deepEqual(
        exits.map(({ id }) => id.slice(2)),
        [route.sessionId],
        'the session with the exit is the same',
      )
      await world.close()
      const most = assertLossBounded(world)
      t.diagnostic(`unpaid at most ${most.unpaid} bytes, paid on a word ${most.overpaid}`)
    })
  }
}

test('a strict session fails when its exit dies, an ordinary one moves to another', async (t) => {
  const world = await hopsWorld(t, { hops: 2, countries: COUNTRIES })
  const server = await origin((socket) => socket.end('hello'))
  t.after(() => server.close())
  const any = { country: undefined } as unknown as { country: string }
  const named = (sessionId: string, strict: boolean) => world.dial(server.port, { ...any, sessionId, strict })
  const said = async (dialled: Promise<{ stream: Parameters<typeof contentOf>[0] }>) => String(await contentOf((await dialled).stream))
  const strict = await named('a', true)
  assert.equal(String(await contentOf(strict.stream)), 'hello')
  for (let i = 0; i < 3; i++) assert.equal((await named('a', true)).route.provider, strict.route.provider)
  // The same exit under another name of a session.
  let loose = await named('b0', false)
  for (let i = 1; loose.route.provider !== strict.route.provider; i++) loose = await named(`b${i}`, false)
  const name = [...Array(50).keys()].map((i) => `b${i}`)
  const exit = world.nodes.find(({ nodeKey }) => nodeKey.slice(2) === strict.route.provider)!
  exit.die()
  await exit.seller.provider.close()
  await assert.rejects(said(named('a', true)), (thrown: Error & { code: string }) => /PROVIDER_/.test(thrown.code))
  for (const id of name.slice(0, 3)) assert.equal(await said(named(id, false)), 'hello')
})
