/**
 * A small machine: processes in control groups with a share of a core and a limit of memory each, as a Raspberry Pi has. Version 1 or 2 of
 * control groups, whichever this machine mounts and lets us write.
 */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = '/sys/fs/cgroup'
/** Over which the share is counted; the kernel's own default. */
const PERIOD_US = 100_000

export interface Cage {
  /** Which control groups were used. */
  how: string
  /** How often the processes were held back, and for how long in all. */
  throttled(): { times: number; seconds: number }
  /** The most memory they had at once. */
  peakBytes(): number
  open(): void
}

/** Puts a process in a cage of its own. Throws where that is not possible. */
export function cage(name: string, pid: number, { cores, bytes }: { cores: number; bytes: number }): Cage {
  const group = `byway-bench-${process.pid}-${name}`
  return existsSync(join(ROOT, 'cgroup.controllers')) ? cageV2(group, pid, cores, bytes) : cageV1(group, pid, cores, bytes)
}

function cageV1(group: string, pid: number, cores: number, bytes: number): Cage {
  const [cpu, memory] = ['cpu', 'memory'].map((controller) => join(ROOT, controller, group)) as [string, string]
  for (const folder of [cpu, memory]) mkdirSync(folder)
  writeFileSync(join(cpu, 'cpu.cfs_period_us'), `${PERIOD_US}`)
  writeFileSync(join(cpu, 'cpu.cfs_quota_us'), `${cores * PERIOD_US}`)
  writeFileSync(join(memory, 'memory.limit_in_bytes'), `${bytes}`)
  for (const folder of [cpu, memory]) writeFileSync(join(folder, 'cgroup.procs'), `${pid}`)
  return {
    how: 'control groups v1',
    throttled: () => throttledOf(join(cpu, 'cpu.stat'), /throttled_time (\d+)/, 1e9),
    peakBytes: () => Number(readFileSync(join(memory, 'memory.max_usage_in_bytes'), 'utf8')),
    open: () => {
      for (const folder of [cpu, memory]) release(folder, join(folder, '..', 'cgroup.procs'), pid)
    },
  }
}

function cageV2(group: string, pid: number, cores: number, bytes: number): Cage {
  const folder = join(ROOT, group)
  writeFileSync(join(ROOT, 'cgroup.subtree_control'), '+cpu +memory')
  mkdirSync(folder)
  writeFileSync(join(folder, 'cpu.max'), `${cores * PERIOD_US} ${PERIOD_US}`)
  writeFileSync(join(folder, 'memory.max'), `${bytes}`)
  writeFileSync(join(folder, 'cgroup.procs'), `${pid}`)
  return {
    how: 'control groups v2',
    throttled: () => throttledOf(join(folder, 'cpu.stat'), /throttled_usec (\d+)/, 1e6),
    peakBytes: () => Number(readFileSync(join(folder, 'memory.peak'), 'utf8')),
    open: () => release(folder, join(ROOT, 'cgroup.procs'), pid),
  }
}

function throttledOf(path: string, time: RegExp, perSecond: number): { times: number; seconds: number } {
  const text = readFileSync(path, 'utf8')
  return { times: Number(/nr_throttled (\d+)/.exec(text)?.[1]), seconds: Number(time.exec(text)?.[1]) / perSecond }
}

/** A group can be removed once nobody is in it. */
function release(folder: string, outside: string, pid: number): void {
  try {
    writeFileSync(outside, `${pid}`)
  } catch {
    // It ended already.
  }
  rmdirSync(folder)
}
