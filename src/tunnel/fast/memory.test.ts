import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Pool } from './memory.ts'
import type { Memory, Native } from './native.ts'

const SIZE = 100_000
const FIRST = 2

function world() {
  const back: Memory[] = []
  let made = 0
  const allocate = (bytes: number): Memory => ({ bytes: Buffer.alloc(bytes), address: BigInt(++made) << 32n })
  const native = { allocate, allocateHuge: allocate, giveBack: (memory: Memory) => void back.push(memory) } as unknown as Native
  return { pool: new Pool(native, SIZE, FIRST), back, slabs: () => made }
}

test('no two pieces share a byte, and each has the size that was asked for', () => {
  const { pool } = world()
  const pieces = Array.from({ length: 100 }, () => pool.take())
  assert.ok(pieces.every(({ bytes }) => bytes.length === SIZE))
  const places = pieces.map(({ address }) => address).sort((a, b) => (a < b ? -1 : 1))
  for (const [i, place] of places.entries()) if (i > 0) assert.ok(place - places[i - 1]! >= BigInt(SIZE))
  for (const [i, { bytes }] of pieces.entries()) bytes.fill(i)
  for (const [i, { bytes }] of pieces.entries()) assert.ok(bytes.every((byte) => byte === i))
})

test('the piece given back last is taken first', () => {
  const { pool, slabs } = world()
  const [one, two] = [pool.take(), pool.take()]
  pool.give(one)
  pool.give(two)
  assert.equal(pool.take(), two)
  assert.equal(pool.take(), one)
  assert.equal(slabs(), 1)
})

test('a large slab that nobody used between two rests gives its pages back, once, and serves again', () => {
  const { pool, back, slabs } = world()
  const some = Array.from({ length: FIRST + 3 }, () => pool.take())
  assert.equal(slabs(), 2)
  pool.rest()
  pool.rest()
  assert.equal(back.length, 0, 'pieces of it are in use')
  for (const piece of some) pool.give(piece)
  pool.give(pool.take())
  pool.rest()
  assert.equal(back.length, 0, 'it was used just now')
  pool.rest()
  pool.rest()
  assert.equal(back.length, 1)
  // The small one stays, for a node at rest goes on using it.
  const again = Array.from({ length: FIRST + 3 }, () => pool.take())
  assert.equal(slabs(), 2)
  for (const piece of again) pool.give(piece)
  pool.rest()
  pool.rest()
  assert.equal(back.length, 2)
})
