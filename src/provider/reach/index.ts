/**
 * Reach: finds out how this node can be reached, makes it so, and says which ways belong into its offer.
 *
 * The rule it keeps: an offer names only ways that somebody else has tried. A node is *open* when a relay reached its port, at its own address
 * or at one its router maps; otherwise it is *tucked* and named with the relays that hold a reservation for it. What is found later, in
 * either direction, changes the offer.
 *
 * Start reading at {@link createReach}; then reservations.ts (several relays), reservation.ts (one), ask.ts (what a relay sees of us).
 */
import { isIP } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { Hex } from '../../protocol/bytes.ts'
import { asBywayError } from '../../protocol/errors.ts'
import type { Observer } from '../../protocol/observe.ts'
import { relayTransport, type SignedOffer, type Transport } from '../../protocol/offer.ts'
import type { Link } from '../../tunnel/index.ts'
import type { Mapping, PortMap } from '../../tunnel/portmap/index.ts'
import { REACHED } from '../relay/index.ts'
import { askHowSeen } from './ask.ts'
import type { ReachMode } from './modes.ts'
import type { Reservation } from './reservation.ts'
import { keepReservations, type Reservations } from './reservations.ts'

export { takeReservation } from './reservation.ts'

/** Addresses and routers change when a line reconnects; asking costs two connections. */
const ASK_AGAIN_MS = 300_000
/** Nobody to ask yet: relays may come up at the same time as we. */
const NOBODY_MS = 1_000
/** Relays asked before their common answer counts: one may be blocked or lie. */
const RELAYS_ASKED = 2
/** Consumers that know the older offer still come through the relays for a while after a node turned out to be open. */
const KEEP_RESERVATIONS_MS = 120_000
/** A line that changes its address often has had a few; relays that lie about it must not fill the memory. */
const MAX_SEEN = 8

export interface ReachNeeds {
  mode: ReachMode
  /** The address the owner says others dial, or undefined to find one. */
  publicHost: string | undefined
  listen: { host: string; port: number }
  nodeKey: Hex
  pin: Hex
  /** Offers of relays as known now, our own left out. */
  relays(): Promise<readonly SignedOffer[]>
  connect(relay: SignedOffer, signal: AbortSignal): Promise<Link>
  takeReservation(relay: SignedOffer, signal: AbortSignal): Promise<Reservation>
  /** Starts asking the router for our port; undefined where that makes no sense. */
  mapPort: ((onChange: (mapping: Mapping | undefined) => void) => PortMap) | undefined
  /** The ways that belong into the offer, whenever they change; never empty. */
  onWays(ways: Transport[]): void
  observer: Observer
  random(): number
}

/** `mapped` is open through a port of the router; `unknown` until somebody answered. */
export type ReachKind = 'open' | 'mapped' | 'tucked' | 'unknown'

export interface Reach {
  /** For people. */
  view(): { kind: ReachKind; address: string | undefined; relays: Hex[] }
  /** Addresses that lead to this node or its router although no interface shows them. */
  seenAs(): readonly string[]
  close(): Promise<void>
}

/** What was found so far. */
export interface Findings {
  /** Where a relay reached us, at our own port or a mapped one. */
  direct: { host: string; port: number; kind: 'open' | 'mapped' } | undefined
  /** Relays that hold a reservation for us. */
  relays: readonly Hex[]
}

/** The ways that follow from what was found; empty when there is none. Direct ones first. */
export function waysOf({ direct, relays }: Findings, pin: Hex): Transport[] {
  const own: Transport[] = direct === undefined ? [] : [{ kind: 'tls', host: direct.host, port: direct.port, pin }]
  return [...own, ...relays.map((key) => relayTransport(key, pin))]
}

export function createReach(needs: ReachNeeds): Reach {
  const { mode, publicHost, listen, pin, observer } = needs
  const leaving = new AbortController()
  const found: Findings = { direct: undefined, relays: [] }
  let reservations: Reservations | undefined
  let reservationsEndAt: NodeJS.Timeout | undefined
  let mapping: Mapping | undefined
  let told = ''
  /** The newest last. */
  const seen: string[] = []
  let again = new AbortController()

  const certain = mode === 'open' || (mode === 'auto' && (publicHost !== undefined || isLoopback(listen.host)))

  function tell(): void {
    const ways = waysOf(found, pin)
    const text = JSON.stringify(ways)
    observer.warn('NOT_REACHABLE', !certain && ways.length === 0 ? {} : undefined)
    if (ways.length === 0 || text === told) return
    told = text
    needs.onWays(ways)
  }

  function setDirect(direct: Findings['direct']): void {
    const was = found.direct !== undefined
    found.direct = direct
    if (direct === undefined) wantReservations()
    else if (!was) reservationsEndAt ??= setTimeout(() => void dropReservations(), KEEP_RESERVATIONS_MS).unref()
    tell()
  }

  function wantReservations(): void {
    clearTimeout(reservationsEndAt)
    reservationsEndAt = undefined
    reservations ??= keepReservations({
      relays: needs.relays,
      take: needs.takeReservation,
      observer,
      random: needs.random,
      onChange: (relays) => {
        const before = found.relays.length
        found.relays = relays.map(({ body }) => body.nodeKey).sort()
        tell()
        // A lost relay may mean that our own line changed.
        if (relays.length < before) again.abort()
      },
    })
  }

  async function dropReservations(): Promise<void> {
    reservationsEndAt = undefined
    const ending = reservations
    reservations = undefined
    found.relays = []
    tell()
    await ending?.close()
  }

  /** Ports to be tried at the address we are seen with: what the router maps, then our own. */
  const ports = () => [
    ...(mapping === undefined ? [] : [{ port: mapping.externalPort, kind: 'mapped' as const }]),
    { port: listen.port, kind: 'open' as const },
  ]

  /** Undefined when nobody could be asked. */
  async function look(): Promise<{ direct: Findings['direct'] } | undefined> {
    const relays = [...(await needs.relays())].sort(() => needs.random() - 0.5).slice(0, RELAYS_ASKED)
    let asked = false
    for (const relay of relays) {
      for (const { port, kind } of ports()) {
        try {
          const answer = await askHowSeen(await needs.connect(relay, leaving.signal), { nodeKey: needs.nodeKey, port, pin })
          if (answer.reached !== REACHED.notAsked) asked = true
          remember(answer.address)
          if (answer.reached === REACHED.yes) return { direct: { host: answer.address, port, kind } }
        } catch (thrown) {
          observer.log('a relay was not asked', { why: asBywayError(thrown).code })
        }
      }
    }
    return asked ? { direct: undefined } : undefined
  }

  function remember(address: string): void {
    if (isIP(address) === 0 || seen.includes(address)) return
    seen.push(address)
    if (seen.length > MAX_SEEN) seen.shift()
  }

  async function search(): Promise<void> {
    wantReservations()
    while (!leaving.signal.aborted) {
      // Before looking: what changes meanwhile makes us look again.
      again = new AbortController()
      const answer = await look()
      if (leaving.signal.aborted) return
      if (answer !== undefined) setDirect(answer.direct)
      await pause(answer === undefined ? NOBODY_MS : ASK_AGAIN_MS, AbortSignal.any([again.signal, leaving.signal]))
    }
  }

  let mapped: PortMap | undefined
  let searching = Promise.resolve()
  if (certain) setDirect({ host: publicHost ?? listen.host, port: listen.port, kind: 'open' })
  else if (mode === 'tucked') wantReservations()
  else {
    mapped = needs.mapPort?.((next) => {
      mapping = next
      if (next !== undefined) remember(next.externalAddress)
      again.abort()
    })
    searching = search()
  }
  tell()

  return {
    view: () => ({
      kind: found.direct?.kind ?? (found.relays.length > 0 ? 'tucked' : 'unknown'),
      address: found.direct === undefined ? undefined : `${found.direct.host} port ${found.direct.port}`,
      relays: [...found.relays],
    }),
    seenAs: () => seen,
    async close() {
      leaving.abort()
      clearTimeout(reservationsEndAt)
      observer.warn('NOT_REACHABLE', undefined)
      await Promise.all([searching, mapped?.close(), reservations?.close()])
    },
  }
}

const isLoopback = (host: string) => host === 'localhost' || host === '::1' || host.startsWith('127.')
const pause = (ms: number, signal: AbortSignal) => delay(ms, undefined, { signal, ref: false }).catch(() => {})
