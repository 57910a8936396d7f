/**
 * A node as a process that can be killed at any moment and started again on the same home.
 *
 * Each life of it writes its vouchers to a trace of its own (BYWAY_DEBUG_TRACE_FD, inherited as a plain file, so that a line once written
 * survives the process). The IPC channel ties its life to ours: should the test be killed, its nodes stop by themselves.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { mkdir, open, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { MAIN } from './main.ts'

/** Starting takes about a second alone, many times that on a busy machine. */
const READY_LIMIT_MS = 60_000
const STOP_LIMIT_MS = 20_000
const TRACE_FD = 4
/** Shorter than a disk write and a transaction, so that a kill strikes between a record and what follows it. */
const LOOK_EVERY_MS = 2

export interface Ready {
  wallet: `0x${string}`
}

export class NodeProcess {
  readonly name: string
  readonly home: string
  readonly #command: string
  readonly #env: NodeJS.ProcessEnv
  #child: ChildProcess | undefined
  #exited: Promise<string> = Promise.resolve('never started')
  #ready: Promise<Ready> | undefined
  #isReady = false
  #asked = false
  #lives = 0
  /** Ends nobody asked for: each is a failure of the run. */
  readonly surprises: string[] = []

  constructor(name: string, command: string, home: string, switches: Readonly<Record<string, string>>) {
    this.name = name
    this.home = home
    this.#command = command
    // Settings of whoever runs the test must not reach the nodes.
    const env = Object.entries(process.env).filter(([key]) => !key.startsWith('BYWAY_') && !key.startsWith('NODE_'))
    this.#env = { ...Object.fromEntries(env), ...switches, BYWAY_DEBUG_TRACE_FD: `${TRACE_FD}` }
  }

  get journal(): string {
    return join(this.home, 'journal.jsonl')
  }

  get log(): string {
    return join(this.home, 'daemon.log')
  }

  /** How often it was started. */
  get lives(): number {
    return this.#lives
  }

  get isReady(): boolean {
    return this.#isReady
  }

  trace(life: number): string {
    return join(this.home, `trace-${life}.jsonl`)
  }

  async configure(settings: Readonly<Record<string, unknown>>): Promise<void> {
    await mkdir(this.home, { recursive: true, mode: 0o700 })
    const lines = Object.entries(settings).map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`)
    await writeFile(join(this.home, 'config.toml'), lines.join(''))
  }

  start(): void {
    this.#lives++
    this.#asked = false
    this.#isReady = false
    const log = openSync(this.log, 'a', 0o600)
    const trace = openSync(this.trace(this.#lives), 'a', 0o600)
    const child = spawn(process.execPath, [MAIN, this.#command, '--home', this.home, '--json'], {
      stdio: ['ignore', 'pipe', log, 'ipc', trace],
      env: this.#env,
    })
    closeSync(log)
    closeSync(trace)
    this.#child = child
    this.#exited = new Promise((resolve) => child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`)))
    const life = this.#lives
    void this.#exited.then((how) => {
      if (!this.#asked && this.#lives === life) this.surprises.push(`${this.name} ended by itself (${how}) in life ${life}`)
    })
    const { promise, resolve } = Promise.withResolvers<Ready>()
    this.#ready = promise
    createInterface({ input: child.stdout! }).on('line', (line) => {
      const event = JSON.parse(line) as { event?: string } & Ready
      if (event.event === 'error') this.surprises.push(`${this.name}: ${line}`)
      if (event.event !== 'ready' || this.#lives !== life) return
      this.#isReady = true
      resolve(event)
    })
  }

  /** What it said when it was ready; rejects when it ended before, or took too long. */
  async ready(): Promise<Ready> {
    const { promise: late, reject } = Promise.withResolvers<never>()
    const timer = setTimeout(() => reject(new Error(`${this.name} was not ready in time, see ${this.log}`)), READY_LIMIT_MS)
    const ended = this.#exited.then((how) => {
      throw new Error(`${this.name} ended (${how}) before it was ready, see ${this.log}: ${this.surprises.join('; ')}`)
    })
    try {
      return await Promise.race([this.#ready!, ended, late])
    } finally {
      clearTimeout(timer)
    }
  }

  get pid(): number {
    return this.#child!.pid!
  }

  /** How it ended, once it did. */
  ended(): Promise<string> {
    return this.#exited
  }

  /** Waits until its journal says one of these things; false when it did not in time. */
  async says(kinds: readonly string[], limitMs: number): Promise<boolean> {
    const until = performance.now() + limitMs
    for (let from = await sizeOf(this.journal); performance.now() < until; await delay(LOOK_EVERY_MS)) {
      const size = await sizeOf(this.journal)
      if (size <= from) continue
      const file = await open(this.journal)
      const { buffer } = await file.read({ buffer: Buffer.alloc(size - from), position: from })
      await file.close()
      const text = buffer.toString()
      if (kinds.some((kind) => text.includes(`"kind":"${kind}"`))) return true
      from = size
    }
    return false
  }

  /** kill -9; resolves when the process is gone. */
  async kill(): Promise<void> {
    this.#asked = true
    this.#child?.kill('SIGKILL')
    await this.#exited
  }

  /** Asks it to end, and says how it ended. */
  async stop(): Promise<string> {
    this.#asked = true
    this.#child?.kill('SIGTERM')
    const timer = setTimeout(() => this.#child?.kill('SIGKILL'), STOP_LIMIT_MS)
    const how = await this.#exited
    clearTimeout(timer)
    return how
  }
}

const sizeOf = (path: string): Promise<number> =>
  stat(path).then(
    ({ size }) => size,
    () => 0, // killed before it made one
  )
