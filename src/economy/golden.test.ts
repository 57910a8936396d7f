/**
 * Golden numbers of what Byway computes: vaults, reservations, agreements, stake, emissions. Those of the base fee and of reputation are tested
 * beside them, those of self-dealing in test/wash, and what others do in others.test.ts.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { golden, near } from '../../test/support/golden.ts'
import { deviationRefund, disputeBonds } from './agreement.ts'
import { bootstrapAt, capacityAt, NetPool, WAY } from './emission.ts'
import { density, splitByWeight } from './multiplier.ts'
import { expectedCost, newsvendor, onUse, upfront } from './reservation.ts'
import { deterringPenalty, splitSlash } from './stake.ts'
import { coldStart, coldStartMonth, inflationAttack, netPresentValue } from './vault.ts'

test('VLT1: the cold start of a region, to the cent', () => {
  const { VLT1 } = golden
  const months = Array.from({ length: VLT1.months }, (_, t) => coldStartMonth(t))
  assert.deepEqual(
    months.map(({ fees }) => String(fees)),
    VLT1.fees,
  )
  const { flows, books } = coldStart(months, BigInt(VLT1.floor))
  const cents = (amount: bigint) => String((amount + 5_000n) / 10_000n)
  assert.equal(cents(books.subsidised), VLT1.subsidised)
  assert.equal(cents(books.returned), VLT1.returned)
  assert.equal(cents(flows[0]?.subsidy ?? 0n), '4795')
  assert.equal(cents(flows[5]?.subsidy ?? 0n), '22346')
  assert.equal(
    flows.findIndex(({ subsidy }) => subsidy === 0n),
    VLT1.firstSelfFunding,
  )
  near(netPresentValue(flows, 0.01) / 1e6, VLT1.presentValue, 2, 'present value')
})

test('V4626: what the first depositor’s attack takes, by the offset', () => {
  for (const { offset, donation, deposit, victim, attacker } of golden.V4626) {
    const loss = inflationAttack(offset, BigInt(donation), BigInt(deposit))
    assert.deepEqual([String(loss.victim), String(loss.attacker)], [victim, attacker], `offset ${offset}`)
  }
})

test('RSV1: declaring the truth is cheapest', () => {
  for (const { p, cost } of golden.RSV1) {
    near(expectedCost(p, p), cost, 6, `p = ${p}`)
    const percent = BigInt(Math.round(p * 100))
    const paid = Number(upfront(10n ** 12n, percent)) + p * Number(onUse(10n ** 12n, percent))
    near(paid / 1e12, cost, 6, `p = ${p}, whole units`)
    for (let q = 0; q <= 100; q++) assert.ok(expectedCost(p, q / 100) >= expectedCost(p, p) - 1e-12, `q = ${q} %`)
  }
})

test('NEWS1: how much to hold of what is needed in a normal amount', () => {
  for (const { ratio, quantity } of golden.NEWS1) near(newsvendor(100, 20, ratio), quantity, 4, `ratio ${ratio}`)
})

test('SLA1: one-sided deviations, capped at a quarter', () => {
  const bond = 10n ** 12n
  for (const { indicator, percent } of golden.SLA1) {
    near(Number(deviationRefund(bond, 10_000n, BigInt(indicator), 2_500n)) / 1e10, percent, 3, `indicator ${indicator}`)
  }
  assert.equal(deviationRefund(bond, 9_000n, 9_900n, 2_500n), 0n, 'who delivers more loses nothing')
  assert.equal(deviationRefund(bond, 10_000n, 0n, 10_000n), bond / 4n, 'whatever the parameters say')
})

test('UMA1, GRT1: bonds of a dispute, and parts of a slash', () => {
  const { UMA1, GRT1 } = golden
  assert.deepEqual(disputeBonds(BigInt(UMA1.bond)), { winner: BigInt(UMA1.winner), lost: BigInt(UMA1.lost) })
  const removed = (BigInt(GRT1.stake) * 250n) / 10_000n
  assert.equal(String(removed), GRT1.removed)
  assert.deepEqual(splitSlash(removed, 5_000n), { reporter: BigInt(GRT1.reporter), burnt: BigInt(GRT1.burnt) })
  assert.ok(splitSlash(100n, 10_000n).burnt >= 50n, 'who reports himself loses half at least')
})

test('density as HIP-17 has it, and parts that add up', () => {
  assert.deepEqual(
    golden.HIP17.map((_, n) => Number(density(BigInt(n)))),
    golden.HIP17,
  )
  assert.deepEqual(splitByWeight(100n, [1n, 1n, 1n]), [33n, 33n, 34n])
  assert.deepEqual(splitByWeight(100n, [0n, 0n]), [0n, 0n])
})

test('penalties that deter', () => {
  for (const { p, q, penalty } of golden.DET) near(deterringPenalty(p, q), penalty, 2, `p ${p}, q ${q}`)
})

test('EMI3: what burnt comes back, half of it after 233 epochs', () => {
  const { burnt, first, half, pool } = golden.EMI3
  const net = new NetPool()
  const given: bigint[] = []
  for (let epoch = 0; epoch < 4_000; epoch++) given.push(...net.turn(BigInt(burnt)))
  assert.equal(String(given[0]), first)
  let sum = 0n
  const isHalf = (back: bigint) => {
    sum += back
    return 2n * sum >= BigInt(pool)
  }
  assert.equal(given.findIndex(isHalf) + 1, half)
  assert.ok(given.reduce((a, b) => a + b, 0n) + net.pool === BigInt(pool), 'to the unit')
})

test('our schedule stays below its part of the cap, and uses it', () => {
  let capacity = 0n
  for (let year = 0n; year < 400n; year++) capacity += 365n * capacityAt(365n * year)
  let bootstrap = 0n
  for (let day = 0n; day < 1_100n; day++) bootstrap += bootstrapAt(day)
  assert.deepEqual([capacity / WAY, bootstrap / WAY], [599_999_166n, 199_999_723n])
})
