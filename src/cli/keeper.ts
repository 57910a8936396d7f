/**
 * Keeps a node of the local exchange running: one that ends unasked is started again, at once the first time and later each time after
 * that. Its journal is safe at any moment, so a killed node comes back with its money and its sessions' balances.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { asBywayError, type BywayError } from '../protocol/errors.ts'
import type { Child } from './child.ts'

/** Long enough to read the line that says so, short enough that a request tried again finds an exit. */
const FIRST_PAUSE_MS = 500
const LONGEST_PAUSE_MS = 10_000
/** A node that ran this long did start properly: its next end is a new story. */
const STEADY_MS = 30_000
/** Ends in a row, none after a steady run: it will not do better the next time either. */
const MOST_ENDS = 5

/** What a keeper needs of a process. */
type Kept = Pick<Child, 'ended' | 'stop'>

export interface KeeperEvents<C extends Kept = Child> {
  /** It ended, or could not be started, and is started again after the pause. */
  ended(error: BywayError, pauseMs: number): void
  back(child: C): void
}

export interface Keeper<C extends Kept = Child> {
  /** The node as it runs now, or ran last. */
  readonly child: C
  /** Settles with the last error when the node cannot be kept running, and never after stop(). */
  readonly failed: Promise<BywayError>
  stop(): Promise<void>
}

/** Rejects when the signal aborts. */
export type Pause = (ms: number, signal: AbortSignal) => Promise<void>

const realPause: Pause = (ms, signal) => delay(ms, undefined, { signal })

/** Starts a node and keeps it running. `start` gets the node it replaces. Rejects when the first start fails. */
export async function keepNode<C extends Kept = Child>(
  start: (before?: C) => Promise<C>,
  events: KeeperEvents<C>,
  pause = realPause,
): Promise<Keeper<C>> {
  let child = await start()
  /** The one running, or the one being started in its place. */
  let newest: Promise<C> = (async () => child)()
  let ends = 0
  let pauseMs = FIRST_PAUSE_MS
  const stopping = new AbortController()

  /** Says that it ended, and throws when that was once too often. */
  function count(error: BywayError): void {
    if (stopping.signal.aborted || ++ends >= MOST_ENDS) throw error
    pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** (ends - 1), LONGEST_PAUSE_MS)
    events.ended(error, pauseMs)
  }

  async function replace(before: C): Promise<C> {
    for (;;) {
      await pause(pauseMs, stopping.signal)
      try {
        return await start(before)
      } catch (thrown) {
        count(asBywayError(thrown))
      }
    }
  }

  async function watch(): Promise<never> {
    for (;;) {
      const sinceMs = performance.now()
      const error = await child.ended
      if (performance.now() - sinceMs > STEADY_MS) ends = 0
      count(error)
      newest = replace(child)
      child = await newest
      stopping.signal.throwIfAborted()
      events.back(child)
    }
  }

  const over = watch().catch(asBywayError)
  return {
    get child() {
      return child
    },
    failed: over.then((error) => (stopping.signal.aborted ? new Promise<never>(() => {}) : error)),
    async stop() {
      stopping.abort()
      const last = await newest.catch(() => child) // given up: the one before has ended, and stopping it again costs nothing
      await last.stop()
    },
  }
}
