/**
 * Gives back to the system what the start and handshakes left behind.
 *
 * A handshake takes tens of kilobytes in node:tls, and a handover ends its use of them; but V8 lets such garbage lie while nothing else asks for memory,
 * and malloc keeps what was freed between what was not. After thousands of handovers that was ten times what the links themselves need. So when
 * many were made and then none for a while, garbage is collected and free pages go back. The same once after the start, as soon as nobody is coming:
 * loading the program leaves 40 MB of half-used pages, which nothing would ask for again in a node at rest.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { Native } from './native.ts'

/** Fewer leave less than a node takes anyway. */
const MANY = 256
/** A burst of connections is over; a pause of some ten milliseconds harms nobody now. */
const QUIET_MS = 1_000
/** All is loaded, and hardly anybody is there yet whom a pause of a tenth of a second could harm. */
const STARTED_MS = 3_000
/** Where somebody comes every second, no longer than this is waited for a better moment. */
const MOST_LOOKS = 60

/** `all`: takes its time, and leaves nothing that can be given back. */
type Collect = (all: boolean) => void

export class Tidy {
  readonly #tidy: Collect
  #count = 0
  #looks = 0
  /** Somebody came since the last look. */
  #stirred = false
  /** Set until it was tidied up after the start. */
  #first: NodeJS.Timeout | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(tidy: Collect) {
    this.#tidy = tidy
  }

  /** The program is loaded, or soon will be. */
  started(): void {
    this.#lookIn(STARTED_MS)
  }

  #lookIn(ms: number): void {
    this.#first = setTimeout(() => this.#look(), ms).unref()
  }

  #look(): void {
    if (this.#stirred && ++this.#looks < MOST_LOOKS) {
      this.#stirred = false
      this.#lookIn(QUIET_MS)
      return
    }
    this.#first = undefined
    this.#tidy(true)
  }

  /** One more handshake is over. */
  handedOver(): void {
    this.#stirred = true
    if (++this.#count < MANY) return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#run(), QUIET_MS).unref()
  }

  #run(): void {
    this.#count = 0
    // Else that is about to be done, and better.
    if (this.#first === undefined) this.#tidy(false)
  }

  stop(): void {
    for (const timer of [this.#first, this.#timer]) clearTimeout(timer)
  }
}

/** Collects garbage and gives free pages back. */
export function tidyWith(native: Pick<Native, 'trim'>): Collect {
  let collect: ((options?: object) => void) | undefined
  return (all) => {
    if (collect === undefined) {
      // Not there unless asked for, and then in new contexts only.
      setFlagsFromString('--expose-gc')
      collect = runInNewContext('gc') as typeof collect
    }
    if (all) collect!({ type: 'major', execution: 'sync', flavor: 'last-resort' })
    else collect!()
    native.trim()
  }
}
