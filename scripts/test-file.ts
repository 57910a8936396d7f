/**
 * One test file: run in a process of its own with a folder of its own for temporary files, ended when one of its tests hangs, and cleaned up
 * after, however it ended.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { run } from 'node:test'
import { inspect } from 'node:util'

/** Two hundred test files load much the same: types are stripped and code is compiled once. The same folder as main.js names. */
const NODE_COMPILE_CACHE = join(import.meta.dirname, '..', 'node_modules', '.cache', 'byway')

export interface Ran {
  passed: number
  /** Why each test that was skipped was. */
  skipped: string[]
  failures: string[]
  printed: string
}

const indent = (text: string): string => text.replace(/^/gm, '    ')

/**
 * Runs the file at `path`. `folder` is where it and all it starts put temporary files; it is gone afterwards. When for `limitMs` no test of it
 * began or ended, it is killed with all it started, and the tests under way are the failure.
 */
export async function runFile(path: string, folder: string, limitMs: number): Promise<Ran> {
  const ran: Ran = { passed: 0, skipped: [], failures: [], printed: '' }
  const printed: string[] = []
  /** By depth and name, in the order in which they began. */
  const underWay = new Map<string, string>()
  let hung: string | undefined
  mkdirSync(folder)
  const over = new AbortController()
  const stream = run({ files: [path], env: { NODE_COMPILE_CACHE, ...process.env, TMPDIR: folder }, signal: over.signal })
  const limit = setTimeout(() => {
    hung = [...underWay.values()].join(' > ')
    killAll(folder)
    over.abort()
  }, limitMs)
  stream.on('test:dequeue', ({ name, nesting }) => {
    limit.refresh()
    if (name !== path) underWay.set(`${nesting} ${name}`, name)
  })
  stream.on('test:complete', ({ name, nesting }) => {
    limit.refresh()
    underWay.delete(`${nesting} ${name}`)
  })
  stream.on('test:stdout', ({ message }) => printed.push(message))
  stream.on('test:stderr', ({ message }) => printed.push(message))
  stream.on('test:diagnostic', ({ message }) => {
    if (message.startsWith('Error')) printed.push(`${message}\n`)
  })
  stream.on('test:pass', ({ name, skip }) => {
    if (name === path) return
    if (skip === undefined) ran.passed++
    else ran.skipped.push(typeof skip === 'string' ? skip : 'no reason given')
  })
  stream.on('test:fail', ({ name, line, details }) => {
    const error = details.error as Error & { failureType?: string; cause?: unknown; exitCode?: number; signal?: string }
    // A parent fails because of its children, which have told their reasons already.
    // The tests inside it have said why already.
    if (error.failureType === 'subtestsFailed') return
    // The file as a whole: it did not load, ended early, went on after its tests, or was killed.
    if (name !== path) ran.failures.push(`${name} (line ${line ?? '?'})\n${indent(inspect(error.cause ?? error))}`)
    else if (hung === undefined) ran.failures.push(`the file as a whole${error.signal ? `: it was ended by ${error.signal}` : ''}`)
  })
  for await (const _ of stream) {
    // The stream has to be read for the tests to go on; the listeners above do the work.
  }
  clearTimeout(limit)
  if (hung === '') ran.failures.push(`it hung: for ${limitMs / 1000} s after its last test it did not end, or it was busy and told nothing`)
  else if (hung !== undefined) ran.failures.push(`it hung: for ${limitMs / 1000} s nothing ended in: ${hung}`)
  cleanUp(folder)
  ran.printed = printed.join('').trimEnd()
  return ran
}

/** Ends whatever was started with `folder`, or a folder in it, for temporary files, and removes it. */
export function cleanUp(folder: string): void {
  killAll(folder)
  try {
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
  } catch (thrown) {
    // Made by another user, say: what is left is in the way of nobody.
    console.log(`...  could not remove ${folder}: ${(thrown as Error).message}`)
  }
}

/** A process that is killed may have started another in that moment. */
const ROUNDS = 5

/** Processes pass their environment on, so the folder tells whose they are, also those that left their group. Elsewhere than on Linux: none. */
function killAll(folder: string): void {
  const mark = `\0TMPDIR=${folder}`
  for (let round = 0; round < ROUNDS; round++) {
    let found = 0
    for (const pid of existsSync('/proc') ? readdirSync('/proc') : []) {
      if (!/^\d+$/.test(pid) || Number(pid) === process.pid) continue
      try {
        const environment = `\0${readFileSync(`/proc/${pid}/environ`, 'latin1')}`
        if (!environment.includes(`${mark}\0`) && !environment.includes(`${mark}/`)) continue
        process.kill(Number(pid), 'SIGKILL')
        found++
      } catch {
        // Another user's, or gone in this moment.
      }
    }
    if (found === 0) return
  }
}
