/** A daemon under the inspector: CPU profiles and event-loop delays of a running process, without a line of it changed. */
import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

/** For the environment of a daemon that is to be inspected: any free port, loopback only. */
export const INSPECTED = { NODE_OPTIONS: '--inspect=127.0.0.1:0' }

/** Between two looks at the stack. */
const SAMPLE_US = 500
/** Between two looks at the event loop; what Node reports includes it. */
const LOOP_STEP_MS = 1
const READY_LIMIT_MS = 10_000
const LOOK_EVERY_MS = 50

interface ProfileNode {
  id: number
  callFrame: { functionName: string; url: string; lineNumber: number }
  children?: number[]
}

export interface Profile {
  nodes: ProfileNode[]
  samples: number[]
  timeDeltas: number[]
}

/** How late timers fire, in steps of {@link LOOP_STEP_MS}. */
export interface LoopDelay {
  p50Ms: number
  p99Ms: number
  maxMs: number
}

export interface Inspector {
  begin(): Promise<void>
  end(): Promise<{ profile: Profile; loop: LoopDelay }>
  close(): void
}

/** Attaches to the daemon that logs to this file. */
export async function inspect(logPath: string): Promise<Inspector> {
  const socket = new WebSocket(await inspectorAddress(logPath))
  await new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve)
    socket.addEventListener('error', () => reject(new Error('the inspector does not answer')))
  })
  const waiting = new Map<number, (result: unknown) => void>()
  let nextId = 1
  socket.addEventListener('message', ({ data }) => {
    const { id, result } = JSON.parse(String(data)) as { id?: number; result?: unknown }
    if (id !== undefined) waiting.get(id)?.(result)
  })
  const call = <T>(method: string, params: object = {}): Promise<T> =>
    new Promise((resolve) => {
      const id = nextId++
      waiting.set(id, (result) => resolve(result as T))
      socket.send(JSON.stringify({ id, method, params }))
    })
  const evaluate = async (expression: string) =>
    (await call<{ result: { value: unknown } }>('Runtime.evaluate', { expression, returnByValue: true })).result.value
  await call('Profiler.enable')
  await call('Profiler.setSamplingInterval', { interval: SAMPLE_US })
  return {
    async begin() {
      await evaluate(
        `globalThis.loopDelay = process.getBuiltinModule('node:perf_hooks').monitorEventLoopDelay({ resolution: ${LOOP_STEP_MS} }); loopDelay.enable(); 0`,
      )
      await call('Profiler.start')
    },
    async end() {
      const nanos = (await evaluate('loopDelay.disable(); [loopDelay.percentile(50), loopDelay.percentile(99), loopDelay.max]')) as number[]
      const [p50Ms, p99Ms, maxMs] = nanos.map((value) => Math.max(0, value / 1e6 - LOOP_STEP_MS)) as [number, number, number]
      const { profile } = await call<{ profile: Profile }>('Profiler.stop')
      return { profile, loop: { p50Ms, p99Ms, maxMs } }
    },
    close: () => socket.close(),
  }
}

async function inspectorAddress(logPath: string): Promise<string> {
  for (const until = performance.now() + READY_LIMIT_MS; performance.now() < until; await delay(LOOK_EVERY_MS)) {
    const found = /Debugger listening on (ws:\S+)/.exec(readFileSync(logPath, 'utf8'))
    if (found !== null) return found[1]!
  }
  throw new Error('the daemon opened no inspector')
}
