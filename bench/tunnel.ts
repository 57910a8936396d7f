/**
 * The tunnel against its peers, side by side in one run on loopback: throughput for 1, 16 and 64 flows down and up, CPU seconds per GB of all
 * processes of a system, time to first byte, new connections per second, memory of idle flows. Byway is paid, metered and has its
 * policy on. Missing peers are installed from Debian when we are root; each system runs with its own client and server processes.
 *
 *     npm run bench:tunnel [-- --quick] [--json] [--rounds N] [--only byway,ssh] [--congestion bbr]
 *
 * Everything is driven through SOCKS5 by one load generator whose own CPU does not count, and every byte is counted at both ends: a wrong
 * count fails the row. Systems take turns in each single measurement, so that a slow minute of the machine is everybody's.
 *
 * Start reading here; then tunnel/systems.ts (who takes part), tunnel/generator.ts (how it is measured), tunnel/report.ts (what is made of it).
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, release, tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { canEnter, enter, isInside } from '../test/support/own-network.ts'
import { FAR, NEAR, startFarPath } from './support/far.ts'
import { residentBytes } from './tunnel/cpu.ts'
import { type Delays, loopDelayMs, THREADS } from './tunnel/daemons.ts'
import { install, missingFor } from './tunnel/install.ts'
import type { Path } from './tunnel/jobs.ts'
import { type Load, startLoad } from './tunnel/load.ts'
import { printReport } from './tunnel/print.ts'
import { CELLS, jsonReport, type Measured, nothingMeasured, ratioOf, rowOf } from './tunnel/report.ts'
import { gcmGigabytes, runSmall } from './tunnel/small.ts'
import { type Running, SYSTEMS, type System, type Where } from './tunnel/systems.ts'

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    only: { type: 'string' },
    /** How TCP finds its pace in the network of our own. What Linux has where nobody says, whatever this machine is set to. */
    congestion: { type: 'string', default: 'cubic' },
  },
})

/** Long enough for windows of TCP and of credit to open, and for CPU time, which is counted in hundredths, to be exact to a percent. */
const SIZES = values.quick
  ? { warmMs: 500, windowMs: 1_500, firstBytes: 400, farFirstBytes: 20, connectionMs: 1_500 }
  : { warmMs: 700, windowMs: 3_000, firstBytes: 1_000, farFirstBytes: 60, connectionMs: 3_000 }
/** Tabs, chat windows and scrapers of a household, many times over. */
const IDLE_FLOWS = 5_000
/** A far country: the round trip of the row "first byte at 40 ms". */
const FAR_MS = 40
const ROUNDS = Number(values.rounds ?? (values.quick ? 1 : 3))
/** As many at once as a browser opens in a burst. */
const CONCURRENCY = 32
/**
 * Before the first round: pairs meet, earn credit and warm their code, which an engine compiles while it runs; of a connection's it takes 30,000 of them, five
 * seconds. All systems alike.
 */
const WARM_UP = { flows: 4, warmMs: 500, windowMs: 3_000, connectionMs: 6_000 }
/** Idle flows stay for minutes: buffers shrink and garbage goes before memory is read, which takes a collector ten seconds, on a busy machine more. */
const SETTLE_MS = 16_000
/** `--quick` promises five minutes: on a slow machine the memory of peers, which is read last and takes half a minute each, is left out. */
const QUICK_ENOUGH_MS = 240_000
/** Each network has its own choice of what the kernel has. */
const CONGESTION = '/proc/sys/net/ipv4/tcp_congestion_control'
const CONGESTIONS = '/proc/sys/net/ipv4/tcp_available_congestion_control'
/** So that a system has its connections and sessions before its memory is read. */
const GREETINGS = 20

interface Entry {
  system: System
  running: Running
  path: Path
  measured: Measured
  /** Payload bytes in bulk flows. */
  carried: number
}

const say = (text: string) => console.error(text)
const interrupted = new AbortController()

function chooseSystems(): System[] {
  const asked = values.only?.split(',')
  for (const name of asked ?? []) {
    if (!SYSTEMS.some((system) => isNamed(system, name)))
      throw new Error(`no system is called ${name}: ${SYSTEMS.map(({ name }) => name).join(', ')}`)
  }
  const wanted = SYSTEMS.filter((system) => asked?.some((name) => isNamed(system, name)) ?? (system.quick || !values.quick))
  return wanted.filter((system) => {
    const packages = missingFor(system)
    if (packages.length === 0) return true
    if (system.optional === true && asked === undefined) return false
    say(`installing ${packages.join(', ')}`)
    if (install(packages)) return true
    say(`${system.name} is left out: it needs ${packages.join(', ')} (as root: apt-get install ${packages.join(' ')})`)
    return false
  })
}

function chooseCongestion(name: string): void {
  const known = readFileSync(CONGESTIONS, 'latin1').trim().split(' ')
  if (!known.includes(name)) throw new Error(`this kernel has no congestion control called ${name}: it has ${known.join(', ')}`)
  writeFileSync(CONGESTION, name)
}

const congestion = () => readFileSync(CONGESTION, 'latin1').trim()

const isNamed = (system: System, name: string) => system.name === name || system.name.startsWith(`${name}-`)

/** Runs one measurement of one system. What goes wrong is the row's, not the run's. */
async function measure(entry: Entry, what: string, work: () => Promise<string>): Promise<void> {
  if (interrupted.signal.aborted) return
  const name = `${entry.system.name}, ${what}`
  try {
    say(`${name}: ${await work()}`)
  } catch (thrown) {
    if (interrupted.signal.aborted) return
    entry.measured.failures.push(`${what}: ${(thrown as Error).message}`)
    say(`${name}: FAILED, ${(thrown as Error).message}`)
  }
}

async function bulk(load: Load, entry: Entry, cell: (typeof CELLS)[number]): Promise<string> {
  const { flows, direction } = cell
  const before = await loopDelays(entry)
  const answer = await load.run({ kind: 'bulk', path: entry.path, flows, direction, ...SIZES })
  entry.carried += answer.carried
  entry.measured.bulk.set(cell.name, [...(entry.measured.bulk.get(cell.name) ?? []), answer])
  const gigabytes = answer.bytes / 1e9
  let late = ''
  if (before !== undefined) {
    const after = (await loopDelays(entry))!
    for (const thread of THREADS) {
      const worst = Math.max(...after.map((delays) => delays[thread] ?? Number.NEGATIVE_INFINITY))
      if (worst < 0) continue
      entry.measured.loopDelayMs[thread].push(worst)
      late += `, ${thread} thread late by ${worst.toFixed(1)} ms at p99`
    }
  }
  const starved = answer.starved === 0 ? '' : `, ${answer.starved} of ${flows} flows carried nothing`
  return `${((gigabytes * 8) / answer.seconds).toFixed(2)} Gbit/s, ${(answer.cpuSeconds / gigabytes).toFixed(2)} CPU-s/GB${late}${starved}`
}

/** Of each of our daemons since they were last asked. Peers have none. */
async function loopDelays({ running }: Entry): Promise<Delays[] | undefined> {
  return running.homes === undefined ? undefined : await Promise.all(running.homes.map(loopDelayMs))
}

async function warmUp(load: Load, entry: Entry): Promise<string> {
  const { path } = entry
  const { connectionMs, ...sizes } = WARM_UP
  for (const direction of ['down', 'up'] as const) entry.carried += (await load.run({ kind: 'bulk', path, direction, ...sizes })).carried
  await load.run({ kind: 'connections', path, concurrency: CONCURRENCY, windowMs: connectionMs })
  return `${(entry.carried / 1e9).toFixed(2)} GB`
}

async function round(load: Load, entries: readonly Entry[], number: number): Promise<void> {
  const label = `round ${number + 1}`
  // Whoever was first in this round is last in the next.
  const turn = entries.map((_, i) => entries[(i + number) % entries.length]!)
  for (const cell of CELLS) {
    for (const entry of turn) await measure(entry, `${label}, ${cell.flows} ${cell.direction}`, () => bulk(load, entry, cell))
  }
  for (const entry of turn) {
    const { path, measured } = entry
    await measure(entry, `${label}, first byte`, async () => {
      const answer = await load.run({ kind: 'first-byte', path, count: SIZES.firstBytes })
      measured.firstByte.push(answer)
      return `p50 ${answer.p50Us.toFixed(0)} us, p99 ${answer.p99Us.toFixed(0)} us`
    })
    await measure(entry, `${label}, connections`, async () => {
      const answer = await load.run({ kind: 'connections', path, concurrency: CONCURRENCY, windowMs: SIZES.connectionMs })
      measured.connections.push(answer)
      return `${(answer.count / answer.seconds).toFixed(0)} a second`
    })
  }
}

/** In processes that carried nothing else: memory that a system took for a flood of bytes it may keep. */
async function holdIdle(load: Load, { path, running, measured }: Entry): Promise<string> {
  const sides = running.sides ?? running.pids
  await load.run({ kind: 'first-byte', path, count: GREETINGS })
  const baseBytes = residentBytes(sides)
  const { flows, refused } = await load.run({ kind: 'hold', path, flows: IDLE_FLOWS })
  await delay(SETTLE_MS)
  const bytes = residentBytes(sides)
  measured.idle = { flows, baseBytes, bytes, refused }
  const { alive } = await load.run({ kind: 'release', path })
  if (alive !== flows) throw new Error(`only ${alive} of ${flows} idle flows still worked`)
  return `${flows} flows, ${(bytes / 1e6).toFixed(0)} MB${refused === undefined ? '' : `, no more: ${refused}`}`
}

/** Starts a system in a folder of its own. One that does not start is a failed row. */
async function start(load: Load, system: System, folder: string, measured: Measured, where?: readonly Where[]): Promise<Entry | undefined> {
  if (interrupted.signal.aborted) return undefined
  try {
    const running = await system.start(mkdtempSync(join(folder, `${system.name}-`)), load.originPort, where)
    const origin = running.entrance ?? load.originPort
    const path: Path = { origin, pids: running.pids, ...(running.proxy === undefined ? {} : { proxy: running.proxy }) }
    return { system, running, path, measured, carried: 0 }
  } catch (thrown) {
    measured.failures.push(`start: ${(thrown as Error).message}`)
    say(`${system.name} FAILED to start: ${(thrown as Error).message}`)
    return undefined
  }
}

/** Time to first byte over a path of {@link FAR_MS}: clients on this side of it, servers and the origin on the other. */
async function overFarPath(load: Load, systems: readonly System[], folder: string, results: ReadonlyMap<string, Measured>): Promise<void> {
  const path = await startFarPath(FAR_MS).catch((thrown: Error) => say(`nothing is measured at ${FAR_MS} ms: ${thrown.message}`))
  if (path === undefined) return
  const where = NEAR.map((near, i) => ({ listen: near.join('.'), reach: FAR[i]!.join('.') }))
  for (const system of systems.filter(({ far }) => far)) {
    const entry = await start(load, system, folder, results.get(system.name)!, where)
    if (entry === undefined) continue
    const far = { ...entry.path, host: FAR[0]! }
    await measure(entry, `first byte at ${FAR_MS} ms`, async () => {
      await load.run({ kind: 'first-byte', path: far, count: GREETINGS })
      const answer = await load.run({ kind: 'first-byte', path: far, count: SIZES.farFirstBytes })
      entry.measured.farFirstByte = answer
      return `p50 ${(answer.p50Us / 1000).toFixed(1)} ms, p99 ${(answer.p99Us / 1000).toFixed(1)} ms`
    })
    await stop(entry)
  }
  path.stop()
}

async function stop({ system, running }: Entry): Promise<void> {
  await running.stop().catch((thrown: Error) => say(`${system.name} did not stop in order: ${thrown.message}`))
}

async function main(): Promise<number> {
  const systems = chooseSystems()
  // Everything is installed: from here on no other network is needed, and in one of our own there can be a far path.
  if (!isInside() && userInfo().uid === 0 && canEnter(['true'])) return await enter([import.meta.filename, ...process.argv.slice(2)])
  if (isInside()) chooseCongestion(values.congestion)
  say(`TCP finds its pace by ${congestion()}`)
  const results = new Map(systems.map(({ name }) => [name, nothingMeasured()]))
  const folder = mkdtempSync(join(tmpdir(), 'byway-bench-'))
  const startedMs = performance.now()
  let entries: Entry[] = []
  const load = await startLoad()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      interrupted.abort()
      load.stop()
    })
  }
  try {
    for (const system of systems) {
      say(`starting ${system.name}: ${system.about}`)
      const entry = await start(load, system, folder, results.get(system.name)!)
      if (entry === undefined) continue
      entries.push(entry)
      await measure(entry, 'warm-up', () => warmUp(load, entry))
    }
    for (let number = 0; number < ROUNDS; number++) await round(load, entries, number)
    for (const entry of entries) {
      const { running, measured, carried } = entry
      if (running.audit === undefined) continue
      await measure(entry, 'audit', async () => {
        measured.audit = await running.audit!(carried)
        return JSON.stringify(measured.audit)
      })
    }
    for (const entry of entries) await stop(entry)
    entries = []
    if (isInside()) await overFarPath(load, systems, folder, results)
    if (!values.quick) await onSmallMachine(load, systems, folder, results)
    for (const system of systems.filter(({ kind, name }) => kind !== 'ceiling' && !(values.quick && /d[23]$/.test(name)))) {
      if (values.quick && system.kind !== 'byway' && performance.now() - startedMs > QUICK_ENOUGH_MS) {
        say(`${system.name}, idle flows: left out, five minutes would not do`)
        continue
      }
      const entry = await start(load, system, folder, results.get(system.name)!)
      if (entry === undefined) continue
      entries = [entry]
      await measure(entry, 'idle flows', () => holdIdle(load, entry))
      await stop(entry)
      entries = []
    }
  } finally {
    load.stop()
    for (const entry of entries) await stop(entry)
    rmSync(folder, { recursive: true, force: true })
  }
  if (interrupted.signal.aborted) return 130
  report(systems, results, (performance.now() - startedMs) / 1000)
  return [...results.values()].some(({ failures }) => failures.length > 0) ? 1 : 0
}

/** Whether our daemons keep up on a machine of the smallest kind. */
async function onSmallMachine(
  load: Load,
  systems: readonly System[],
  folder: string,
  results: ReadonlyMap<string, Measured>,
): Promise<void> {
  const system = systems.find(({ name }) => name === 'byway-d1')
  const entry = system && (await start(load, system, folder, results.get(system.name)!))
  if (entry === undefined) return
  await measure(entry, 'on a small machine', async () => {
    const small = await runSmall(load, entry.path, entry.running.sides!)
    entry.measured.small = small
    return `${small.mbps_down} Mbit/s down, ${small.mbps_up} up (${small.how})`
  })
  await stop(entry)
}

function report(systems: readonly System[], results: ReadonlyMap<string, Measured>, tookS: number): void {
  const rows = new Map([...results].map(([name, measured]) => [name, rowOf(measured)]))
  const rivals = systems.filter(({ kind }) => kind === 'encrypted peer').map(({ name }) => rows.get(name)!)
  const byway = systems.filter(({ kind }) => kind === 'byway')
  const ratios = new Map(byway.map(({ name }) => [name, ratioOf(rows.get(name)!, rivals)]))
  const run = {
    rounds: ROUNDS,
    quick: values.quick,
    seconds: Math.round(tookS),
    cores: cpus().length,
    cpu: cpus()[0]?.model,
    kernel: release(),
    congestion: congestion(),
    ...(values.quick ? {} : { aes_256_gcm_gbytes_per_s: gcmGigabytes() }),
  }
  if (values.json) console.log(JSON.stringify(jsonReport(systems, rows, ratios, run)))
  else printReport(systems, rows, ratios)
}

process.exitCode = await main().catch((thrown: Error) => {
  say(thrown.stack ?? thrown.message)
  return 1
})
