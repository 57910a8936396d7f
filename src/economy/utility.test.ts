/** What a better offer is, that standing bounds utility, and that draws have the chances they say. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Circumstances, drawOrder, type Merits, standing, utility } from './utility.ts'

const merits = fc.record({
  pricePerGib: fc.double({ min: 0, max: 1e12, noNaN: true }),
  provenMbps: fc.double({ min: 0, max: 1e5, noNaN: true }),
  score: fc.double({ min: 0, max: 1, noNaN: true }),
})
const circumstances = fc.record({
  latencyMs: fc.option(fc.double({ min: 0, max: 1e5, noNaN: true }), { nil: undefined }),
  sharedOwner: fc.nat(10),
  sharedNetwork: fc.nat(10),
  sharedAsn: fc.nat(10),
})
const ALONE: Circumstances = { latencyMs: 20, sharedOwner: 0, sharedNetwork: 0, sharedAsn: 0 }

test('cheaper, faster, better and nearer never lower utility, and what a consumer adds only subtracts', () => {
  fc.assert(
    fc.property(merits, merits, circumstances, circumstances, (a, b, here, there) => {
      const best: Merits = {
        pricePerGib: Math.min(a.pricePerGib, b.pricePerGib),
        provenMbps: Math.max(a.provenMbps, b.provenMbps),
        score: Math.max(a.score, b.score),
      }
      assert.ok(Number.isFinite(standing(a)))
      assert.ok(standing(best) >= standing(a))
      const near: Circumstances = {
        latencyMs: here.latencyMs === undefined ? 0 : Math.min(here.latencyMs, there.latencyMs ?? here.latencyMs),
        sharedOwner: Math.min(here.sharedOwner, there.sharedOwner),
        sharedNetwork: Math.min(here.sharedNetwork, there.sharedNetwork),
        sharedAsn: Math.min(here.sharedAsn, there.sharedAsn),
      }
      assert.ok(utility(standing(a), near) >= utility(standing(a), here))
      assert.ok(utility(standing(a), here) <= standing(a))
    }),
  )
})

test('a point is a doubling of the price', () => {
  const good: Merits = { pricePerGib: 1_000_000, provenMbps: 50, score: 1 }
  assert.equal(standing(good), 0)
  assert.equal(standing({ ...good, pricePerGib: 2_000_000 }), -1)
  assert.equal(standing({ ...good, provenMbps: 25 }), -1)
  assert.equal(standing({ ...good, score: 0.5 }), -2)
  assert.equal(standing({ ...good, provenMbps: 5_000 }), 0, 'more than is wanted is worth nothing more')
  assert.equal(utility(0, { ...ALONE, latencyMs: 100 }), -1)
  assert.equal(utility(0, { ...ALONE, latencyMs: 0, sharedAsn: 1, sharedNetwork: 1, sharedOwner: 1 }), -3.5)
})

test('offers come first as often as their utility says, and always the best when there is no heat', () => {
  // The middles of equal steps instead of random numbers: the frequencies come out to the step.
  const steps = 400
  let first = 0
  for (let i = 0; i < steps; i++) {
    for (let j = 0; j < steps; j++) {
      const draws = [(i + 0.5) / steps, (j + 0.5) / steps]
      if (drawOrder([-1, 1], () => draws.pop()!)[0] === 1) first++
    }
  }
  assert.ok(Math.abs(first / steps ** 2 - 0.8) < 2 / steps, `${first / steps ** 2}, not 4 in 5`)
  assert.deepEqual(
    drawOrder([-3, 2, 0, 2], () => 0.5, 0),
    [1, 3, 2, 0],
  )
  assert.deepEqual(
    drawOrder([1, 1, 1], () => 0),
    [0, 1, 2],
    'also where the random numbers are all alike',
  )
})
