/**
 * Entrance: connections of applications taken by the thread that carries their bytes, so that a new flow costs the main thread nothing.
 *
 * The rule it keeps: what the main thread would decide is what happens. It decides each request once and grants the answer for a while
 * ({@link Grant}); whatever changes the answer voids all grants. An application cannot tell which thread served it.
 *
 * Start reading here, at the main thread's end; then orders.ts, and doorkeeper.ts with arrival.ts at the other.
 */
import { type Server, Socket } from 'node:net'
import type { Hex } from '../../protocol/bytes.ts'
import type { Clock } from '../../protocol/clock.ts'
import type { Observer } from '../../protocol/observe.ts'
import { descriptorOf, type Plane } from '../../tunnel/fast/plane.ts'
import type { Entrance, RouteParameters } from '../proxy/index.ts'
import { parametersKey } from '../proxy/username.ts'
import type { EntranceOrder, EntranceReport, Grant } from './orders.ts'

export type { Choice, Grant } from './orders.ts'

/** What a consumer's carrying thread runs. */
export const ENTRANCE_WORKER = new URL('./worker.ts', import.meta.url)

/** As many as the other thread keeps. */
const MAX_LEARNED = 1_024
/** A burst of requests that are alike is decided once. */
const LEARN_EVERY_MS = 100

export interface EntranceNeeds {
  plane(): Plane | undefined
  clock: Clock
  observer: Observer
  /** What may be granted for such requests now; undefined when each is to be decided by itself. */
  decide(parameters: RouteParameters): Promise<Omit<Grant, 'key'> | undefined>
  /** Flows were opened through this exit. */
  worked(exit: Hex): void
}

/** The entrance as the consumer sees it. */
export interface Grants extends Entrance {
  /** A request like this was served: others may be served alike. */
  learn(parameters: RouteParameters): void
  /** What was decided may not hold any more. */
  forget(): void
}

export function createEntrance(needs: EntranceNeeds): Grants {
  const learned = new Map<string, { parameters: RouteParameters; atMs: number }>()
  let epoch = 0
  let say: ((order: EntranceOrder, fd?: number) => void) | undefined

  async function grant(key: string, parameters: RouteParameters): Promise<void> {
    const began = epoch
    learned.delete(key)
    learned.set(key, { parameters, atMs: needs.clock.nowMs() })
    if (learned.size > MAX_LEARNED) learned.delete(learned.keys().next().value!)
    const decided = await needs.decide(parameters).catch(() => undefined)
    // If something changed while it was decided, the next request like it learns anew.
    if (decided !== undefined && began === epoch) say?.({ enter: 'grant', grant: { key, ...decided } })
  }

  function onReport(report: EntranceReport, accept: (client: Socket, said: number) => void): void {
    if (report.entered === 'hand') {
      const client = new Socket({ fd: report.fd, allowHalfOpen: true })
      client.unshift(report.heard)
      accept(client, report.said)
    } else if (report.entered === 'refused') needs.observer.log('flow-refused', { code: report.code })
    else {
      for (const exit of report.worked) needs.worked(exit)
      const known = learned.get(report.key)
      if (known !== undefined) void grant(report.key, known.parameters)
    }
  }

  return {
    open(server: Server, { flows, connections, handshakeMs, accept }) {
      const plane = needs.plane()
      const fd = descriptorOf(server)
      if (plane === undefined || fd < 0) return undefined
      const { native } = plane
      const entrance = plane.entrance({
        onReport: (report) => onReport(report as EntranceReport, accept),
        onDead: () => {
          // Whoever waits in the queue of the listening socket is accepted here from now on.
          say = undefined
          learned.clear()
          flows.reclaim()
          connections.reclaim()
          if (kept < 0) return
          server.listen({ fd: kept })
          kept = -1
        },
      })
      if (entrance === undefined) return undefined
      let kept = native.duplicate(fd)
      say = (order, own) => entrance.order(order, own)
      say({ enter: 'open', flows: flows.shared, connections: connections.shared, handshakeMs }, native.duplicate(fd))
      // The socket goes on listening at the other descriptors.
      server.close()
      return () => {
        say?.({ enter: 'close' })
        say = undefined
        if (kept >= 0) native.close(kept)
        kept = -1
      }
    },
    learn(parameters) {
      if (say === undefined) return
      const key = parametersKey(parameters)
      const known = learned.get(key)
      if (known === undefined || needs.clock.nowMs() - known.atMs >= LEARN_EVERY_MS) void grant(key, parameters)
    },
    forget() {
      epoch++
      if (learned.size > 0) say?.({ enter: 'forget' })
      learned.clear()
    },
  }
}
