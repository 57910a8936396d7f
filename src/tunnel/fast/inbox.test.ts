import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { seeded } from '../../../test/fuzz/mutate.ts'
import { Inbox } from './inbox.ts'
import { Vector } from './memory.ts'
import { loadNative } from './native.ts'

const native = loadNative()

test('however it is taken, and wherever it moved meanwhile, it comes whole and in order, and is never more than was asked for', () => {
  const random = seeded(7)
  let moves = 0
  const vector = new Vector(native, 8)
  const target = native.allocate(4_096)
  const [memory, other] = [native.allocate(65_536), native.allocate(65_536)]
  for (let round = 0; round < 50; round++) {
    randomBytes(memory.bytes.length).copy(memory.bytes)
    const places: number[] = []
    const whole: Buffer[] = []
    for (let at = random(50); at < 60_000; ) {
      const length = 1 + random(3_000)
      places.push(at, length)
      whole.push(Buffer.from(memory.bytes.subarray(at, at + length)))
      at += length + random(40)
    }
    const expected = Buffer.concat(whole)
    const inbox = new Inbox(memory, places, expected.length)
    const taken: Buffer[] = []
    while (inbox.bytes > 0) {
      const most = 1 + random(4_000)
      if (!inbox.moved && random(20) === 0) {
        inbox.moveTo(native.allocate(inbox.bytes))
        // Where it was somebody else writes.
        memory.bytes.fill(0)
        moves++
      }
      if (random(2) === 0) {
        const copied = inbox.copyTo(target, 0, most)
        assert.equal(copied, Math.min(most, inbox.bytes + copied))
        taken.push(Buffer.from(target.bytes.subarray(0, copied)))
        continue
      }
      vector.clear()
      inbox.addTo(vector, most)
      assert.ok(vector.bytes > 0 && vector.bytes <= most)
      // As a socket would: a part of what it was shown.
      const written = 1 + random(vector.bytes)
      const before = new Inbox(inbox.memory, placesOf(vector, inbox.memory.address), vector.bytes)
      assert.equal(before.copyTo(other, 0, written), written)
      taken.push(Buffer.from(other.bytes.subarray(0, written)))
      inbox.drop(written)
    }
    assert.deepEqual(Buffer.concat(taken), expected)
  }
  assert.ok(moves > 10)
})

/** What a vector shows, as places in the memory at `address`. */
function placesOf({ memory, count }: Vector, address: bigint): number[] {
  return Array.from({ length: count * 2 }, (_, i) => {
    const word = memory.bytes.readBigUInt64LE(i * 8)
    return Number(i % 2 === 0 ? word - address : word)
  })
}
