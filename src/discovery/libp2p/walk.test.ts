/** Walks over networks made up in memory: hundreds of nodes with tables as Kademlia fills them. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { toHex } from '../../protocol/bytes.ts'
import { groupsBy, SHORTLIST_LIMITS } from './diversity.ts'
import { type Contact, MAX_CONTACTS } from './messages.ts'
import { compareDistance, placeOfKey } from './shelves.ts'
import { SHORTLIST, walk } from './walk.ts'

const groupsOf = groupsBy()
const node = (i: number): Contact => ({ key: toHex(randomBytes(32)), host: `${11 + (i % 200)}.${i >> 3}.${i & 7}.1`, port: 4434 })

/** Each node knows its 20 neighbours and 40 others. */
function network(size: number) {
  const nodes = Array.from({ length: size }, (_, i) => node(i))
  const places = new Map(nodes.map((each) => [each.key, placeOfKey(each.key)]))
  const nearestOf = (place: Uint8Array, of: readonly Contact[], count: number) =>
    of.toSorted((a, b) => compareDistance(place, places.get(a.key)!, places.get(b.key)!)).slice(0, count)
  const tables = new Map(
    nodes.map((each) => [
      each.key,
      [
        ...nearestOf(places.get(each.key)!, nodes, 21).slice(1),
        ...Array.from({ length: 40 }, () => nodes[randomBytes(2).readUInt16BE() % size]!),
      ],
    ]),
  )
  let asked = 0
  const ask = (place: Uint8Array) => async (of: Contact) => {
    asked++
    const table = tables.get(of.key)
    if (table === undefined) throw new Error('nobody there')
    return nearestOf(place, table, MAX_CONTACTS)
  }
  return { nodes, ask, nearest: (place: Uint8Array, count: number) => nearestOf(place, nodes, count), asked: () => asked }
}

test('a walk from one contact ends at the nearest nodes of the whole network, with few questions', async () => {
  const { nodes, ask, nearest, asked } = network(500)
  for (let i = 0; i < 10; i++) {
    const place = randomBytes(32)
    const found = await walk(place, [nodes[0]!], { ask: ask(place), groupsOf, limits: { address: 99, subnet: 99, operator: 99 } })
    assert.deepEqual(
      found.map(({ key }) => key),
      nearest(place, SHORTLIST).map(({ key }) => key),
    )
  }
  assert.ok(asked() <= 10 * 40, `${asked()} questions for ten walks`)
})

test('whoever answers with a thousand lies is asked about, left out, and cannot make a walk endless', async () => {
  const { nodes, ask } = network(60)
  const place = randomBytes(32)
  let lies = 0
  const liar = { ...node(900), key: toHex(randomBytes(32)) }
  const lying = async (of: Contact) => {
    if (of.key !== liar.key && !nodes.includes(of)) throw new Error('nobody there')
    if (of.key !== liar.key) return [...(await ask(place)(of)), liar]
    return Array.from({ length: 1000 }, () => node(++lies))
  }
  const found = await walk(place, [nodes[0]!], { ask: lying, groupsOf, limits: SHORTLIST_LIMITS })
  assert.ok(found.length > 0 && found.every(({ key }) => key === liar.key || nodes.some((each) => each.key === key)))
})

test('a node’s key claimed for another address does not hide the node', async () => {
  const { nodes, ask, nearest } = network(60)
  const place = randomBytes(32)
  const [target] = nearest(place, 1)
  const false_ = { ...target!, host: '200.1.1.1' }
  const asking = async (of: Contact) => {
    if (of.host === '200.1.1.1') throw new Error('another key answers')
    return [false_, ...(await ask(place)(of))].slice(0, MAX_CONTACTS)
  }
  const found = await walk(place, [nodes[0]!], { ask: asking, groupsOf, limits: SHORTLIST_LIMITS })
  assert.equal(found[0]?.host, target!.host)
})
