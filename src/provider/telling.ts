/**
 * When a consumer is told what its session carried (`meter`) and what of its vouchers is durable (`paid`): soon where it waits for the word, else ten
 * times a second. A word wakes both ends, and on a fast line there would be hundreds.
 */
import type { Clock } from '../protocol/clock.ts'
import type { Statement } from '../protocol/messages.ts'
import type { Till } from '../protocol/till.ts'

/** The consumer learns how much was uploaded this often at least, while bytes move: it pays by it. Downloads it counts itself. */
const STEPS_PER_WINDOW = 8n
const LEAST_STEP_BYTES = 16n * 1024n
/** After the last uploaded byte of a burst the final count leaves this soon, so that the last voucher follows at once. */
const FLUSH_MS = 20
/** All else is told this often. */
const EVERY_MS = 100

/** A part of the window, and no less than is worth a word. */
function stepOf({ window }: Pick<Till, 'window'>, stepsPerWindow: bigint): bigint {
  const step = window / stepsPerWindow
  return step > LEAST_STEP_BYTES ? step : LEAST_STEP_BYTES
}

/** Decides when the totals of a till are told. Whoever tells them says so with {@link told}. */
export class Telling {
  readonly #clock: Clock
  readonly #tell: () => void
  /** Uploads the consumer has heard of. */
  #toldUp = 0n
  /** Since when bytes were carried that it has not heard of. */
  #unsaidSinceMs: number | undefined
  #timer: NodeJS.Timeout | undefined
  #waitMs = EVERY_MS

  constructor(clock: Clock, tell: () => void) {
    this.#clock = clock
    this.#tell = tell
  }

  /** Bytes were put into the till. */
  carried(till: Till): void {
    const nowMs = this.#clock.nowMs()
    this.#unsaidSinceMs ??= nowMs
    const overdue = nowMs - this.#unsaidSinceMs >= EVERY_MS
    if (overdue || till.up - this.#toldUp >= stepOf(till, STEPS_PER_WINDOW)) this.#tell()
    else this.#within(till.up > this.#toldUp ? FLUSH_MS : EVERY_MS)
  }

  #within(ms: number): void {
    if (this.#timer !== undefined && ms === this.#waitMs) {
      this.#timer.refresh()
      return
    }
    clearTimeout(this.#timer)
    this.#waitMs = ms
    this.#timer = setTimeout(this.#tell, ms)
  }

  /** Further uploads after which it is time, where somebody else counts and is asked now and then: when half a window waits to be heard of. */
  promptBytes(till: Till): bigint {
    const half = stepOf(till, 2n) - (till.up - this.#toldUp)
    const least = stepOf(till, STEPS_PER_WINDOW)
    return half > least ? half : least
  }

  /** The totals of this till were told. */
  told(till: Till): void {
    this.stop()
    this.#toldUp = till.up
    this.#unsaidSinceMs = undefined
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }
}

/** Acknowledges vouchers that are durable: those that follow each other closely by the last, which pays for all. */
export class Acknowledging {
  readonly #clock: Clock
  readonly #tell: (statement: Statement, window: bigint) => void
  #waiting: { statement: Statement; window: bigint } | undefined
  #toldAtMs = 0
  #toldWindow: bigint | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(clock: Clock, tell: (statement: Statement, window: bigint) => void) {
    this.#clock = clock
    this.#tell = tell
  }

  /** The statement is durable; `window`: what the consumer may owe since. It hears of a new window at once. */
  durable(statement: Statement, window: bigint): void {
    this.#waiting = { statement, window }
    const sinceMs = this.#clock.nowMs() - this.#toldAtMs
    if (window !== this.#toldWindow || sinceMs >= EVERY_MS) this.flush()
    else this.#timer ??= setTimeout(() => this.flush(), EVERY_MS - sinceMs)
  }

  /** Says now what is still to be said. */
  flush(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const waiting = this.#waiting
    if (waiting === undefined) return
    this.#waiting = undefined
    this.#toldAtMs = this.#clock.nowMs()
    this.#toldWindow = waiting.window
    this.#tell(waiting.statement, waiting.window)
  }
}
