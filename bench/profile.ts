/**
 * Where the CPU of both sides goes: profiles of provider and consumer under bulk downloads and under many short connections, the ten most
 * expensive functions of each, the same by file, and how long the event loop was held up.
 *
 *     node bench/profile.ts [--seconds 4] [--flows 16] [--direction down|up] [--save DIR] [--json]
 *
 * Self time, in percent of the time the main thread was busy; the garbage collector's and the disk's threads come on top of it. `(program)`
 * is native code that no JavaScript called: reading and decrypting in the event loop, system calls, copies. `perf record -p PID` takes it
 * apart. --save keeps the profiles for Chrome's developer tools.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { tableLines } from '../src/cli/format.ts'
import { startByway } from './tunnel/byway.ts'
import { threadSeconds } from './tunnel/cpu.ts'
import { INSPECTED, type Inspector, inspect, type LoopDelay, type Profile } from './tunnel/inspector.ts'
import type { Direction, Path } from './tunnel/jobs.ts'
import { type Load, startLoad } from './tunnel/load.ts'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '4' },
    flows: { type: 'string', default: '16' },
    direction: { type: 'string', default: 'down' },
    save: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
})
const windowMs = Number(values.seconds) * 1000
const flows = Number(values.flows)
const direction = values.direction as Direction
const WARM_MS = 1_000
const CONCURRENCY = 32
const SHOWN = 10
const REPOSITORY = fileURLToPath(new URL('..', import.meta.url))

/** What is measured, and how its result reads. */
const PHASES: { name: string; run: (load: Load, path: Path, ms: number) => Promise<string> }[] = [
  {
    name: `bulk ${direction}, ${flows} flows`,
    async run(load, path, ms) {
      const { bytes, seconds, cpuSeconds } = await load.run({ kind: 'bulk', path, flows, direction, warmMs: 0, windowMs: ms })
      return `${((bytes * 8) / seconds / 1e9).toFixed(2)} Gbit/s, ${(cpuSeconds / (bytes / 1e9)).toFixed(2)} CPU-s/GB`
    },
  },
  {
    name: `short connections, ${CONCURRENCY} at once`,
    async run(load, path, ms) {
      const { count, seconds, cpuSeconds } = await load.run({ kind: 'connections', path, concurrency: CONCURRENCY, windowMs: ms })
      return `${(count / seconds).toFixed(0)} a second, ${((cpuSeconds / count) * 1e6).toFixed(0)} CPU-us each`
    },
  },
]

interface Cost {
  name: string
  percent: number
}

interface Summary {
  phase: string
  result: string
  node: string
  /** Share of the window in which the thread did anything. */
  busyPercent: number
  loop: LoopDelay
  functions: Cost[]
  files: Cost[]
  /** By room of src/: each sample is that of our innermost function on the stack, so that what Node does for a room is the room's. */
  rooms: Cost[]
  /** CPU of all threads of the process, in percent: the data path has one of its own where the machine can. */
  threads: Cost[]
}

/** The room whose code was running, or what ran when none was. */
function roomsOf({ nodes }: Profile): Map<number, string> {
  const parents = new Map(nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id] as const)))
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]))
  const roomOf = (id: number): string => {
    for (let at: number | undefined = id; at !== undefined; at = parents.get(at)) {
      const { url } = frames.get(at)!
      const room = url.startsWith('file:') ? /^src\/([^/]+)\//.exec(relative(REPOSITORY, fileURLToPath(url)))?.[1] : undefined
      if (room !== undefined) return room
    }
    return frames.get(id)!.functionName.startsWith('(') ? frames.get(id)!.functionName : 'Node itself'
  }
  return new Map(nodes.map(({ id }) => [id, roomOf(id)]))
}

function summarise(profile: Profile): Pick<Summary, 'busyPercent' | 'functions' | 'files' | 'rooms'> {
  const frames = new Map(profile.nodes.map(({ id, callFrame }) => [id, callFrame]))
  const roomOf = roomsOf(profile)
  const rooms = new Map<string, number>()
  const functions = new Map<string, number>()
  const files = new Map<string, number>()
  let busy = 0
  let total = 0
  for (const [i, sample] of profile.samples.entries()) {
    const { functionName, url, lineNumber } = frames.get(sample)!
    const micros = profile.timeDeltas[i]!
    total += micros
    if (functionName === '(idle)') continue
    busy += micros
    const file = url.startsWith('file:') ? relative(REPOSITORY, fileURLToPath(url)) : url
    const name = file === '' ? functionName : `${functionName || '(anonymous)'} ${file}:${lineNumber + 1}`
    const room = roomOf.get(sample)!
    rooms.set(room, (rooms.get(room) ?? 0) + micros)
    functions.set(name, (functions.get(name) ?? 0) + micros)
    files.set(file || functionName, (files.get(file || functionName) ?? 0) + micros)
  }
  const top = (costs: Map<string, number>) =>
    [...costs]
      .sort((a, b) => b[1] - a[1])
      .slice(0, SHOWN)
      .map(([name, micros]) => ({ name, percent: Math.round((micros / busy) * 1000) / 10 }))
  return { busyPercent: Math.round((busy / total) * 100), functions: top(functions), files: top(files), rooms: top(rooms) }
}

async function profilePhase(phase: (typeof PHASES)[number], load: Load, path: Path, nodes: Record<string, Watched>): Promise<Summary[]> {
  await phase.run(load, path, WARM_MS)
  for (const { inspector } of Object.values(nodes)) await inspector.begin()
  const before = new Map(Object.values(nodes).map(({ pid }) => [pid, threadSeconds(pid)]))
  const result = await phase.run(load, path, windowMs)
  const summaries: Summary[] = []
  for (const [node, { inspector, pid }] of Object.entries(nodes)) {
    const threads = threadShares(before.get(pid)!, threadSeconds(pid))
    const { profile, loop } = await inspector.end()
    if (values.save !== undefined) {
      mkdirSync(values.save, { recursive: true })
      writeFileSync(join(values.save, `${node}-${phase.name.replace(/\W+/g, '-')}.cpuprofile`), JSON.stringify(profile))
    }
    summaries.push({ phase: phase.name, result, node, loop, threads, ...summarise(profile) })
  }
  return summaries
}

interface Watched {
  inspector: Inspector
  pid: number
}

function threadShares(before: ReadonlyMap<string, number>, after: ReadonlyMap<string, number>): Cost[] {
  // The profiler's own thread is not ours.
  const own = [...after].filter(([name]) => !name.startsWith('v8:Prof'))
  const used = own.map(([name, seconds]) => ({ name, seconds: seconds - (before.get(name) ?? 0) }))
  const total = used.reduce((sum, { seconds }) => sum + seconds, 0)
  const shares = used.map(({ name, seconds }) => ({ name, percent: Math.round((seconds / total) * 1000) / 10 }))
  return shares.filter(({ percent }) => percent > 0).sort((a, b) => b.percent - a.percent)
}

function print({ phase, result, node, busyPercent, loop, functions, files, rooms, threads }: Summary): void {
  const ms = (value: number) => `${value.toFixed(1)} ms`
  console.log(`\n${node}, ${phase}: ${result}`)
  console.log(`thread busy ${busyPercent} %; event loop late by ${ms(loop.p50Ms)} p50, ${ms(loop.p99Ms)} p99, ${ms(loop.maxMs)} at most`)
  const inOne = (costs: readonly Cost[]) => costs.map(({ name, percent }) => `${name} ${percent.toFixed(1)} %`).join(', ')
  console.log(`CPU by thread: ${inOne(threads)}`)
  console.log(`main thread by room: ${inOne(rooms)}`)
  const columns = [{ title: '%', align: 'right' }, { title: 'function' }, { title: '%', align: 'right' }, { title: 'file' }] as const
  const rows = functions.map(({ name, percent }, i) => [
    `${percent.toFixed(1)}`,
    name,
    files[i]?.percent.toFixed(1) ?? '',
    files[i]?.name ?? '',
  ])
  for (const line of tableLines(columns, rows)) console.log(line)
}

const folder = mkdtempSync(join(tmpdir(), 'byway-profile-'))
const load = await startLoad()
const summaries: Summary[] = []
try {
  const byway = await startByway(folder, { hops: 1, env: INSPECTED })
  try {
    const log = (node: { ready: { home: string } }) => join(node.ready.home, 'daemon.log')
    const watch = async (node: { pid: number; ready: { home: string } }) => ({ inspector: await inspect(log(node)), pid: node.pid })
    const nodes = { provider: await watch(byway.providers[0]!), consumer: await watch(byway.consumer) }
    const path: Path = { origin: load.originPort, pids: byway.pids, proxy: byway.proxy! }
    for (const phase of PHASES) summaries.push(...(await profilePhase(phase, load, path, nodes)))
    for (const { inspector } of Object.values(nodes)) inspector.close()
  } finally {
    await byway.stop()
  }
} finally {
  load.stop()
  rmSync(folder, { recursive: true, force: true })
}
if (values.json) console.log(JSON.stringify({ profiles: summaries }))
else for (const summary of summaries) print(summary)
