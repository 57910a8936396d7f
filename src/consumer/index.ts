/**
 * Consumer: buys bandwidth. Chooses a provider for each request, keeps a paid session with it, and hands the proxy a stream.
 *
 * The rule it keeps: fail closed. Bytes leave through the exit that was asked for or not at all; nothing here dials a destination.
 *
 * Start reading at createConsumer below; then routes.ts (which provider), deposits.ts (from which channel), session.ts (how it is paid),
 * proxy/ (how applications reach it).
 */
import type { Hex } from '../protocol/bytes.ts'
import { asBywayError, BywayError, type ErrorCode } from '../protocol/errors.ts'
import type { SignedOffer } from '../protocol/offer.ts'
import { payable } from '../protocol/purse.ts'
import type { Dialer, DialRequest } from './proxy/index.ts'
import { createRoutes, type RoutesNeeds } from './routes.ts'
import { ConsumerSession, type SessionNeeds } from './session.ts'

export { createDeposits, type DepositChain, type Deposits } from './deposits.ts'
export { createProxy } from './proxy/index.ts'
export { refundExpired } from './refunds.ts'

/** Another provider may do better after these; anything else would fail anywhere or concerns the destination. */
const TRY_ANOTHER: ReadonlySet<ErrorCode> = new Set([
  'PROVIDER_UNREACHABLE',
  'PROVIDER_LOST',
  'PROVIDER_BUSY',
  'PIN_MISMATCH',
  'SESSION_TIMEOUT',
  'SESSION_UNKNOWN',
  'METER_DIVERGED',
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
/** A request waits for this many providers at most: each may take seconds to fail. */
const MAX_TRIES = 3
/** Sessions nobody uses are closed after this long, so that the provider can claim and forget them. */
const IDLE_LIMIT_MS = 600_000
const TICK_MS = 5_000

export interface ConsumerNeeds extends SessionNeeds, Pick<RoutesNeeds, 'offers' | 'maxPricePerGib' | 'random'> {}

/** Reaches destinations through exits: what the proxy dials with. */
export interface Consumer extends Dialer {
  sessions(): SessionView[]
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
  flows: number
}

export function createConsumer(needs: ConsumerNeeds): Consumer {
  const { clock, observer } = needs
  const routes = createRoutes({ ...needs, chainId: needs.domain.chainId, channels: needs.domain.channels })
  /** One session a provider, shared by all its flows; the promise is there while it opens. */
  const sessions = new Map<Hex, { opening: Promise<ConsumerSession>; session?: ConsumerSession; idleSinceMs?: number }>()
  /** Sessions that are over but still write their last voucher down. */
  const endings = new Map<Hex, Promise<void>>()
  let closing = false

  function sessionWith(offer: SignedOffer): Promise<ConsumerSession> {
    const { nodeKey } = offer.body
    const known = sessions.get(nodeKey)
    if (known !== undefined && known.session?.closed === undefined) return known.opening
    const onClosed = (closed: ConsumerSession) => {
      forget()
      const ended = closed.ended.finally(() => {
        if (endings.get(nodeKey) === ended) endings.delete(nodeKey)
      })
      endings.set(nodeKey, ended)
      if (closed.closed !== undefined && !closed.left) routes.failed(nodeKey, closed.closed.code)
    }
    const opening = (endings.get(nodeKey) ?? Promise.resolve()).then(() => ConsumerSession.open(offer, needs, onClosed))
    const entry: { opening: Promise<ConsumerSession>; session?: ConsumerSession } = { opening }
    const forget = () => {
      if (sessions.get(nodeKey) === entry) sessions.delete(nodeKey)
    }
    sessions.set(nodeKey, entry)
    opening.then((session) => {
      entry.session = session
      if (closing) void session.close('shutdown')
      observer.log('session opened', { session: session.id, provider: nodeKey, country: offer.body.country })
    }, forget)
    return opening
  }

  async function dial({ destination, parameters }: DialRequest, signal: AbortSignal) {
    const candidates = await routes.candidates(parameters)
    let last: BywayError | undefined
    for (const offer of candidates.slice(0, MAX_TRIES)) {
      if (closing) throw new BywayError('PROVIDER_LOST', 'the proxy is closing')
      const { nodeKey, country, pricePerGib } = offer.body
      try {
        const session = await sessionWith(offer)
        const stream = await session.openFlow(destination, signal)
        routes.worked(nodeKey)
        routes.used(parameters, nodeKey)
        return { stream, route: { sessionId: session.id.slice(2), country, pricePerGib, provider: nodeKey.slice(2) } }
      } catch (thrown) {
        last = asBywayError(thrown)
        if (signal.aborted || !TRY_ANOTHER.has(last.code)) throw last
        routes.failed(nodeKey, last.code)
        observer.log('provider failed', { provider: nodeKey, code: last.code, why: last.message })
      }
    }
    throw last ?? new BywayError('NO_PROVIDER', 'no provider is left to try')
  }

  const ticking = setInterval(() => {
    for (const entry of sessions.values()) {
      if (entry.session === undefined) continue
      if (entry.session.flows > 0) delete entry.idleSinceMs
      else entry.idleSinceMs ??= clock.nowMs()
      if (entry.idleSinceMs !== undefined && clock.nowMs() - entry.idleSinceMs > IDLE_LIMIT_MS) void entry.session.close('idle')
    }
  }, TICK_MS)

  return {
    dial,
    sessions: () =>
      [...sessions.values()].flatMap(({ session }) => {
        if (session === undefined) return []
        const { purse, offer } = session
        const due = payable(purse)
        const unpaidBytes = due.up + due.down - purse.paidUp - purse.paidDown
        const { nodeKey, country } = offer.body
        return [{ id: session.id, provider: nodeKey, country, openedAtMs: session.openedAtMs, ...due, unpaidBytes, flows: session.flows }]
      }),
    async close() {
      closing = true
      clearInterval(ticking)
      await Promise.all([...sessions.values()].map(async ({ session }) => session?.close('shutdown')))
      await Promise.all(endings.values())
    },
  }
}
