/**
 * Takes out each guard of the contracts in turn and demands that its test notices. A test that still passes guards nothing.
 *
 *     node contracts/test/guards.ts              all of them, some minutes
 *     node contracts/test/guards.ts claimFor     those whose name contains the word
 *
 * Every mutant is built in a copy of contracts/ in a temporary folder; the sources here are only read. First all tests must pass on the
 * unchanged copy. A mutant that does not compile, and an edit that does not match exactly once, count as failures of this check itself.
 */
import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism, tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { GUARDS, type Guard } from './guards.table.ts'

const CONTRACTS = resolve(dirname(fileURLToPath(import.meta.url)), '..')
const REPOSITORY = resolve(CONTRACTS, '..')
const COPIED = ['bin', 'interfaces', 'src', 'test', 'foundry.toml']
const RUN_TIMEOUT_MS = 300_000 // a mutant takes ten seconds; one that hangs forge must not hang the check

type Outcome = 'killed' | 'SURVIVED' | `BROKEN: ${string}`

interface Suite {
  test_results: Record<string, { status: string }>
}

/** A place to build in that looks like the repository: same relative paths to node_modules and to the vectors. */
function copyRepository(name: string): string {
  const home = join(work, name)
  mkdirSync(join(home, 'contracts'), { recursive: true })
  mkdirSync(join(home, 'test'))
  for (const part of COPIED) cpSync(join(CONTRACTS, part), join(home, 'contracts', part), { recursive: true })
  cpSync(join(REPOSITORY, 'test/vectors'), join(home, 'test/vectors'), { recursive: true })
  symlinkSync(join(REPOSITORY, 'node_modules'), join(home, 'node_modules'))
  return join(home, 'contracts')
}

/** Runs forge in `root` and returns its verdict on each test, or what it said if it gave none. */
function forgeTest(root: string, args: readonly string[]): Promise<{ statuses: Map<string, string[]> } | { problem: string }> {
  // Little fuzzing: a missing guard shows at once. Warnings are no errors: a mutant may leave a variable unused.
  const env = { ...process.env, FOUNDRY_PROFILE: 'quick', FOUNDRY_DENY: 'never', PATH: `${dirname(process.execPath)}:${process.env.PATH}` }
  return new Promise((done) => {
    const options = { cwd: root, env, timeout: RUN_TIMEOUT_MS, maxBuffer: 256 * 1024 * 1024 }
    execFile(forge, ['test', '--json', ...args], options, (_, stdout, stderr) => {
      const line = stdout.split('\n').find((text) => text.startsWith('{"test/'))
      if (line === undefined) return done({ problem: `${stdout}\n${stderr}`.trim().slice(0, 2_000) })
      const statuses = new Map<string, string[]>()
      for (const suite of Object.values(JSON.parse(line) as Record<string, Suite>)) {
        for (const [signature, { status }] of Object.entries(suite.test_results)) {
          const test = signature.replace(/\(.*$/, '')
          statuses.set(test, [...(statuses.get(test) ?? []), status])
        }
      }
      done({ statuses })
    })
  })
}

async function tryMutant(guard: Guard, root: string): Promise<Outcome> {
  const originals = new Map<string, string>()
  try {
    for (const [file, from, to] of guard.edits) {
      const path = join(root, file)
      const text = readFileSync(path, 'utf8')
      if (text.split(from).length !== 2) return `BROKEN: "${from}" is not exactly once in ${file}`
      if (!originals.has(path)) originals.set(path, text)
      writeFileSync(
        path,
        text.replace(from, () => to),
      )
    }
    const result = await forgeTest(root, ['--match-path', guard.suite, '--match-test', `^${guard.test}\\(`])
    if ('problem' in result) return `BROKEN: ${result.problem}`
    return result.statuses.get(guard.test)?.includes('Failure') ? 'killed' : 'SURVIVED'
  } finally {
    for (const [path, text] of originals) writeFileSync(path, text)
  }
}

const require = createRequire(import.meta.url)
const arch = process.arch === 'x64' ? 'amd64' : process.arch
const forge = join(dirname(require.resolve(`@foundry-rs/forge-${process.platform}-${arch}/package.json`)), 'bin', 'forge')
const word = process.argv[2] ?? ''
const chosen = GUARDS.filter(({ name }) => name.includes(word))
const work = mkdtempSync(join(tmpdir(), 'byway-guards-'))
const say = (text: string) => process.stdout.write(`${text}\n`)

try {
  const clean = copyRepository('clean')
  const baseline = await forgeTest(clean, [])
  if ('problem' in baseline) throw new Error(`the unchanged contracts do not pass:\n${baseline.problem}`)
  const red = [...baseline.statuses].filter(([, statuses]) => statuses.some((status) => status !== 'Success'))
  if (red.length > 0) throw new Error(`the unchanged contracts fail ${red.map(([test]) => test).join(', ')}`)
  const missing = chosen.filter(({ test }) => !baseline.statuses.has(test))
  if (missing.length > 0) throw new Error(`no such test: ${missing.map(({ test }) => test).join(', ')}`)
  say(`unchanged: ${[...baseline.statuses.values()].flat().length} tests pass; ${chosen.length} guards to take out\n`)

  // Each worker has a copy of its own, with the clean build as a start.
  const queue = [...chosen]
  const outcomes = new Map<Guard, Outcome>()
  const worker = async (name: string) => {
    const root = join(work, name, 'contracts')
    cpSync(join(work, 'clean'), join(work, name), { recursive: true, verbatimSymlinks: true })
    for (let guard = queue.shift(); guard !== undefined; guard = queue.shift()) {
      const outcome = await tryMutant(guard, root)
      outcomes.set(guard, outcome)
      say(`${outcome.padEnd(8)}  ${guard.name.padEnd(52)}  ${guard.test}`)
    }
  }
  const workers = Math.min(availableParallelism(), chosen.length)
  await Promise.all(Array.from({ length: workers }, (_, i) => worker(`worker-${i}`)))

  const killed = [...outcomes.values()].filter((outcome) => outcome === 'killed').length
  say(`\n${killed} of ${chosen.length} guards are noticed when they are gone`)
  if (killed !== chosen.length) process.exitCode = 1
} finally {
  rmSync(work, { recursive: true, force: true })
}
