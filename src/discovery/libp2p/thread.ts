/**
 * A thread that may die: of its memory limit, of an error. It is started again after a pause that doubles, and what it was told is told again by
 * whoever keeps it (`onStart`).
 */
import { Worker } from 'node:worker_threads'
import { asBywayError } from '../../protocol/errors.ts'

// --- Our choices. Safe to change. ---
/** libp2p with a full table and store takes some 60 MiB of heap; a hostile peer gets no more than as much again. */
const HEAP_MIB = 128
const YOUNG_MIB = 16
const FIRST_PAUSE_MS = 1_000
const LONGEST_PAUSE_MS = 60_000
/** A thread that lived this long is well: the next pause is the first again. */
const WELL_AFTER_MS = 300_000
/** How long it may take to say goodbye. */
const STOP_MS = 3_000

export interface ThreadLimits {
  heapMib?: number
  firstPauseMs?: number
}

export interface Thread<Order> {
  /** Nothing happens while no thread runs: what must survive that is told again on start. */
  send(order: Order): void
  close(goodbye: Order): Promise<void>
}

export interface ThreadOptions<Report> {
  program: URL
  setup: () => object
  limits?: ThreadLimits | undefined
  onReport: (report: Report) => void
  onStart: () => void
  /** It ended unasked. */
  onEnd: (why: string) => void
}

export function keepThread<Order, Report>({ program, setup, limits = {}, onReport, onStart, onEnd }: ThreadOptions<Report>): Thread<Order> {
  const { heapMib = HEAP_MIB, firstPauseMs = FIRST_PAUSE_MS } = limits
  let pauseMs = firstPauseMs
  let worker: Worker | undefined
  let timer: NodeJS.Timeout | undefined
  let closing = false

  function begin(): void {
    const startedMs = performance.now()
    const resourceLimits = { maxOldGenerationSizeMb: heapMib, maxYoungGenerationSizeMb: YOUNG_MIB, stackSizeMb: 4 }
    const mine = new Worker(program, { workerData: setup(), resourceLimits })
    worker = mine
    // Nobody waits for it to end.
    mine.unref()
    let why = 'it ended'
    mine.on('message', (report: Report) => {
      if (mine === worker && !closing) onReport(report)
    })
    mine.on('error', (thrown) => {
      why = (thrown as NodeJS.ErrnoException).code ?? asBywayError(thrown).message
    })
    mine.once('exit', () => {
      if (mine !== worker || closing) return
      worker = undefined
      if (performance.now() - startedMs > WELL_AFTER_MS) pauseMs = firstPauseMs
      timer = setTimeout(begin, pauseMs)
      timer.unref()
      pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)
      onEnd(why)
    })
    onStart()
  }
  // After the caller has its thread: onStart uses it.
  queueMicrotask(() => {
    if (!closing) begin()
  })

  return {
    send: (order) => worker?.postMessage(order),
    async close(goodbye) {
      closing = true
      clearTimeout(timer)
      const ending = worker
      if (ending === undefined) return
      const gone = new Promise((resolve) => ending.once('exit', resolve))
      ending.postMessage(goodbye)
      const late = setTimeout(() => void ending.terminate(), STOP_MS)
      await gone
      clearTimeout(late)
    },
  }
}
