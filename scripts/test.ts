/**
 * `npm test`: every test of the node, then every test of the contracts, with what it counted at the end.
 * `npm test -- wallet` runs only the test files whose path holds that word, and no contracts.
 *
 * A line appears as each file ends; what a file printed and the reasons of its failures appear only when it failed. A test that hangs
 * fails and is named. Contracts are fuzzed with fewer inputs than foundry.toml asks for, unless BYWAY_TEST_FULL=1, as in .ci/run.
 */
import { spawn } from 'node:child_process'
import { chmodSync, globSync, mkdtempSync, readdirSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CONTRACTS, forgeEnv, forgePath } from '../contracts/scripts/forge.ts'
import { cleanUp, runFile } from './test-file.ts'

const root = join(import.meta.dirname, '..')
/** Two files at once on the two cores of the smallest machine this runs on; journeys start processes of their own. */
const FILES_AT_ONCE = 2
/** The longest single test, every fault at every message, takes a minute and a half, on a machine that does five other things three and more. One that takes this long hangs. */
const HANGS_AFTER_MS = 600_000
/** Contracts are compiled and fuzzed with full numbers in five minutes, where there is one slow core. */
const CONTRACTS_LIMIT_MS = 1_200_000
/** Finds what a careless change breaks, in seconds instead of minutes. */
const QUICK = { FOUNDRY_FUZZ_RUNS: '256', FOUNDRY_INVARIANT_RUNS: '8' }
/** What a failing file printed last says most. */
const MAX_LINES = 200
/** Whoever waits sees that something happens. */
const STILL_RUNNING_MS = 20_000

const words = process.argv.slice(2)
const files = globSync(['src/**/*.test.ts', 'test/**/*.test.ts'], { cwd: root })
  .filter((file) => words.length === 0 || words.some((word) => file.includes(word)))
  .sort()

/** The name of a run's folder begins like this; the rest is the process and something random. */
const LEFT = 'byway-tests-'
/** No run takes that long: whatever its process is called now, it is over. */
const SWEPT_AFTER_MS = 3_600_000

/** A run that was killed could not clean up. */
function sweep(): void {
  for (const name of readdirSync(tmpdir())) {
    const path = join(tmpdir(), name)
    if (!name.startsWith(LEFT) || path === folder) continue
    const { uid, mtimeMs } = statSync(path, { throwIfNoEntry: false }) ?? {}
    if (uid === process.getuid?.() && mtimeMs !== undefined && Date.now() - mtimeMs > SWEPT_AFTER_MS) cleanUp(path)
  }
}

interface Part {
  passed: number
  skipped: number
  failed: number
}

const startedMs = performance.now()
/** Everything that tests leave lies in here. */
const folder = mkdtempSync(join(tmpdir(), `${LEFT}${process.pid}-`))
// Programs that change their user look into it too.
chmodSync(folder, 0o755)
process.once('exit', () => cleanUp(folder))
for (const [signal, status] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const)
  process.once(signal, () => process.exit(status))
sweep()

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
      const { passed, skipped, failures, printed } = await runFile(
        join(root, file),
        join(folder, String(ended + running.size)),
        HANGS_AFTER_MS,
      )
      running.delete(file)
      total.passed += passed
      total.skipped += skipped.length
      total.failed += failures.length
      ended++
      const place = `[${String(ended).padStart(String(files.length).length)}/${files.length}]`
      const why = skipped.length === 0 ? '' : `  skipped ${skipped.length}: ${[...new Set(skipped)].join('; ')}`
      console.log(
        `${failures.length === 0 ? 'ok  ' : 'FAIL'} ${place} ${file}  ${passed + failures.length} tests  ${seconds(fileStartedMs)}${why}`,
      )
      if (failures.length === 0) continue
      for (const failure of failures) console.log(indent(failure))
      const lines = printed.split('\n')
      const more = lines.length > MAX_LINES ? ` (the last ${MAX_LINES} lines of ${lines.length})` : ''
      if (printed !== '') console.log(indent(`it printed${more}:\n${lines.slice(-MAX_LINES).join('\n')}`))
    }
  }
  await Promise.all(Array.from({ length: FILES_AT_ONCE }, worker))
  return total
}

async function contractTests(): Promise<Part> {
  console.log('contracts: forge test (compiling takes a moment the first time) ...')
  running.set('forge test', performance.now())
  const runs = process.env.BYWAY_TEST_FULL === '1' ? {} : QUICK
  const env = { ...runs, ...forgeEnv(), NO_COLOR: '1' }
  const child = spawn(forgePath(), ['test'], { cwd: CONTRACTS, env, stdio: ['ignore', 'pipe', 'inherit'], timeout: CONTRACTS_LIMIT_MS })
  let text = ''
  let shown = 0
  child.stdout.on('data', (part: Buffer) => {
    text += part.toString('utf8')
    const lines = text.split('\n')
    for (const line of lines.slice(shown, -1)) if (/^Suite result|^Ran \d+ tests? for|\[FAIL/.test(line)) console.log(`  ${line}`)
    shown = lines.length - 1
  })
  const status = await new Promise<number | string>((resolve) => {
    child.on('error', ({ message }) => resolve(message))
    child.on('close', (code, signal) => resolve(code ?? `it was ended by ${signal}`))
  })
  const [, passed = '0', failed = '0', skipped = '0'] = /(\d+) tests passed, (\d+) failed, (\d+) skipped/.exec(text) ?? []
  if (status !== 0) console.log(`${indent(text.trimEnd())}\nforge test: ${typeof status === 'number' ? `exit code ${status}` : status}`)
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
