/**
 * Rewards a share, summed since the beginning: paying any number of owners costs one addition, and nobody loops over them. As the
 * Registry and the region vaults keep them.
 */

/** Rewards a share, in units of 2^-128. */
export const SCALE = 1n << 128n

/** Adds `amount` for all `shares` alike; rounded down, so that less than one unit an owner is left over. */
export function raise(perShare: bigint, amount: bigint, shares: bigint): bigint {
  return perShare + (amount * SCALE) / shares
}

/** What `shares` earned while the accumulator went from `seen` to `perShare`. */
export function earned(shares: bigint, seen: bigint, perShare: bigint): bigint {
  return (shares * (perShare - seen)) / SCALE
}
