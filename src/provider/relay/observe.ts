/**
 * Observing: tells a node which address it is seen with, and whether its port can be reached from here.
 *
 * Only the address that asks is ever dialled, and only the asking node's own TLS key counts as reached: nobody can be made to knock elsewhere.
 */
import type { MessageBody } from '../../protocol/messages.ts'
import type { connectLink, Link } from '../../tunnel/index.ts'
import { DIAL_BACK_TIMEOUT_MS, MAX_OBSERVATIONS, MAX_OBSERVATIONS_PER_ADDRESS } from './limits.ts'
import { household, Tally } from './tally.ts'

/** What `reached` says. */
export const REACHED = { notAsked: 0, yes: 1, no: 2 } as const

export interface ObserverNeeds {
  connect: typeof connectLink
  /** Whether this node may dial the address at all. */
  mayDial(address: string): boolean
}

export function createObservations({ connect, mayDial }: ObserverNeeds) {
  const underWay = new Tally<string>()

  async function reached(address: string, { nodeKey, port, pin }: MessageBody<'observe'>): Promise<number> {
    const from = household(address)
    const busy = underWay.total >= MAX_OBSERVATIONS || underWay.of(from) >= MAX_OBSERVATIONS_PER_ADDRESS
    if (port === 0 || busy || !mayDial(address)) return REACHED.notAsked
    underWay.add(from, 1)
    try {
      const signal = AbortSignal.timeout(DIAL_BACK_TIMEOUT_MS)
      const link = await connect({ kind: 'tls', host: address, port, pin }, nodeKey, { signal })
      link.destroy()
      return REACHED.yes
    } catch {
      // How it failed is the asker's own line's business; there is nothing else to tell.
      return REACHED.no
    } finally {
      underWay.add(from, -1)
    }
  }

  /** Answers on the link, which may ask again. */
  return async (link: Link, seen: { address: string; port: number }, message: MessageBody<'observe'>): Promise<void> => {
    const answer = await reached(seen.address, message)
    link.send('observed', { address: seen.address, port: seen.port, reached: answer })
  }
}
