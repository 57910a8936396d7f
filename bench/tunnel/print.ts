/** The report for people: tables, goals met or not, and how quiet the machine was. */
import { type Column, tableLines } from '../../src/cli/format.ts'
import { CELLS, hopsOf, median, type Ratio, type Row } from './report.ts'
import { SMALL_GOAL_MBPS } from './small.ts'
import type { System } from './systems.ts'

/** What the tunnel is to reach against the best encrypted peer of the same run, by number of hops. */
const GOALS: Record<string, { name: string; of: (ratio: Ratio) => number | undefined; goal: number; atMost?: true }[]> = {
  d1: [
    { name: 'throughput, worst cell', of: (ratio) => ratio.throughput, goal: 1.35 },
    { name: 'CPU per GB, worst cell', of: (ratio) => ratio.cpu, goal: 0.65, atMost: true },
    { name: 'first byte, extra us', of: (ratio) => ratio.ttfb_extra_us, goal: 200, atMost: true },
    { name: 'connections per second', of: (ratio) => ratio.conn, goal: 1 },
  ],
  d2: [{ name: 'throughput, worst cell', of: (ratio) => ratio.throughput, goal: 1 }],
  d3: [{ name: 'throughput, worst cell', of: (ratio) => ratio.throughput, goal: 0.5 }],
}

export function printReport(systems: readonly System[], rows: ReadonlyMap<string, Row>, ratios: ReadonlyMap<string, Ratio>): void {
  const number = (title: string): Column => ({ title, align: 'right' })
  const shown = (value: number | undefined, digits: number) => (value === undefined ? '-' : value.toFixed(digits))
  const table = (title: string, columns: readonly Column[], lines: readonly (readonly string[])[]) => {
    console.log(`\n${title}`)
    for (const line of tableLines(columns, lines)) console.log(line)
  }
  const arrows = CELLS.map(({ flows, direction }) => number(`${flows} ${direction}`))
  const bySystem = (cellsOf: (row: Row) => string[]) => systems.map(({ name }) => [name, ...cellsOf(rows.get(name)!)])
  table(
    'Gbit/s, flows and direction',
    [{ title: 'system' }, ...arrows],
    bySystem((row) => CELLS.map(({ name }) => shown(row.cells[name]?.gbps, 2))),
  )
  table(
    'CPU seconds per GB, all processes of the system',
    [{ title: 'system' }, ...arrows],
    bySystem((row) => CELLS.map(({ name }) => shown(row.cells[name]?.cpu_s_per_gb, 2))),
  )
  const others = [
    'first byte p50 us',
    'p99 us',
    'p50 ms at 40 ms',
    'connections/s',
    'CPU us each',
    'idle flows',
    'MB',
    'MB before',
    'KB a flow',
  ].map(number)
  table(
    'Time to first byte, new connections, memory of idle flows',
    [{ title: 'system' }, ...others, { title: '' }],
    bySystem(({ ttfb_us, ttfb_40ms_us, conn_per_s, cpu_us_per_conn, idle }) => [
      shown(ttfb_us?.p50, 0),
      shown(ttfb_us?.p99, 0),
      shown(ttfb_40ms_us && ttfb_40ms_us.p50 / 1000, 1),
      shown(conn_per_s, 0),
      shown(cpu_us_per_conn, 0),
      shown(idle?.flows, 0),
      shown(idle?.rss_mb, 0),
      shown(idle?.base_mb, 0),
      shown(idle?.kb_per_flow, 1),
      idle?.refused === undefined ? '' : `no more: ${idle.refused}`,
    ]),
  )
  for (const [name, ratio] of ratios) {
    const goals = GOALS[hopsOf(name)] ?? []
    table(
      `${name} against the best encrypted peer`,
      [{ title: '' }, number('measured'), number('goal'), { title: '' }],
      goals.map(({ name: what, of, goal, atMost }) => {
        const value = of(ratio)
        const met = value !== undefined && (atMost === true ? value <= goal : value >= goal)
        return [what, shown(value, 2), `${atMost === true ? '<=' : '>='} ${goal}`, met ? 'met' : 'not met']
      }),
    )
  }
  for (const { name } of systems) {
    const { audit, failures, loop_p99_ms, small } = rows.get(name)!
    for (const [thread, { median, worst }] of Object.entries(loop_p99_ms ?? {})) {
      console.log(`\n${name}: the ${thread} thread late by ${median} ms at p99 under full load (median), ${worst} ms at worst`)
    }
    if (small !== undefined) {
      const held = Math.min(small.mbps_down, small.mbps_up) >= SMALL_GOAL_MBPS
      console.log(
        `${name} on a small machine (${small.how}): ${small.mbps_down} Mbit/s down, ${small.mbps_up} up, ${small.peak_mb} MB at most`,
      )
      console.log(`  ${SMALL_GOAL_MBPS} Mbit/s ${held ? 'hold' : 'do not hold'}`)
    }
    if (audit !== undefined)
      console.log(
        `\n${name}: ${Object.entries(audit)
          .map(([key, value]) => `${key} ${value}`)
          .join(', ')}`,
      )
    for (const failure of failures) console.log(`${name} FAILED: ${failure}`)
  }
  const noise = median([...rows.values()].flatMap((row) => Object.values(row.cells).map((cell) => cell.others_cores))) ?? 0
  console.log(`\nothers on this machine used ${noise.toFixed(2)} cores (median)${noise > QUIET_CORES ? ': read ratios, not digits' : ''}`)
}

/** Above this the machine is not quiet, and throughput is what was left over. */
const QUIET_CORES = 0.15
