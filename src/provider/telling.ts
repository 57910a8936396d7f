/**
 * When a consumer is told what its session carried (`meter`) and what of its vouchers is durable (`paid`): soon where it waits for the word, else
 * some times a second. A word wakes both ends, and on a fast line there would be hundreds.
 */
import type { Clock } from '../protocol/clock.ts'
import { least, most, stepBytes } from '../protocol/credit.ts'
import type { Statement } from '../protocol/messages.ts'
import { PACE_WEIGHT, Pace } from '../protocol/pace.ts'
import { type Till, unpaidBytes } from '../protocol/till.ts'

/** Whatever there is to tell is told this soon. */
const EVERY_MS = 150
/** What is paid goes with the totals while bytes move; alone when there is nothing to tell of those. */
const ALONE_MS = 200
/** So fast that more than half a window goes by meanwhile, half is told: each word is a voucher. */
const LEAST_MS = 25

/**
 * Decides when the totals of a till are told. Whoever tells them says so with {@link told}, and with {@link paid} when a voucher came.
 *
 * The consumer counts downloads itself; uploads it pays for when it hears of them, which must be while what is left of the window lasts until its voucher
 * is here. How long that takes is measured.
 */
export class Telling {
  readonly #clock: Clock
  readonly #tell: () => void
  /** Uploads the consumer has heard of. */
  #toldUp = 0n
  #toldAtMs = 0
  readonly #pace = new Pace()
  /** From the word that uploads were carried to the voucher for them, of late. */
  #untilPaidMs: number | undefined
  /** Told, and not paid yet. */
  #waiting: { readonly up: bigint; readonly sinceMs: number } | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(clock: Clock, tell: () => void) {
    this.#clock = clock
    this.#tell = tell
  }

  /** Bytes were put into the till. */
  carried(till: Till): void {
    if (this.#untold(till) >= this.#ripeBytes(till)) this.#tell()
    else this.#timer ??= setTimeout(this.#tell, EVERY_MS)
  }

  /** Nothing more is carried until a payment comes, or at all: uploads that were not told yet are told now. */
  stopped(till: Till): void {
    if (till.up > this.#toldUp) this.#tell()
  }

  /** What goes by until a payment is there that is asked for now; undefined while too little is known. */
  get #leadBytes(): bigint | undefined {
    return this.#untilPaidMs === undefined ? undefined : this.#pace.bytesIn(this.#untilPaidMs)
  }

  /** Uploads the consumer has not heard of, as far as they are lent: others it has paid ahead. */
  #untold(till: Till): bigint {
    return least(till.up - this.#toldUp, unpaidBytes(till))
  }

  /** Uploads that are told without waiting for more; a quarter of the window is left whatever happens. */
  #ripeBytes(till: Till): bigint {
    const { window } = till
    return most(window - most(window / 4n, this.#leadBytes ?? window), stepBytes(till))
  }

  /** Further uploads after which it is time, where somebody else counts and is asked now and then. */
  promptBytes(till: Till): bigint {
    const half = till.window / 2n
    const atLeast = this.#leadBytes === undefined ? half : least(this.#pace.bytesIn(LEAST_MS)!, half)
    return most(most(this.#ripeBytes(till), atLeast) - this.#untold(till), stepBytes(till))
  }

  /** The totals of this till were told. */
  told(till: Till): void {
    this.stop()
    const nowMs = this.#clock.nowMs()
    const bytes = till.up - this.#toldUp
    // Fewer than before: it is another till, of the channel the session moved to.
    if (bytes < 0n) this.#waiting = undefined
    else this.#pace.moved(bytes, nowMs - this.#toldAtMs)
    if (bytes >= stepBytes(till)) this.#waiting ??= { up: till.up, sinceMs: nowMs }
    this.#toldAtMs = nowMs
    this.#toldUp = till.up
  }

  /** A voucher is durable. */
  paid(till: Till): void {
    // What was paid ahead for downloads pays for uploads as well.
    const up = till.paidUp + most(till.paidDown - till.down, 0n)
    if (this.#waiting === undefined || up < this.#waiting.up) return
    const tookMs = this.#clock.nowMs() - this.#waiting.sinceMs
    this.#waiting = undefined
    this.#untilPaidMs = this.#untilPaidMs === undefined ? tookMs : this.#untilPaidMs + PACE_WEIGHT * (tookMs - this.#untilPaidMs)
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
    if (window !== this.#toldWindow || sinceMs >= ALONE_MS) this.flush()
    else this.#timer ??= setTimeout(() => this.flush(), ALONE_MS - sinceMs)
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
