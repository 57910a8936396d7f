/** What a score may and may not do, for any evidence: and two rules that break it, to show that these tests would notice. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { golden, near } from '../../../test/support/golden.ts'
import { pointsOf } from '../utility.ts'
import { AUDITS, DOUBTS, meanAfter, UPTIME } from './channel.ts'
import {
  type Evidence,
  evidenceFrom,
  experienceAfter,
  NO_EXPERIENCE,
  p95LatencyMs,
  placeText,
  publicScore,
  reasonsOf,
  type SaidEvent,
  scoreOf,
  typicalMbps,
} from './index.ts'

const DAY = 86_400
const signed = (day: number) => ({ atS: Math.round(day * DAY), proof: '0x' })
const audit = (day: number, passed: boolean): Evidence => ({
  ...signed(day),
  kind: 'audit',
  claimedMbps: 100,
  provenMbps: passed ? 90 : 40,
})
const hour = (day: number, answered: number): Evidence => ({ ...signed(day), kind: 'hour', asked: 3, answered })
const agreement = (day: number, kept: boolean, measured = true): Evidence => ({ ...signed(day), kind: 'agreement', kept, measured })
const receipt = (day: number, payer: string, complete: boolean): Evidence => ({ ...signed(day), kind: 'receipt', payer, complete })
const silence = (day: number): Evidence => ({ ...signed(day), kind: 'silence' })

const day = fc.double({ min: 0, max: 60, noNaN: true })
const success = fc.oneof(
  day.map((at) => audit(at, true)),
  day.map((at) => hour(at, 3)),
  day.map((at) => agreement(at, true)),
  day.map((at) => receipt(at, 'me', true)),
)
const failure = fc.oneof(
  day.map((at) => audit(at, false)),
  fc.tuple(day, fc.nat(2)).map(([at, answered]) => hour(at, answered)),
  day.map((at) => agreement(at, false)),
  day.map((at) => receipt(at, 'me', false)),
  day.map(silence),
)
/** Real lives: mostly good, with failures in between, sometimes many. */
const life = fc.array(fc.oneof({ weight: 4, arbitrary: success }, { weight: 1, arbitrary: failure }), { maxLength: 120 })
const ME: ReadonlySet<string> = new Set(['me'])
/** Sums of a few hundred products differ in the last digits. */
const ROUNDING = 1e-9
const END = 61 * DAY

test('REP1: 41 straight failures are too many, ten where nobody may be at fault', () => {
  const failuresUntilOut = ({ least }: typeof AUDITS, channel = AUDITS) => {
    let [mean, failures] = [1, 0]
    for (; mean >= least; failures++) mean = meanAfter(mean, channel, 0)
    return { failures, mean }
  }
  const audits = failuresUntilOut(AUDITS)
  assert.equal(audits.failures, golden.REP1.failures)
  near(audits.mean, golden.REP1.score, 6, 'score')
  assert.equal(failuresUntilOut(DOUBTS, DOUBTS).failures, golden.REP1.unknown)
  near(UPTIME.keep, 0.99042, 5, 'an hour of 72')
  // Storj keeps two numbers. From rest they say the same.
  let [alpha, beta, mean] = [1_000, 0, 1]
  for (let i = 0; i < 500; i++) {
    const passed = i % 7 !== 3
    ;[alpha, beta] = [0.999 * alpha + (passed ? 1 : 0), 0.999 * beta + (passed ? 0 : 1)]
    mean = meanAfter(mean, AUDITS, passed ? 1 : 0)
    near(mean, alpha / (alpha + beta), 9, `after ${i + 1}`)
  }
})

test('a score is in [0, 1], and one more success, at any time, never lowers it', () => {
  fc.assert(
    fc.property(life, success, (evidence, more) => {
      const before = scoreOf(evidence, END, ME).value
      const { value } = scoreOf([...evidence, more], END, ME)
      assert.ok(before >= 0 && value <= 1)
      assert.ok(value >= before - ROUNDING, `${before} fell to ${value}`)
    }),
  )
})

test('a failure never helps', () => {
  fc.assert(
    fc.property(life, failure, (evidence, more) => {
      fc.pre(more.kind !== 'hour')
      assert.ok(scoreOf([...evidence, more], END, ME).value <= scoreOf(evidence, END, ME).value + ROUNDING)
    }),
  )
})

test('a new identity never has the better score, at any moment, after any past', () => {
  /** The rule that is easy to write: the whole record and nothing else. */
  const wholeLife = (evidence: readonly Evidence[]) =>
    evidence.reduce((mean, each) => (each.kind === 'audit' ? meanAfter(mean, AUDITS, each.provenMbps >= 50 ? 1 : 0) : mean), 1)
  fc.assert(
    fc.property(life, day, (evidence, restart) => {
      const since = evidence.filter(({ atS }) => atS >= restart * DAY)
      for (const now of [restart * DAY, 30 * DAY, END]) {
        if (now < restart * DAY) continue
        assert.ok(scoreOf(evidence, now, ME).value >= scoreOf(since, now, ME).value - ROUNDING)
      }
    }),
  )
  assert.ok(
    wholeLife([audit(2, true)]) > wholeLife([audit(1, false), audit(2, true)]),
    'the positive control: by the whole life a new name pays',
  )
})

test('what a ring makes up among itself lifts nobody above an honest node of equal service', () => {
  const madeUp = fc.array(
    fc.oneof(
      fc.tuple(day, fc.constantFrom('friend', 'sock puppet', 'another')).map(([at, payer]) => receipt(at, payer, true)),
      day.map((at) => agreement(at, true, false)),
    ),
    { maxLength: 200 },
  )
  fc.assert(
    fc.property(life, madeUp, (real, invented) => {
      assert.deepEqual(scoreOf([...real, ...invented], END, ME), scoreOf(real, END, ME))
    }),
  )
  const real = [audit(1, true), hour(2, 3), receipt(3, 'me', false)]
  const invented = Array.from({ length: 50 }, (_, i) => receipt(4 + i / 10, 'friend', true))
  const believing = (evidence: readonly Evidence[]) => scoreOf(evidence, END, new Set(['me', 'friend'])).value
  assert.ok(believing([...real, ...invented]) > believing(real), 'the positive control: who believes receipts of strangers is fooled')
})

test('what a chain says of a node: success never lowers its public score, and a new name never pays', () => {
  /** By operator, audits and agreements of its life in the words of the contracts. */
  const saidOf = (evidence: readonly Evidence[]): SaidEvent[] =>
    evidence
      .toSorted((a, b) => a.atS - b.atS)
      .flatMap((each, i): SaidEvent[] => {
        const at = { tx: `0x${i}`, timeS: each.atS }
        if (each.kind === 'audit') {
          const args = { operator: 'op', epoch: `${i}`, claimed: each.claimedMbps, proven: each.provenMbps }
          return ['Called', 'Audited'].map((name) => ({ ...at, contract: 'audits', name, args }))
        }
        if (each.kind !== 'agreement') return []
        const words = [
          ['Opened', { provider: 'op' }],
          ...(each.measured ? [['Reported', {}] as const] : []),
          ['Ended', { state: each.kept ? 4 : 5 }],
        ] as const
        return words.map(([name, args]) => ({ ...at, contract: 'serviceAgreements', name, args: { id: `${i}`, ...args } }))
      })
  const scored = (evidence: readonly Evidence[], now = END) => publicScore(evidenceFrom(saidOf(evidence)).get('op') ?? [], now)
  const onChain = fc.array(
    fc.oneof(
      fc.tuple(day, fc.boolean()).map(([at, passed]) => audit(at, passed)),
      fc.tuple(day, fc.boolean(), fc.boolean()).map(([at, kept, measured]) => agreement(at, kept, measured)),
    ),
    { maxLength: 80 },
  )
  fc.assert(
    fc.property(onChain, day, (life, at) => {
      const { value } = scored(life)
      assert.ok(value > 0 && value <= 1, `${value}`)
      for (const more of [audit(at, true), agreement(at, true)]) assert.ok(scored([...life, more]).value >= value - ROUNDING)
      assert.equal(scored([...life, agreement(at, false, false)]).value, value, 'what nobody measured says nothing')
      const since = life.filter(({ atS }) => atS >= at * DAY)
      assert.ok(value >= scored(since).value - ROUNDING, 'a new name')
    }),
  )
  const failures = Array.from({ length: 20 }, (_, i) => audit(i, false))
  assert.ok(scored(failures).factors.audits === 1, 'twenty failures are left behind, as by a new name')
  assert.ok(
    scored([audit(1, true), audit(2, true), ...failures.map((each) => ({ ...each, atS: each.atS + 30 * DAY }))]).value >= scored([]).value,
  )
  // Called again before a report came: silence.
  const called = (epoch: number): SaidEvent => ({
    contract: 'audits',
    name: 'Called',
    args: { operator: 'op', epoch: `${epoch}` },
    tx: '0x',
    timeS: epoch * DAY,
  })
  assert.deepEqual(
    evidenceFrom([called(1), called(2)])
      .get('op')
      ?.map(({ kind }) => kind),
    ['silence'],
  )
})

test('the order of arrival does not matter, nor what is known only later', () => {
  fc.assert(
    fc.property(life, fc.nat(1_000), (evidence, cut) => {
      const apart = evidence.map((each, i) => ({ ...each, atS: each.atS * 1_000 + i }))
      const turned = [...apart.slice(cut % (apart.length + 1)), ...apart.slice(0, cut % (apart.length + 1))]
      assert.deepEqual(scoreOf(turned, END * 1_000, ME), scoreOf(apart, END * 1_000, ME))
      assert.deepEqual(scoreOf([...apart, audit(1e9, false)], END * 1_000, ME), scoreOf(apart, END * 1_000, ME))
    }),
  )
})

test('a good node becomes a good score in three weeks, a liar begins again, and the reasons say so', () => {
  const hours = (from: number, to: number) => Array.from({ length: (to - from) * 24 }, (_, i) => hour(from + i / 24, 3))
  const audits = (...days: number[]) => days.map((at) => audit(at, true))
  const good = scoreOf([...hours(0, 30), ...audits(1, 8, 15)], 30 * DAY)
  assert.ok(good.value > 0.99, `${good.value}`)
  assert.deepEqual(
    reasonsOf(good).map(({ factor }) => factor),
    ['uptime'],
  )
  assert.ok(scoreOf(hours(0, 2), 2 * DAY).value < 0.2)
  const lies = Array.from({ length: 41 }, (_, i) => audit(29 + i / 100, false))
  const liar = scoreOf([...hours(0, 30), ...audits(1, 8, 15), ...lies], 30 * DAY)
  assert.ok(liar.sinceS > 29 * DAY && liar.value < 0.1, `${liar.value} since ${liar.sinceS}`)
  assert.deepEqual(
    reasonsOf(liar).map(({ text }) => text),
    ['not always up in the last days: counts for 12.6 %', 'not yet checked for 21 days, with three audits passed: counts for 25.0 %'],
  )
  // Beginning again for ever is no way out: who never passes an audit stays a stranger.
  const never = scoreOf([...hours(0, 300), ...Array.from({ length: 300 }, (_, i) => audit(i, false))], 300 * DAY)
  assert.ok(never.value <= 0.25, `${never.value}`)
})

test('a ranking says what costs an offer most', () => {
  let seen = NO_EXPERIENCE
  assert.deepEqual([p95LatencyMs(seen), typicalMbps(seen)], [undefined, undefined])
  for (let i = 1; i <= 100; i++) seen = experienceAfter(seen, { latencyMs: 110 + i, mbps: i })
  assert.deepEqual([p95LatencyMs(seen), typicalMbps(seen), seen.latenciesMs.length], [207, 68, 64])
  seen = experienceAfter(seen, { latencyMs: 500 })
  assert.equal(typicalMbps(seen), 68, 'a small flow tells no speed')
  const alone = { sharedOwner: 0, sharedNetwork: 0, sharedAsn: 0 }
  const merits = { pricePerGib: 400_000, provenMbps: 100, score: 0.9 }
  assert.equal(
    placeText(37, pointsOf(merits, { ...alone, latencyMs: 210 }), merits, { ...alone, latencyMs: 210 }),
    '37th: p95 latency 210 ms',
  )
  const perfect = { ...merits, score: 1 }
  assert.equal(placeText(1, pointsOf(perfect, { ...alone, latencyMs: 0 }), perfect, { ...alone, latencyMs: 0 }), '1st: nothing against it')
  const slow = { ...merits, provenMbps: 0 }
  assert.equal(placeText(112, pointsOf(slow, { ...alone, latencyMs: 0 }), slow, { ...alone, latencyMs: 0 }), '112th: no bandwidth proven')
})
