/**
 * What bytes cost: prices are units per GiB, debts are exact.
 *
 * A channel's debt is kept as a numerator in units x 2^30, so that bytes x price never rounds; a voucher's amount is its floor. Rounding
 * therefore never exceeds one unit over the whole life of a channel, however many sessions it serves.
 */
const GIB_BITS = 30n

/** One GiB, what prices are quoted for. */
export const GIB = 1n << GIB_BITS

/** Exact debt after `bytes` more at `pricePerGib` (units). */
export function owed(base: bigint, bytes: bigint, pricePerGib: bigint): bigint {
  return base + bytes * pricePerGib
}

/** Whole units of a numerator: what a voucher says. */
export function unitsOf(numerator: bigint): bigint {
  return numerator >> GIB_BITS
}

/** The smallest numerator with this many whole units: what is left to know when only an amount survived. */
export function numeratorOf(units: bigint): bigint {
  return units << GIB_BITS
}

/** Whether so much of a channel is used that it should be left, while there is still room to pay for what is in flight. */
export function nearlyUsed({ cumulative, cap }: { cumulative: bigint; cap: bigint }): boolean {
  return cumulative * USED_PARTS.denominator >= cap * USED_PARTS.numerator
}
const USED_PARTS = { numerator: 3n, denominator: 4n }

/** Most bytes that can be paid on top of `base` before the amount would exceed `cap` units; undefined when bytes are free. */
export function bytesWithin(cap: bigint, base: bigint, pricePerGib: bigint): bigint | undefined {
  if (pricePerGib === 0n) return undefined
  const room = numeratorOf(cap + 1n) - 1n - base
  return room < 0n ? 0n : room / pricePerGib
}

/** Most bytes that cost no more than `units`, whatever was owed before; undefined when bytes are free. */
export function bytesFor(units: bigint, pricePerGib: bigint): bigint | undefined {
  return pricePerGib === 0n ? undefined : numeratorOf(units) / pricePerGib
}
