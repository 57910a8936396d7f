/** The base fee: EIP-1559 to the integer, its bounds, how late it may hear of use, and what pushing it costs. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { golden, near } from '../../test/support/golden.ts'
import { FEE_TERMS, feeAfter, feeNow, nextFee, type ProviderEpoch } from './fees.ts'
import { quoteOf, totalOf } from './quote.ts'

test('FEE1: EIP-1559, by vectors and along a path', () => {
  const { base, target, step8, step16, path } = golden.FEE1
  for (const [used, fee] of step8) assert.equal(String(nextFee(BigInt(base), BigInt(used), BigInt(target), 1_250n)), fee)
  for (const [used, fee] of step16) assert.equal(String(nextFee(BigInt(base), BigInt(used), BigInt(target), 625n)), fee)
  let fee = BigInt(path.start)
  const walked = path.used.map((used) => {
    fee = feeAfter(fee, [{ paid: BigInt(used), capacity: 100n }])
    return String(fee)
  })
  assert.deepEqual(walked, path.fees)
  const epochsTo = (times: bigint) => {
    let [now, epochs] = [10n ** 12n, 0]
    for (; now < times * 10n ** 12n; epochs++) now = nextFee(now, 20n, 10n, 1_250n)
    return epochs
  }
  assert.deepEqual([epochsTo(2n), epochsTo(10n)], [6, 20])
})

/** How far from the price at which use is on target the fee ends after 12,000 epochs, of how far it began. */
function swing(gainTimesElasticity: number, delay: number): number {
  const elasticity = gainTimesElasticity / 0.125
  const rest = 10n ** 18n
  const begun = 1e-4
  const fees = Array.from({ length: delay + 1 }, () => rest + rest / 10_000n)
  let last = 0
  for (let epoch = 0; epoch < 12_000; epoch++) {
    // What is known now is the use of `delay` epochs ago, at the price of then.
    const used = 0.5 * (Number(fees[delay]) / Number(rest)) ** -elasticity
    fees.unshift(nextFee(fees[0]!, BigInt(Math.round(used * 1e15)), 5n * 10n ** 14n, 1_250n))
    fees.pop()
    if (epoch >= 11_700) last = Math.max(last, Math.abs(Math.log(Number(fees[0]) / Number(rest))))
  }
  return last / begun
}

test('FEE3: the integer controller is stable up to 2, 1, .618, .445, found by halving, within 1 %', (context) => {
  for (const [delay, limit] of golden.FEE3.entries()) {
    near(delay === 0 ? 2 : 2 * Math.cos((delay * Math.PI) / (2 * delay + 1)), limit, 3, `formula, delay ${delay}`)
    let [stable, unstable] = [limit * 0.7, limit * 1.25]
    for (let i = 0; i < 10; i++) {
      const middle = (stable + unstable) / 2
      if (swing(middle, delay) < 1) stable = middle
      else unstable = middle
    }
    context.diagnostic(`delay ${delay}: stable below ${stable.toFixed(4)}, formula ${limit}`)
    assert.ok(Math.abs(stable / limit - 1) < 0.01, `delay ${delay}: ${stable}, not ${limit}`)
  }
})

const use = fc.record({ paid: fc.bigInt({ min: 0n, max: 10n ** 18n }), capacity: fc.bigInt({ min: 0n, max: 10n ** 18n }) })
const terms = fc.record({
  floor: fc.bigInt({ min: 1n, max: 10n ** 6n }),
  ceiling: fc.bigInt({ min: 10n ** 6n, max: 10n ** 9n }),
  target: fc.bigInt({ min: 2_500n, max: 7_500n }),
  step: fc.bigInt({ min: 157n, max: 2_500n }),
})

test('a fee stays within floor and ceiling, moves by its step at most, rises by one at least, and stays at its target', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 10n ** 9n }), fc.array(use, { maxLength: 8 }), terms, (part, uses, bounds) => {
      const fee = bounds.floor + (part % (bounds.ceiling - bounds.floor + 1n))
      const next = feeAfter(fee, uses, bounds)
      assert.ok(next >= bounds.floor && next <= bounds.ceiling)
      const step = (fee * bounds.step) / 10_000n
      assert.ok(next - fee <= (step > 1n ? step : 1n) && fee - next <= step)
      const capacity = uses.reduce((sum, { capacity }) => sum + capacity, 0n)
      const used = uses.reduce((sum, { paid, capacity }) => sum + (paid < capacity ? paid : capacity), 0n)
      if (used * 10_000n > capacity * bounds.target && fee < bounds.ceiling) assert.ok(next > fee)
      if (capacity === 0n) assert.equal(next, fee)
      const half = { ...bounds, target: 5_000n }
      assert.equal(feeAfter(fee, [{ paid: capacity, capacity: 2n * capacity }], half), fee)
    }),
  )
})

test('nobody moves a region further than its part of the capacity, however much it pays itself', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 10n ** 15n }), fc.integer({ min: 1, max: 100 }), (wash, percent) => {
      const own = { paid: BigInt(percent) / 2n + wash, capacity: BigInt(percent) }
      const next = feeAfter(1_000_000n, [own, { paid: 100n - BigInt(percent), capacity: 200n - 2n * BigInt(percent) }])
      // At most as if everything it has were sold while the others stay at half.
      assert.ok(next <= 1_000_000n + (125_000n * BigInt(percent)) / (200n - BigInt(percent)) + 1n)
    }),
  )
})

test('a fee is recomputed from claims and audits, epoch by epoch; where nothing is proven it stays', () => {
  const terms = { since: 0n, now: 2n, epochS: 86_400n, first: 500_000n, terms: FEE_TERMS }
  const of = (epoch: bigint, claimed: bigint, mbps: bigint): ProviderEpoch => ({ epoch, provider: `${epoch}${mbps}`, claimed, mbps })
  assert.equal(feeNow([of(0n, 10n ** 15n, 100n)], terms), 562_500n, 'sold out once, and then nobody was there')
  assert.equal(feeNow([of(0n, 0n, 100n), of(1n, 0n, 100n)], terms), 382_813n, 'nothing sold twice')
  assert.equal(feeNow([of(0n, 10n ** 15n, 0n)], terms), 500_000n, 'sold without proof')
  // Half of a day of 100 Mbps, at the fee, is what keeps it.
  const half = (500_000n * 100n * 125_000n * 86_400n) / 2n / (1n << 30n)
  const kept = feeNow([of(0n, half, 100n)], { ...terms, now: 1n })
  assert.ok(kept <= 500_000n && kept >= 499_999n, `${kept}`)
  assert.equal(feeNow([], terms), 500_000n)
})

/**
 * A seller with a part of the capacity pays itself to hold the fee a tenth above where demand would have it; a year of it, over what honesty
 * brings, in epochs of a day. `lost` is what trading with oneself loses of each dollar.
 */
function pushing(share: number, elasticity: number, lost: number): number {
  const capacity = 10n ** 12n
  const rest = 500_000n
  const own = BigInt(Math.round(share * 1e6))
  const profit = (push: boolean) => {
    let [fee, sum] = [rest, 0]
    for (let day = 0; day < 365; day++) {
      const demand = BigInt(Math.round(0.5 * 1e12 * (Number(fee) / Number(rest)) ** -elasticity))
      const mine = { paid: (demand * own) / 1_000_000n, capacity: (capacity * own) / 1_000_000n }
      const others = { paid: demand - mine.paid, capacity: capacity - mine.capacity }
      const missing = capacity / 2n - demand
      const room = mine.capacity - mine.paid
      let wash = push && fee <= (rest * 11n) / 10n ? room : push && missing > 0n ? missing : 0n
      if (wash > room) wash = room
      sum += Number(mine.paid * fee) - lost * Number(wash * fee)
      fee = feeAfter(fee, [{ ...mine, paid: mine.paid + wash }, others])
    }
    return sum
  }
  return profit(true) / profit(false) - 1
}

test('paying oneself to raise the fee costs more than it brings where demand is elastic; where it is not, the search finds the gain', (context) => {
  // Shipped: a tenth of each claim burns, nine tenths of that are minted again.
  const lost = 0.1 * (1 - 0.9)
  for (const share of [0.1, 0.3, 0.5]) {
    const row = [0.5, 0.9, 1, 1.2, 2].map((elasticity) => [elasticity, pushing(share, elasticity, lost)] as const)
    context.diagnostic(
      `share ${share}: ${row.map(([elasticity, gain]) => `elasticity ${elasticity} ${(100 * gain).toFixed(2)} %`).join(', ')}`,
    )
    for (const [elasticity, gain] of row) if (elasticity >= 1) assert.ok(gain < 0, `share ${share}, elasticity ${elasticity}: ${gain}`)
    assert.ok(pushing(share, 0.5, lost) > 0, 'the positive control: inelastic demand can be milked, by this as by any agreement of sellers')
    assert.ok(pushing(share, 0.9, 0.5) < 0, 'and a larger burn forbids it')
  }
})

test('a quote’s lines are what the facts say, and a ceiling on the price holds for their sum', () => {
  const money = fc.bigInt({ min: 0n, max: 10n ** 9n })
  const facts = fc.record({
    baseFee: money,
    latencyMs: fc.option(fc.bigInt({ min: 0n, max: 1_000n }), { nil: undefined }),
    multiplier: fc.bigInt({ min: 10_000n, max: 50_000n }),
  })
  fc.assert(
    fc.property(facts, money, (known, ceiling) => {
      const quote = quoteOf(known, ceiling)
      assert.ok(quote.base >= 0n && quote.latency >= 0n && quote.scarcity >= 0n)
      assert.ok(totalOf(quote) <= ceiling)
      if (totalOf(quote) < ceiling) assert.deepEqual(quote, quoteOf(known, 10n ** 12n))
    }),
  )
  const near = { baseFee: 400_000n, latencyMs: 50n, multiplier: 15_000n }
  assert.deepEqual(quoteOf(near, 10n ** 9n), { base: 400_000n, latency: 40_000n, scarcity: 200_000n })
  assert.deepEqual(quoteOf(near, 450_000n), { base: 400_000n, latency: 40_000n, scarcity: 10_000n })
  assert.equal(FEE_TERMS.step, 1_250n, 'as ParameterTable.sol starts')
})
