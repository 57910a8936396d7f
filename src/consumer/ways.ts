/**
 * Ways to a provider: how a fresh link to it is made.
 *
 * There may be several, best first: straight to its address, inside a WebSocket through whatever stands before it, through a relay it keeps a
 * connection to, or through the hop before it on the route. The way that worked last is tried first; another joins in when it hesitates, and
 * the first link wins. So a line that blocks one way costs a moment once, and a better way that appears is found by {@link Ways.better}.
 */
import type { Duplex } from 'node:stream'
import { asBywayError, BywayError } from '../protocol/errors.ts'
import { encodeOffer, type SignedOffer, type Transport } from '../protocol/offer.ts'
import { connectLink, type Link } from '../tunnel/index.ts'
import type { ConsumerSession } from './session.ts'

/** A way that has not led to a link by then is joined by the next. Three round trips on a slow mobile line. */
const STAGGER_MS = 1_200

/** What a link is for: a session's messages, or flows, which the carrying thread takes over. */
export type LinkUse = 'control' | 'flows'

/** An attempt to make a link. */
export interface Attempt {
  signal: AbortSignal
  use: LinkUse
}

export interface Way {
  /** Names it among the ways to one provider, and for people: `direct`, `ws`, `relay` or `hop`. */
  readonly name: string
  connect(attempt: Attempt): Promise<Link>
}

/** A provider, and how to reach it. */
export interface Peer {
  offer: SignedOffer
  ways: Ways
}

export class Ways {
  readonly #list: () => Promise<readonly Way[]>
  #current: string | undefined

  /** `list` is asked anew each time: offers change while a session lasts. */
  constructor(list: () => Promise<readonly Way[]>) {
    this.#list = list
  }

  /** The way that led to the newest link. */
  get current(): string | undefined {
    return this.#current
  }

  /** A fresh link, by whichever way answers first. Rejects with what stood in the way of the best one. */
  async connect(attempt: Attempt): Promise<Link> {
    const ways = [...(await this.#list())]
    const last = ways.findIndex(({ name }) => name === this.#current)
    if (last > 0) ways.unshift(...ways.splice(last, 1))
    const { link, name } = await firstOf(ways, attempt)
    this.#current = name
    return link
  }

  /** A control link by a better way than the current one, if there is one that works now. */
  async better(signal: AbortSignal): Promise<Link | undefined> {
    const ways = await this.#list()
    const last = ways.findIndex(({ name }) => name === this.#current)
    if (last <= 0) return undefined
    try {
      const { link, name } = await firstOf(ways.slice(0, last), { signal, use: 'control' })
      this.#current = name
      return link
    } catch {
      return undefined
    }
  }
}

/** Starts the ways one after the other, each a moment after the one before or when that failed; the first link wins, later ones are closed. */
async function firstOf(ways: readonly Way[], { signal, use }: Attempt): Promise<{ link: Link; name: string }> {
  if (ways.length === 0) throw new BywayError('PROVIDER_UNREACHABLE', 'the offer names no address that can be dialled')
  const over = new AbortController()
  const limit = AbortSignal.any([signal, over.signal])
  const won = Promise.withResolvers<{ link: Link; name: string }>()
  const failures: BywayError[] = []
  let started = 0
  let timer: NodeJS.Timeout | undefined
  const given = () => won.reject(new BywayError('PROVIDER_UNREACHABLE', 'the attempt was given up'))
  signal.addEventListener('abort', given, { once: true })
  if (signal.aborted) given()
  const startNext = () => {
    clearTimeout(timer)
    const way = ways[started++]
    if (way === undefined || limit.aborted) return
    timer = setTimeout(startNext, STAGGER_MS)
    way.connect({ signal: limit, use }).then(
      (link) => {
        if (over.signal.aborted) link.close()
        else won.resolve({ link, name: way.name })
        over.abort()
      },
      (thrown) => {
        failures.push(asBywayError(thrown))
        if (failures.length === ways.length || limit.aborted) won.reject(failures[0])
        else startNext()
      },
    )
  }
  startNext()
  return won.promise.finally(() => {
    clearTimeout(timer)
    signal.removeEventListener('abort', given)
  })
}

/** Straight to an address of the offer, in the clear view of the network or inside a WebSocket. */
export function directly({ body }: SignedOffer, transport: Transport): Way {
  const name = transport.kind === 'tls' ? 'direct' : transport.kind
  return { name, connect: (attempt) => connectLink(transport, body.nodeKey, optionsOf(attempt)) }
}

const optionsOf = ({ signal, use }: Attempt) => ({ signal, stays: use === 'control' })

/** Through another node: the link runs over a flow of that node's session, which sees ciphertext. `before` brings the session to use now. */
export function through(name: string, offer: SignedOffer, before: (signal: AbortSignal) => Promise<ConsumerSession>): Way {
  return { name, connect: async (attempt) => (await linkThrough(await before(attempt.signal), offer, attempt)).link }
}

/** A link to the node of this offer over a flow of a session with another, and the flow, which ends with an error when it broke. */
export async function linkThrough(
  session: ConsumerSession,
  offer: SignedOffer,
  attempt: Attempt,
): Promise<{ link: Link; carrier: Duplex }> {
  const { nodeKey, transports } = offer.body
  const transport = transports.find(({ kind }) => kind === 'tls') ?? transports[0]
  if (transport === undefined) throw new BywayError('PROVIDER_UNREACHABLE', 'the offer names no address')
  // The hello leaves with the request: the answer to both takes one round trip.
  const carrier = await session.carrierTo(encodeOffer(offer), attempt.signal)
  return { link: await connectLink(transport, nodeKey, { ...optionsOf(attempt), carrier }), carrier }
}

/** Kinds of transport that are dialled, best first. */
export const DIALLED: readonly string[] = ['tls', 'ws']
