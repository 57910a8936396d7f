/** What this consumer saw of a node: latency and speed of its last flows. Nobody else is told, and nobody else is believed. */

/** So many flows are remembered: enough for a 95th percentile, few enough to follow a line that changed this evening. */
const REMEMBERED = 64

export interface Experience {
  /** Oldest first. */
  readonly latenciesMs: readonly number[]
  readonly speedsMbps: readonly number[]
}

export const NO_EXPERIENCE: Experience = { latenciesMs: [], speedsMbps: [] }

/** After one more flow. `mbps` is left out for flows too small to tell. */
export function experienceAfter({ latenciesMs, speedsMbps }: Experience, flow: { latencyMs: number; mbps?: number }): Experience {
  const added = (before: readonly number[], value: number | undefined) =>
    value === undefined ? before : [...before.slice(1 - REMEMBERED), value]
  return { latenciesMs: added(latenciesMs, flow.latencyMs), speedsMbps: added(speedsMbps, flow.mbps) }
}

/** Undefined before the first flow. */
export const p95LatencyMs = ({ latenciesMs }: Experience): number | undefined => quantile(latenciesMs, 0.95)

/** The median; undefined before the first flow large enough to tell. */
export const typicalMbps = ({ speedsMbps }: Experience): number | undefined => quantile(speedsMbps, 0.5)

/** The smallest value that so large a part of all does not exceed. */
function quantile(values: readonly number[], part: number): number | undefined {
  return [...values].sort((a, b) => a - b)[Math.ceil(values.length * part) - 1]
}
