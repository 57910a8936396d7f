/**
 * The one registry of metrics: the counters every room reports through the Observer, and gauges read when somebody scrapes.
 *
 * Names are `byway_<name>`; labels come from small fixed sets, never from ids of sessions or peers. docs/metrics.md lists them all.
 */
import { Counter, collectDefaultMetrics, Gauge, Registry } from '@prometheus-io/client'
import { COUNTERS, type CounterName, WARNINGS } from '../protocol/observe.ts'
import type { Warnings } from './warnings.ts'

export const GAUGES = {
  sessions_open: 'Sessions that are open now',
  flows_open: 'Flows that are open now',
  providers_known: 'Providers with a valid offer',
  unpaid_bytes: 'Bytes carried beyond the last valid voucher, over all sessions: what the provider has at risk',
  claimable_dollars: 'Dollars in accepted vouchers that are not claimed yet',
  deposit_left_dollars: 'Dollars of the open root that no voucher has spent',
} as const

export type GaugeName = keyof typeof GAUGES
/** A gauge without a reader, or whose reader has nothing to say, is not exported: no number is better than a wrong one. */
export type GaugeReaders = Partial<Record<GaugeName, () => number | undefined>>

export interface Metrics {
  count(name: CounterName, by?: number, labels?: Readonly<Record<string, string>>): void
  /** The page for a scraper. */
  text(): Promise<string>
  readonly contentType: string
}

/** A label is a word of ours (an error code, a direction). More values than this in one counter means ids have leaked into it. */
const MAX_SERIES = 200
const OVERFLOW = 'other'

export function createMetrics(options: { version: string; warnings: Warnings; gauges: GaugeReaders }): Metrics {
  const registry = new Registry()
  const registers = [registry]
  // Memory, CPU, open files and event loop lag of the process, under their usual names.
  collectDefaultMetrics({ register: registry })

  const counters = new Map<CounterName, { counter: Counter<string>; labels: readonly string[]; series: Set<string> }>()
  for (const [name, { help, labels }] of Object.entries(COUNTERS) as [CounterName, { help: string; labels: readonly string[] }][]) {
    const counter = new Counter({ name: `byway_${name}_total`, help, labelNames: [...labels], registers })
    counters.set(name, { counter, labels, series: new Set() })
  }
  for (const [name, help] of Object.entries(GAUGES) as [GaugeName, string][]) {
    const read = options.gauges[name]
    if (read !== undefined) gauge(name, help, registers, read)
  }
  const warning = new Gauge({
    name: 'byway_warning',
    help: '1 while the warning stands',
    labelNames: ['code'],
    registers,
    collect: () => {
      const standing = new Set<string>(options.warnings.list().map(({ code }) => code))
      for (const code of Object.keys(WARNINGS)) warning.set({ code }, standing.has(code) ? 1 : 0)
    },
  })
  new Gauge({ name: 'byway_build_info', help: 'Always 1; the version is the label', labelNames: ['version'], registers }).set(
    { version: options.version },
    1,
  )

  return {
    count: (name, by = 1, given = {}) => {
      const { counter, labels, series } = counters.get(name)!
      const values = labels.map((label) => given[label] ?? 'none')
      const key = values.join('\n')
      if (!series.has(key) && series.size >= MAX_SERIES) counter.labels(...values.map(() => OVERFLOW)).inc(by)
      else {
        series.add(key)
        counter.labels(...values).inc(by)
      }
    },
    text: () => registry.metrics(),
    contentType: registry.contentType,
  }
}

function gauge(name: GaugeName, help: string, registers: Registry[], read: () => number | undefined): void {
  const own = new Gauge({
    name: `byway_${name}`,
    help,
    registers,
    collect: () => {
      const value = read()
      if (value === undefined) own.remove()
      else own.set(value)
    },
  })
}
