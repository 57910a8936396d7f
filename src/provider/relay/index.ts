/**
 * Relay: the way to nodes that cannot be dialled. They keep a link here; whoever wants one of them is joined with a connection it brings.
 *
 * The rule it keeps: a relay carries ciphertext between two connections and knows neither destination nor content. What it gives before
 * anybody pays (reservations, calls, dial-backs) is bounded by limits.ts; the bytes themselves are paid by the consumer like those of any flow.
 *
 * Start reading at {@link createRelay}; then reservation.ts (a node that waits here), hop.ts (nodes that can be dialled), observe.ts
 * (telling nodes how they are seen). Spec: docs/protocol.md#relays.
 */
import { isIP, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Hex } from '../../protocol/bytes.ts'
import { BywayError } from '../../protocol/errors.ts'
import { type Message, type MessageBody, PROTOCOL_VERSION } from '../../protocol/messages.ts'
import type { Observer } from '../../protocol/observe.ts'
import { readOffer } from '../../protocol/offer.ts'
import { isReservation, RESERVE_LABEL } from '../../protocol/reserve.ts'
import type { Link, Wire } from '../../tunnel/index.ts'
import { createHops, type HopNeeds } from './hop.ts'
import {
  MAX_CALLS_PENDING,
  MAX_CALLS_PENDING_TOTAL,
  MAX_CALLS_PER_SESSION,
  MAX_RESERVATIONS,
  MAX_RESERVATIONS_PER_ADDRESS,
  RESERVATION_LIFE_S,
} from './limits.ts'
import { createObservations, type ObserverNeeds } from './observe.ts'
import { Reservation } from './reservation.ts'
import { household, Tally } from './tally.ts'

export { REACHED } from './observe.ts'

export interface RelayNeeds extends ObserverNeeds, HopNeeds {
  /** Whether nodes may wait here; without it only nodes with addresses of their own are reached. */
  reservations: boolean
  observer: Observer
}

/** First messages that are for the relay, not for a session. */
type RelayMessage = Extract<Message, { name: 'reserve' | 'answer' | 'observe' }>
export const isRelayMessage = (message: Message): message is RelayMessage => ['reserve', 'answer', 'observe'].includes(message.name)

/** How often reservations that lapsed, spares that are old and calls that failed are looked for. */
const TICK_MS = 5_000

export function createRelay(needs: RelayNeeds) {
  const { clock, observer } = needs
  const byNode = new Map<Hex, Reservation>()
  const byToken = new Map<Hex, Reservation>()
  const byAddress = new Tally<string>()
  const callsOf = new Tally<string>()
  const observe = createObservations(needs)
  const dialHop = createHops(needs)

  function requireRelay(version: number): void {
    if (version !== PROTOCOL_VERSION) throw new BywayError('PROTOCOL_VERSION', `this node speaks version ${PROTOCOL_VERSION}`)
    if (!needs.reservations) throw new BywayError('RELAY_OFF', 'this node is no relay')
  }

  function requireRoom(remote: string, replaced: Reservation | undefined): void {
    const from = household(remote)
    const ours = replaced === undefined ? 0 : 1
    if (byNode.size - ours >= MAX_RESERVATIONS)
      throw new BywayError('PROVIDER_BUSY', `${MAX_RESERVATIONS} nodes wait at this relay already`)
    const here = byAddress.of(from) - (replaced !== undefined && household(replaced.remote) === from ? 1 : 0)
    if (here >= MAX_RESERVATIONS_PER_ADDRESS) {
      throw new BywayError('PROVIDER_BUSY', `${MAX_RESERVATIONS_PER_ADDRESS} nodes of this address wait at this relay already`)
    }
  }

  function requireProof(link: Link, { nodeKey, signature }: MessageBody<'reserve'>): void {
    const exporter = link.wire.exportKeyingMaterial(32, RESERVE_LABEL, Buffer.alloc(0))
    if (!isReservation(exporter, nodeKey, signature)) {
      throw new BywayError('RESERVATION_INVALID', 'the reservation is not signed by the node it names, on this connection')
    }
  }

  function reserve(link: Link, remote: string, message: MessageBody<'reserve'>): void {
    requireRelay(message.version)
    const before = byNode.get(message.nodeKey)
    requireRoom(remote, before)
    requireProof(link, message)
    // The newest link of a node is the one it means: the old one may be a line that died without a word.
    if (before !== undefined) forget(before)
    const reservation = new Reservation(link, { nodeKey: message.nodeKey, remote, nowMs: clock.nowMs() })
    byNode.set(message.nodeKey, reservation)
    byToken.set(reservation.token, reservation)
    byAddress.add(household(remote), 1)
    listen(reservation)
    observer.log('reservation made', { nodes: byNode.size })
    grant(reservation)
  }

  function grant(reservation: Reservation): void {
    reservation.link.send('reserved', { token: reservation.token, lifetimeS: RESERVATION_LIFE_S, maxCalls: MAX_CALLS_PENDING })
    reservation.refill(clock.nowMs())
  }

  function listen(reservation: Reservation): void {
    const { link } = reservation
    link.listen({
      onMessage: (message) => {
        reservation.heard(clock.nowMs())
        if (message.name === 'ping') link.send('pong', message.body)
        else if (message.name === 'reserve' && message.body.nodeKey === reservation.nodeKey) {
          requireProof(link, message.body)
          reservation.renew(clock.nowMs())
          grant(reservation)
        } else throw new BywayError('MESSAGE_UNEXPECTED', `${message.name} has no place on a reservation`)
      },
      onData: () => link.destroy(new BywayError('MESSAGE_UNEXPECTED', 'data on a reservation')),
      onClose: () => forget(reservation),
    })
  }

  function forget(reservation: Reservation): void {
    reservation.close()
    if (!byToken.delete(reservation.token)) return
    if (byNode.get(reservation.nodeKey) === reservation) byNode.delete(reservation.nodeKey)
    byAddress.add(household(reservation.remote), -1)
  }

  /** A connection a tucked node brings: the link ends with `answered`, and bytes follow. */
  function answer(link: Link, { version, token, callId }: MessageBody<'answer'>): void {
    requireRelay(version)
    const taken = byToken.get(token)?.answered(callId, clock.nowMs(), () => {
      link.send('answered', {})
      return link.detach()
    })
    if (taken !== true) throw new BywayError('CALL_UNKNOWN', 'nobody waits for this answer any more')
  }

  const ticking = setInterval(() => {
    for (const reservation of byNode.values()) {
      if (reservation.lapsed(clock.nowMs())) forget(reservation)
      else reservation.refill(clock.nowMs())
    }
  }, TICK_MS).unref()

  async function call(reservation: Reservation, session: string, signal: AbortSignal): Promise<Duplex> {
    if (callsOf.of(session) >= MAX_CALLS_PER_SESSION || callsOf.total >= MAX_CALLS_PENDING_TOTAL) {
      throw new BywayError('PROVIDER_BUSY', 'too many calls wait for an answer already')
    }
    callsOf.add(session, 1)
    try {
      return await reservation.call(() => clock.nowMs(), signal)
    } finally {
      callsOf.add(session, -1)
    }
  }

  return {
    /** A fresh link from `remote` whose first message is for the relay. Throws a BywayError: the link is then to be refused. */
    receive(link: Link, remote: string, message: RelayMessage): void {
      const address = remote.replace(/^::ffff:/, '')
      if (message.name === 'reserve') reserve(link, address, message.body)
      else if (message.name === 'answer') answer(link, message.body)
      else {
        requireRelay(message.body.version)
        // Over another carrier than a connection of its own the asker's address is not known.
        const port = (link.wire as Wire & Partial<Pick<Socket, 'remotePort'>>).remotePort ?? 0
        const seen = isIP(address) === 0 ? { address: '', port: 0 } : { address, port }
        link.listen({
          onMessage: ({ name }) => link.destroy(new BywayError('MESSAGE_UNEXPECTED', `${name} while observe is answered`)),
          onData: () => link.destroy(new BywayError('MESSAGE_UNEXPECTED', 'data while observe is answered')),
          onClose: () => {},
        })
        void observe(link, seen, message.body).finally(() => link.close())
      }
    },

    /** The way to the node an offer names: called if it waits here, dialled if it has an address. OFFER_*, PROVIDER_* or the exit's own refusals. */
    async extend(offer: Uint8Array, session: string, signal: AbortSignal): Promise<Duplex> {
      const named = readOffer(offer, Math.floor(clock.nowMs() / 1000))
      const reservation = byNode.get(named.body.nodeKey)
      const carrier = reservation === undefined ? await dialHop(named, signal) : await call(reservation, session, signal)
      observer.count('relayed', 1, { way: reservation === undefined ? 'dialled' : 'called' })
      return carrier
    },

    /** For people: nodes that wait here. */
    get reserved(): number {
      return byNode.size
    },

    close(): void {
      clearInterval(ticking)
      for (const reservation of [...byNode.values()]) forget(reservation)
    },
  }
}

export type Relay = ReturnType<typeof createRelay>
