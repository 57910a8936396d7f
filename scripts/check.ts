/**
 * Scripts: what people and the build run by name. The rule they keep: each says when it is run, works on a clean clone, shows progress,
 * and ends with a status a machine can read. Start reading here, then test.ts; check/ holds the rules of the house.
 *
 * `npm run check` runs this before every commit: all the rules a machine can check, two at a time, one line each.
 * `npm run check -- biome knip` runs only those.
 */
import { spawn } from 'node:child_process'
import { delimiter, join } from 'node:path'
import { readTree } from './check/files.ts'
import { checkHeaders } from './check/headers.ts'
import { checkImports } from './check/imports.ts'
import { checkLength } from './check/length.ts'

interface Step {
  readonly name: string
  /** What is printed when it fails; undefined when all is well. */
  run(): Promise<string | undefined>
}

const root = join(import.meta.dirname, '..')
const node = process.execPath
const bin = (name: string): string => join(root, 'node_modules', '.bin', name)

/** The machines this runs on have two cores; tsc and oxlint use both by themselves. */
const AT_ONCE = 2
/** A failing linter can print thousands of lines; the first ones are the ones to fix. */
const MAX_LINES = 120
/** The slowest step takes half a minute, on one slow core three. One that takes longer hangs. */
const STEP_LIMIT_MS = 600_000

const command = (name: string, program: string, args: readonly string[]): Step => ({
  name,
  run: () =>
    new Promise((resolve) => {
      const env = { ...process.env, PATH: `${join(root, 'node_modules', '.bin')}${delimiter}${process.env.PATH}`, NO_COLOR: '1' }
      const child = spawn(program, args, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'], timeout: STEP_LIMIT_MS })
      const parts: Buffer[] = []
      for (const stream of [child.stdout, child.stderr]) stream.on('data', (part: Buffer) => parts.push(part))
      child.on('error', (error) => resolve(error.message))
      child.on('close', (status, signal) => {
        const output = Buffer.concat(parts).toString('utf8').trim()
        const ended = signal === null ? `ended with status ${status}` : `ended by ${signal} (a step has ${STEP_LIMIT_MS / 60_000} minutes)`
        resolve(status === 0 ? undefined : signal === null ? output || ended : `${output}\n${ended}`.trim())
      })
    }),
})

type Rule = (files: ReadonlyMap<string, string>) => string[]
const rule = (name: string, check: Rule): Step => ({
  name,
  run: async () => {
    const findings = check(await tree)
    return findings.length === 0 ? undefined : findings.join('\n')
  },
})
const tree = readTree(root)

const STEPS: readonly Step[] = [
  // The slow ones first, so that the quick ones fill the gaps.
  command('oxlint', bin('oxlint'), ['--type-aware', '--deny-warnings']),
  command('knip', bin('knip'), ['--no-progress']),
  command('types', bin('tsc'), ['-p', '.']),
  command('docs', node, ['--test', '--test-reporter=dot', 'test/house/*.test.ts']),
  command('biome', bin('biome'), ['ci', '--colors=off', '.']),
  command('contract format', node, ['contracts/scripts/forge.ts', 'fmt', '--check']),
  command('contract ABI', node, ['contracts/scripts/build.ts', '--check']),
  command('contract vectors', node, ['contracts/scripts/vectors.ts', '--check']),
  rule('imports', checkImports),
  rule('headers', checkHeaders),
  rule('length', checkLength),
]

const wanted = process.argv.slice(2)
const unknown = wanted.filter((name) => !STEPS.some((step) => step.name === name))
if (unknown.length > 0) {
  console.error(`no such step: ${unknown.join(', ')}\nsteps: ${STEPS.map((step) => step.name).join(', ')}`)
  process.exit(2)
}

const seconds = (sinceMs: number): string => `${((performance.now() - sinceMs) / 1000).toFixed(1)} s`
const startedMs = performance.now()
const failures: { name: string; output: string }[] = []
const queue = STEPS.filter((step) => wanted.length === 0 || wanted.includes(step.name))
const total = queue.length

async function worker(): Promise<void> {
  for (let step = queue.shift(); step !== undefined; step = queue.shift()) {
    const stepStartedMs = performance.now()
    const output = await step.run()
    console.log(`${output === undefined ? 'ok  ' : 'FAIL'}  ${step.name.padEnd(16)}${seconds(stepStartedMs).padStart(7)}`)
    if (output !== undefined) failures.push({ name: step.name, output })
  }
}
await Promise.all(Array.from({ length: AT_ONCE }, worker))

for (const { name, output } of failures) {
  const lines = output.split('\n')
  console.log(`\n--- ${name} ---\n${lines.slice(0, MAX_LINES).join('\n')}`)
  if (lines.length > MAX_LINES) console.log(`... ${lines.length - MAX_LINES} more lines: npm run check -- '${name}'`)
}
console.log(`\ncheck: ${total - failures.length} of ${total} steps passed in ${seconds(startedMs)}`)
process.exitCode = failures.length === 0 ? 0 : 1
