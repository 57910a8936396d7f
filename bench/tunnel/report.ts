/** From single measurements to one row a system: medians over the rounds, and ratios to the best encrypted peer of the same run. */

import { THREADS } from './daemons.ts'
import type { Bulk, Connections, Direction, FirstByte } from './jobs.ts'
import type { Small } from './small.ts'
import type { System } from './systems.ts'

export const CELLS = ([1, 16, 64] as const).flatMap((flows) =>
  (['down', 'up'] as const).map((direction) => ({ name: `${direction}_${flows}`, flows, direction: direction as Direction })),
)

export interface Idle {
  flows: number
  /** Resident memory of both sides, before and while the flows are there. */
  baseBytes: number
  bytes: number
  refused: string | undefined
}

/** Everything measured of one system. */
export interface Measured {
  bulk: Map<string, Bulk[]>
  firstByte: FirstByte[]
  connections: Connections[]
  idle?: Idle
  /** Over a path of 40 ms. */
  farFirstByte?: FirstByte
  /** Of our daemons: the latest thread of each kind in each bulk measurement, p99. */
  loopDelayMs: Record<(typeof THREADS)[number], number[]>
  small?: Small
  /** What the system says about the run, checked. */
  audit?: Record<string, string | number>
  failures: string[]
}

export const nothingMeasured = (): Measured => ({
  bulk: new Map(),
  firstByte: [],
  connections: [],
  loopDelayMs: { main: [], carrying: [] },
  failures: [],
})

export interface Row {
  /** Geometric mean over the cells. */
  gbps: number | undefined
  /** Mean over the cells. */
  cpu_s_per_gb: number | undefined
  cells: Record<string, { gbps: number; cpu_s_per_gb: number; others_cores: number }>
  ttfb_us: { p50: number; p99: number } | undefined
  /** Over a path of 40 ms round trip. */
  ttfb_40ms_us?: { p50: number; p99: number }
  /** How late the threads of our daemons were under full load, p99: the worst and the median of the measurements. */
  loop_p99_ms?: Partial<Record<(typeof THREADS)[number], { worst: number; median: number }>>
  small?: Small
  conn_per_s: number | undefined
  cpu_us_per_conn: number | undefined
  idle: { flows: number; rss_mb: number; base_mb: number; kb_per_flow: number; refused?: string } | undefined
  audit?: Record<string, string | number>
  failures: string[]
}

export interface Ratio {
  /** Worst of the cells: at least this many times the throughput of the best encrypted peer in the same cell. */
  throughput: number | undefined
  /** Worst of the cells: at most this many times the CPU of the most frugal encrypted peer in the same cell. */
  cpu: number | undefined
  /** Of the medians. */
  ttfb: number | undefined
  ttfb_extra_us: number | undefined
  conn: number | undefined
  cells: Record<string, { throughput: number; cpu: number }>
}

const GIGA = 1e9

export function median(values: readonly number[]): number | undefined {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : sorted.length === 0 ? undefined : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** Four digits that count are more than the machine's noise leaves. */
const short = (value: number) => Number(value.toPrecision(4))
const shortMedian = (values: readonly number[]) => {
  const found = median(values)
  return found === undefined ? undefined : short(found)
}

export function rowOf(of: Measured): Row {
  const { bulk, firstByte, connections, idle, farFirstByte, loopDelayMs, small, audit, failures } = of
  const cells: Row['cells'] = {}
  for (const [name, all] of bulk) {
    if (all.length === 0) continue
    cells[name] = {
      gbps: shortMedian(all.map(({ bytes, seconds }) => (bytes * 8) / seconds / GIGA))!,
      cpu_s_per_gb: shortMedian(all.map(({ bytes, cpuSeconds }) => cpuSeconds / (bytes / GIGA)))!,
      others_cores: shortMedian(all.map(({ othersCores }) => othersCores))!,
    }
  }
  const late = THREADS.flatMap((thread) => {
    const all = loopDelayMs[thread]
    return all.length === 0 ? [] : [[thread, { worst: short(Math.max(...all)), median: short(median(all)!) }] as const]
  })
  const measured = Object.values(cells)
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
  const whole = measured.length > 0
  return {
    gbps: whole ? short(Math.exp(mean(measured.map(({ gbps }) => Math.log(gbps))))) : undefined,
    cpu_s_per_gb: whole ? short(mean(measured.map((cell) => cell.cpu_s_per_gb))) : undefined,
    cells,
    ttfb_us:
      firstByte.length === 0
        ? undefined
        : { p50: Math.round(median(firstByte.map(({ p50Us }) => p50Us))!), p99: Math.round(median(firstByte.map(({ p99Us }) => p99Us))!) },
    conn_per_s: shortMedian(connections.map(({ count, seconds }) => count / seconds)),
    cpu_us_per_conn: shortMedian(connections.map(({ count, cpuSeconds }) => (cpuSeconds / count) * 1e6)),
    idle:
      idle === undefined
        ? undefined
        : {
            flows: idle.flows,
            rss_mb: Math.round(idle.bytes / 1e6),
            base_mb: Math.round(idle.baseBytes / 1e6),
            kb_per_flow: short(Math.max(0, idle.bytes - idle.baseBytes) / 1e3 / Math.max(1, idle.flows)),
            ...(idle.refused === undefined ? {} : { refused: idle.refused }),
          },
    ...(farFirstByte === undefined ? {} : { ttfb_40ms_us: { p50: Math.round(farFirstByte.p50Us), p99: Math.round(farFirstByte.p99Us) } }),
    ...(late.length === 0 ? {} : { loop_p99_ms: Object.fromEntries(late) }),
    ...(small === undefined ? {} : { small }),
    ...(audit === undefined ? {} : { audit }),
    failures,
  }
}

/** Compares with the best of `peers` in each single thing: no peer is best in all. */
export function ratioOf(row: Row, peers: readonly Row[]): Ratio {
  const cells: Ratio['cells'] = {}
  for (const [name, { gbps, cpu_s_per_gb }] of Object.entries(row.cells)) {
    const rivals = peers.flatMap((peer) => peer.cells[name] ?? [])
    if (rivals.length === 0) continue
    const fastest = Math.max(...rivals.map((cell) => cell.gbps))
    const leanest = Math.min(...rivals.map((cell) => cell.cpu_s_per_gb))
    cells[name] = { throughput: short(gbps / fastest), cpu: short(cpu_s_per_gb / leanest) }
  }
  const all = Object.values(cells)
  const soonest = least(peers.flatMap((peer) => peer.ttfb_us?.p50 ?? []))
  const most = least(peers.flatMap((peer) => (peer.conn_per_s === undefined ? [] : [-peer.conn_per_s])))
  const ttfb = row.ttfb_us?.p50
  return {
    throughput: all.length === 0 ? undefined : Math.min(...all.map((cell) => cell.throughput)),
    cpu: all.length === 0 ? undefined : Math.max(...all.map((cell) => cell.cpu)),
    ttfb: ttfb === undefined || soonest === undefined ? undefined : short(ttfb / soonest),
    ttfb_extra_us: ttfb === undefined || soonest === undefined ? undefined : ttfb - soonest,
    conn: row.conn_per_s === undefined || most === undefined ? undefined : short(row.conn_per_s / -most),
    cells,
  }
}

const least = (values: readonly number[]) => (values.length === 0 ? undefined : Math.min(...values))

/** `byway-d1` is the row `d1`. */
export const hopsOf = (name: string): string => name.replace('byway-', '')

/** The object of `--json`. */
export function jsonReport(
  systems: readonly System[],
  rows: ReadonlyMap<string, Row>,
  ratios: ReadonlyMap<string, Ratio>,
  run: Record<string, unknown>,
): object {
  const named = (kind: (system: System) => boolean, key: (name: string) => string) =>
    Object.fromEntries(systems.filter(kind).map((system) => [key(system.name), { kind: system.kind, ...rows.get(system.name) }]))
  const byway = named(({ kind }) => kind === 'byway', hopsOf)
  const first = rows.get('byway-d1')
  return {
    byway: { ...byway, ttfb_us: first?.ttfb_us, conn_per_s: first?.conn_per_s },
    peers: named(({ kind }) => kind !== 'byway', String),
    ratio: {
      ...ratios.get('byway-d1'),
      by_hops: Object.fromEntries([...ratios].map(([name, ratio]) => [hopsOf(name), ratio])),
    },
    run,
  }
}
