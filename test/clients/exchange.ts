/** The local exchange as a user has it: the command is started, its words are read, it is asked to end. */
import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { callDaemon } from '../../src/api/client.ts'
import { socketPath } from '../../src/api/socket.ts'
import { cleanEnv, type Ran, run } from './programs.ts'

export const MAIN = join(import.meta.dirname, '..', '..', 'src', 'main.js')
/** Starting takes three seconds on an idle machine. */
const READY_LIMIT_MS = 90_000
/** After the exchange's own limit. */
const STOP_LIMIT_MS = 45_000

export interface Provider {
  name: string
  nodeKey: string
  country: string
  wallet: string
  home: string
  host: string
  port: number
  pricePerGib: string
}

export interface Ready {
  event: 'ready'
  proxy: { host: string; port: number }
  whoami: string
  rpc: string
  contracts: { channels: string; dollar: string }
  providers: Provider[]
  consumer: { home: string; wallet: string }
  state: string
}

export type Event = { event: string } & Record<string, unknown>

export interface Exchange {
  readonly process: ChildProcess
  readonly home: string
  readonly ready: Ready
  /** Everything it said on stdout, one event a line. */
  readonly events: readonly Event[]
  /** Everything it said on stderr. */
  readonly words: () => string
  /** `127.0.0.1:PORT` of the proxy. */
  readonly proxy: string
  /** Resolves with the first event, old or new, that fits. */
  event(fits: (event: Event) => boolean): Promise<Event>
  /** `byway NAME --json --home HOME`: what it printed, parsed. */
  command<T>(...args: string[]): Promise<T>
  /** Payload that went through the consumer's open sessions, both ways together. */
  carried(): Promise<bigint>
  /** Asks it to end, as Ctrl-C does, and resolves with its exit code. */
  stop(): Promise<number | string>
}

interface Counted {
  up: string
  down: string
}

export interface StartOptions {
  home: string
  args?: readonly string[]
  /** With probers epochs turn, which makes traffic and claims of its own: what counts to the byte goes without. */
  probers?: boolean
  /** Words before `node`: to run it in a network namespace, for one. */
  inside?: readonly string[]
}

/** `byway up --json` in a process group of its own. */
export async function startExchange({ home, args = [], inside = [], probers = false }: StartOptions): Promise<Exchange> {
  const [program = process.execPath, ...rest] = [
    ...inside,
    process.execPath,
    MAIN,
    'up',
    '--json',
    '--home',
    home,
    '--port',
    '0',
    ...(probers ? [] : ['--probers', '0']),
    ...args,
  ]
  const child = spawn(program, rest, { env: cleanEnv(), detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
  const events: Event[] = []
  const waiting = new Set<(event: Event) => void>()
  let words = ''
  child.stderr.on('data', (chunk: Buffer) => {
    words += chunk.toString('utf8')
  })
  const ended = new Promise<number | string>((resolve) => child.once('close', (code, signal) => resolve(signal ?? code ?? 'nothing')))
  createInterface({ input: child.stdout }).on('line', (line) => {
    const event = JSON.parse(line) as Event
    events.push(event)
    for (const hear of waiting) hear(event)
  })

  function event(fits: (event: Event) => boolean): Promise<Event> {
    const { promise, resolve, reject } = Promise.withResolvers<Event>()
    const hear = (event: Event) => {
      if (fits(event)) resolve(event)
    }
    for (const old of events) hear(old)
    waiting.add(hear)
    const timer = setTimeout(
      () => reject(new Error(`the exchange did not say so in ${READY_LIMIT_MS / 1000} s; ${said()}`)),
      READY_LIMIT_MS,
    )
    void ended.then((how) => reject(new Error(`the exchange ended (${how}); ${said()}`)))
    return promise.finally(() => {
      clearTimeout(timer)
      waiting.delete(hear)
    })
  }
  const said = () => `it said ${events.map((event) => JSON.stringify(event)).join('\n')} ${words}`

  async function stop(): Promise<number | string> {
    // To the whole group, as a terminal does.
    if (child.exitCode === null && child.signalCode === null) process.kill(-child.pid!, 'SIGINT')
    const timer = setTimeout(() => process.kill(-child.pid!, 'SIGKILL'), STOP_LIMIT_MS)
    const how = await ended
    clearTimeout(timer)
    return how
  }

  try {
    const ready = (await event(({ event }) => event === 'ready')) as unknown as Ready
    const proxy = `${ready.proxy.host}:${ready.proxy.port}`
    const command = async <T>(...words: string[]): Promise<T> => parsed(words, await byway([...words, '--json', '--home', home]))
    const carried = async (): Promise<bigint> => {
      const { sessions } = (await callDaemon(socketPath(ready.consumer.home, process.env), 'GET /v1/status')) as { sessions: Counted[] }
      return sessions.reduce((sum, { up, down }) => sum + BigInt(up) + BigInt(down), 0n)
    }
    return { process: child, home, ready, events, carried, words: () => words, proxy, event, command, stop }
  } catch (thrown) {
    await stop()
    throw thrown
  }
}

/** Runs the command to its end. */
export function byway(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ran> {
  return run(process.execPath, [MAIN, ...args], { env })
}

function parsed<T>(words: readonly string[], { code, out, err }: Ran): T {
  if (code !== 0) throw new Error(`byway ${words.join(' ')} ended with exit code ${code}: ${out}${err}`)
  return JSON.parse(out.trim().split('\n').at(-1)!) as T
}
