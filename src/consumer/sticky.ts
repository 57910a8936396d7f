/**
 * Which exit the flows of a named session use, while it lasts. With `split` a session has several, and the destination's name says which: the parts of
 * one page come through different exits, while each server sees one and the same.
 */
import { createHash } from 'node:crypto'
import type { Hex } from '../protocol/bytes.ts'
import type { Clock } from '../protocol/clock.ts'
import type { RouteParameters } from './proxy/index.ts'

/** Sessions remembered; the oldest is forgotten first. */
const MAX_STICKY = 100_000

export class Sticky {
  readonly #clock: Clock
  readonly #kept = new Map<string, { nodeKey: Hex; untilMs: number }>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Whether such requests have an exit of their own. */
  holds({ sessionId, split }: RouteParameters): boolean {
    return sessionId !== undefined || split !== undefined
  }

  of(request: RouteParameters, host?: string): Hex | undefined {
    return this.#at(keyOf(request, partOf(request, host)))
  }

  leftMs(request: RouteParameters): number {
    return (this.#kept.get(keyOf(request, 0))?.untilMs ?? 0) - this.#clock.nowMs()
  }

  /** Exits of the other parts of the session. */
  others(request: RouteParameters, host?: string): ReadonlySet<Hex> {
    const own = partOf(request, host)
    const parts = Array.from({ length: request.split ?? 1 }, (_, part) => (part === own ? undefined : this.#at(keyOf(request, part))))
    return new Set(parts.filter((nodeKey) => nodeKey !== undefined))
  }

  keep(request: RouteParameters, nodeKey: Hex, host?: string): void {
    const key = keyOf(request, partOf(request, host))
    // The session lasts from its first use; a later flow does not prolong it.
    if (this.#at(key) === nodeKey) return
    this.#kept.delete(key)
    this.#kept.set(key, { nodeKey, untilMs: this.#clock.nowMs() + request.sessionMinutes * 60_000 })
    if (this.#kept.size > MAX_STICKY) this.#kept.delete(this.#kept.keys().next().value!)
  }

  #at(key: string): Hex | undefined {
    const kept = this.#kept.get(key)
    return kept !== undefined && kept.untilMs > this.#clock.nowMs() ? kept.nodeKey : undefined
  }
}

function partOf({ split = 1 }: RouteParameters, host = ''): number {
  return split === 1 ? 0 : createHash('sha256').update(host.toLowerCase()).digest().readUInt32BE(0) % split
}

const keyOf = ({ account, sessionId, country, region, city, asn, type, provider, split }: RouteParameters, part: number): string =>
  [account, sessionId, country, region, city, asn, type, provider, split, part].join('\0')
