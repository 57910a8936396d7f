/**
 * Golden numbers of mechanisms that Byway does not use: what others do, and models that ours was chosen by. The formulas stand here and
 * nowhere else, because nothing of the program asks them.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { near } from '../../test/support/golden.ts'

interface Golden {
  EMI1: { first: number; years: number; sum: number }
  EMI2: { first: number; keep: number; years: number; sum: number }
  BME1: { velocity: number; minted: number; dollars: number; supply: number; price: number; halfLife: number }
  BME3: { price: number; added: number; perGigabyte: number; overflow: number }[]
  BME4: { remint: number; value: number }[]
  FEE2: [number, number, number, number][]
  LPT1: { bonded: string[]; inflation: string[]; mintable: string[] }
  ALT1: { fees: Record<string, number>; edges: string[]; prices: Record<string, number> }
  BAN1: { issued: number; redeemed: number }
  REP2: { bond: number; operator: number; delegates: number }[]
  POB1: { n: number; f: number; part: number }[]
  POB3: { n: number; corrupt: number; most: number; chance: number }[]
  FF1: { background: number; inflation: number; measured: number; allowed: number }
  FF2: { team: number; factor: number; relays: number[]; wishes: number[][]; slots: Record<string, number[]> }
  DET1: { cells: number; forged: number; checked: number; chance: number }
  PKT1: { checked: number; escape: number; claims: number }
  CLW1: { r: number; alpha: number; phi: number; half: number }
  CLW2: {
    xi: number
    gamma: number
    r: number
    alpha: number
    phi: number
    sigma: number
    b: number
    mu: number
    fullWith: number
    fullWithout: number
    half: number
    ratios: [number, number][]
  }
}

const golden = JSON.parse(readFileSync(new URL('../../test/vectors/economy.json', import.meta.url), 'utf8')) as Golden
const sumOf = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0)
const same = (actual: number, expected: number, what: string, within = 1e-6) =>
  assert.ok(Math.abs(actual / expected - 1) < within, `${what}: ${actual}, not ${expected}`)

test('EMI1, EMI2: what HIP-20 and DIMO emit', () => {
  const declining = (first: number, keep: number, periods: number) => sumOf(Array.from({ length: periods }, (_, i) => first * keep ** i))
  // Halving every two years is twice the sum of every second year.
  near(2 * declining(golden.EMI1.first, 0.5, golden.EMI1.years / 2), golden.EMI1.sum, 1, 'HIP-20')
  near(declining(golden.EMI2.first, golden.EMI2.keep, golden.EMI2.years), golden.EMI2.sum, 0, 'DIMO')
})

test('BME1: pure burn and mint settles where it should, as fast as it should', () => {
  const { velocity, minted, dollars, supply, price, halfLife } = golden.BME1
  // Price = velocity x dollars / supply, and dollars / price of the supply burns each epoch.
  const next = (now: number) => now - dollars / ((velocity * dollars) / now) + minted
  near(next(supply), supply, 6, 'a fixed point')
  near(Math.log(0.5) / Math.log(1 - 1 / velocity), halfLife, 3, 'half-life')
  let now = 1_000
  for (let epoch = 0; epoch < 400; epoch++) now = next(now)
  near(now, supply, 3, 'reached')
  near((velocity * dollars) / now, price, 6, 'and its price')
})

test('BME3: the band of HIP-149', () => {
  const [base, alpha, gigabytes, reward] = [13_870, 0.625, 91_000, 0.1]
  for (const { price, added, perGigabyte, overflow } of golden.BME3) {
    const tokens = (dollars: number) => (dollars * gigabytes) / price
    const topUp = Math.max(0, (tokens(0.5 * reward) - base) / alpha)
    near(topUp, added, 0, `added at ${price}`)
    near((Math.min(tokens(3 * reward), base + alpha * topUp) * price) / gigabytes, perGigabyte, 4, `a GB at ${price}`)
    near(Math.max(0, base - tokens(3 * reward)), overflow, 0, `overflow at ${price}`)
  }
})

test('BME4: what a token is worth to hold when a part of what burns is minted again (Kalabić)', () => {
  // -V' = -rho V - (w / M) V + y at rest, w = remint x y / V x M: V = (1 - remint) y / rho. By walking there, not by the formula.
  for (const { remint, value } of golden.BME4) {
    const [rho, y] = [0.1, 1]
    let held = 5
    for (let step = 0; step < 200_000; step++) held = Math.max(1e-9, held - 1e-3 * (rho * held + remint * y - y))
    near((held * rho) / y, value, 3, `remint ${remint}`)
  }
})

test('FEE2: EIP-4844, by its vectors', () => {
  const exponential = (factor: bigint, numerator: bigint, denominator: bigint) => {
    let output = 0n
    for (let i = 1n, term = factor * denominator; term > 0n; i++) {
      output += term
      term = (term * numerator) / (denominator * i)
    }
    return output / denominator
  }
  for (const [factor, numerator, denominator, result] of golden.FEE2) {
    assert.equal(exponential(BigInt(factor), BigInt(numerator), BigInt(denominator)), BigInt(result))
  }
})

test('LPT1: Livepeer’s inflation follows participation', () => {
  let inflation = 137n
  golden.LPT1.bonded.forEach((bonded, round) => {
    const [is, should] = [BigInt(bonded) * 100n, 1_000n * 50n]
    inflation += is < should ? 3n : is > should ? -3n : 0n
    assert.equal(String(inflation), golden.LPT1.inflation[round])
    assert.equal(String((10n ** 9n * inflation) / 10n ** 6n), golden.LPT1.mintable[round])
  })
})

test('ALT1: Althea’s prices are the cheapest sum of what lies between', () => {
  const { fees, edges, prices } = golden.ALT1
  const links = edges.flatMap((edge) => [edge.split('-'), edge.split('-').reverse()])
  const from = (start: string) => {
    const cost = new Map([[start, 0]])
    for (let round = 0; round < 7; round++) {
      for (const [a = '', b = ''] of links) {
        const through = (cost.get(a) ?? Number.POSITIVE_INFINITY) + (a === start ? 0 : fees[a]!)
        if (through < (cost.get(b) ?? Number.POSITIVE_INFINITY)) cost.set(b, through)
      }
    }
    return cost
  }
  for (const [pair, price] of Object.entries(prices)) {
    const [a = '', b = ''] = pair.split('-')
    assert.equal(from(a).get(b), price, pair)
  }
})

test('BAN1: a bonding curve there and back', () => {
  const issued = 1_000 * ((1 + 10 / 250) ** 0.5 - 1)
  near(issued, golden.BAN1.issued, 12, 'issued')
  near(260 * (1 - (1 - issued / (1_000 + issued)) ** 2), golden.BAN1.redeemed, 12, 'redeemed')
})

test('REP2: Nym’s reward of one epoch', () => {
  const [rewards, supply, nodes, standby, active, alpha, margin] = [250e12, 100e12, 240, 140, 10, 0.3, 0.1]
  const [budget, saturation, cost, pledge] = [(rewards * 0.02) / 720, supply / nodes, 40e6 / 720, 10_000e6]
  for (const { bond, operator, delegates } of golden.REP2) {
    const work = active / (active * nodes - (active - 1) * standby)
    const reward = (budget * Math.min(1, bond / saturation) * (work + (alpha * Math.min(1, pledge / saturation)) / nodes)) / (1 + alpha)
    const own = bond === pledge ? reward : cost + (reward - cost) * (margin + (1 - margin) * (pledge / bond))
    near(own, operator, 8, `operator of a bond of ${bond}`)
    near(reward - own, delegates, 8, `delegates of a bond of ${bond}`)
  }
})

test('POB1, POB3: the published discount, and how often a drawn committee is beyond what it stands', () => {
  for (const { n, f, part } of golden.POB1) near((n - 2 * f) / (n - f), part, 7, `n ${n}, f ${f}`)
  for (const { n, corrupt, most, chance } of golden.POB3) {
    let [term, within] = [(1 - corrupt) ** n, 0]
    for (let bad = 0; bad <= most; bad++) {
      within += term
      term *= ((n - bad) / (bad + 1)) * (corrupt / (1 - corrupt))
    }
    same(1 - within, chance, `n ${n}, ${corrupt} corrupt`, 0.03)
  }
})

test('FF1, FF2, DET1, PKT1: FlashFlow’s lie and schedule, forged cells found, how long a cheat stays lucky', () => {
  const { FF1, FF2, DET1, PKT1 } = golden
  near(1 / (1 - FF1.background), FF1.inflation, 4, 'inflation')
  near((FF1.measured * FF1.background) / (1 - FF1.background), FF1.allowed, 2, 'background')
  const slots: Record<string, number[]> = {}
  FF2.relays.forEach((relay, i) => {
    const hasRoom = (slot: number) => FF2.factor * (sumOf(slots[slot] ?? []) + relay) <= FF2.team
    const slot = FF2.wishes[i]!.find(hasRoom)!
    slots[slot] = [...(slots[slot] ?? []), relay]
  })
  assert.deepEqual(slots, FF2.slots)
  near(1 - (1 - DET1.forged * DET1.checked) ** DET1.cells, DET1.chance, 4, 'found')
  near(Math.log(PKT1.escape / PKT1.checked) / Math.log(1 - PKT1.checked) + 1, PKT1.claims, 3, 'claims')
})

test('CLW1: half adoption without a token, in closed form', () => {
  const { r, alpha, phi, half } = golden.CLW1
  near(Math.LN2 + Math.log(phi / alpha) - ((1 - alpha) / alpha) * Math.log((1 - alpha) / r), half, 9, 'ln A')
})

test('CLW2: Pareto users and a network effect, in closed form', () => {
  const { xi, gamma, r, alpha, phi, sigma, ...expected } = golden.CLW2
  const b = xi / (1 - gamma * xi)
  const drift = (muA: number) => b * muA + 0.5 * b * (b - 1) * sigma ** 2
  // Adoption is (A alpha kappa^(1 - alpha) / phi)^b, kappa^alpha = (1 - alpha) / (r - mu).
  const full = (mu: number) => phi / alpha / ((1 - alpha) / (r - mu)) ** ((1 - alpha) / alpha)
  same(b, expected.b, 'b')
  same(drift(0.02), expected.mu, 'mu')
  same(full(drift(0.02)), expected.fullWith, 'A at which everybody joins')
  same(full(0), expected.fullWithout, 'and without a token')
  same(0.5 ** b, expected.half, 'adoption at half of it')
  for (const [muA, ratio] of expected.ratios) same((full(0) / full(drift(muA))) ** b, ratio, `adoption by the token at ${muA}`, 1e-5)
})
