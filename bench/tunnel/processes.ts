/** Processes of the peers: started with a log, ended by id, and gone when the benchmark is gone, however that ends. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { pidsOf } from './cpu.ts'

const READY_LIMIT_MS = 15_000
const LOOK_EVERY_MS = 20
/** Programs that were asked to end get this long. */
const END_LIMIT_MS = 2_000
const LOG_TAIL_LINES = 6

export interface PeerProcess {
  pid: number
  stop(): Promise<void>
}

/** The program of this name, also where only root looks. */
export function programPath(name: string): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(':'), '/usr/local/sbin', '/usr/sbin', '/sbin']
  return folders.map((folder) => join(folder, name)).find(existsSync)
}

/** Runs a program to its end. */
export function runProgram(name: string, args: readonly string[]): void {
  const path = programPath(name)
  if (path === undefined) throw new Error(`${name} is not installed`)
  execFileSync(path, args, { stdio: 'ignore' })
}

/** Starts a program that stays in the foreground, and resolves when it listens on `port` of this address. */
export async function startPeer(
  folder: string,
  port: number,
  program: string,
  args: readonly string[],
  host = '127.0.0.1',
): Promise<PeerProcess> {
  const logPath = join(folder, `${program}-${port}.log`)
  const log = openSync(logPath, 'a', 0o600)
  // setpriv becomes the program; the kernel kills it when we die. What it forks ends with its connections.
  const guard = programPath('setpriv')
  const guarded = guard === undefined ? [] : [guard, '--pdeathsig', 'KILL', '--']
  const [command, ...rest] = [...guarded, programPath(program) ?? program, ...args]
  const child = spawn(command!, rest, { cwd: folder, stdio: ['ignore', log, log] })
  closeSync(log)
  const problem = new Promise<never>((_, reject) => {
    const say = (how: string) => reject(new Error(`${program} ended (${how}):\n${tail(logPath)}`))
    child.once('error', (error) => say(error.message))
    child.once('exit', (code, signal) => say(signal ?? `exit code ${code}`))
  })
  problem.catch(() => {})
  try {
    await Promise.race([listening(host, port), problem])
  } catch (thrown) {
    await end(child)
    throw thrown
  }
  return { pid: child.pid!, stop: () => end(child) }
}

/** What it forked goes first, so that it is there to be told: a server's worker must neither outlive it nor stay a zombie. */
async function end(child: ChildProcess): Promise<void> {
  if (child.pid === undefined) return
  const forked = () => pidsOf([child.pid!]).filter((pid) => pid !== child.pid)
  const gone = () => child.exitCode !== null || child.signalCode !== null
  signal(forked(), 'SIGTERM')
  await until(() => forked().length === 0 || gone())
  const left = [child.pid, ...forked()]
  signal(left, 'SIGTERM')
  await until(gone)
  signal(left, 'SIGKILL')
}

async function until(done: () => boolean): Promise<void> {
  const limit = performance.now() + END_LIMIT_MS
  while (!done() && performance.now() < limit) await delay(LOOK_EVERY_MS)
}

function signal(pids: readonly number[], name: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, name)
    } catch {
      // It ended already: what we wanted.
    }
  }
}

async function listening(host: string, port: number): Promise<void> {
  for (const until = performance.now() + READY_LIMIT_MS; performance.now() < until; await delay(LOOK_EVERY_MS)) {
    const up = await new Promise<boolean>((resolve) => {
      const socket = connect({ port, host })
      socket.once('connect', () => resolve(true))
      socket.once('error', () => resolve(false))
      socket.once('connect', () => socket.destroy())
    })
    if (up) return
  }
  throw new Error(`nothing listens on port ${port}`)
}

export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

function tail(path: string): string {
  return readFileSync(path, 'utf8').trimEnd().split('\n').slice(-LOG_TAIL_LINES).join('\n')
}
