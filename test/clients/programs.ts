/** Programs of others: found, installed when that is possible, run and timed out. */
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import type { Readable } from 'node:stream'
import { find, PATH } from '../support/programs.ts'

/** Debian's package of each program, where the name differs. */
const PACKAGES: Readonly<Record<string, string>> = { ssh: 'openssh-client', sshd: 'openssh-server' }
/** Every client gets this long unless it says otherwise; none takes a tenth of it on an idle machine. */
const TIMEOUT_MS = 120_000
/** Kept of what a program prints; beyond it only the hash goes on. */
const KEPT_BYTES = 4_000_000

/** Whether the program is there, after an attempt to install it where we may. */
export function available(program: string, say: (text: string) => void): boolean {
  if (find(program) !== undefined) return true
  if (process.getuid?.() !== 0 || find('apt-get') === undefined) return false
  const name = PACKAGES[program] ?? program
  say(`installing ${name} ...`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  spawnSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', name], { env, stdio: 'ignore' })
  return find(program) !== undefined
}

/** The environment of clients: no proxy of the machine's own stands between. */
export function cleanEnv(extra: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^(https?|all|no)_proxy$/i.test(name) && !name.startsWith('BYWAY_'))
  return { ...Object.fromEntries(kept), PATH, ...extra }
}

export interface RunOptions {
  input?: Readable | Uint8Array
  env?: Readonly<Record<string, string>>
  cwd?: string
  timeoutMs?: number
  /** Sees output as it comes; may end the program. */
  onData?: (chunk: Buffer, end: (signal: NodeJS.Signals) => void) => void
}

export interface Ran {
  code: number | null
  signal: NodeJS.Signals | null
  /** The first megabytes of it. */
  out: string
  err: string
  /** Of all of stdout. */
  bytes: number
  sha256: string
  ms: number
}

/** Runs a program in a group of its own. It is ended, with all it started, when it takes too long; that is an error. */
export async function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const { input, env, cwd, timeoutMs = TIMEOUT_MS, onData } = options
  const startedMs = performance.now()
  const child = spawn(find(program) ?? program, args, { env: cleanEnv(env), cwd, detached: true, stdio: ['pipe', 'pipe', 'pipe'] })
  const end = (signal: NodeJS.Signals): void => {
    try {
      process.kill(-child.pid!, signal)
    } catch {
      // Ended by itself in this moment.
    }
  }
  let late = false
  const timer = setTimeout(() => {
    late = true
    end('SIGKILL')
  }, timeoutMs)
  const hash = createHash('sha256')
  const kept: Buffer[] = []
  let bytes = 0
  let err = ''
  child.stdout.on('data', (chunk: Buffer) => {
    if (bytes < KEPT_BYTES) kept.push(chunk)
    bytes += chunk.length
    hash.update(chunk)
    onData?.(chunk, end)
  })
  child.stderr.on('data', (chunk: Buffer) => {
    err = (err + chunk.toString('utf8')).slice(-KEPT_BYTES)
  })
  child.stdin.on('error', () => {}) // a program that ends before it read everything says so with its exit code
  if (input === undefined || input instanceof Uint8Array) child.stdin.end(input)
  else input.pipe(child.stdin)
  const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (...how) => resolve(how))
  })
  clearTimeout(timer)
  if (late) throw new Error(`${program} was not done in ${timeoutMs / 1000} s: ${err.slice(-2_000)}`)
  return {
    code,
    signal,
    out: Buffer.concat(kept).toString('utf8'),
    err,
    bytes,
    sha256: hash.digest('hex'),
    ms: performance.now() - startedMs,
  }
}

/** Runs a program that must succeed. */
export async function mustRun(program: string, args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const ran = await run(program, args, options)
  if (ran.code !== 0)
    throw new Error(`${program} ended with ${ran.signal ?? `exit code ${ran.code}`}: ${(ran.err || ran.out).slice(-2_000)}`)
  return ran
}
