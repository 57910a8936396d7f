/** When the thread looks and announces: often at first, while there is much to learn, then as seldom as offers allow. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Hex } from '../../protocol/bytes.ts'
import type { SignedOffer } from '../../protocol/offer.ts'
import type { Endpoint } from './addresses.ts'
import type { Courier, Look } from './courier.ts'
import type { Contact } from './messages.ts'
import type { Libp2pNet } from './net.ts'
import type { Report } from './orders.ts'
import { WORLD } from './shelves.ts'
import type { OfferStore } from './store.ts'

// --- Our choices. Safe to change. ---
/** Pauses before the second round, the third and so on; the last is the pause of all that follow. A network that starts together is whole by the fourth. */
const PAUSES_MS = [5_000, 15_000, 60_000, 240_000, 900_000]
/** A node that only looks doubles the last pause up to so often while it finds nothing new: a country that is wanted is looked for at once anyway. */
const STILL_DOUBLINGS = 2
/** While nobody answers: soon, as the first contact is all that is missing, and never a burst. */
const ALONE_PAUSES_MS = [2_000, 5_000, 15_000, 60_000, 300_000]
/** An offer is kept for two hours (store.ts); a round puts it again if this much has passed. */
const PUT_AGAIN_MS = 1_700_000
/** Rounds that look at all keepers of all shelves: the first ones, and one every few hours. */
const DEEP_ROUNDS = 3
const DEEP_EVERY = 8
/** Countries looked for besides the world, in the order they were last wanted. */
const MAX_SOUGHT = 16

export interface Rounds {
  start(): void
  announce(offer: SignedOffer): void
  withdraw(nodeKey: Hex): void
  /** The shelves of this country are looked at now, and from now on with the others. */
  seek(country: string): void
  look(): Promise<Look>
  stop(): Promise<void>
}

export interface RoundsNeeds {
  net: Libp2pNet
  courier: Courier
  store: OfferStore
  bootstrap: readonly Endpoint[]
  contacts: readonly Contact[]
  report: (what: Report) => void
}

export function createRounds({ net, courier, store, bootstrap, contacts, report }: RoundsNeeds): Rounds {
  const stopping = new AbortController()
  const own = new Map<Hex, { offer: SignedOffer; putAtMs: number; taken: number }>()
  let sought: string[] = []
  let turn = Promise.resolve<unknown>(undefined)
  let woken = Promise.withResolvers<void>()
  let stopped = Promise.resolve()

  /** One after the other: looks and puts share contacts, and a line. */
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const result = turn.then(work)
    turn = result.catch(() => {})
    return result
  }
  const nowMs = () => performance.now()
  const told = () => {
    const mode = net.own() === undefined ? (net.serves ? 'private' : 'looking') : 'serving'
    const state = {
      mode,
      contacts: courier.contacts.length,
      connections: net.connections(),
      table: net.tableSize(),
      kept: store.size,
    } as const
    report({ did: 'contacts', contacts: courier.contacts, own: net.own(), state })
  }

  async function findContacts(): Promise<void> {
    if (courier.contacts.length > 0) return
    for (const contact of contacts) courier.meet(contact)
    const meetings = bootstrap.map(async (endpoint) => courier.meet(await net.meet(endpoint)))
    await Promise.allSettled(meetings)
  }

  async function putDue(): Promise<void> {
    for (const one of own.values()) {
      // Few took it: the network was young, or we knew little of it.
      const dueMs = one.taken < 20 ? 0 : PUT_AGAIN_MS
      if (nowMs() - one.putAtMs < dueMs) continue
      one.taken = await courier.put(one.offer)
      one.putAtMs = nowMs()
      report({ did: 'announced', keepers: one.taken })
    }
  }

  const look = (regions: readonly string[], deep: boolean) =>
    inTurn(async () => {
      const looked = await courier.look(regions, deep)
      // Nobody is told how long this node stays; who only looks leaves nothing behind.
      if (!net.serves) await net.hangUp()
      return looked
    })
  const everywhere = () => [WORLD, ...sought]

  /** All of one look that somebody waits for. */
  async function lookNow(regions: readonly string[]): Promise<Look> {
    await findContacts()
    const looked = await look(regions, true)
    told()
    return looked
  }

  async function round(n: number): Promise<Look> {
    await findContacts()
    await inTurn(putDue)
    const looked = await look(everywhere(), n < DEEP_ROUNDS || n % DEEP_EVERY === 0)
    store.sweep()
    told()
    return looked
  }

  async function run(): Promise<void> {
    for (let [n, alone, still] = [0, 0, 0]; !stopping.signal.aborted; ) {
      woken = Promise.withResolvers<void>()
      const { keepers, found } = await round(n).catch(() => ({ keepers: 0, found: 0 }))
      const met = keepers > 0
      const pauses = met ? PAUSES_MS : ALONE_PAUSES_MS
      const settled = met && n >= PAUSES_MS.length && found === 0 && !net.serves
      still = settled ? Math.min(still + 1, STILL_DOUBLINGS) : 0
      const pause = pauses[Math.min(met ? n : alone, pauses.length - 1)]! * 2 ** still
      if (met) n++
      alone = met ? 0 : alone + 1
      // A little apart from others that started with us.
      await Promise.race([
        woken.promise,
        delay(pause * (0.75 + Math.random() / 2), undefined, { signal: stopping.signal, ref: false }),
      ]).catch(() => {})
    }
  }

  return {
    start() {
      report({ did: 'ready', own: net.own() })
      stopped = run()
    },
    announce(offer) {
      own.set(offer.body.nodeKey, { offer, putAtMs: Number.NEGATIVE_INFINITY, taken: 0 })
      courier.keep(offer)
      woken.resolve()
    },
    withdraw(nodeKey) {
      own.delete(nodeKey)
      store.forget(nodeKey)
    },
    seek(country) {
      // What is known of others was looked at a while ago, and that will do.
      if (!sought.includes(country)) void lookNow([country]).catch(() => {})
      sought = [country, ...sought.filter((each) => each !== country)].slice(0, MAX_SOUGHT)
    },
    look: () => lookNow(everywhere()),
    async stop() {
      stopping.abort()
      woken.resolve()
      await stopped
    },
  }
}
