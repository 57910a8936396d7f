/**
 * WAY as people write it, and as contracts count it: one WAY is 10^18 of the smallest amount.
 *
 * Integers on strings of digits, as with dollars: an amount that was typed is exactly the amount that is moved.
 */

const DECIMALS = 18
/** The smallest amounts in one WAY. */
export const WAY = 10n ** BigInt(DECIMALS)
/** Decimals shown to people: a millionth of a WAY is less than a gas fee anywhere. Programs get the exact amount. */
const SHOWN_DECIMALS = 6

/** A billion WAY is all there can be. */
const AMOUNT = /^(\d{1,10})(?:\.(\d{1,18}))?$/

/** `1.5` is 1500000000000000000n. Undefined when the text is not a plain amount. */
export function parseWay(text: string): bigint | undefined {
  const match = AMOUNT.exec(text)
  if (match === null) return undefined
  const [, whole = '', fraction = ''] = match
  return BigInt(whole) * WAY + BigInt(fraction.padEnd(DECIMALS, '0'))
}

/** `1.5 WAY`: rounded down to six decimals, so that what is shown is there. */
export function formatWay(amount: bigint): string {
  const fraction = (amount % WAY).toString().padStart(DECIMALS, '0').slice(0, SHOWN_DECIMALS).replace(/0+$/, '')
  return `${amount / WAY}${fraction === '' ? '' : `.${fraction}`} WAY`
}
