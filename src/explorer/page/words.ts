/** Amounts, times and keys as people read them. */
import { formatDollars } from '../../protocol/dollars.ts'

const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 })
const plain = new Intl.NumberFormat('en')
const COUNTRY_NAMES = new Intl.DisplayNames('en', { type: 'region' })

/** Cents are enough from a dollar on; below, people want to see that it is not nothing. */
export function dollars(units: string | bigint): string {
  const amount = BigInt(units)
  if (amount >= 1_000_000_000n) return `$${compact.format(Number(amount) / 1e6)}`
  if (amount >= 1_000_000n) return `$${(Number(amount) / 1e6).toFixed(2)}`
  return `$${formatDollars(amount)}`
}

/** A price per GiB, to three digits: enough to compare. The exact one is in the answer behind it. */
export function price(units: string | bigint): string {
  const shown = String(Number((Number(units) / 1e6).toPrecision(3)))
  const [whole = '', cents = ''] = shown.split('.')
  return `$${whole}.${cents.padEnd(2, '0')}`
}

export function way(units: string | bigint): string {
  const amount = Number(BigInt(units) / 10n ** 12n) / 1e6
  return amount !== 0 && Math.abs(amount) < 0.1 ? amount.toFixed(6).replace(/0+$/, '') : compact.format(amount)
}

export const count = (value: number): string => plain.format(value)

/** `zz` is what a node says that does not say. */
export const countryName = (code: string): string =>
  code === 'zz' ? 'not said' : (COUNTRY_NAMES.of(code.toUpperCase()) ?? code.toUpperCase())

export const shortHex = (text: string): string => `${text.slice(2, 8)}…${text.slice(-4)}`

export const utc = (timeS: number): string => `${new Date(timeS * 1_000).toISOString().slice(0, 16).replace('T', ' ')} UTC`

export function ago(timeS: number, nowS: number): string {
  const seconds = Math.max(0, nowS - timeS)
  if (seconds < 90) return `${seconds} s ago`
  if (seconds < 5_400) return `${Math.round(seconds / 60)} min ago`
  if (seconds < 129_600) return `${Math.round(seconds / 3_600)} h ago`
  return `${Math.round(seconds / 86_400)} days ago`
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** A point of a time axis, as short as its step allows. */
export function tick(timeS: number, stepS: number): string {
  const at = new Date(timeS * 1_000)
  return stepS < 86_400 ? at.toISOString().slice(11, 16) : `${at.getUTCDate()} ${MONTHS[at.getUTCMonth()]}`
}
