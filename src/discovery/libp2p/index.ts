/**
 * Offers over libp2p: every provider puts its offer on the shelves of its country in a DHT, every consumer looks there.
 *
 * The rule it keeps: what strangers send runs in a thread of its own, within a limit of memory, and what it costs is that thread: it is started
 * again when it dies, with longer pauses each time, and offers known before stay. Nothing of this is loaded before it is used.
 *
 * Start reading here (the side of the program), then worker.ts (the thread), courier.ts (looking and putting), shelves.ts (where offers
 * lie). Spec and reasons: docs/protocol.md#offers-in-the-network.
 */
import { fromHex, type Hex, toHex } from '../../protocol/bytes.ts'
import type { Clock } from '../../protocol/clock.ts'
import type { Observer } from '../../protocol/observe.ts'
import { encodeOffer, readOffer, type SignedOffer } from '../../protocol/offer.ts'
import type { Discovery } from '../index.ts'
import { memoryDiscovery } from '../memory.ts'
import type { Contact } from './messages.ts'
import type { NetState, Order, Report, Setup } from './orders.ts'
import { keepThread, type ThreadLimits } from './thread.ts'

export type { Endpoint, Reachable } from './addresses.ts'
export type { Contact } from './messages.ts'
export type { NetState } from './orders.ts'

// --- Our choices. Safe to change. ---
/** Offers remembered here; those found longest ago give way. Beyond it the shelves of the countries that are wanted are looked at. */
const MAX_FOUND = 50_000
/** Waits for a look somebody asked for: a walk through the network from one contact takes seconds. */
const LOOK_TIMEOUT_MS = 60_000

export interface Libp2pOptions extends Omit<Setup, 'clockAheadMs'> {
  clock: Clock
  observer: Observer
  limits?: ThreadLimits
  /** Told why nothing is found here for now, and undefined when it is over. */
  onDown?: (why: string | undefined) => void
  /** Told contacts that answered, for the next start. */
  onContacts?: (contacts: readonly Contact[]) => void
  /** Told each offer as it is found. */
  onOffer?: (offer: SignedOffer) => void
}

export interface Libp2pDiscovery extends Discovery {
  /** Looks for the offers of a country from now on. */
  seek(country: string): void
  /** Nodes known from elsewhere, such as from offers. */
  meet(contacts: readonly Contact[]): void
  /** Looks now; resolves when the look is over, or could not be. */
  look(): Promise<void>
  state(): (NetState & { up: boolean }) | { up: false }
  /** Where others find this node; undefined while none can, or for one that only looks. */
  own(): Contact | undefined
  close(): Promise<void>
}

export function libp2pDiscovery({
  clock,
  observer,
  limits,
  onContacts,
  onOffer,
  onDown = () => {},
  ...setup
}: Libp2pOptions): Libp2pDiscovery {
  const known = memoryDiscovery(clock, MAX_FOUND)
  const own = new Map<Hex, SignedOffer>()
  const looks = new Map<number, () => void>()
  let [turn, up] = [0, false]
  let state: NetState | undefined
  let self: Contact | undefined
  let contacts = setup.contacts
  const countries = new Set<string>()

  const somebodyToAsk = () => setup.bootstrap.length + setup.contacts.length > 0

  const onReport = (what: Report) => {
    switch (what.did) {
      case 'ready':
        up = true
        self = what.own
        return
      case 'offer': {
        // The thread verified it; it is the thread that strangers talk to, so once more.
        const offer = readOffer(what.bytes, Math.floor(clock.nowMs() / 1000))
        void known.announce(offer).then(
          () => onOffer?.(offer),
          () => {}, // a newer one is known
        )
        return
      }
      case 'contacts':
        ;({ contacts, state, own: self } = what)
        // The first node of all has nobody to ask, and is well.
        onDown(state.contacts > 0 || !somebodyToAsk() ? undefined : 'no node answers')
        onContacts?.(contacts)
        return
      case 'looked':
        looks.get(what.turn)?.()
        return
      case 'announced':
        observer.log('offer put on shelves', { keepers: what.keepers })
        return
      case 'count':
        observer.count(what.name, what.by, what.labels)
        return
    }
  }

  const thread = keepThread<Order, Report>({
    program: new URL('./worker.ts', import.meta.url),
    setup: (): Setup => ({ ...setup, contacts, clockAheadMs: clock.nowMs() - Date.now() }),
    limits,
    onReport,
    onStart() {
      for (const offer of own.values()) thread.send({ do: 'announce', bytes: encodeOffer(offer) })
      for (const country of countries) thread.send({ do: 'seek', country })
      for (const waiting of looks.keys()) thread.send({ do: 'look', turn: waiting })
    },
    onEnd(why) {
      ;[up, state, self] = [false, undefined, undefined]
      for (const done of looks.values()) done()
      onDown(why)
      observer.log('libp2p thread ended', { why })
    },
  })

  return {
    async announce(offer) {
      await known.announce(offer)
      own.set(offer.body.nodeKey, offer)
      thread.send({ do: 'announce', bytes: encodeOffer(offer) })
    },
    async withdraw(nodeKey) {
      own.delete(nodeKey)
      await known.withdraw(nodeKey)
      thread.send({ do: 'withdraw', nodeKey })
    },
    offers: () => known.offers(),
    seek(country) {
      countries.add(country)
      thread.send({ do: 'seek', country })
    },
    meet: (more) => thread.send({ do: 'meet', contacts: [...more] }),
    async look() {
      const mine = ++turn
      const { promise, resolve } = Promise.withResolvers<void>()
      const timer = setTimeout(resolve, LOOK_TIMEOUT_MS)
      looks.set(mine, resolve)
      thread.send({ do: 'look', turn: mine })
      await promise
      clearTimeout(timer)
      looks.delete(mine)
    },
    state: () => (state === undefined ? { up: false } : { ...state, up }),
    own: () => self,
    close: () => thread.close({ do: 'stop' }),
  }
}

/** The transport of an offer that says where its node answers questions about offers. */
export const P2P_KIND = 'p2p'

/** Where nodes of these offers answer questions about offers. */
export function contactsOf(offers: readonly SignedOffer[]): Contact[] {
  return offers.flatMap(({ body }) =>
    body.transports.filter(({ kind }) => kind === P2P_KIND).map(({ host, port, pin }) => ({ key: toHex(fromHex(pin, 32)), host, port })),
  )
}
