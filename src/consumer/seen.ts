/**
 * What this consumer saw of the nodes it used: how far away they are, and how much they carried. It ranks them by it, and tells nobody.
 */
import type { Hex } from '../protocol/bytes.ts'

/** Nodes remembered; the one used longest ago is forgotten first. */
const MAX_NODES = 4_096
/** Round trips kept of each: some minutes of use. */
const MAX_ROUND_TRIPS = 32
/** What was carried once counts half after so many looks: lines change hands, and neighbours. */
const KEPT = 0.98

interface Sight {
  roundTrips: number[]
  mbps: number
  atMs: number
  bytes: bigint
}

/** A look at a node in use: the last round trip, and all that its session carried so far. */
export interface Look {
  readonly atMs: number
  readonly roundTripMs: number | undefined
  readonly bytes: bigint
}

export interface SeenNode {
  /** 95th percentile of the last round trips. */
  readonly latencyMs: number | undefined
  /** The most it carried from one look to the next, lately. */
  readonly mbps: number | undefined
}

export class Seen {
  readonly #nodes = new Map<Hex, Sight>()
  /** Told of each node of which something new is known, or nothing any more. */
  onChanged: (nodeKey: Hex) => void = () => {}

  of = (nodeKey: Hex): SeenNode | undefined => {
    const sight = this.#nodes.get(nodeKey)
    if (sight === undefined) return undefined
    const { roundTrips, mbps } = sight
    const sorted = [...roundTrips].sort((a, b) => a - b)
    return { latencyMs: sorted[Math.ceil(sorted.length * 0.95) - 1], mbps: mbps > 0 ? mbps : undefined }
  }

  saw(nodeKey: Hex, look: Look): void {
    const sight = this.#nodes.get(nodeKey) ?? { roundTrips: [], mbps: 0, atMs: look.atMs, bytes: look.bytes }
    this.#nodes.delete(nodeKey)
    this.#nodes.set(nodeKey, sight)
    if (look.roundTripMs !== undefined) sight.roundTrips.push(look.roundTripMs)
    if (sight.roundTrips.length > MAX_ROUND_TRIPS) sight.roundTrips.shift()
    const [ms, bytes] = [look.atMs - sight.atMs, Number(look.bytes - sight.bytes)]
    // Another session begins to count anew.
    sight.mbps = Math.max(ms > 0 && bytes > 0 ? (bytes * 8) / 1000 / ms : 0, sight.mbps * KEPT)
    sight.atMs = look.atMs
    sight.bytes = look.bytes
    if (this.#nodes.size > MAX_NODES) {
      const oldest = this.#nodes.keys().next().value!
      this.#nodes.delete(oldest)
      this.onChanged(oldest)
    }
    this.onChanged(nodeKey)
  }
}
