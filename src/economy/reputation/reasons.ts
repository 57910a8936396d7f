/** Why a score is what it is, and why a node stands where it stands: sentences for the score page. */
import type { Circumstances, Merits, Points } from '../utility.ts'
import { FACTORS, type Factor, type Score } from './score.ts'

const TEXTS: Readonly<Record<Factor, string>> = {
  audits: 'bandwidth audits failed',
  answers: 'committees got no answer',
  uptime: 'not always up in the last days',
  agreements: 'measured agreements broken',
  sessions: 'sessions of yours broken',
  vetting: 'not yet checked for 21 days, with three audits passed',
}

/** What lowers a score, most first; nothing for a perfect one. */
export function reasonsOf({ factors }: Score): { factor: Factor; value: number; text: string }[] {
  return FACTORS.map((factor) => ({ factor, value: factors[factor], text: `${TEXTS[factor]}: counts for ${percent(factors[factor])}` }))
    .filter(({ value }) => value < 1)
    .sort((a, b) => a.value - b.value)
}

/** One line of a ranking, such as "37th: p95 latency 210 ms": where an offer stands and what costs it most. */
export function placeText(place: number, points: Points, merits: Merits, seen: Circumstances): string {
  const texts: Readonly<Record<keyof Points, string>> = {
    price: `${(merits.pricePerGib / 1e6).toFixed(2)} dollars per GiB`,
    speed: merits.provenMbps === 0 ? 'no bandwidth proven' : `${Math.round(merits.provenMbps)} Mbps proven`,
    score: `score ${merits.score.toFixed(2)}`,
    latency: seen.latencyMs === undefined ? 'latency not known' : `p95 latency ${Math.round(seen.latencyMs)} ms`,
    diversity: 'like others in use: same owner, network or ASN',
  }
  const [worst] = (Object.keys(texts) as (keyof Points)[]).sort((a, b) => points[a] - points[b])
  return `${ordinal(place)}: ${points[worst!] < 0 ? texts[worst!] : 'nothing against it'}`
}

/** `37th`. */
export function ordinal(place: number): string {
  const teen = place % 100 >= 11 && place % 100 <= 13
  return `${place}${(teen ? undefined : { 1: 'st', 2: 'nd', 3: 'rd' }[place % 10]) ?? 'th'}`
}

const percent = (part: number): string => `${(100 * part).toFixed(1)} %`
