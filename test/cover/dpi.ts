/** What nDPI makes of flows: captured on loopback with tcpdump, classified by Debian's ndpiReader. */
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { find, lacks } from '../support/programs.ts'

/** The programs this needs, and the Debian packages they come in. */
export const DPI_PROGRAMS = { ndpiReader: 'libndpi-bin', tcpdump: 'tcpdump' } as const

/** Why nothing can be captured and classified here; false when it can. */
export function whyNoCapture(): string | false {
  const missing = lacks(...Object.keys(DPI_PROGRAMS))
  if (missing !== false) return missing
  // It opens the device to say how it would filter.
  const { status, stderr } = spawnSync(find('tcpdump')!, ['-i', 'lo', '-d'], { encoding: 'utf8' })
  return status !== 0 && `packets cannot be captured here: ${stderr.trim().split('\n')[0]}`
}

/** Packets are handed over at least this often; then the capture has seen all there was. */
const SETTLE_MS = 1_500

export interface Classes {
  /** Flows by port and nDPI's name for them. */
  byPort: Map<number, Map<string, number>>
  /** Flows nDPI has no name for, on any port. */
  unknown: number
}

/** Captures what happens on these ports while `work` runs, and asks nDPI. */
export async function classify(ports: readonly number[], work: () => Promise<void>): Promise<Classes> {
  const folder = await mkdtemp(join(tmpdir(), 'byway-dpi-'))
  const pcap = join(folder, 'flows.pcap')
  try {
    const filter = ports.map((port) => `tcp port ${port}`).join(' or ')
    const dump = spawn(find('tcpdump')!, ['-i', 'lo', '-w', pcap, '-s', '4096', '-B', '65536', '-U', filter], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    let said = ''
    dump.stderr.on('data', (part: Buffer) => {
      said += part.toString()
    })
    // It says so when it listens.
    while (!said.includes('listening on') && dump.exitCode === null) await Promise.race([once(dump.stderr, 'data'), once(dump, 'exit')])
    await work()
    await sleep(SETTLE_MS)
    const exited = once(dump, 'exit')
    dump.kill('SIGINT')
    await exited
    const dropped = /(\d+) packets? dropped by kernel/.exec(said)?.[1] ?? '?'
    if (dropped !== '0') throw new Error(`the capture is not whole: ${dropped} packets dropped`)
    // DPI only: no guess from the port.
    const csv = join(folder, 'flows.csv')
    const summary = execFileSync(find('ndpiReader')!, ['-i', pcap, '-d', '-C', csv], { encoding: 'latin1' })
    // The file has a line for each flow that was recognised; how many were not stands in the summary alone.
    const unknown = Number(/^\s*Unknown\s.*flows:\s*(\d+)/m.exec(summary)?.[1] ?? 0)
    return { byPort: countByPort(await readFile(csv, 'latin1'), ports), unknown }
  } finally {
    await rm(folder, { recursive: true })
  }
}

function countByPort(csv: string, ports: readonly number[]): Map<number, Map<string, number>> {
  const [head = '', ...lines] = csv.split('\n')
  const columns = head.replace(/^#/, '').split(',')
  const at = (name: string) => columns.indexOf(name)
  const [from, to, name] = [at('src_port'), at('dst_port'), at('ndpi_proto')]
  if (from < 0 || to < 0 || name < 0) throw new Error(`ndpiReader writes other columns: ${head}`)
  const counts = new Map(ports.map((port) => [port, new Map<string, number>()]))
  for (const line of lines) {
    const cells = line.split(',')
    const flows = counts.get(Number(cells[to])) ?? counts.get(Number(cells[from]))
    const found = cells[name]
    if (flows !== undefined && found !== undefined) flows.set(found, (flows.get(found) ?? 0) + 1)
  }
  return counts
}
