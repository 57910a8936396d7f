/**
 * Whether a node can be told from a website: `node test/cover/acceptance.ts` (as root; `--flows`, `--payloads`, `--lengths`, `--replays`,
 * `--captures` and `--times` take other counts; 0 leaves the last two out). Installs nginx, tcpdump and ndpiReader from Debian when they are missing.
 *
 * The real cover server is nginx, and for the built-in site Node's own https server, each in the same run. Prints what was compared and found,
 * and ends with status 1 if a node was told apart where it must not be. The rule of this folder is in nginx.ts.
 */
import { parseArgs } from 'node:util'
import { DPI_PROGRAMS } from './dpi.ts'
import { compareHandshakes } from './handshakes.ts'
import { install } from './nginx.ts'
import { askDpi, blockedPayloads } from './observing.ts'
import { compareProbes, compareReplays, compareTimes } from './probing.ts'
import { findTlsInTls } from './tls-in-tls.ts'
import { startWorld } from './world.ts'

const { values } = parseArgs({
  options: {
    flows: { type: 'string', default: '1000' },
    payloads: { type: 'string', default: '10000' },
    lengths: { type: 'string', default: '4096' },
    replays: { type: 'string', default: '10000' },
    captures: { type: 'string', default: '2000' },
    times: { type: 'string', default: '1000' },
  },
})

/** What one comparison found. */
export interface Finding {
  what: string
  lines: string[]
  passed: boolean
}

export interface Counts {
  flows: number
  payloads: number
  lengths: number
  replays: number
  /** Links, visits and WebSockets each that the classifier learns from; 0 for no classifier. */
  captures: number
  times: number
}

export async function accept(counts: Counts, report: (finding: Finding) => void): Promise<boolean> {
  const missing = install({ nginx: 'nginx-light', ...DPI_PROGRAMS })
  if (missing.length > 0) throw new Error(`missing, and could not be installed: ${missing.join(', ')}`)
  const world = await startWorld()
  let passed = true
  try {
    const comparisons = [askDpi, blockedPayloads, compareHandshakes, compareProbes, compareReplays]
    if (counts.captures > 0) comparisons.push(findTlsInTls)
    // Times are for a machine that does nothing else.
    if (counts.times > 0) comparisons.push(compareTimes)
    for (const compare of comparisons) {
      const finding = await compare(world, counts)
      report(finding)
      passed &&= finding.passed
    }
  } finally {
    await world.stop()
  }
  return passed
}

if (import.meta.main) {
  const counts = Object.fromEntries(Object.entries(values).map(([name, text]) => [name, Number(text)])) as unknown as Counts
  const passed = await accept(counts, ({ what, lines, passed: fine }) => {
    console.log(`${fine ? 'ok  ' : 'FAIL'}  ${what}`)
    for (const line of lines) console.log(`      ${line}`)
  })
  process.exitCode = passed ? 0 : 1
}
