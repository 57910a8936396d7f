/**
 * What goes wrong on links that run through a hop, and when it is held against that hop.
 *
 * A hop carries the links of the next one as ciphertext. It cannot change a byte unnoticed, but it can change, drop and delay them. From here
 * the hop and the node behind it look alike when a link breaks; what tells them apart is another hop: where that gets through, the first is
 * at fault, and where two hops bring the same garbage, it is the node behind them.
 */
import type { Hex } from '../protocol/bytes.ts'
import type { Clock } from '../protocol/clock.ts'

/** Lines lose a connection now and then; this many in this long are no accident. All that break within a second are one event. */
const MAX_BREAKS = 3
const BREAKS_WITHIN_MS = 30_000
const ONE_EVENT_MS = 1_000

export class Faults {
  readonly #clock: Clock
  /** Times at which links broke, by the hop that carried them. */
  readonly #breaks = new Map<Hex, number[]>()
  /** Hops that brought what no honest node sends: bytes that fail the integrity check of TLS. */
  readonly #garbled = new Set<Hex>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** A link through this hop broke. True when it is held against the hop. */
  broke(hop: Hex): boolean {
    const nowMs = this.#clock.nowMs()
    const recent = (this.#breaks.get(hop) ?? []).filter((atMs) => nowMs - atMs < BREAKS_WITHIN_MS)
    if (nowMs - (recent.at(-1) ?? 0) >= ONE_EVENT_MS) recent.push(nowMs)
    this.#breaks.set(hop, recent)
    if (recent.length < MAX_BREAKS) return false
    this.#breaks.delete(hop)
    return true
  }

  /** A link through this hop brought garbage. True when another hop did so before: then the node behind them is at fault. */
  garbled(hop: Hex): boolean {
    this.#garbled.add(hop)
    return this.#garbled.size > 1
  }
}

/** Whether TLS says that bytes were changed on their way, here or at the other end. */
export function isGarbled(cause: unknown): boolean {
  const { code } = cause as NodeJS.ErrnoException
  return code?.startsWith('ERR_SSL_') === true
}
