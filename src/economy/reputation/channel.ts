/**
 * Channels: one kind of result each, remembered as a mean in which older results count less.
 *
 * This is Storj's Beta reputation, a' = keep a + success, b' = keep b + failure, started where it comes to rest (a + b = 1 / (1 - keep)): there
 * the score a / (a + b) is exactly such a mean. Started so, one more success never lowers it, and failing costs the same at any age.
 */
export interface Channel {
  /** How much of the past one result leaves. */
  readonly keep: number
  /** Below this the record is out. */
  readonly least: number
}

/** Remembers a thousand results or so; 41 failures in a row from a clean record are too many. */
export const AUDITS: Channel = { keep: 0.999, least: 0.96 }
/** Remembers twenty, for what may be nobody's fault: ten in a row are too many. */
export const DOUBTS: Channel = { keep: 0.95, least: 0.6 }
/** Remembers days: half of what is known of uptime is 72 hours old. Nobody is out because he was away. */
export const UPTIME: Channel = { keep: 0.5 ** (1 / 72), least: 0 }

/** The mean after one more result, from 0 (failure) to 1 (success). */
export const meanAfter = (mean: number, { keep }: Channel, result: number): number => keep * mean + (1 - keep) * result
