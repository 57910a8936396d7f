/**
 * The exit end of a flow link: one flow after another, each dialled, spliced through the till and closed with its totals.
 */
import type { Duplex } from 'node:stream'
import { asBywayError, type BywayError } from '../protocol/errors.ts'
import { farewell, type Message } from '../protocol/messages.ts'
import type { Observer } from '../protocol/observe.ts'
import type { Direction } from '../protocol/till.ts'
import { FlowStream, type Link, splice } from '../tunnel/index.ts'

export interface ExitNeeds {
  /** Opens the destination, or throws a BywayError; nothing is charged then. */
  dial(host: string, port: number, signal: AbortSignal): Promise<Duplex>
  /** Holds bytes back until they are paid for or lent, then counts them. */
  gate(direction: Direction, bytes: number, signal: AbortSignal): true | Promise<void>
  /** Counted bytes that were thrown away unsent when their flow was reset. */
  giveBack(direction: Direction, bytes: bigint): void
  /** A flow's link broke: the consumer must hear, over the control link, what the flow carried. */
  lost(flowId: number, totals: { up: bigint; down: bigint }): void
  observer: Observer
}

/** Serves a flow link until it closes. */
export function serveFlows(link: Link, needs: ExitNeeds): void {
  /** Its `done` may be lost with the link; the consumer then waits for our count. */
  let last: FlowEnd | undefined
  const idle = () => {
    link.listen({
      onMessage: (message) => {
        if (message.name === 'open') {
          serveFlow(link, message.body, needs).then(
            (end) => {
              last = end
              idle()
            },
            (error) => link.destroy(asBywayError(error)),
          )
        }
        // A consumer may reset a flow in the moment it ended: that message finds the link idle.
        else if (message.name !== 'reset' && message.name !== 'end') link.destroy(unexpected(message))
      },
      onData: () => link.destroy(asBywayError(new Error('data outside a flow'), 'MESSAGE_UNEXPECTED')),
      onClose: (error) => {
        countMalformed(error, needs.observer)
        if (last !== undefined) needs.lost(last.flowId, last.totals)
      },
    })
  }
  idle()
}

interface FlowEnd {
  flowId: number
  totals: { up: bigint; down: bigint }
}

/** Counts links that ended because of what came over them. */
export function countMalformed(error: BywayError | undefined, observer: Observer): void {
  if (error?.code.startsWith('MESSAGE_')) observer.count('malformed', 1, { where: 'link' })
}

function unexpected(message: Message): BywayError {
  return asBywayError(new Error(`${message.name} has no place on an idle flow link`), 'MESSAGE_UNEXPECTED')
}

/** Resolves when the link is free again; never settles when the link broke. */
async function serveFlow(link: Link, open: { flowId: number; host: string; port: number }, needs: ExitNeeds): Promise<FlowEnd> {
  const { flowId } = open
  const over = new AbortController()
  const target = await dialWhileListening(link, open, needs, over)
  if (target === undefined) return { flowId, totals: { up: 0n, down: 0n } }
  const taken = { up: 0n, down: 0n }
  const { promise: ended, resolve } = Promise.withResolvers<void>()
  let result = 'ok'
  /** What was carried: uploads as delivered, downloads as put on the link. A reset may have thrown away what waited for the link. */
  const settle = () => {
    needs.giveBack('down', taken.down - flow.sent)
    return { up: taken.up, down: flow.sent }
  }
  const flow = new FlowStream({
    link,
    side: 'provider',
    onDone: () => resolve(),
    onBroken: (error) => {
      result = error.code
      // Before the count is final: nothing that waits for payment may be let through into a flow that is gone.
      over.abort()
      countMalformed(error, needs.observer)
      needs.lost(flowId, settle())
    },
  })
  link.send('opened', {})
  const through = (direction: Direction) => (bytes: number) => {
    const granted = needs.gate(direction, bytes, over.signal)
    const count = () => {
      taken[direction] += BigInt(bytes)
    }
    if (granted !== true) return granted.then(count)
    count()
    return granted
  }
  flow.once('error', () => over.abort())
  target.once('error', () => over.abort())
  await splice(flow, target, { aToB: through('up'), bToA: through('down') })
  over.abort()
  if (flow.aborted && result === 'ok') result = 'CONNECTION_RESET'
  needs.observer.count('flows', 1, { result })
  await ended
  // The flow ended in order, but its last bytes waited for payment when the destination went away: the consumer has to know.
  if (!flow.aborted && taken.up !== flow.received) link.send('reset', {})
  const totals = settle()
  link.send('done', totals)
  return { flowId, totals }
}

/** Dials while the consumer may still change its mind. Undefined when the flow ended here: told to the consumer, nothing charged. */
async function dialWhileListening(
  link: Link,
  open: { host: string; port: number },
  needs: ExitNeeds,
  over: AbortController,
): Promise<Duplex | undefined> {
  link.listen({
    onMessage: (message) => {
      if (message.name === 'reset') over.abort()
      else link.destroy(unexpected(message))
    },
    onData: () => link.destroy(asBywayError(new Error('data before the flow was open'), 'MESSAGE_UNEXPECTED')),
    // Whoever listens next hears of it again, and counts it.
    onClose: () => over.abort(),
  })
  try {
    const target = await needs.dial(open.host, open.port, over.signal)
    if (!over.signal.aborted) return target
    target.destroy()
    link.send('failed', { code: 'CONNECTION_RESET', message: 'the flow was given up while it was being opened' })
  } catch (thrown) {
    const error = asBywayError(thrown, 'HOST_UNREACHABLE')
    needs.observer.count('flows', 1, { result: error.code })
    // What a dialler throws unexpectedly may carry an address in its message; only the words of our own errors leave the node.
    const own = error === thrown
    link.send('failed', own ? farewell(error) : { code: error.code, message: 'the destination could not be reached' })
  }
  link.unlisten()
  return undefined
}
