/**
 * Gives back to the system what handshakes left behind.
 *
 * A handshake takes tens of kilobytes in node:tls, and a handover ends its use of them; but V8 lets such garbage lie while nothing else asks for memory,
 * and malloc keeps what was freed between what was not. After thousands of handovers that was ten times what the links themselves need. So when
 * many were made and then none for a while, garbage is collected and free pages go back.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { Native } from './native.ts'

/** Fewer leave less than a node takes anyway. */
const MANY = 256
/** A burst of connections is over; a pause of some ten milliseconds harms nobody now. */
const QUIET_MS = 1_000

export class Tidy {
  readonly #tidy: () => void
  #count = 0
  #timer: NodeJS.Timeout | undefined

  constructor(tidy: () => void) {
    this.#tidy = tidy
  }

  /** One more handshake is over. */
  handedOver(): void {
    if (++this.#count < MANY) return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#run(), QUIET_MS).unref()
  }

  #run(): void {
    this.#count = 0
    this.#tidy()
  }

  stop(): void {
    clearTimeout(this.#timer)
  }
}

/** Collects garbage and gives free pages back. */
export function tidyWith(native: Pick<Native, 'trim'>): () => void {
  let collect: (() => void) | undefined
  return () => {
    if (collect === undefined) {
      // Not there unless asked for, and then in new contexts only.
      setFlagsFromString('--expose-gc')
      collect = runInNewContext('gc') as () => void
    }
    collect()
    native.trim()
  }
}
