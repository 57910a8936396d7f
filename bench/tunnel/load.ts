/** The two processes that make and take the load, as the benchmark sees them. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Answers, Job } from './jobs.ts'

const ORIGIN = new URL('./origin.ts', import.meta.url)
const GENERATOR = new URL('./generator.ts', import.meta.url)
/** More than any job takes: its warm-up, window and drain. */
const JOB_LIMIT_MS = 150_000

export interface Load {
  originPort: number
  /** Rejects with what went wrong: a refused connection, a wrong count, or time that ran out. */
  run<K extends Job['kind']>(job: Extract<Job, { kind: K }>): Promise<Answers[K]>
  stop(): void
}

export async function startLoad(): Promise<Load> {
  const origin = start(ORIGIN)
  const [{ port }] = (await Promise.race([once(origin, 'message'), ended(origin, 'the origin')])) as [{ port: number }]
  let generator = start(GENERATOR)
  let stopped = false
  return {
    originPort: port,
    async run<K extends Job['kind']>(job: Extract<Job, { kind: K }>): Promise<Answers[K]> {
      const timer = setTimeout(() => generator.kill('SIGKILL'), JOB_LIMIT_MS)
      try {
        const answered = once(generator, 'message')
        generator.send(job)
        const [answer] = (await Promise.race([answered, ended(generator, 'the load generator')])) as [
          { answer: Answers[K] } | { error: string },
        ]
        if ('error' in answer) throw new Error(answer.error)
        return answer.answer
      } catch (thrown) {
        // One that ran out of time was killed: the next job gets a new one.
        if (!stopped && (generator.exitCode !== null || generator.signalCode !== null)) generator = start(GENERATOR)
        throw thrown
      } finally {
        clearTimeout(timer)
      }
    },
    stop() {
      stopped = true
      origin.kill('SIGKILL')
      generator.kill('SIGKILL')
    },
  }
}

function start(file: URL): ChildProcess {
  const child = fork(fileURLToPath(file), { execArgv: ['--disable-warning=ExperimentalWarning'] })
  child.setMaxListeners(0)
  return child
}

async function ended(child: ChildProcess, name: string): Promise<never> {
  const [code, signal] = await once(child, 'exit')
  throw new Error(`${name} ended (${signal ?? `exit code ${code}`})`)
}
