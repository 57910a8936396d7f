/**
 * The score: a product of what each kind of evidence says, over the best record a node can show.
 *
 * A record is what evidence says since some moment, read as if the node had begun then: never failed, but never seen up either, and
 * counting for little. A node is judged by its whole life or by what came after any of its failures, whichever is best. That is
 * exactly what it could reach by beginning again under a new name, so a new name never pays, and nobody has to be locked out for ever.
 */
import { AUDITS, type Channel, DOUBTS, meanAfter, UPTIME } from './channel.ts'
import type { Evidence } from './evidence.ts'

/** Less than half of the claim is a failed audit, as the contract slashes it. */
const LEAST_PART_OF_CLAIM = 0.5
/** Until it has passed so many checks, so many audits among them, in so many hours, a node counts for less: from a quarter, up in a line. */
const VETTING_CHECKS = 100
const VETTING_AUDITS = 3 // one a week; who never passes one stays at a quarter, however often he begins again
const VETTING_H = 504
const VETTING_START = 0.25

export const FACTORS = ['audits', 'answers', 'uptime', 'agreements', 'sessions', 'vetting'] as const
export type Factor = (typeof FACTORS)[number]

export interface Score {
  /** From 0 to 1: the product of the factors that were asked for. */
  readonly value: number
  readonly factors: Readonly<Record<Factor, number>>
  /** Since when the record counts, and of how many pieces of evidence. */
  readonly sinceS: number
  readonly evidence: number
}

interface Standing {
  readonly sinceS: number
  readonly audits: number
  readonly answers: number
  readonly uptime: number
  readonly agreements: number
  readonly sessions: number
  /** Checks passed, and audits among them. */
  readonly checks: number
  readonly passed: number
  readonly evidence: number
  /** A channel fell below what it must keep. */
  readonly out: boolean
}

const begin = (sinceS: number): Standing => ({
  sinceS,
  audits: 1,
  answers: 1,
  uptime: 0,
  agreements: 1,
  sessions: 1,
  checks: 0,
  passed: 0,
  evidence: 0,
  out: false,
})

/**
 * What this evidence says of one node at `nowS`. Of receipts only those of `payers` count: the viewer's own; none in a public score. Evidence
 * that came later than `nowS` is left out, and so are factors that the viewer has no evidence of.
 */
export function scoreOf(
  evidence: readonly Evidence[],
  nowS: number,
  payers: ReadonlySet<string> = new Set(),
  counted: readonly Factor[] = FACTORS,
): Score {
  const counting = evidence.filter((each) => each.atS <= nowS && counts(each, payers)).sort((a, b) => a.atS - b.atS)
  let standings = [begin(counting[0]?.atS ?? nowS)]
  for (const each of counting) {
    standings = standings.map((standing) => after(standing, each)).filter(({ out }) => !out)
    if (resultOf(each) < 1) standings = undominated([...standings, begin(each.atS)])
  }
  const scores = standings.map((standing) => read(standing, nowS, counted))
  return scores.reduce((best, score) => (score.value > best.value ? score : best))
}

function counts(each: Evidence, payers: ReadonlySet<string>): boolean {
  if (each.kind === 'agreement') return each.measured
  if (each.kind === 'receipt') return payers.has(each.payer)
  return each.kind !== 'hour' || each.asked > 0
}

/** From 0, a failure, to 1, a success. */
function resultOf(each: Evidence): number {
  switch (each.kind) {
    case 'audit':
      return each.provenMbps >= LEAST_PART_OF_CLAIM * each.claimedMbps ? 1 : 0
    case 'silence':
      return 0
    case 'hour':
      return Math.min(1, Math.max(0, each.answered / each.asked))
    case 'agreement':
      return each.kept ? 1 : 0
    case 'receipt':
      return each.complete ? 1 : 0
  }
}

function after(standing: Standing, each: Evidence): Standing {
  const result = resultOf(each)
  const seen = { ...standing, evidence: standing.evidence + 1 }
  const judged = (factor: 'audits' | 'answers' | 'uptime' | 'agreements' | 'sessions', channel: Channel): Standing => {
    const mean = meanAfter(standing[factor], channel, result)
    return { ...seen, [factor]: mean, out: mean < channel.least }
  }
  switch (each.kind) {
    case 'audit':
      // Who passes has answered, too; who fails has not failed to answer.
      return result === 0
        ? judged('audits', AUDITS)
        : {
            ...judged('audits', AUDITS),
            answers: meanAfter(standing.answers, DOUBTS, 1),
            checks: standing.checks + 1,
            passed: standing.passed + 1,
          }
    case 'silence':
      return judged('answers', DOUBTS)
    case 'hour':
      return { ...judged('uptime', UPTIME), checks: standing.checks + result }
    case 'agreement':
      return judged('agreements', DOUBTS)
    case 'receipt':
      return judged('sessions', DOUBTS)
  }
}

/** Without records that an earlier one equals or exceeds in everything: those never come first again. */
function undominated(standings: readonly Standing[]): Standing[] {
  const kept: Standing[] = []
  for (const standing of standings) if (!kept.some((earlier) => asGood(earlier, standing))) kept.push(standing)
  return kept
}

const asGood = (a: Standing, b: Standing): boolean =>
  (['audits', 'answers', 'uptime', 'agreements', 'sessions', 'checks', 'passed'] as const).every((each) => a[each] >= b[each])

function read(standing: Standing, nowS: number, counted: readonly Factor[]): Score {
  const { audits, answers, uptime, agreements, sessions, checks, passed, sinceS, evidence } = standing
  const progress = Math.min(1, checks / VETTING_CHECKS, passed / VETTING_AUDITS, (nowS - sinceS) / 3_600 / VETTING_H)
  const factors = {
    audits: aboveLeast(audits, AUDITS),
    answers: aboveLeast(answers, DOUBTS),
    uptime,
    agreements: aboveLeast(agreements, DOUBTS),
    sessions: aboveLeast(sessions, DOUBTS),
    vetting: VETTING_START + (1 - VETTING_START) * progress,
  }
  const value = counted.reduce((product, factor) => product * factors[factor], 1)
  return { value, factors, sinceS, evidence }
}

/** How far a mean is from out, 0, to clean, 1: each failure is felt, and the last one is no cliff. */
const aboveLeast = (mean: number, { least }: Channel): number => (mean - least) / (1 - least)
