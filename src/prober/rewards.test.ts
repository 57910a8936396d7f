/** From reports to leaves: who counts, what is paid, and that nobody is ever awarded less than before. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Hex } from '../protocol/bytes.ts'
import {
  conclude,
  concludeLooks,
  type Looks,
  looksStatement,
  nextLeaves,
  type Observation,
  type Report,
  reportStatement,
} from './rewards.ts'

const address = (n: number): Hex => `0x${n.toString(16).padStart(40, '0')}`
const COMMITTEE = [1, 2, 3, 4].map(address)
const PROVIDER = { operator: address(100), region: 'de', link: 'a', claimedMbps: 10n }
/** A share of 10 Mbps in two seconds, trimmed by one of four. */
const SHARE = 833_334n
const said = (member: Hex, bytes: bigint, windowMs = 2_000n): Report => ({
  member,
  operator: PROVIDER.operator,
  epoch: 7n,
  bytes,
  windowMs,
  latencyMs: 30n,
})

test('a member counts once, with its first report, and only if it was drawn', () => {
  const honest = COMMITTEE.map((member) => said(member, SHARE))
  assert.equal(conclude(PROVIDER, honest, COMMITTEE).guaranteedMbps, 10n, 'positive control')
  const again = [...honest, said(COMMITTEE[0]!, 10n ** 12n), said(address(9), 10n ** 12n)]
  assert.deepEqual(conclude(PROVIDER, again, COMMITTEE), conclude(PROVIDER, honest, COMMITTEE))
  const other = honest.map((report) => ({ ...report, operator: address(101) }))
  assert.equal(conclude(PROVIDER, other, COMMITTEE).rawMbps, 0n, 'of another provider nothing follows')
})

test('one liar of four neither raises what is guaranteed nor takes all of it', () => {
  const three = COMMITTEE.slice(1).map((member) => said(member, SHARE))
  assert.equal(conclude(PROVIDER, [said(COMMITTEE[0]!, 10n ** 12n), ...three], COMMITTEE).guaranteedMbps, 10n)
  assert.equal(conclude(PROVIDER, three, COMMITTEE).guaranteedMbps, 6n, 'silence costs the share of one')
  // Who claims to have counted in no time at all does not shorten the window.
  assert.equal(conclude(PROVIDER, [said(COMMITTEE[0]!, SHARE, 1n), ...three], COMMITTEE).guaranteedMbps, 10n)
})

test('a third of the committee cannot say that a provider is nearer, or farther, than an honest member saw', () => {
  const latency = (...saw: (bigint | undefined)[]) =>
    conclude(
      PROVIDER,
      saw.map((latencyMs, i) => ({ ...said(COMMITTEE[i]!, SHARE), latencyMs })),
      COMMITTEE,
    ).latencyMs
  assert.equal(latency(30n, 31n, 29n, 32n), 31n, 'positive control')
  const honest = fc.bigInt({ min: 1n, max: 500n })
  const lie = fc.option(fc.bigInt({ min: 0n, max: 10n ** 9n }), { nil: undefined })
  fc.assert(
    fc.property(fc.tuple(honest, honest, honest), lie, (saw, lied) => {
      const found = latency(...saw, lied)!
      const sorted = saw.toSorted((a, b) => Number(a - b))
      assert.ok(found >= sorted[0]! && found <= sorted[2]!, `${found} of ${sorted.join(', ')}`)
    }),
  )
  assert.equal(latency(30n, 30n, undefined, undefined), undefined, 'of two who speak one may lie')
})

test('uptime is what the middle of the committee saw: a third of it cannot raise or lower it, and too few say nothing', () => {
  const seen = conclude(
    PROVIDER,
    COMMITTEE.map((member) => said(member, SHARE)),
    COMMITTEE,
  )
  const uptime = (...counts: ([bigint, bigint] | undefined)[]) => {
    const looks = counts.flatMap((count, i): Looks[] =>
      count === undefined ? [] : [{ member: COMMITTEE[i]!, operator: PROVIDER.operator, epoch: 7n, asked: count[0], answered: count[1] }],
    )
    return concludeLooks(seen, looks, COMMITTEE).uptime
  }
  assert.equal(uptime([4n, 4n], [4n, 2n], [4n, 3n], [4n, 4n]), 7_500n, 'positive control')
  assert.equal(uptime([4n, 2n], [4n, 2n], undefined, undefined), 10_000n, 'as it was at the audit')
  assert.equal(uptime([0n, 0n], [4n, 1n], [4n, 1n], [4n, 9n]), 2_500n, 'who never looked says nothing')
  const count = fc
    .tuple(fc.bigInt({ min: 1n, max: 60n }), fc.bigInt({ min: 0n, max: 60n }))
    .map(([a, b]): [bigint, bigint] => [a, b < a ? b : a])
  const lie = fc.tuple(fc.bigInt({ min: -9n, max: 99n }), fc.bigInt({ min: -9n, max: 99n }))
  fc.assert(
    fc.property(fc.tuple(count, count, count), lie, (honest, lied) => {
      const shares = honest.map(([asked, answered]) => (answered * 10_000n) / asked).toSorted((a, b) => Number(a - b))
      const found = uptime(...honest, lied)
      assert.ok(found >= shares[0]! && found <= shares[2]!, `${found} of ${shares.join(', ')}`)
    }),
  )
  const one = looksStatement({ member: COMMITTEE[0]!, operator: PROVIDER.operator, epoch: 7n, asked: 4n, answered: 3n })
  assert.notEqual(one.kind, reportStatement(said(COMMITTEE[0]!, 4n)).kind, 'looks and a window are two things to say')
})

test('what is signed differs with what is said, and nothing else', () => {
  const one = reportStatement(said(COMMITTEE[0]!, 5n))
  assert.deepEqual(reportStatement(said(COMMITTEE[1]!, 5n)), one, 'the signer is not part of it')
  const other = reportStatement(said(COMMITTEE[0]!, 6n))
  assert.deepEqual({ ...other, content: one.content }, one, 'the same place')
  assert.notEqual(other.content, one.content)
  const silent = reportStatement({ ...said(COMMITTEE[0]!, 5n), latencyMs: undefined })
  assert.notEqual(reportStatement({ ...said(COMMITTEE[0]!, 5n), latencyMs: 0n }).content, silent.content)
  assert.notEqual(reportStatement({ ...said(COMMITTEE[0]!, 5n), epoch: 8n }).counter, one.counter)
})

const observation = fc.record({
  operator: fc.integer({ min: 1, max: 6 }).map(address),
  region: fc.constantFrom('de', 'us'),
  link: fc.constantFrom('a', 'b', 'c'),
  claimedMbps: fc.bigInt({ min: 0n, max: 1_000n }),
  uptime: fc.bigInt({ min: 0n, max: 10_000n }),
  rawMbps: fc.constant(0n),
  guaranteedMbps: fc.bigInt({ min: 0n, max: 1_000n }),
  latencyMs: fc.constant(undefined),
})
const observations: fc.Arbitrary<Observation[]> = fc
  .array(observation, { maxLength: 6 })
  .map((all) => [...new Map(all.map((seen) => [seen.operator, seen])).values()])
const REGIONS = new Map([
  ['de', { multiplier: 10_000n, nodes: 2n, progress: 10_000n }],
  ['us', { multiplier: 50_000n, nodes: 1n, progress: 5_000n }],
])

test('no epoch awards more than its budget, or takes anything back; who proved nothing gets nothing', () => {
  const budget = fc.bigInt({ min: 0n, max: 10n ** 24n })
  fc.assert(
    fc.property(observations, observations, budget, (first, second, amount) => {
      const before = nextLeaves([], amount, first, REGIONS)
      const after = nextLeaves(before, amount, second, REGIONS)
      const of = (leaves: typeof before, who: Hex) => leaves.find(({ operator }) => operator === who)?.cumulative ?? 0n
      const total = (leaves: typeof before) => leaves.reduce((sum, { cumulative }) => sum + cumulative, 0n)
      assert.ok(total(before) <= amount && total(after) <= 2n * amount)
      for (const { operator, cumulative } of before) assert.ok(of(after, operator) >= cumulative)
      assert.deepEqual(nextLeaves([], amount, first, REGIONS), before, 'and everybody computes the same')
    }),
  )
  const idle = { ...PROVIDER, uptime: 10_000n, rawMbps: 0n, guaranteedMbps: 0n, latencyMs: undefined }
  const busy = { ...idle, operator: address(101), link: 'b', rawMbps: 20n, guaranteedMbps: 20n, latencyMs: undefined }
  const small = { ...idle, operator: address(102), link: 'c', rawMbps: 10n, guaranteedMbps: 10n, latencyMs: undefined }
  assert.deepEqual(nextLeaves([], 1_000n, [idle, busy, small], REGIONS), [
    { operator: busy.operator, cumulative: 500n },
    { operator: small.operator, cumulative: 500n },
  ])
})
