/**
 * One flow at the exit: dialled, spliced through the till, and closed with its totals. Which link carries it may change meanwhile; that is
 * flows.ts.
 */
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { BywayError } from '../protocol/errors.ts'
import type { Observer } from '../protocol/observe.ts'
import type { Direction } from '../protocol/till.ts'
import { resetOnDeath } from '../tunnel/egress/death.ts'
import { FlowStream, type KeepingBudget, type Link, splice } from '../tunnel/index.ts'

export interface ExitNeeds {
  /** Holds bytes back until they are paid for or lent, then counts them. */
  gate(direction: Direction, bytes: number, signal: AbortSignal): true | Promise<void>
  /** Counted bytes that were thrown away unsent when their flow was reset. */
  giveBack(direction: Direction, bytes: bigint): void
  budget: KeepingBudget
  observer: Observer
}

export interface Totals {
  up: bigint
  down: bigint
}

/** How a flow ended that both ends ended. */
export interface Ended {
  totals: Totals
  /** Both ends said an orderly end, but not all of the upload was delivered: the consumer has to hear a reset. */
  cut: boolean
}

/** A flow that was opened, until it is over. */
export interface ServedFlow {
  readonly stream: FlowStream
  /** Resolves once both ends said their last word and the consumer has every byte; never when it was abandoned. */
  readonly ended: Promise<Ended>
  /** Ends it without its other end, and says what was carried. */
  abandon(error: BywayError): Totals
}

/**
 * Joins the flow on `link` and its destination, which is connected. `early` came before it was. `onSuspended` is told each time a link of the
 * flow breaks.
 */
export function carryFlow(
  { link, target, early }: { link: Link; target: Duplex; early: readonly Buffer[] },
  needs: ExitNeeds,
  onSuspended: (error: BywayError) => void,
): ServedFlow {
  const over = new AbortController()
  const taken = { up: 0n, down: 0n }
  const ending = Promise.withResolvers<void>()
  let abandoned: string | undefined
  let settled = false
  const stream = new FlowStream({ link, side: 'provider', early, budget: needs.budget, onDone: () => ending.resolve(), onSuspended })
  /** What was carried: uploads as delivered, downloads as put on the link. A reset may have thrown away what waited for the link. */
  const settle = (): Totals => {
    settled = true
    needs.giveBack('down', taken.down - stream.sent)
    taken.down = stream.sent
    return { up: taken.up, down: stream.sent }
  }
  const through = (direction: Direction) => (bytes: number) => {
    const granted = needs.gate(direction, bytes, over.signal)
    const count = () => {
      // It was let through in the very turn in which the flow was abandoned: nobody carries it any more.
      if (settled) needs.giveBack(direction, BigInt(bytes))
      else taken[direction] += BigInt(bytes)
    }
    if (granted !== true) return granted.then(count)
    count()
    return granted
  }
  stream.once('error', () => over.abort())
  target.once('error', () => over.abort())
  const carry = async () => {
    if (target instanceof Socket) resetOnDeath(target)
    await splice(stream, target, { aToB: through('up'), bToA: through('down') })
    over.abort()
    needs.observer.count('flows', 1, { result: abandoned ?? (stream.aborted ? 'CONNECTION_RESET' : 'ok') })
    await ending.promise
    // The flow ended in order, but its last bytes waited for payment when the destination went away: the consumer has to know.
    return { cut: !stream.aborted && taken.up !== stream.received, totals: settle() }
  }
  return {
    stream,
    ended: carry(),
    abandon(error) {
      abandoned = error.code
      // Before the count is final: nothing that waits for payment may be let through into a flow that is gone.
      over.abort()
      stream.giveUp(error)
      return settle()
    },
  }
}
