import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Padding } from './padding.ts'

/** Draws what it is told to, again and again. */
const drawing = (...values: number[]) => {
  let drawn = 0
  return () => values[drawn++ % values.length]!
}

test('eight records of a flow are padded, and each flow anew', () => {
  const padding = new Padding(drawing(0.5))
  const sizes = () => Array.from({ length: 10 }, () => padding.beside(100))
  assert.deepEqual(sizes(), [268, 268, 268, 268, 268, 268, 268, 268, 0, 0])
  padding.begin()
  assert.deepEqual(sizes(), [268, 268, 268, 268, 268, 268, 268, 268, 0, 0])
})

test('bulk is not padded: the record that makes it bulk is the last', () => {
  const padding = new Padding(drawing(0.5))
  assert.deepEqual([padding.beside(16_000), padding.beside(65_536), padding.beside(10)], [268, 268, 0])
})

test('two ends that answer each other always come to rest', () => {
  const ends = [new Padding(drawing(0.4)), new Padding(drawing(0.4))]
  let said = 0
  for (let turn = 0; ends[turn % 2]!.answer() > 0; turn++) said++
  assert.equal(said, 8)
})

test('padding is never longer than a packet, nor so short that its size says nothing else', () => {
  const sizes = [0, 0.25, 0.999_999].map((drawn) => new Padding(() => drawn).beside(10))
  assert.deepEqual(sizes, [60, 126, 1_199])
})
