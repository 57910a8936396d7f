/**
 * Dialling the next hop that an offer names, for a consumer who asked with `extend`.
 *
 * The same addresses as for any guest, and one thing more: what answers there must be the node. An offer is easily signed for any address;
 * without this a guest could reach every service as if it were a node, and pass by the ports of the policy.
 */
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Clock } from '../../protocol/clock.ts'
import { parseDestination } from '../../protocol/destination.ts'
import { BywayError } from '../../protocol/errors.ts'
import type { SignedOffer, Transport } from '../../protocol/offer.ts'
import type { Egress } from '../../tunnel/egress/dial.ts'
import type { connectLink } from '../../tunnel/index.ts'

/** Where nodes listen: the port of the web, and those that need no rights. Others below belong to services with rules of their own. */
export const hopPort = (port: number): boolean => port === 443 || port >= 1_024
/** A node that answered once is dialled without asking for so long; asking costs two round trips before the first flow. */
const KNOWN_MS = 600_000
/** Each takes 200 bytes; the oldest is forgotten first. */
const MAX_KNOWN = 4_096
/** Its name may have several addresses, and each is asked for itself. */
const MAX_DIALS = 4

export interface HopNeeds {
  /** Connects to an address after the rules of the exit allowed it. */
  dialNode: Egress['dialNode']
  connect: typeof connectLink
  clock: Clock
}

/** Dials nodes at their own addresses. */
export function createHops({ dialNode, connect, clock }: HopNeeds) {
  /** Address, port, pin and key of nodes that answered, and until when that counts. */
  const known = new Map<string, number>()

  const nameOf = ({ body }: SignedOffer, { pin }: Transport, socket: Socket) =>
    `${socket.remoteAddress} ${socket.remotePort} ${pin} ${body.nodeKey}`

  function remember(name: string): void {
    known.delete(name)
    known.set(name, clock.nowMs() + KNOWN_MS)
    if (known.size > MAX_KNOWN) known.delete(known.keys().next().value!)
  }

  return async (offer: SignedOffer, signal: AbortSignal): Promise<Duplex> => {
    const transport = offer.body.transports.find(({ kind }) => kind === 'tls')
    if (transport === undefined) {
      throw new BywayError('HOST_UNREACHABLE', 'the next hop names no address that can be dialled, and has no reservation here')
    }
    if (!hopPort(transport.port)) throw new BywayError('PORT_BLOCKED', `nodes are not dialled at port ${transport.port}`)
    const destination = parseDestination(transport.host, transport.port)
    for (let dials = 0; dials < MAX_DIALS; dials++) {
      const socket = await dialNode(destination, signal)
      const name = nameOf(offer, transport, socket)
      // By address, not by name: a name may lead elsewhere the next time.
      if ((known.get(name) ?? 0) > clock.nowMs()) return socket
      const link = await connect(transport, offer.body.nodeKey, { carrier: socket, signal })
      link.destroy()
      remember(name)
    }
    throw new BywayError('HOST_UNREACHABLE', 'the next hop answers at another address each time')
  }
}
