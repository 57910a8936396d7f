/**
 * Dollars as people write them, units as the program counts them: one dollar is a million units, the six decimals of the token.
 *
 * Everything is integers on strings of digits: no floating point ever touches money. Prices are units per GiB, written as dollars per GiB.
 */

/** Units in a dollar: the token has six decimals. */
export const UNITS_PER_DOLLAR = 1_000_000n
const DECIMALS = 6
/** Decimals always shown, so that a column of amounts reads as money. */
const SHOWN_DECIMALS = 2

/** Up to twelve digits before the point keep every amount inside the contract's 96 bits with room to add. */
const DOLLARS = /^(\d{1,12})(?:\.(\d{1,6}))?$/

/** `0.5` is 500000n. Undefined when the text is not a plain amount: no sign, no exponent, no separator, at most six decimals. */
export function parseDollars(text: string): bigint | undefined {
  const match = DOLLARS.exec(text)
  if (match === null) return undefined
  const [, whole = '', fraction = ''] = match
  return BigInt(whole) * UNITS_PER_DOLLAR + BigInt(fraction.padEnd(DECIMALS, '0'))
}

/** 500000n is `0.50`, 1n is `0.000001`: exact, at least two decimals, no zeros after them. */
export function formatDollars(units: bigint): string {
  const sign = units < 0n ? '-' : ''
  const size = units < 0n ? -units : units
  const fraction = (size % UNITS_PER_DOLLAR).toString().padStart(DECIMALS, '0').replace(/0+$/, '').padEnd(SHOWN_DECIMALS, '0')
  return `${sign}${size / UNITS_PER_DOLLAR}.${fraction}`
}
