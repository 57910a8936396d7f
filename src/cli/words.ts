/** Words after a command: amounts, addresses, regions, hours, and which of several things is meant. */
import { isAddress } from 'viem'
import type { Hex } from '../protocol/bytes.ts'
import { parseDollars } from '../protocol/dollars.ts'
import { BywayError } from '../protocol/errors.ts'
import { parseWay } from '../protocol/way.ts'
import { suggest } from './suggest.ts'

const wrong = (what: string, allowed: string, given: string | undefined): BywayError =>
  new BywayError('ARGUMENT_INVALID', given === undefined ? `${what} is missing` : `${what} cannot be read as ${JSON.stringify(given)}`, {
    hint: `allowed: ${allowed}`,
  })

function read<T>(what: string, allowed: string, given: string | undefined, reader: (text: string) => T | undefined): T {
  const value = given === undefined ? undefined : reader(given)
  if (value === undefined) throw wrong(what, allowed, given)
  return value
}

export const wayWord = (what: string, given: string | undefined): bigint =>
  read(what, 'WAY, such as 1000 or 0.5', given, (text) => positive(parseWay(text)))

export const dollarsWord = (what: string, given: string | undefined): bigint =>
  read(what, 'dollars, such as 20 or 0.50', given, (text) => positive(parseDollars(text)))

export const addressWord = (what: string, given: string | undefined): Hex =>
  read(what, 'an address of 0x and 40 hexadecimal digits', given, (text) => (isAddress(text) ? (text.toLowerCase() as Hex) : undefined))

/** Hundredths of a percent. */
export const percentWord = (what: string, given: string | undefined): number =>
  read(what, 'a percentage from 0 to 100 with at most two decimals, such as 12.5', given, (text) => {
    const hundredths = /^\d{1,3}(\.\d{1,2})?$/.test(text) ? Math.round(Number(text) * 100) : Number.NaN
    return hundredths <= 10_000 ? hundredths : undefined
  })

export const countWord = (what: string, given: string | undefined, most: number): number =>
  read(what, `a whole number from 1 to ${most}`, given, (text) => {
    const count = /^\d{1,15}$/.test(text) ? Number(text) : 0
    return count >= 1 && count <= most ? count : undefined
  })

/** Unix seconds. */
export const timeWord = (what: string, given: string | undefined): number =>
  read(what, 'a time such as 2026-12-01T18:00 (UTC)', given, (text) => {
    const [day, clock = '00:00'] = text.split('T')
    const parsed = /^\d{4}-\d\d-\d\d(T\d\d(:\d\d)?)?$/.test(text) ? Date.parse(`${day}T${clock.padEnd(5, ':00')}Z`) : Number.NaN
    return Number.isNaN(parsed) ? undefined : parsed / 1000
  })

/** Contracts keep six bytes for it. */
export const regionWord = (what: string, given: string | undefined): string =>
  read(what, 'at most six letters, digits or dashes, such as de or eu-w', given, (text) =>
    /^[a-z0-9-]{1,6}$/.test(text) ? text : undefined,
  )

/** One of the words a command knows; a mistyped one is told the nearest. */
export function oneOfWords<const T extends string>(what: string, words: readonly T[], given: string): T {
  const found = words.find((word) => word === given)
  if (found !== undefined) return found
  const near = suggest(given, words)
  throw new BywayError('ARGUMENT_INVALID', `${what} ${JSON.stringify(given)} is not known`, {
    hint: near === undefined ? `known: ${words.join(', ')}` : `did you mean ${near}?`,
  })
}

const positive = (amount: bigint | undefined): bigint | undefined => (amount === 0n ? undefined : amount)
