/**
 * Reservations at several relays: as many as wanted, on different networks where there is a choice, each lost one replaced at once by another.
 *
 * A relay that fails is left alone for a while, longer each time, at moments that differ between nodes: when a relay restarts, its nodes
 * must not come back as one wave.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Hex } from '../../protocol/bytes.ts'
import { asBywayError, type BywayError } from '../../protocol/errors.ts'
import type { Observer } from '../../protocol/observe.ts'
import type { SignedOffer } from '../../protocol/offer.ts'
import type { Reservation } from './reservation.ts'

/** One may die and another be slow, and a consumer still has a choice; each costs a link, two spares and a ping every 5 s. */
export const RESERVATIONS_WANTED = 3
/** First pause after a failure; doubles up to the limit, and each is between half and all of itself. */
const AVOID_MS = 1_000
const AVOID_LIMIT_MS = 300_000
/** No relay is left to try: offers come and go, and pauses end. */
const LOOK_AGAIN_MS = 1_000

export interface ReservationsNeeds {
  /** Offers of relays as they are known now, our own left out. */
  relays(): Promise<readonly SignedOffer[]>
  take(relay: SignedOffer, signal: AbortSignal): Promise<Reservation>
  /** The relays that hold a reservation for us, whenever that changes. */
  onChange(relays: readonly SignedOffer[]): void
  observer: Observer
  /** A number in [0, 1). */
  random(): number
  wanted?: number
  nowMs?: () => number
  sleep?: (ms: number, signal: AbortSignal) => Promise<unknown>
}

export interface Reservations {
  held(): readonly SignedOffer[]
  close(): Promise<void>
}

interface Avoided {
  untilMs: number
  pauseMs: number
}

export function keepReservations(needs: ReservationsNeeds): Reservations {
  const { wanted = RESERVATIONS_WANTED, nowMs = () => performance.now(), sleep = pause } = needs
  const leaving = new AbortController()
  /** By the relay's key: held, or being asked for. */
  const held = new Map<Hex, { relay: SignedOffer; reservation: Reservation }>()
  const asking = new Set<Hex>()
  const avoided = new Map<Hex, Avoided>()
  let wake = new AbortController()

  const keyOf = ({ body }: SignedOffer) => body.nodeKey
  const tell = () => needs.onChange([...held.values()].map(({ relay }) => relay))

  function avoid(key: Hex): void {
    const pauseMs = Math.min((avoided.get(key)?.pauseMs ?? AVOID_MS / 2) * 2, AVOID_LIMIT_MS)
    avoided.set(key, { pauseMs, untilMs: nowMs() + pauseMs * (0.5 + needs.random() / 2) })
  }

  async function take(relay: SignedOffer): Promise<void> {
    const key = keyOf(relay)
    asking.add(key)
    try {
      const reservation = await needs.take(relay, leaving.signal)
      if (leaving.signal.aborted) {
        reservation.close()
        return
      }
      held.set(key, { relay, reservation })
      tell()
      const takenAtMs = nowMs()
      void reservation.lost.then((error) => lose(key, reservation, error, takenAtMs))
    } catch (thrown) {
      avoid(key)
      needs.observer.log('no reservation at a relay', { why: asBywayError(thrown).code })
    } finally {
      asking.delete(key)
      wake.abort()
    }
  }

  function lose(key: Hex, reservation: Reservation, error: BywayError, takenAtMs: number): void {
    if (held.get(key)?.reservation !== reservation) return
    held.delete(key)
    // One that held for a while and restarts is forgiven what was before.
    if (nowMs() - takenAtMs > AVOID_LIMIT_MS) avoided.delete(key)
    avoid(key)
    if (leaving.signal.aborted) return
    needs.observer.log('reservation at a relay lost', { why: error.code })
    tell()
    wake.abort()
  }

  /** Relays to ask now: none that is avoided, and of each network one before any has two. */
  async function candidates(count: number): Promise<SignedOffer[]> {
    const free = (await needs.relays())
      .filter((relay) => {
        const key = keyOf(relay)
        return !held.has(key) && !asking.has(key) && (avoided.get(key)?.untilMs ?? 0) <= nowMs()
      })
      .map((relay) => ({ relay, turn: needs.random() }))
      .sort((a, b) => a.turn - b.turn)
      .map(({ relay }) => relay)
    const networks = new Set([...held.values()].map(({ relay }) => networkOf(relay)))
    const chosen: SignedOffer[] = []
    while (chosen.length < count && free.length > 0) {
      const other = free.findIndex((relay) => !networks.has(networkOf(relay)))
      const [relay] = free.splice(Math.max(other, 0), 1)
      networks.add(networkOf(relay!))
      chosen.push(relay!)
    }
    return chosen
  }

  const running = (async () => {
    while (!leaving.signal.aborted) {
      wake = new AbortController()
      const missing = wanted - held.size - asking.size
      for (const relay of missing > 0 ? await candidates(missing) : []) void take(relay)
      await sleep(LOOK_AGAIN_MS, AbortSignal.any([wake.signal, leaving.signal]))
    }
  })()

  return {
    held: () => [...held.values()].map(({ relay }) => relay),
    async close() {
      leaving.abort()
      for (const { reservation } of held.values()) reservation.close()
      held.clear()
      await running
    },
  }
}

/** The /16 of an IPv4 address, the /32 of an IPv6 one, or the name: one operator's machines usually share it. */
function networkOf({ body }: SignedOffer): string {
  const host = body.transports.find(({ kind }) => kind === 'tls')?.host ?? ''
  return host.split(/[.:]/, 2).join('.')
}

const pause = (ms: number, signal: AbortSignal) => delay(ms, undefined, { signal, ref: false }).catch(() => {})
