/** Charts of time series as SVG: a line with a band, or bars. As wide as a telephone, so that the letters on it keep their size there. */
import { type Html, html, type Part } from './html.ts'
import { tick } from './words.ts'

const WIDTH = 360
const HEIGHT = 190
/** Room for the letters: left, right, top, bottom. */
const [LEFT, RIGHT, TOP, BOTTOM] = [46, 8, 10, 22]

export interface Line {
  /** Class of its colour. */
  readonly name: string
  readonly label: string
  /** Undefined where there is nothing to show. */
  readonly values: readonly (number | undefined)[]
}

export interface Chart {
  readonly title: string
  readonly times: readonly number[]
  readonly stepS: number
  readonly lines?: readonly Line[]
  /** Between two values at each time. */
  readonly band?: { readonly label: string; readonly values: readonly (readonly [number, number] | undefined)[] }
  /** Beside each other at each time. */
  readonly bars?: readonly Line[]
  /** Whether the axis begins at 0. */
  readonly fromZero: boolean
  readonly show: (value: number) => string
}

export function chart({ title, times, stepS, lines = [], band, bars = [], fromZero, show }: Chart): Html {
  const all = [...lines, ...bars].flatMap(({ values }) => values).filter((value) => value !== undefined)
  const shown = [...all, ...(band?.values ?? []).flatMap((pair) => pair ?? [])]
  if (shown.length === 0 || shown.every((value) => value === 0)) return html`<p class="nothing">Nothing yet in this time.</p>`
  const { low, high, steps } = axis(fromZero ? Math.min(0, ...shown) : Math.min(...shown), Math.max(...shown))
  const y = (value: number) => round(TOP + (HEIGHT - TOP - BOTTOM) * (1 - (value - low) / (high - low)))
  const slot = (WIDTH - LEFT - RIGHT) / times.length
  const x = (i: number) => round(LEFT + slot * (i + 0.5))
  const labels = [...lines, ...bars].map(({ name, label }) => html`<span class="key ${name}">${label}</span>`)
  const last = [...lines, ...bars].map(({ label, values }) => `${label} ${show(values.findLast((value) => value !== undefined) ?? 0)}`)
  return html`<div class="keys">${labels}${band !== undefined && html`<span class="key band">${band.label}</span>`}</div>
<svg class="chart" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${title}. Newest: ${last.join(', ')}.">
${steps.map((step) => html`<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(step)}" y2="${y(step)}"/><text x="${LEFT - 6}" y="${y(step) + 4}" text-anchor="end">${show(step)}</text>`)}
${timeLabels(times).map((i) => html`<text x="${x(i)}" y="${HEIGHT - 6}" text-anchor="${i === 0 ? 'start' : i === times.length - 1 ? 'end' : 'middle'}">${tick(times[i]!, stepS)}</text>`)}
${band !== undefined && html`<path class="band" d="${bandPath(band.values, x, y)}"/>`}
${bars.map(({ name, label, values }, series) => {
  const wide = Math.max(1, (slot * 0.7) / bars.length)
  return values.map((value, i) => {
    if (value === undefined || value === 0) return undefined
    const left = round(x(i) - (wide * bars.length) / 2 + wide * series)
    return html`<rect class="${name}" x="${left}" y="${y(value)}" width="${round(wide)}" height="${round(Math.max(1, y(0) - y(value)))}"><title>${tick(times[i]!, stepS)}: ${label} ${show(value)}</title></rect>`
  })
})}
${lines.map(({ name, label, values }) => html`<path class="line ${name}" d="${linePath(values, x, y)}"/>${spots(label, name, values, times, stepS, x, y, show)}`)}
</svg>`
}

/** Invisible until touched: what a point says. A single point is drawn, for it makes no line. */
function spots(
  label: string,
  name: string,
  values: Line['values'],
  times: readonly number[],
  stepS: number,
  x: (i: number) => number,
  y: (value: number) => number,
  show: (value: number) => string,
): Part {
  return values.map((value, i) => {
    if (value === undefined) return undefined
    const alone = values[i - 1] === undefined && values[i + 1] === undefined
    return html`<circle class="${name} ${alone ? 'alone' : 'spot'}" cx="${x(i)}" cy="${y(value)}" r="${alone ? 2.5 : 6}"><title>${tick(times[i]!, stepS)}: ${label} ${show(value)}</title></circle>`
  })
}

/** First, middle and last. */
const timeLabels = (times: readonly number[]): number[] => [...new Set([0, times.length >> 1, times.length - 1])]

/** Three or four round steps that hold all values. */
function axis(least: number, most: number): { low: number; high: number; steps: number[] } {
  const span = most - least || Math.abs(most) || 1
  const power = 10 ** Math.floor(Math.log10(span / 3))
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => span / size <= 3.5)!
  const low = Math.floor(least / step) * step
  const high = Math.max(low + step, Math.ceil(most / step) * step)
  // Counted, not added up: additions of a tenth end at 0.30000000000000004.
  const steps = Array.from({ length: Math.round((high - low) / step) + 1 }, (_, i) => Number((low + i * step).toPrecision(12)))
  return { low, high, steps }
}

function linePath(values: Line['values'], x: (i: number) => number, y: (value: number) => number): string {
  return values.map((value, i) => (value === undefined ? '' : `${values[i - 1] === undefined ? 'M' : 'L'}${x(i)} ${y(value)}`)).join('')
}

/** Forth along the upper edge, back along the lower; a gap begins anew. */
function bandPath(
  values: readonly (readonly [number, number] | undefined)[],
  x: (i: number) => number,
  y: (value: number) => number,
): string {
  const parts: string[] = []
  for (let i = 0; i < values.length; i++) {
    const first = i
    while (values[i] !== undefined) i++
    const run = Array.from({ length: i - first }, (_, j) => first + j)
    if (run.length < 2) continue
    const upper = run.map((j) => `${x(j)} ${y(values[j]![1])}`)
    const lower = run.toReversed().map((j) => `${x(j)} ${y(values[j]![0])}`)
    parts.push(`M${[...upper, ...lower].join('L')}Z`)
  }
  return parts.join('')
}

const round = (value: number): number => Math.round(value * 10) / 10
