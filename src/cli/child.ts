/** A node as a child process of the local exchange: its own keys, journal and log, watched and ended with the exchange. */
import { spawn } from 'node:child_process'
import { open, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import type { Hex } from '../protocol/bytes.ts'
import { BywayError, errorCode } from '../protocol/errors.ts'
import type { Env } from './resolve.ts'

const MAIN = join(dirname(fileURLToPath(import.meta.url)), '..', 'main.js')
/** Starting costs one scrypt and a few chain calls: about a second, many times that on a busy small machine. */
const READY_LIMIT_MS = 60_000
/** After the daemon's own limit for its shutdown. */
const STOP_LIMIT_MS = 20_000
/** How much of the log an error shows. */
const LOG_TAIL_LINES = 8

const hex = z.string().transform((text) => text as Hex)
const nodeReady = z.object({
  event: z.literal('ready'),
  home: z.string(),
  wallet: hex,
  nodeKey: hex.optional(),
  country: z.string().optional(),
  host: z.string().optional(),
  port: z.number().optional(),
  pricePerGib: z.string().optional(),
  proxy: z.object({ host: z.string(), port: z.number() }).optional(),
})
const explorerReady = z.object({ event: z.literal('ready'), home: z.string(), page: z.string() })
const errorEvent = z.object({ event: z.literal('error'), code: z.string(), message: z.string(), hint: z.string().optional() })

export interface Child<Ready = z.output<typeof nodeReady>> {
  name: string
  pid: number
  /** What the daemon said when it was ready. */
  ready: Ready
  /** Settles with CHILD_FAILED when the process ends unasked, and never after stop(). */
  ended: Promise<BywayError>
  stop(): Promise<void>
}

/** Starts `byway ARGS` and resolves when it is ready. Its log goes to `daemon.log` in its home. */
export const spawnNode = (name: string, args: readonly string[], home: string, env: Env): Promise<Child> =>
  spawnDaemon(nodeReady, name, args, home, env)
/** The same for an explorer, which has no wallet. */
export const spawnExplorer = (name: string, args: readonly string[], home: string, env: Env) =>
  spawnDaemon(explorerReady, name, args, home, env)

async function spawnDaemon<S extends z.ZodType>(
  readyEvent: S,
  name: string,
  args: readonly string[],
  home: string,
  env: Env,
): Promise<Child<z.output<S>>> {
  const logPath = join(home, 'daemon.log')
  const log = await open(logPath, 'a', 0o600)
  // The channel is what ties the child's life to ours: when this process ends, however it ends, the child notices and stops. A group of its
  // own (detached), because Ctrl-C reaches the whole group of a terminal, and who ends first is for the exchange to say: the consumer pays
  // its last bytes to providers that are still there.
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', log.fd, 'ipc'], env: { ...env }, detached: true })
  await log.close()
  const exited = new Promise<string>((resolve) => {
    child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`))
    child.once('error', (error) => resolve(error.message))
  })
  const { promise: ready, resolve, reject } = Promise.withResolvers<z.output<S>>()
  let told: BywayError | undefined
  createInterface({ input: child.stdout! }).on('line', (line) => {
    const event: unknown = parse(line)
    const started = readyEvent.safeParse(event)
    if (started.success) resolve(started.data)
    const failed = errorEvent.safeParse(event)
    if (!failed.success) return
    const { code, message, hint } = failed.data
    told = new BywayError(errorCode(code, 'CHILD_FAILED'), `${name}: ${message}`, hint === undefined ? {} : { hint })
  })
  const timer = setTimeout(() => {
    child.kill('SIGKILL')
    reject(new BywayError('CHILD_FAILED', `${name} was not ready in time`, { hint: `See ${logPath}.` }))
  }, READY_LIMIT_MS)
  let stopping = false
  const ended = exited.then(async (how) => {
    const error = told ?? new BywayError('CHILD_FAILED', `${name} ended (${how})\n${await tail(logPath)}`, { hint: `See ${logPath}.` })
    reject(error)
    return stopping ? new Promise<never>(() => {}) : error
  })
  try {
    const said = await ready
    return {
      name,
      pid: child.pid!,
      ready: said,
      ended,
      async stop() {
        stopping = true
        child.kill('SIGTERM')
        const kill = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS)
        await exited
        clearTimeout(kill)
      },
    }
  } finally {
    clearTimeout(timer)
  }
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined // a line that is no event says nothing to us
  }
}

async function tail(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch(() => '') // no log, nothing to show
  return text.trimEnd().split('\n').slice(-LOG_TAIL_LINES).join('\n')
}
