/**
 * `npm test`: every test of the node, then every test of the contracts, with what it counted at the end.
 * `npm test -- wallet` runs only the test files whose path holds that word, and no contracts.
 *
 * A line appears as each file ends; what a file printed and the reasons of its failures appear only when it failed. Contracts are
 * fuzzed with fewer inputs than foundry.toml asks for, unless BYWAY_TEST_FULL=1, as in .ci/run.
 */
import { spawn } from 'node:child_process'
import { globSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { run } from 'node:test'
import { inspect } from 'node:util'

const root = join(import.meta.dirname, '..')
/** Two files at once on the two cores of the smallest machine this runs on; journeys start processes of their own. */
const FILES_AT_ONCE = 2
/** The longest journey takes well under two minutes. A file that takes longer hangs, or leaves a timer or a socket open. */
const FILE_TIMEOUT_MS = 300_000
/** Finds what a careless change breaks, in seconds instead of minutes. */
const QUICK = { FOUNDRY_FUZZ_RUNS: '256', FOUNDRY_INVARIANT_RUNS: '8' }
/** Whoever waits sees that something happens. */
const STILL_RUNNING_MS = 20_000

const words = process.argv.slice(2)
const files = globSync(['src/**/*.test.ts', 'test/**/*.test.ts'], { cwd: root })
  .filter((file) => words.length === 0 || words.some((word) => file.includes(word)))
  .sort()

interface Part {
  passed: number
  skipped: number
  failed: number
}

const startedMs = performance.now()
const seconds = (sinceMs: number): string => `${((performance.now() - sinceMs) / 1000).toFixed(1)} s`
const indent = (text: string): string => text.replace(/^/gm, '    ')

/** What is under way, and since when. */
const running = new Map<string, number>()
setInterval(() => {
  const slow = [...running].filter(([, sinceMs]) => performance.now() - sinceMs > STILL_RUNNING_MS)
  if (slow.length > 0) console.log(`...  running: ${slow.map(([name, sinceMs]) => `${name} (${seconds(sinceMs)})`).join(', ')}`)
}, STILL_RUNNING_MS).unref()

async function nodeTests(): Promise<Part> {
  const total: Part = { passed: 0, skipped: 0, failed: 0 }
  const queue = [...files]
  let ended = 0
  const worker = async (): Promise<void> => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      const fileStartedMs = performance.now()
      running.set(file, fileStartedMs)
      const { passed, skipped, failures, printed } = await runFile(file)
      running.delete(file)
      total.passed += passed
      total.skipped += skipped
      total.failed += failures.length
      ended++
      const place = `[${String(ended).padStart(String(files.length).length)}/${files.length}]`
      console.log(
        `${failures.length === 0 ? 'ok  ' : 'FAIL'} ${place} ${file}  ${passed + failures.length} tests  ${seconds(fileStartedMs)}`,
      )
      if (failures.length === 0) continue
      for (const failure of failures) console.log(indent(failure))
      if (printed !== '') console.log(indent(`it printed:\n${printed}`))
    }
  }
  await Promise.all(Array.from({ length: FILES_AT_ONCE }, worker))
  return total
}

/** One file in a process of its own. */
async function runFile(file: string): Promise<{ passed: number; skipped: number; failures: string[]; printed: string }> {
  const path = join(root, file)
  const failures: string[] = []
  const printed: string[] = []
  let passed = 0
  let skipped = 0
  const stream = run({ files: [path], signal: AbortSignal.timeout(FILE_TIMEOUT_MS) })
  stream.on('test:stdout', ({ message }) => printed.push(message))
  stream.on('test:stderr', ({ message }) => printed.push(message))
  stream.on('test:diagnostic', ({ message }) => {
    if (message.startsWith('Error')) printed.push(`${message}\n`)
  })
  stream.on('test:pass', ({ name, skip, todo }) => {
    if (name === path) return
    if (skip === undefined && todo === undefined) passed++
    else skipped++
  })
  stream.on('test:fail', ({ name, line, details, todo }) => {
    const error = details.error as Error & { failureType?: string; cause?: unknown }
    // A parent fails because of its children, which have told their reasons already.
    if (error.failureType === 'subtestsFailed' || todo !== undefined) return
    // The file as a whole: it did not load, ended early, went on after its tests, or never ended.
    if (name === path)
      failures.push(error.failureType === 'testAborted' ? `the file did not end in ${FILE_TIMEOUT_MS / 1000} s` : 'the file as a whole')
    else failures.push(`${name} (line ${line ?? '?'})\n${indent(inspect(error.cause ?? error))}`)
  })
  for await (const _ of stream) {
    // The stream has to be read for the tests to go on; the listeners above do the work.
  }
  return { passed, skipped, failures, printed: printed.join('').trimEnd() }
}

async function contractTests(): Promise<Part> {
  console.log('contracts: forge test (compiling takes a moment the first time) ...')
  const bin = join(root, 'node_modules', '.bin')
  running.set('forge test', performance.now())
  const runs = process.env.BYWAY_TEST_FULL === '1' ? {} : QUICK
  const env = { ...runs, ...process.env, PATH: `${bin}${delimiter}${process.env.PATH}`, NO_COLOR: '1' }
  const child = spawn(join(bin, 'forge'), ['test'], { cwd: join(root, 'contracts'), env, stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  let shown = 0
  child.stdout.on('data', (part: Buffer) => {
    text += part.toString('utf8')
    const lines = text.split('\n')
    for (const line of lines.slice(shown, -1)) if (/^Suite result|^Ran \d+ tests? for|\[FAIL/.test(line)) console.log(`  ${line}`)
    shown = lines.length - 1
  })
  const status = await new Promise<number | null>((resolve, reject) => child.on('error', reject).on('close', resolve))
  const [, passed = '0', failed = '0', skipped = '0'] = /(\d+) tests passed, (\d+) failed, (\d+) skipped/.exec(text) ?? []
  if (status !== 0) console.log(indent(text.trimEnd()))
  return { passed: Number(passed), skipped: Number(skipped), failed: status === 0 ? Number(failed) : Math.max(1, Number(failed)) }
}

if (files.length === 0) {
  console.error(`no test file has ${words.join(' or ')} in its path`)
  process.exit(2)
}
console.log(`${files.length} test files, ${FILES_AT_ONCE} at once`)
const node = await nodeTests()
const contracts = words.length === 0 ? await contractTests() : { passed: 0, skipped: 0, failed: 0 }
const failed = node.failed + contracts.failed
const skipped = node.skipped + contracts.skipped
const rest = `${skipped > 0 ? `, skipped ${skipped}` : ''}${failed > 0 ? `, FAILED ${failed}` : ''}`
console.log(`\ntests ${node.passed}, contracts ${contracts.passed}, seconds ${Math.round((performance.now() - startedMs) / 1000)}${rest}`)
process.exitCode = failed > 0 ? 1 : 0
