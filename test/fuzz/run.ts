/**
 * Runs a fuzz target many times and reports what a person must see: crashes, inputs that never ended, memory and descriptors.
 *
 * A target gets one malformed input and says how it was taken. Throwing is a crash, and so is anything that reaches the process itself.
 */

import { readdirSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { heapBytes } from '../support/heap.ts'
import { inPieces, mutate, type Random, seeded } from './mutate.ts'

export interface Target {
  name: string
  /** Valid messages to start from. */
  corpus: readonly Buffer[]
  /** 'accepted' or 'refused'; a rejection is a crash. */
  take: (pieces: readonly Buffer[], random: Random) => 'accepted' | 'refused' | Promise<'accepted' | 'refused'>
  /** Inputs under way at once. */
  parallel?: number
}

export interface Report {
  target: string
  inputs: number
  accepted: number
  refused: number
  crashes: number
  /** The first few, with the number of the input. */
  failures: string[]
  heapBeforeBytes: number
  heapAfterBytes: number
  fdsBefore: number
  fdsAfter: number
  seconds: number
}

/** A target that has not said what it made of an input by then hangs. */
const HANG_MS = 20_000
const MAX_FAILURES_SHOWN = 5
/** Code compiled and caches filled by the first inputs are not growth. */
const WARM_UP_INPUTS = 500

export async function fuzz(target: Target, inputs: number, seed: number): Promise<Report> {
  const report: Report = {
    target: target.name,
    inputs: 0,
    accepted: 0,
    refused: 0,
    crashes: 0,
    failures: [],
    heapBeforeBytes: 0,
    heapAfterBytes: 0,
    fdsBefore: 0,
    fdsAfter: 0,
    seconds: 0,
  }
  const crash = (error: unknown, number: number) => {
    report.crashes++
    if (report.failures.length < MAX_FAILURES_SHOWN) report.failures.push(`input ${number} of seed ${seed}: ${describe(error)}`)
  }
  const onStray = (error: unknown) => crash(error, report.inputs)
  process.on('uncaughtException', onStray)
  process.on('unhandledRejection', onStray)
  const takeOne = async (number: number) => {
    const random = seeded(seed * 1_000_003 + number)
    try {
      report[await inTime(target.take(inPieces(mutate(target.corpus, random), random), random))]++
    } catch (error) {
      crash(error, number)
    }
  }
  const started = performance.now()
  let next = 0
  const worker = async (end: number) => {
    while (next < end) {
      report.inputs++
      await takeOne(next++)
    }
  }
  const until = (end: number) => Promise.all(Array.from({ length: target.parallel ?? 1 }, () => worker(end)))
  try {
    await until(Math.min(WARM_UP_INPUTS, inputs))
    report.heapBeforeBytes = await heapBytes()
    report.fdsBefore = openFiles()
    await until(inputs)
    report.heapAfterBytes = await heapBytes()
    report.fdsAfter = openFiles()
  } finally {
    process.off('uncaughtException', onStray)
    process.off('unhandledRejection', onStray)
  }
  report.seconds = (performance.now() - started) / 1_000
  return report
}

/** `node test/fuzz/NAME.ts [--inputs N] [--seed N] [--target NAME]`: a line for each target (`message`: all of `message-*`), exit code 1 after a crash. */
export async function main(targets: readonly Target[]): Promise<void> {
  const text = { type: 'string' } as const
  const { values } = parseArgs({ options: { inputs: text, seed: text, target: text } })
  const [inputs, seed] = [Number(values.inputs ?? 10_000), Number(values.seed ?? 1)]
  for (const target of targets) {
    if (values.target !== undefined && !`${target.name}-`.startsWith(`${values.target}-`)) continue
    const report = await fuzz(target, inputs, seed)
    console.log(line(report))
    for (const failure of report.failures) console.log(`  ${failure}`)
    if (report.crashes > 0) process.exitCode = 1
  }
}

function line(report: Report): string {
  const mib = (bytes: number) => (bytes / 2 ** 20).toFixed(1)
  return [
    `${report.target}: inputs ${report.inputs}, accepted ${report.accepted}, refused ${report.refused}, crashes ${report.crashes}`,
    `heap MiB ${mib(report.heapBeforeBytes)} -> ${mib(report.heapAfterBytes)}, descriptors ${report.fdsBefore} -> ${report.fdsAfter}`,
    `${report.seconds.toFixed(1)} s`,
  ].join(', ')
}

async function inTime<T>(work: T | Promise<T>): Promise<T> {
  if (!(work instanceof Promise)) return work
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new Error('hangs')), HANG_MS)
  try {
    return await Promise.race([work, late.promise])
  } finally {
    clearTimeout(timer)
  }
}

/** Open descriptors of this process; 0 where the system does not show them. */
export function openFiles(): number {
  try {
    return readdirSync('/proc/self/fd').length
  } catch {
    return 0 // not Linux: the other numbers still count
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message).split('\n').slice(0, 3).join(' | ') : String(error)
}
