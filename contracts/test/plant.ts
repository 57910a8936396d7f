/**
 * Plants bugs in the contracts and asks the tests about them, without touching a file of the repository. Shared by guards.ts, attacks.ts
 * and mutate.ts; start reading at {@link openField}.
 *
 * A bug is text replaced in memory. Each worker (plant.worker.ts) keeps a warm compiler, compiles only the test suites asked about, lays
 * their code over a copy of forge's artifacts in a temporary folder, and lets forge run it: two seconds of processor for a bug, instead
 * of ten and more when forge starts a compiler each time. The optimizer is off for that, which changes cost and not meaning.
 * Nobody may edit contracts/ meanwhile: forge would compile a suite that changed anew, without the bug, and the bug would seem to go unnoticed.
 */
import { execFile } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { CONTRACTS, forgeEnv, forgePath } from '../scripts/forge.ts'

/** Replaces `from`, which must occur exactly once in `file` (a path from contracts/; a library under ../node_modules works too). */
export type Edit = readonly [file: string, from: string, to: string]

export interface Trial {
  readonly edits: readonly Edit[]
  /** Test files, as paths from contracts/. */
  readonly suites: readonly string[]
  /** Which test functions: an expression over their names. */
  readonly tests: string
  /** Stop at the first failure: enough to know that a bug is noticed. */
  readonly failFast?: boolean
}

/** What the tests said; `problem` when the bug could not be planted, did not compile, or forge gave no verdict. */
export type Verdict = { readonly failed: readonly string[]; readonly passed: readonly string[] } | { readonly problem: string }

export interface Field {
  /** Waits for a free worker. */
  run(trial: Trial): Promise<Verdict>
  close(): Promise<void>
}

/** Little fuzzing: a missing guard shows at once. Warnings are no errors: a bug may leave a variable unused. */
export const QUICK = { FOUNDRY_PROFILE: 'quick', FOUNDRY_FUZZ_RUNS: '64', FOUNDRY_DENY: 'never', FOUNDRY_OPTIMIZER: 'false' }

/** Runs forge in contracts/. */
export function forge(
  args: readonly string[],
  env: Record<string, string>,
  timeoutMs: number,
): Promise<{ stdout: string; stderr: string }> {
  return new Promise((done) => {
    const options = { cwd: CONTRACTS, env: { ...forgeEnv(), ...env }, timeout: timeoutMs, maxBuffer: 256 * 1024 * 1024 }
    execFile(forgePath(), args, options, (_, stdout, stderr) => done({ stdout, stderr }))
  })
}

/** The build that bugs are planted in: kept beside forge's own, so that the next run starts from it. */
const BASE = join(CONTRACTS, 'cache', 'plant')
/** A build from nothing takes half a minute of one core, and the machine may do five other things. */
const BUILD_TIMEOUT_MS = 1_800_000

/** Builds the contracts as they are, and starts `workers` that each have a copy of that build to plant bugs in. */
export async function openField(workers = availableParallelism()): Promise<Field> {
  const built = await forge(['build'], { ...QUICK, ...placeOf(BASE) }, BUILD_TIMEOUT_MS)
  if (/^Error/m.test(built.stderr)) throw new Error(`the unchanged contracts do not compile:\n${built.stderr.slice(0, 4_000)}`)
  const folder = mkdtempSync(join(tmpdir(), 'byway-plant-'))
  const free: Worker[] = []
  const waiting: ((worker: Worker) => void)[] = []
  for (let i = 0; i < workers; ++i) {
    const home = join(folder, String(i))
    copyBuild(home)
    free.push(new Worker(new URL('./plant.worker.ts', import.meta.url), { workerData: { home } }))
  }
  const all = [...free]
  const take = (): Promise<Worker> => {
    const worker = free.pop()
    return worker === undefined ? new Promise((done) => waiting.push(done)) : Promise.resolve(worker)
  }
  const give = (worker: Worker): void => {
    const next = waiting.shift()
    if (next === undefined) free.push(worker)
    else next(worker)
  }
  return {
    async run(trial) {
      const worker = await take()
      try {
        return await new Promise<Verdict>((done, fail) => {
          worker.once('error', fail)
          worker.once('message', (verdict: Verdict) => {
            worker.off('error', fail)
            done(verdict)
          })
          worker.postMessage(trial)
        })
      } finally {
        give(worker)
      }
    },
    async close() {
      await Promise.all(all.map((worker) => worker.terminate()))
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Where forge keeps what it builds. */
export const placeOf = (home: string): Record<string, string> => ({
  FOUNDRY_OUT: join(home, 'out'),
  FOUNDRY_CACHE_PATH: join(home, 'cache'),
})

/** Copies the build to `home`, where forge takes it for its own. */
function copyBuild(home: string): void {
  cpSync(BASE, home, { recursive: true })
  const file = join(home, 'cache', 'solidity-files-cache.json')
  const cache = JSON.parse(readFileSync(file, 'utf8')) as { paths: Record<string, unknown> }
  cache.paths = { ...cache.paths, artifacts: join(home, 'out'), build_infos: join(home, 'out', 'build-info') }
  writeFileSync(file, JSON.stringify(cache))
}
