/**
 * How long to wait before trying again what failed: twice as long each time, up to a limit, and anywhere in the upper half of it, so that many who failed
 * together do not come back together.
 */
export interface Backoff {
  firstMs: number
  longestMs: number
}

const JITTER = 0.5

/** After so many failures in a row, at least one. `random` gives numbers in [0, 1). */
export function backoffMs(failures: number, { firstMs, longestMs }: Backoff, random: () => number): number {
  return Math.min(longestMs, firstMs * 2 ** (failures - 1)) * (1 - random() * JITTER)
}
