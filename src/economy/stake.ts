/**
 * Economy: the rules of the market as numbers. What the contracts compute, so that it can be known without asking them, and what they leave
 * to everybody: prices, scores, choice, how much to buy ahead.
 *
 * The rule it keeps: it imports nobody and knows no clock, chain or file. Money is whole units, each rounding as the contract of the same
 * name rounds; what only orders a choice may be floating point. A formula that nothing uses is not here: models, and what others do, stand in
 * others.test.ts to be compared with.
 *
 * Start reading here for the contracts' arithmetic (then auction.ts, vault.ts, reservation.ts, agreement.ts, multiplier.ts, emission.ts), with
 * fees.ts and quote.ts for prices, with utility.ts for choice, with reputation/ for scores.
 *
 * Stake: pools of shares that can only lose, as contracts/src/libraries/SharePool.sol has them. A share is worth one token at first and never
 * more: losses lower it, and the dust of both ways of rounding stays in the pool without lifting it. So nothing can be donated, and the
 * first depositor has nothing to fear.
 */
/** Tokens of many owners who share losses pro rata. */
export interface Pool {
  readonly tokens: bigint
  /** What was issued for them; at least `tokens`. */
  readonly shares: bigint
  /** How often losses emptied the pool. Shares of an older generation are worth nothing. */
  readonly generation: number
}

export const EMPTY_POOL: Pool = { tokens: 0n, shares: 0n, generation: 0 }

/** A pool whose shares are worth less than a billionth of a token is emptied: new shares would outgrow 128 bits. */
const MAX_SHARES_PER_TOKEN = 1_000_000_000n
/** A whole, in hundredths of a percent. */
const WHOLE = 10_000n
/** Most of a slash that whoever proved it keeps: who reports himself must lose. */
const MAX_REPORTER = 5_000n

export const minOf = (a: bigint, b: bigint): bigint => (a < b ? a : b)
export const maxOf = (a: bigint, b: bigint): bigint => (a > b ? a : b)
export const ceilDiv = (a: bigint, b: bigint): bigint => (a + b - 1n) / b

/** What `shares` are worth, rounded down. */
export function worth(pool: Pool, shares: bigint): bigint {
  return shares === 0n ? 0n : (shares * pool.tokens) / pool.shares
}

/** Adds `tokens`; the new shares are at least as many. */
export function enter(pool: Pool, tokens: bigint): { pool: Pool; shares: bigint } {
  const shares = pool.shares === 0n ? tokens : (tokens * pool.shares) / pool.tokens
  return { pool: { ...pool, tokens: pool.tokens + tokens, shares: pool.shares + shares }, shares }
}

/** Takes `shares` out, which must be in the pool. */
export function exit(pool: Pool, shares: bigint): { pool: Pool; tokens: bigint } {
  const tokens = worth(pool, shares)
  return { pool: { ...pool, tokens: pool.tokens - tokens, shares: pool.shares - shares }, tokens }
}

/** Takes `tokens` out at everybody's cost, and what is left of a pool that is all but empty. */
export function cut(pool: Pool, tokens: bigint): { pool: Pool; removed: bigint } {
  const left = pool.tokens - tokens
  if (left * MAX_SHARES_PER_TOKEN < pool.shares) {
    return { pool: { tokens: 0n, shares: 0n, generation: pool.generation + 1 }, removed: pool.tokens }
  }
  return { pool: { ...pool, tokens: left }, removed: tokens }
}

/** Takes `part` hundredths of a percent of both pools of an operator, rounded against their owners. */
export function slash(bonded: Pool, thawing: Pool, part: bigint): { bonded: Pool; thawing: Pool; removed: bigint } {
  const first = cut(bonded, ceilDiv(bonded.tokens * part, WHOLE))
  const second = cut(thawing, ceilDiv(thawing.tokens * part, WHOLE))
  return { bonded: first.pool, thawing: second.pool, removed: first.removed + second.removed }
}

/** Who gets what of a slash. `share` in hundredths of a percent. */
export function splitSlash(removed: bigint, share: bigint): { reporter: bigint; burnt: bigint } {
  const reporter = (removed * minOf(share, MAX_REPORTER)) / WHOLE
  return { reporter, burnt: removed - reporter }
}

/** Least penalty that makes cheating not pay, as a multiple of the gain: audited with probability p, detected with probability q. */
export function deterringPenalty(p: number, q: number): number {
  return (1 - p * q) / (p * q)
}
