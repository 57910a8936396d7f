/** Nobody gains by trading with himself under the shipped rule; the same search finds what other rules give away. Long: `npm run test:wash`. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { seededRandom } from '../crash/random.ts'
import { golden, near } from '../support/golden.ts'
import { bestRegionGain } from './region.ts'
import { search } from './search.ts'
import { burntBy, EPOCHS, gainOf, PLAN_LENGTH, type Plan, planOf, SHIPPED } from './world.ts'

const DOLLAR = 1e6

test('C27: any plan loses, whatever its volume, payees, timing, bids and price path; with more minted than burnt some gain', () => {
  const numbers = fc.array(fc.double({ min: 0, max: 0.999_999, noNaN: true }), { minLength: PLAN_LENGTH, maxLength: PLAN_LENGTH })
  let gained = 0
  fc.assert(
    fc.property(numbers, (drawn) => {
      const plan = planOf(drawn)
      const burnt = burntBy(plan)
      const gain = gainOf(plan, SHIPPED)
      // What is lost is a tenth of what burnt, or more; less only where he bought his own dollars back for nearly nothing.
      assert.ok(burnt === 0n ? gain === 0 : gain < 0, `gained ${gain}`)
      if (gainOf(plan, { ...SHIPPED, remint: 13_000n }) > DOLLAR) gained++
    }),
    { numRuns: 150, seed: 27 },
  )
  assert.ok(gained > 0, 'the positive control')
})

test('C27: an adversary that searches finds no gain at nine tenths, and finds one above one and where a schedule is shared by use', () => {
  const best = (remint: bigint, schedule = 0) => search({ remint, schedule }, 4, 60, seededRandom(27).next).rate
  assert.ok(best(9_000n) < 0)
  assert.ok(best(10_500n) > 0.01)
  assert.ok(best(0n, golden.BME2.pool * DOLLAR) > 0.05)
})

test('BME2: where a schedule is shared by use, self-dealing pays until others burn as much as it is worth', () => {
  const { pool, others, best, gain, poor } = golden.BME2
  // Nobody's bids and no price path: what is left is the formula pool x w / (others + w) - w.
  const once = (dollars: number): Plan => ({
    burn: Array.from({ length: EPOCHS }, (_, i) => (i === 0 ? BigInt(Math.round(dollars * DOLLAR)) : 0n)),
    payees: 1,
    later: 0n,
    market: Array.from({ length: EPOCHS }, () => 10n ** 12n),
    bids: [],
    limit: 0n,
  })
  const gainAt = (dollars: number, worth: number) => gainOf(once(dollars), { remint: 0n, schedule: worth * DOLLAR }) / DOLLAR
  near(Math.sqrt(pool * others) - others, best, 2, 'most profitable')
  near(gainAt(best, pool), gain, 0, 'gain')
  for (const less of [0.5, 0.9, 1.1, 2]) assert.ok(gainAt(best * less, pool) < gain)
  for (const any of [100, 1_000, 10_000]) assert.ok(gainAt(any, poor) < 0, 'a schedule worth less than what others burn')
})

test('faking demand lifts a region’s multiplier for nobody as long as each provider counts up to its own capacity', () => {
  for (const share of [10n, 50n, 100n]) assert.ok(bestRegionGain(share, true).gain < 0, `share ${share}`)
  assert.ok(bestRegionGain(100n, false).gain > 0, 'the positive control: counted without that limit it pays')
})
