/** How amounts, sizes and durations read, and how rows line up. Pure: text in, text out. */
import { printable } from '../api/json.ts'
import { formatDollars } from '../protocol/dollars.ts'

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const

/** `812 B`, `1.5 KiB`, `97.7 MiB`: one decimal, rounded down, so that a sum of shown parts never exceeds the shown whole. */
export function formatBytes(bytes: bigint | number): string {
  let tenths = BigInt(bytes) * 10n
  let unit = 0
  while (tenths >= 10_240n && unit < UNITS.length - 1) {
    tenths /= 1024n
    unit++
  }
  const whole = tenths / 10n
  return unit === 0 ? `${whole} B` : `${whole}.${tenths % 10n} ${UNITS[unit]}`
}

export function formatUsd(units: bigint): string {
  return units < 0n ? `-$${formatDollars(-units)}` : `$${formatDollars(units)}`
}

const WEI_PER_SHOWN = 10n ** 9n
const SHOWN_PER_ETHER = 10n ** 9n

/** `0.000038191 ether`: rounded up to nine decimals, so that no fee is shown as nothing. */
export function formatEther(wei: bigint): string {
  const shown = (wei + WEI_PER_SHOWN - 1n) / WEI_PER_SHOWN
  const fraction = (shown % SHOWN_PER_ETHER).toString().padStart(9, '0').replace(/0+$/, '')
  return `${shown / SHOWN_PER_ETHER}${fraction === '' ? '' : `.${fraction}`} ether`
}

/** `2026-12-20 07:52 UTC`. */
export function formatTime(unixS: number): string {
  return `${new Date(unixS * 1000).toISOString().slice(0, 16).replace('T', ' ')} UTC`
}

/** `in 21 d (2026-12-20 07:52 UTC)`, or `now`. */
export function formatUntil(unixS: number, nowS: number): string {
  return unixS <= nowS ? 'now' : `in ${formatDuration((unixS - nowS) * 1000)} (${formatTime(unixS)})`
}

/** `12.5 %` for 1250 hundredths of a percent. */
export function formatPercent(hundredths: bigint | number): string {
  return `${Number(hundredths) / 100} %`
}

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** `340 ms`, `1.2 s`, `2 min 5 s`, `3 h 12 min`, `4 d 3 h`: two parts at most, each rounded down. */
export function formatDuration(ms: number): string {
  if (ms < SECOND) return `${Math.floor(ms)} ms`
  if (ms < MINUTE) return `${(Math.floor(ms / 100) / 10).toFixed(1)} s`
  const pair = (big: number, bigName: string, small: number, smallName: string): string => {
    const rest = Math.floor((ms % big) / small)
    return `${Math.floor(ms / big)} ${bigName}${rest === 0 ? '' : ` ${rest} ${smallName}`}`
  }
  if (ms < HOUR) return pair(MINUTE, 'min', SECOND, 's')
  if (ms < DAY) return pair(HOUR, 'h', MINUTE, 'min')
  return pair(DAY, 'd', HOUR, 'h')
}

/** `0x3c1f…91ab`: enough to tell two apart by eye. */
export function shortHex(hex: string): string {
  return hex.length > 12 ? `${hex.slice(0, 6)}…${hex.slice(-4)}` : hex
}

export interface Column {
  readonly title: string
  /** Numbers go right, so that their digits stand under each other. */
  readonly align?: 'left' | 'right'
}

/** Lines of a table: a title line, then the rows, columns two spaces apart and no wider than their longest cell. */
export function tableLines(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
  const cells = [columns.map((column) => column.title), ...rows.map((row) => columns.map((_, i) => printable(row[i] ?? '')))]
  const widths = columns.map((_, i) => Math.max(...cells.map((row) => width(row[i]!))))
  return cells.map((row) =>
    row
      .map((cell, i) => pad(cell, widths[i]!, columns[i]!.align ?? 'left'))
      .join('  ')
      .trimEnd(),
  )
}

/**
 * The same for a terminal too narrow for that: each row as its first cell and, below it, `title value` pairs, as many a line as fit. Empty
 * cells are left out.
 */
export function stackedLines(columns: readonly Column[], rows: readonly (readonly string[])[], most: number): string[] {
  return rows.flatMap(([first = '', ...rest]) => {
    const pairs = rest.flatMap((cell, i) => (cell === '' ? [] : [`${columns[i + 1]!.title} ${printable(cell)}`]))
    const lines = [printable(first)]
    for (const pair of pairs) {
      const longer = `${lines.at(-1)}${PAIR_GAP}${pair}`
      if (lines.length > 1 && width(longer) <= most) lines[lines.length - 1] = longer
      else lines.push(`  ${pair}`)
    }
    return lines
  })
}

const PAIR_GAP = '   '

/** `1 session`, `3 sessions`. */
export const counted = (count: number | bigint, noun: string): string => `${count} ${noun}${Number(count) === 1 ? '' : 's'}`

/** The first `columns` characters: a line that is rewritten must not wrap. */
export function clip(text: string, columns: number): string {
  return characters(text).slice(0, Math.max(0, columns)).join('')
}

/** Characters as a person counts them, not code units: a flag or an accent counts once. */
const segments = new Intl.Segmenter()
const characters = (text: string): string[] => Array.from(segments.segment(text), (part) => part.segment)
const width = (text: string): number => (/^[ -~]*$/.test(text) ? text.length : characters(text).length)
const pad = (text: string, to: number, align: 'left' | 'right'): string => {
  const blank = ' '.repeat(to - width(text))
  return align === 'right' ? blank + text : text + blank
}
