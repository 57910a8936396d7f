/**
 * Progress of slow steps: one rewritten line on a terminal, plain lines otherwise, an event line a step under `--json`.
 */
import { formatDuration } from './format.ts'
import type { Output } from './output.ts'

export interface Progress {
  /** Runs `work` as a named step. `detail` says how far it is, as often as one likes. What it throws is shown as failed and thrown on. */
  step<T>(title: string, work: (detail: (text: string) => void) => Promise<T>): Promise<T>
}

/** Often enough to look alive, seldom enough to cost nothing. */
const REDRAW_MS = 100
/** In a log file a detail line now and then is enough to see that nothing hangs. */
const PLAIN_DETAIL_MS = 5_000

interface Step {
  readonly title: string
  readonly startedMs: number
  detail: string
  toldMs: number
}

export function createProgress(output: Output, now: () => number = () => performance.now()): Progress {
  const running = new Set<Step>()
  let timer: NodeJS.Timeout | undefined

  const draw = (): void => {
    const texts = [...running].map((step) => {
      const detail = step.detail === '' ? '' : `  ${step.detail}`
      return `${step.title} ...${detail}  ${formatDuration(now() - step.startedMs)}`
    })
    output.status(texts.length === 0 ? undefined : texts.join('   '))
  }
  const started = (step: Step): void => {
    running.add(step)
    output.event('step', { step: step.title, state: 'started' })
    if (output.interactive) {
      timer ??= setInterval(draw, REDRAW_MS).unref()
      draw()
    } else output.note(`${step.title} ...`)
  }
  const ended = (step: Step, state: 'done' | 'failed'): void => {
    const tookMs = now() - step.startedMs
    running.delete(step)
    if (running.size === 0) {
      clearInterval(timer)
      timer = undefined
    }
    if (output.interactive) draw()
    const mark = state === 'done' ? output.style('green', '✓') : output.style('red', '✗')
    output.note(
      output.interactive ? `${mark} ${step.title}  ${formatDuration(tookMs)}` : `${step.title}: ${state} in ${formatDuration(tookMs)}`,
    )
    output.event('step', { step: step.title, state, ms: Math.round(tookMs) })
  }

  return {
    step: async (title, work) => {
      const step: Step = { title, startedMs: now(), detail: '', toldMs: now() }
      started(step)
      const detail = (text: string): void => {
        step.detail = text
        if (output.interactive || now() - step.toldMs < PLAIN_DETAIL_MS) return
        step.toldMs = now()
        output.note(`${title}: ${text}`)
      }
      try {
        const value = await work(detail)
        ended(step, 'done')
        return value
      } catch (thrown) {
        ended(step, 'failed')
        throw thrown
      }
    },
  }
}
