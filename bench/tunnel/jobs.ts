/** What the load generator is asked to do and what it answers, and the few bytes it and the origin agree on. */

import type { Host } from './sockets.ts'

/** First byte of a connection to the origin: what it is for. */
export const ORIGIN = {
  /** Payload until one more byte comes, then the count of it in eight bytes. */
  download: 1,
  /** Blocks of {@link BLOCK_BYTES} that begin with {@link MORE}, until {@link LAST}; the answer is their count in eight bytes. */
  upload: 2,
  /** Each byte is answered with one. */
  echo: 3,
  /** Each {@link REQUEST_BYTES} are answered with {@link RESPONSE_BYTES}. */
  request: 4,
  // Never sent: a download that was told to stop, and one that said its count.
  stopping: 5,
  stopped: 6,
} as const

export const BLOCK_BYTES = 262_144
export const MORE = 1
export const LAST = 0
/** A small request and its answer, as an API call without a body. */
export const REQUEST_BYTES = 200
export const RESPONSE_BYTES = 400

/** How the origin is reached; without a proxy, directly. */
export interface Path {
  origin: number
  /** Of the origin, when there is no proxy. Absent: loopback. */
  host?: Host
  proxy?: { port: number; username?: string }
  /** Roots of the process trees that make up the system: their CPU is measured. */
  pids: readonly number[]
}

export type Direction = 'down' | 'up'

export type Job =
  | { kind: 'bulk'; path: Path; flows: number; direction: Direction; warmMs: number; windowMs: number }
  | { kind: 'first-byte'; path: Path; count: number }
  | { kind: 'connections'; path: Path; concurrency: number; windowMs: number }
  /** Opens flows and keeps them; answers when all stand. */
  | { kind: 'hold'; path: Path; flows: number }
  /** Uses every kept flow once more, then closes them. */
  | { kind: 'release'; path: Path }

export interface Bulk {
  /** In the window. */
  bytes: number
  /** In all, until the last flow had ended; every byte counted at both ends. */
  carried: number
  /** Flows that carried nothing in the window. */
  starved: number
  seconds: number
  /** Of the system, user and system time. */
  cpuSeconds: number
  /** Cores that others used meanwhile: neither the system nor the load. */
  othersCores: number
}

export interface FirstByte {
  p50Us: number
  p99Us: number
}

export interface Connections {
  count: number
  seconds: number
  cpuSeconds: number
  othersCores: number
}

export interface Held {
  flows: number
  /** Why there are not more. */
  refused?: string
}

export interface Answers {
  bulk: Bulk
  'first-byte': FirstByte
  connections: Connections
  hold: Held
  release: { alive: number }
}
