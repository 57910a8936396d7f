/** What processes cost: CPU seconds and resident memory of whole process trees, from /proc. */
import { readdirSync, readFileSync } from 'node:fs'

/** Ticks of /proc a second: fixed on Linux whatever the kernel's own clock. */
const TICKS_PER_SECOND = 100

interface ProcessStat {
  pid: number
  parent: number
  /** User and system time of all its threads, and of its children that ended and were waited for. */
  ticks: number
}

function statOf(pid: number): ProcessStat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The name stands in parentheses and may hold anything; what follows the last one is numbers.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    const ticks = Number(fields[11]) + Number(fields[12]) + Number(fields[13]) + Number(fields[14])
    return { pid, parent: Number(fields[1]), ticks }
  } catch {
    return undefined // it ended while we looked
  }
}

/** The processes with these ids and all their living descendants. */
function treeOf(roots: readonly number[]): ProcessStat[] {
  if (roots.length === 0) return []
  const all = readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? (statOf(Number(name)) ?? []) : []))
  const tree = new Map<number, ProcessStat>()
  for (const stat of all) if (roots.includes(stat.pid)) tree.set(stat.pid, stat)
  for (let size = -1; size !== tree.size; ) {
    size = tree.size
    for (const stat of all) if (tree.has(stat.parent)) tree.set(stat.pid, stat)
  }
  return [...tree.values()]
}

export function pidsOf(roots: readonly number[]): number[] {
  return treeOf(roots).map(({ pid }) => pid)
}

/** Of the trees, since they started. A child that ends moves its time to its parent, so the sum only grows. */
export function cpuSeconds(roots: readonly number[]): number {
  return treeOf(roots).reduce((sum, { ticks }) => sum + ticks, 0) / TICKS_PER_SECOND
}

/** Of each thread of a process since it started, summed by name; the first is the main thread's. */
export function threadSeconds(pid: number): Map<string, number> {
  const threads = new Map<string, number>()
  for (const id of readdirSync(`/proc/${pid}/task`)) {
    try {
      const text = readFileSync(`/proc/${pid}/task/${id}/stat`, 'latin1')
      const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
      const name = Number(id) === pid ? 'main' : text.slice(text.indexOf('(') + 1, text.lastIndexOf(')'))
      threads.set(name, (threads.get(name) ?? 0) + (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND)
    } catch {
      // It ended while we looked.
    }
  }
  return threads
}

/** Of the whole machine, since it started: everything but idling, time stolen by the host included. */
export function machineCpuSeconds(): number {
  const [line = ''] = readFileSync('/proc/stat', 'latin1').split('\n', 1)
  const [user, nice, system, , , irq, softirq, steal] = line.trim().split(/\s+/).slice(1).map(Number)
  return (user! + nice! + system! + irq! + softirq! + steal!) / TICKS_PER_SECOND
}

/** Resident memory of the trees, summed: pages that processes share count for each. */
export function residentBytes(roots: readonly number[]): number {
  return pidsOf(roots).reduce((sum, pid) => {
    try {
      return sum + Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0) * 1024
    } catch {
      return sum // it ended while we looked
    }
  }, 0)
}
