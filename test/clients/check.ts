/** What a check is, and what it finds the world to be like when it runs. */
import type { Exchange } from './exchange.ts'
import type { Origin } from './origin.ts'

export interface World {
  exchange: Exchange
  /** HTTP on 127.0.0.1 and ::1 and, on another port, the same over TLS. */
  origin: Origin
  /** A folder for what a check writes; gone afterwards. */
  folder: string
}

export interface Outcome {
  /** What was seen, in a few words. */
  result: string
  /** Payload carried, for the rate: at least this much must have gone through the exchange. */
  bytes?: number
  /** How long that took, where the check did other things too. */
  ms?: number
}

export interface Check {
  /** The program that does the asking: what --only names. */
  client: string
  /** What is checked. */
  what: string
  /** Programs it cannot run without. */
  needs: readonly string[]
  /** Throws when what was seen is not what should be. */
  run(world: World): Promise<Outcome>
}

export const MB = 1_000_000
