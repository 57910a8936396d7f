/**
 * Consumer: buys bandwidth. Chooses a provider for each request, keeps a paid session with it, and hands the proxy a stream.
 *
 * The rule it keeps: fail closed. Bytes leave through the exit that was asked for or not at all; nothing here dials a destination.
 *
 * Start reading at createConsumer below; then routes.ts (which provider), sessions.ts (through which hops), deposits.ts (from which
 * channel), session.ts (how it is paid),
 * proxy/ (how applications reach it) and entrance/ (how they do without this thread).
 */
import type { Duplex } from 'node:stream'
import type { Hex } from '../protocol/bytes.ts'
import { most, unpaidAndPrepaid } from '../protocol/credit.ts'
import { type Destination, RESERVED_NAME } from '../protocol/destination.ts'
import { asBywayError, BywayError, type ErrorCode } from '../protocol/errors.ts'
import type { SignedOffer } from '../protocol/offer.ts'
import { counted, unpaid } from '../protocol/purse.ts'
import { Answered } from './answered.ts'
import type { OpenedDeposit } from './deposits.ts'
import { createEntrance, type Grant } from './entrance/index.ts'
import { exitPlace, type Place } from './places.ts'
import type { Answers, Carried, Dialed, Dialer, DialRequest, Route, RouteParameters } from './proxy/index.ts'
import { Readying } from './readying.ts'
import { createRoutes, type RoutesNeeds } from './routes.ts'
import type { ConsumerSession, FlowKind } from './session.ts'
import { Sessions, type SessionsNeeds } from './sessions.ts'
import { Spares } from './spares.ts'

export type { Directory } from '../discovery/directory/index.ts'
export { createDeposits, type DepositChain, type Deposits, type OpenedDeposit } from './deposits.ts'
export { ENTRANCE_WORKER } from './entrance/index.ts'
export { offerViews } from './listings.ts'
export { exitPlace, type Place } from './places.ts'
export { createProxy, type Dialer } from './proxy/index.ts'
export { parseUsername } from './proxy/username.ts'
export { refundExpired } from './refunds.ts'
export { Seen } from './seen.ts'

/** Another provider may do better after these; anything else would fail anywhere or concerns the destination. */
const TRY_ANOTHER: ReadonlySet<ErrorCode> = new Set([
  'PROVIDER_UNREACHABLE',
  'PROVIDER_LOST',
  'PROVIDER_BUSY',
  'PIN_MISMATCH',
  'SESSION_TIMEOUT',
  'SESSION_UNKNOWN',
  'METER_DIVERGED',
  'STATE_RESTORED',
  'UNPAID',
  'ROOT_NOT_OPEN',
  'ROOT_EXPIRED',
  'CHAIN_MISMATCH',
  'CONTRACT_MISMATCH',
  'PROOF_INVALID',
  'PROOF_NOT_OURS',
  'PRICE_TOO_LOW',
  'CAP_EXCEEDED',
  'VOUCHER_SIGNER',
  'VOUCHER_LOWER',
  'VOUCHER_AMOUNT',
  'SESSION_PROOF_INVALID',
  'MESSAGE_MALFORMED',
  'MESSAGE_TOO_LARGE',
  'MESSAGE_UNEXPECTED',
  'PROTOCOL_VERSION',
])
/** A session that ended for these while a request was about to use it: a new one with the same provider may go well. */
const NEW_SESSION: ReadonlySet<ErrorCode> = new Set(['SESSION_UNKNOWN', 'SESSION_TIMEOUT', 'PROVIDER_LOST', 'PROVIDER_UNREACHABLE'])
/** What was decided is decided again after this long at the latest. */
const GRANTED_MS = 10_000
/** A request waits for this many providers at most: each may take seconds to fail. */
const MAX_TRIES = 3
/** Behind every exit that did not fail: those are two steps away at most. */
const FAILED = 3
const NO_WAY = 2 * FAILED

export interface ConsumerNeeds extends SessionsNeeds, Pick<RoutesNeeds, 'directory' | 'maxPricePerGib' | 'random' | 'turnOf'> {
  /** Hops of a route when a request does not say. */
  hops: number
  /** Whether a session with another exit is kept open for each kind of route that is used. */
  spare: boolean
}

/** Reaches destinations through exits: what the proxy dials with. */
export interface Consumer extends Dialer {
  sessions(): SessionView[]
  /** Locks so many units for all known providers, at the only hop of a route. */
  deposit(units: bigint): Promise<OpenedDeposit>
  close(): Promise<void>
}

/** One live session, for people. */
export interface SessionView {
  id: Hex
  provider: Hex
  country: string
  openedAtMs: number
  up: bigint
  down: bigint
  unpaidBytes: bigint
  /** Paid for and still to come: only lines faster than a gigabit are paid ahead. */
  prepaidBytes: bigint
  flows: number
  /** Where in its route: hop 1 is next to the consumer. */
  hop: number
  hops: number
  /** Its way is dead for now, another is looked for. */
  away: boolean
  /** The session of the hop before it that carries its links. */
  through?: Hex
  /** How its links go: direct, ws, relay, or through the hop before. */
  way?: string
  /** Of the last ping, through the hops before it. */
  roundTripMs?: number
}

export function createConsumer(needs: ConsumerNeeds): Consumer {
  const { clock, observer } = needs
  const onChanged = () => entrance.forget()
  const routes = createRoutes({ ...needs, onAvoided: onChanged })
  const sessions = new Sessions({ ...needs, onChanged }, routes)
  const entrance = createEntrance({
    plane: () => needs.plane?.(),
    clock,
    observer,
    decide,
    worked: (exit) => routes.worked(exit),
  })
  const answered = new Answered(clock)
  /** What went wrong while nobody waited for it counts against the node as it would have counted then. */
  const notReady = (event: string) => (nodeKey: Hex, thrown: unknown) => {
    if (sessions.closing) return
    const error = asBywayError(thrown)
    const { code, message } = error
    if (TRY_ANOTHER.has(code) && sessions.blames(error)) routes.failed(nodeKey, code)
    observer.log(event, { provider: nodeKey, code, why: message })
  }
  const spares = new Spares(sessions, clock, notReady('no session in reserve'))
  const readying = new Readying(sessions, notReady('exit not ready'))

  /** What {@link withExit} would choose from for such requests, as far as it stands open. */
  async function decide(parameters: RouteParameters): Promise<Omit<Grant, 'key'> | undefined> {
    const place = exitPlace(parameters.hops ?? needs.hops)
    const next = await routes.turns(parameters)
    if (next === undefined) return undefined
    const exits = next.exits.filter((exit) => !sessions.away(place, exit))
    const turns = exits.map((exit) => {
      const session = sessions.numberOf(place, exit)
      return session === undefined ? undefined : { session, exit, others: exits.length > 1 }
    })
    const open = turns.some((turn) => turn !== undefined)
    return open ? { turns, goodMs: Math.min(GRANTED_MS, next.forMs) } : undefined
  }

  /** How far an exit is from serving a flow of this kind, in steps. One that failed of late is behind all others, one whose way is dead behind all. */
  function distance({ body: { nodeKey } }: SignedOffer, place: Place, kind: FlowKind): number {
    const steps = sessions.stepsTo(place, nodeKey, kind)
    if (steps === undefined) return NO_WAY
    return routes.avoided(nodeKey) ? FAILED + steps : steps
  }

  /**
   * Whoever was drawn comes first, unless the way to it is dead: it may come back, but nobody should wait for it. Then whoever is nearest.
   */
  function inOrder(candidates: readonly SignedOffer[], place: Place, kind: FlowKind): SignedOffer[] {
    const ranked = candidates.map((offer) => ({ offer, far: distance(offer, place, kind) }))
    const first = ranked[0]?.far === NO_WAY ? [] : ranked.splice(0, 1)
    return [...first, ...ranked.sort((a, b) => a.far - b.far)].map(({ offer }) => offer)
  }

  /** Tries providers until one does what is asked of it. */
  async function withExit<T>(
    { parameters, destination: { host } }: DialRequest,
    signal: AbortSignal,
    kind: FlowKind,
    use: (session: ConsumerSession, route: Route, chosen: { nodeKey: Hex; others: boolean }) => Promise<T>,
  ): Promise<T> {
    const hops = parameters.hops ?? needs.hops
    const place = exitPlace(hops)
    const candidates = await routes.candidates(parameters, host)
    const order = inOrder(candidates, place, kind)
    let last: BywayError | undefined
    const tries = order.slice(0, MAX_TRIES)
    const twice = new Set<SignedOffer>()
    for (const [at, offer] of tries.entries()) {
      if (sessions.closing) throw new BywayError('PROVIDER_LOST', 'the proxy is closing')
      const { nodeKey, country, pricePerGib } = offer.body
      let session: ConsumerSession | undefined
      try {
        const next = tries[at + 1]
        // Nobody waits for the one that was drawn while another is nearer to being ready; but a named session keeps the exit it gets.
        const nearer = () => next !== undefined && distance(next, place, kind) < distance(offer, place, kind)
        const hurries = nearer() && !routes.named(parameters)
        session = hurries ? await readying.soon(place, offer, kind, nearer) : await sessions.with(place, offer)
        if (session === undefined) {
          tries.push(offer)
          continue
        }
        // Where others could serve, silence is not waited out.
        if (order.length > 1) session.doubt()
        const route = { sessionId: session.id.slice(2), country, pricePerGib, provider: nodeKey.slice(2), hops }
        const used = await use(session, route, { nodeKey, others: order.length > 1 })
        routes.worked(nodeKey)
        routes.used(parameters, nodeKey, host)
        if (needs.spare && !parameters.strict) spares.want(place, order.filter((other) => other !== offer).slice(0, MAX_TRIES))
        return used
      } catch (thrown) {
        last = asBywayError(thrown)
        if (signal.aborted || !(TRY_ANOTHER.has(last.code) || last.code === 'NO_PROVIDER')) throw last
        if (session?.closed !== undefined && NEW_SESSION.has(session.closed.code) && !twice.has(offer)) {
          // Only the session is lost. A provider that says so is there, and the exit stays the same; one that was lost comes last.
          twice.add(offer)
          tries.splice(session.forgotten ? at + 1 : tries.length, 0, offer)
          continue
        }
        if (last.code === 'PROVIDER_LOST' && hops > 1 && !twice.has(offer) && sessions.holds(place, nodeKey)) {
          // Only a hop before it died: the session with the exit goes on over another.
          twice.add(offer)
          tries.push(offer)
          continue
        }
        if (!sessions.blames(last)) continue
        routes.failed(nodeKey, last.code)
        observer.log('provider failed', { provider: nodeKey, code: last.code, why: last.message })
      }
    }
    throw last ?? new BywayError('NO_PROVIDER', 'no provider is left to try')
  }

  function dial(request: DialRequest, signal: AbortSignal): Promise<Dialed> {
    const { destination } = request
    return withExit(request, signal, 'dialled', async (session, route, { nodeKey }) => {
      const early = answered.has(nodeKey, destination)
      const stream = await session.openFlow({ destination: asSeenBy(route.hops, destination) }, { signal, early })
      answered.watch(nodeKey, destination, stream)
      return { stream, route }
    })
  }

  function carry(request: DialRequest, client: Duplex, answers: Answers, signal: AbortSignal): Promise<Carried | undefined> {
    const { destination } = request
    return withExit(request, signal, 'carried', async (session, route, { nodeKey, others }) => {
      const atOnce = answered.has(nodeKey, destination)
      const told = { connected: answers.connected(route), failed: answers.failed, elsewhere: others ? answers.elsewhere : undefined }
      const carried = await session.carryFlow(asSeenBy(route.hops, destination), client, { answers: told, atOnce, signal })
      if (carried === undefined) return undefined
      entrance.learn(request.parameters)
      carried.opened.then(
        () => answered.watch(nodeKey, destination),
        () => answered.forget(nodeKey, destination),
      )
      return carried
    })
  }

  return {
    dial,
    ...(needs.plane === undefined ? {} : { carry, entrance: () => entrance }),
    sessions: () => sessions.list().map(viewOf),
    deposit: async (units) => (await needs.deposits(exitPlace(1))).deposit(units),
    close: () => sessions.close(),
  }
}

/** The exit answers this name itself, and does not know how many hops came before it. */
function asSeenBy(hops: number, destination: Destination): Destination {
  if (destination.host !== RESERVED_NAME || hops === 1) return destination
  return { ...destination, host: `${hops}.${RESERVED_NAME}` }
}

function viewOf({ place, session, through }: ReturnType<Sessions['list']>[number]): SessionView {
  const { purse, offer } = session
  const { up, down } = counted(purse)
  const money = { up, down: most(down, 0n), ...unpaidAndPrepaid(unpaid(purse)) }
  const { nodeKey, country } = offer.body
  const { id, openedAtMs, flows, away, way, roundTripMs } = session
  const hop = {
    hop: place.position + 1,
    hops: place.hops,
    away,
    ...(through === undefined ? {} : { through: through.id }),
    ...(way === undefined ? {} : { way }),
    ...(roundTripMs === undefined ? {} : { roundTripMs }),
  }
  return { id, provider: nodeKey, country, openedAtMs, ...money, flows, ...hop }
}
