import assert from 'node:assert/strict'
import { test } from 'node:test'
import { exitPlace, MAX_HOPS, type Place, placeBefore, placeOf } from './places.ts'

test('six places, each with a number of its own, counted from the only hop', () => {
  const places: Place[] = []
  for (let hops = 1; hops <= MAX_HOPS; hops++) for (let position = 0; position < hops; position++) places.push(placeOf(hops, position))
  assert.deepEqual(
    places.map(({ index }) => index),
    [0, 1, 2, 3, 4, 5],
  )
})

test('from each exit the way back leads over every hop once and ends at the consumer', () => {
  for (let hops = 1; hops <= MAX_HOPS; hops++) {
    const way: number[] = []
    for (let place: Place | undefined = exitPlace(hops); place !== undefined; place = placeBefore(place)) {
      assert.equal(place.hops, hops)
      way.push(place.position)
    }
    assert.deepEqual(way, [2, 1, 0].slice(MAX_HOPS - hops))
  }
})
