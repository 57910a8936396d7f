/**
 * No two nodes of one route are dependent, whichever routes are asked for at once and whichever hops they share; and where a route of independent
 * nodes exists it is found, unless others that stand already leave no room.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { test } from 'node:test'
import { independent } from '../../src/consumer/diversity.ts'
import { echo } from '../attacks/world.ts'
import { seededRandom } from '../crash/random.ts'
import { originOf } from '../transport/pair.ts'
import { type HopNode, hopsWorld } from './world.ts'

const COUNTRIES = ['fr', 'us', 'br', 'za', 'jp', 'in']

/** Whether this node can be the exit of three independent hops. */
function possible(exit: HopNode, nodes: readonly HopNode[]): boolean {
  const may = (a: HopNode, b: HopNode) => independent(a.offer, b.offer)
  return nodes.some((middle) => may(middle, exit) && nodes.some((entry) => may(entry, middle) && may(entry, exit)))
}

for (let round = 0; round < 3; round++) {
  test(`round ${round}: routes of three hops among nodes of a few networks`, async (t) => {
    const seed = randomBytes(4).readUInt32BE()
    const { between } = seededRandom(seed)
    const asns = COUNTRIES.map(() => between(64_500, 64_503))
    t.diagnostic(`seed ${seed}: networks ${asns.join(', ')}`)
    const world = await hopsWorld(t, { hops: 3, countries: COUNTRIES, asns })
    const mirror = await originOf(t, echo)
    const exits = [...world.nodes, ...world.nodes].sort(() => between(0, 1) - 0.5)
    const through = async (exit: HopNode) => {
      try {
        const { stream } = await world.dial(mirror.port, { country: exit.country })
        stream.write('x')
        await once(stream, 'data')
        return { exit, ok: true, stream }
      } catch (thrown) {
        return { exit, ok: false, code: (thrown as { code?: string }).code }
      }
    }
    // Some one after the other, so that they meet sessions that are in use; the others at once.
    const results = []
    for (const exit of exits.slice(0, 4)) results.push(await through(exit))
    results.push(...(await Promise.all(exits.slice(4).map(through))))
    // Followed back from each exit: what carries its links now.
    const sessions = world.buyer.consumer.sessions()
    const nodeOf = (key: string) => world.nodes.find(({ nodeKey }) => nodeKey === key)!
    let routes = 0
    for (const last of sessions.filter(({ hop, hops }) => hop === 3 && hops === 3)) {
      const middle = sessions.find(({ id }) => id === last.through)
      const entry = sessions.find(({ id }) => id === middle?.through)
      assert.ok(middle !== undefined && entry !== undefined, 'a route has three hops')
      assert.equal(entry.through, undefined)
      const route = [entry, middle, last].map(({ provider }) => nodeOf(provider))
      for (const [i, a] of route.entries()) {
        for (const b of route.slice(i + 1)) assert.ok(independent(a.offer, b.offer), `${a.country} and ${b.country} serve on one route`)
      }
      routes++
    }
    for (const { exit, ok, code } of results) {
      if (!possible(exit, world.nodes)) assert.equal(code, 'NO_PROVIDER', `${exit.country} cannot be the exit of three`)
      else assert.ok(ok, `${exit.country} could be the exit of three, but: ${code}`)
    }
    assert.equal(routes, world.nodes.filter((node) => possible(node, world.nodes)).length)
    for (const { stream } of results) stream?.destroy()
  })
}
