/**
 * Hops that lie: whatever the middle does to the links it carries, every byte of the flow arrives as it was sent, the route is rebuilt through
 * another, and nobody loses more than the credit window.
 */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { type Plane, startPlane } from '../../src/tunnel/fast/plane.ts'
import { until } from '../attacks/rogue.ts'
import { firehose, origin } from '../attacks/world.ts'
import { contentOf } from '../transport/pair.ts'
import { assertLossBounded, hopsWorld, type Lie } from './world.ts'

const MEGABYTE = 1_048_576
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
const COUNTRIES = ['fr', 'us', 'br', 'za', 'jp']

async function content(t: { after(fn: () => Promise<void>): void }, bytes: Buffer) {
  const server = await origin((socket) => socket.end(bytes))
  t.after(() => server.close())
  return server
}

const LIES: Record<string, Lie> = {
  'changes a byte': { afterBytes: MEGABYTE, does: 'flip' },
  'says bytes twice': { afterBytes: MEGABYTE, does: 'repeat' },
  'drops connections': { afterBytes: MEGABYTE, does: 'drop' },
  'holds bytes back for ever': { afterBytes: MEGABYTE, does: 'hold' },
}

let plane: Plane
before(async () => {
  plane = await startPlane()
})
after(() => plane.close())

const CASES = Object.entries(LIES).flatMap(([what, lie]) => [true, false].map((fast) => ({ what, lie, fast })))

for (const { what, lie, fast } of CASES) {
  test(`a middle that ${what} in the middle of a download, ${fast ? 'fast' : 'portable'}`, async (t) => {
    const world = await hopsWorld(t, { hops: 3, countries: COUNTRIES, ...(fast && { plane }) })
    const bytes = randomBytes(4 * MEGABYTE)
    const server = await content(t, bytes)
    // The route stands before the lie begins.
    const first = await world.dial(server.port)
    assert.equal(sha256(await contentOf(first.stream)), sha256(bytes))
    const [liar] = world.serving(2)
    liar!.lie = lie
    const began = performance.now()
    const another = () => world.serving(2).some((node) => node !== liar)
    let downloads = 0
    // One connection that breaks is an accident; it takes a few until that is held against the hop.
    for (; downloads < 2 || (!another() && downloads < 60); downloads++) {
      const { stream } = await world.dial(server.port)
      assert.equal(sha256(await contentOf(stream)), sha256(bytes), `download ${downloads}`)
    }
    const tookMs = performance.now() - began
    assert.ok(
      world.serving(2).some((node) => node !== liar),
      'another middle serves',
    )
    await world.close()
    const most = assertLossBounded(world)
    t.diagnostic(
      `${downloads} downloads of 4 MB in ${Math.round(tookMs)} ms; unpaid at most ${most.unpaid}, paid on a word ${most.overpaid}`,
    )
  })
}

for (const how of ['never', 'fails'] as const) {
  test(`hops that accept a session and ${how === 'never' ? 'never extend' : 'always fail to extend'} are passed over`, async (t) => {
    const world = await hopsWorld(t, { hops: 3, countries: COUNTRIES, ...(how === 'fails' && { plane }) })
    const bytes = randomBytes(MEGABYTE)
    const server = await content(t, bytes)
    const liars = world.nodes.slice(0, 2)
    for (const liar of liars) liar.lie = { extends: how }
    const began = performance.now()
    const { stream } = await world.dial(server.port)
    assert.equal(sha256(await contentOf(stream)), sha256(bytes))
    t.diagnostic(`a megabyte after ${Math.round(performance.now() - began)} ms with 2 liars among 4`)
    assert.ok(
      liars.some(({ recorder }) => recorder.events.some((event) => event.startsWith('session opened'))),
      'a liar was asked first',
    )
    const again = performance.now()
    const next = await world.dial(server.port)
    assert.equal(sha256(await contentOf(next.stream)), sha256(bytes))
    t.diagnostic(`the next after ${Math.round(performance.now() - again)} ms`)
    await world.close()
    assertLossBounded(world)
  })
}

for (const fast of [true, false]) {
  const path = fast ? 'fast' : 'portable'
  test(`garbage that comes through one hop after the other is the exit’s own, and its session ends, ${path}`, async (t) => {
    const world = await hopsWorld(t, { hops: 2, countries: COUNTRIES, ...(fast && { plane }) })
    const server = await origin(firehose())
    t.after(() => server.close())
    const { stream } = await world.dial(server.port)
    stream.on('error', () => {})
    stream.resume()
    // Whoever carries the exit's links brings garbage: seen from here, the exit does.
    for (const node of world.nodes) node.lie = { afterBytes: MEGABYTE, does: 'flip' }
    await until(() => world.serving(2).length > 0, 'the exit serves')
    await until(() => stream.destroyed, 'the exit is given up')
    await world.close()
    assertLossBounded(world)
  })
}
