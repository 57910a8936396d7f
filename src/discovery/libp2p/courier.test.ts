/** What a look costs: a first one asks everybody, later ones a few, and others each time. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { toHex } from '../../protocol/bytes.ts'
import { systemClock } from '../../protocol/clock.ts'
import { readOffer } from '../../protocol/offer.ts'
import { Courier, type Net } from './courier.ts'
import { groupsBy } from './diversity.ts'
import { packEntries } from './messages.ts'
import { shelvesOf } from './shelves.ts'
import { OfferStore } from './store.ts'

test('an ordinary look asks two shelves of a country, and in time each of them', async () => {
  const asked: { kind: string; shelf?: string }[] = []
  const ask = (async (_contact, kind, question) => {
    asked.push({ kind, ...('shelf' in question && { shelf: question.shelf }) })
    return kind === 'near' ? { contacts: [] } : { entries: packEntries([]), more: 0 }
  }) as Net['ask']
  const courier = new Courier({
    net: { ask, nearest: () => [] },
    clock: systemClock,
    groupsOf: groupsBy(),
    store: new OfferStore(systemClock),
    admit: (bytes) => readOffer(bytes, 0),
    onOffer() {},
    onLost() {},
  })
  for (let i = 0; i < 12; i++) courier.meet({ key: toHex(randomBytes(32)), host: `${20 + i}.1.1.1`, port: 4434 })
  const look = async (deep: boolean) => {
    asked.length = 0
    await courier.look(['de'], deep)
    const lists = asked.filter(({ kind }) => kind === 'list')
    return { shelves: new Set(lists.map(({ shelf }) => shelf)), lists: lists.length, walks: asked.length - lists.length }
  }
  const first = await look(true)
  assert.deepEqual([first.shelves, first.lists], [new Set(shelvesOf('de')), 40], 'control: all keepers of all shelves')
  const met = new Set<string | undefined>()
  for (let i = 0; i < 40; i++) {
    const { shelves, lists, walks } = await look(false)
    assert.deepEqual([shelves.size, lists, walks], [2, 4, 0], 'two keepers of each, who are remembered')
    for (const shelf of shelves) met.add(shelf)
  }
  assert.equal(met.size, 4)
})
