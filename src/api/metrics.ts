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
  network_contacts: 'Nodes of the network of offers (libp2p) that answered lately',
  network_table: 'Nodes in the routing table of that network; 0 for a node that only looks',
  network_offers_kept: 'Offers this node keeps for others there',
  unpaid_bytes: 'Bytes carried beyond the last valid voucher, over all sessions: what the provider has at risk',
  claimable_dollars: 'Dollars in accepted vouchers that are not claimed yet',
  deposit_left_dollars: 'Dollars of the open root that no voucher has spent',
  index_lag_blocks: 'Blocks the explorer is behind the chain',
  main_thread_delay_p99_seconds: 'How late the main thread was at most, in 99 % of the looks since the last scrape',
  carrying_thread_delay_p99_seconds:
    'How long what comes for the thread that carries bytes waits at most, in 99 % of the time since the last scrape',
} as const

/** Of a consumer's routes, by hop: `1/2` is the first of two. */
export const HOP_GAUGES = {
  hop_sessions: 'Sessions that are open now',
  hop_away: 'Sessions whose way is dead for now',
  hop_round_trip_seconds: 'Round trip of the last ping of the slowest session, through the hops before it',
} as const

export type GaugeName = keyof typeof GAUGES
export type HopGaugeName = keyof typeof HOP_GAUGES
/** One entry for each hop there is. */
export type HopReading = Readonly<Record<HopGaugeName, number>>
/** A gauge without a reader, or whose reader has nothing to say, is not exported: no number is better than a wrong one. */
export type GaugeReaders = Partial<Record<GaugeName, () => number | undefined>>

export interface Metrics {
  count(name: CounterName, by?: number, labels?: Readonly<Record<string, string>>): void
  /** The page for a scraper. */
  text(): Promise<string>
  readonly contentType: string
}

/** What there is to say of each hop now, by the label of the hop. */
export type HopReader = () => ReadonlyMap<string, HopReading>

/** A label is a word of ours (an error code, a direction). More values than this in one counter means ids have leaked into it. */
const MAX_SERIES = 200
const OVERFLOW = 'other'

/** A counter, and each of its series. */
interface Counting {
  readonly counter: Counter<string>
  readonly labels: readonly string[]
  readonly series: Map<string, ReturnType<Counter<string>['labels']>>
}

export function createMetrics(options: {
  version: string
  warnings: Warnings
  gauges: GaugeReaders
  hops?: HopReader | undefined
}): Metrics {
  const registry = new Registry()
  const registers = [registry]
  // Memory, CPU, open files and event loop lag of the process, under their usual names. The event loop is not woken 110 times a second to be looked
  // at, as it would be where nothing is said: that was most of what a node at rest did.
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 40, eventLoopUtilizationTimeout: 1_000 })

  const counters = new Map<CounterName, Counting>()
  for (const [name, { help, labels }] of Object.entries(COUNTERS) as [CounterName, { help: string; labels: readonly string[] }][]) {
    const counter = new Counter({ name: `byway_${name}_total`, help, labelNames: [...labels], registers })
    counters.set(name, { counter, labels, series: new Map() })
  }
  for (const [name, help] of Object.entries(GAUGES) as [GaugeName, string][]) {
    const read = options.gauges[name]
    if (read !== undefined) gauge(name, help, registers, read)
  }
  if (options.hops !== undefined) hopGauges(registers, options.hops)
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
      let key = ''
      for (const label of labels) key += `${given[label] ?? 'none'}\n`
      // Found again by what it is called: to look it up in the registry costs more than to count, hundreds of times a second.
      let one = series.get(key)
      if (one === undefined) {
        const values = labels.map((label) => (series.size < MAX_SERIES ? (given[label] ?? 'none') : OVERFLOW))
        one = counter.labels(...values)
        if (series.size < MAX_SERIES) series.set(key, one)
      }
      one.inc(by)
    },
    text: () => registry.metrics(),
    contentType: registry.contentType,
  }
}

function hopGauges(registers: Registry[], read: HopReader): void {
  for (const [name, help] of Object.entries(HOP_GAUGES) as [HopGaugeName, string][]) {
    const own = new Gauge({
      name: `byway_${name}`,
      help,
      labelNames: ['hop'],
      registers,
      collect: () => {
        own.reset()
        for (const [hop, reading] of read()) own.set({ hop }, reading[name])
      },
    })
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
