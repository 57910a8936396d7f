/**
 * Reputation: what signed evidence says of a node, as a score from 0 to 1 with its reasons. Whoever has the evidence comes to the same score.
 *
 * The rules it keeps, each tested: more success never lowers a score; a new identity is never better off than the old one would be; what a
 * node and its friends can make up among themselves (payments, agreements nobody measured) counts for nothing; there is no opinion in it.
 * Start reading at evidence.ts, then score.ts.
 */
export type { Evidence } from './evidence.ts'
export { type Experience, experienceAfter, NO_EXPERIENCE, p95LatencyMs, typicalMbps } from './experience.ts'
export { ordinal, placeText, reasonsOf } from './reasons.ts'
export { evidenceFrom, PUBLIC_FACTORS, publicScore, type SaidEvent } from './said.ts'
export { type Factor, type Score, scoreOf } from './score.ts'
