/**
 * Provider: sells an idle line. Listens for links, opens sessions on channels that really pay, serves their flows and claims what it earned.
 *
 * The rule it keeps: nothing is carried beyond what was paid or may be lent, nothing reaches the owner's own network, and every voucher is
 * durable before it counts.
 *
 * Start reading at createProvider below; then opening.ts (who is served), session.ts (how it is paid), flows.ts and exit.ts (how bytes go),
 * claims.ts.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto'
import type { Duplex } from 'node:stream'
import { fromHex, type Hex, toHex } from '../protocol/bytes.ts'
import { MEASURE_NAME } from '../protocol/challenge.ts'
import { boughtBytes, creditWindow, most, PeakRate, unpaidAndPrepaid } from '../protocol/credit.ts'
import { asBywayError, BywayError } from '../protocol/errors.ts'
import { OUTAGE, type Outage } from '../protocol/flow.ts'
import { EXPORTER_LABEL, farewell, type Message, type MessageBody, PROTOCOL_VERSION } from '../protocol/messages.ts'
import { carriedBytes, unpaidBytes } from '../protocol/till.ts'
import type { Plane } from '../tunnel/fast/plane.ts'
import { type Certificate, type CoverAddress, type Link, listenTls, type TlsListener } from '../tunnel/index.ts'
import { countMalformed, type Dialler, newShared } from './flows.ts'
import { connectMeasure } from './measure.ts'
import { adoptLatest, beginSession, type OpeningNeeds, requireMoney } from './opening.ts'
import { isRelayMessage, type Relay } from './relay/index.ts'
import { ProviderSession } from './session.ts'
import { checkPresented, type PresentedChannel, type Terms } from './terms.ts'
import { connectWhoami, hopsAsked } from './whoami.ts'

export { type ClaimResult, type Claims, createClaims } from './claims.ts'
export type { ChannelGuard } from './opening.ts'
export { createReach, type Reach, takeReservation } from './reach/index.ts'
export { createRelay, type Relay } from './relay/index.ts'

/** A connection that has not said what it is for by then is nobody's. */
const FIRST_MESSAGE_TIMEOUT_MS = 10_000
/** How often stalled sessions are looked for. */
const TICK_MS = 1_000
/** A home line serves few consumers at once; each session costs a journal row and a chain call to open. */
const MAX_SESSIONS = 1_000
/** Payers whose speed is remembered: each costs about 20 KiB at most. */
const MAX_PEAKS = 1_000
/** Openings under way from one address: each asks the chain, which may be metered. Many consumers may come through one relay or household. */
const MAX_OPENINGS = 32

export interface ProviderNeeds extends OpeningNeeds {
  /** The thread that carries bytes, where there is one; asked anew for each session. */
  plane?: (() => Plane | undefined) | undefined
  nodeKey: Hex
  certificate: Certificate
  terms: Terms
  /** Address to listen on, and where visitors go: undefined for the built-in site. */
  listen: { host: string; port: number; cover?: CoverAddress | undefined; document?: (() => Uint8Array | undefined) | undefined }
  /** Opens destinations after the policy allowed them. */
  dialler: {
    dial: Dialler['dial']
    addresses?: Dialler['addresses']
    /** A guest is named by its payer. */
    associate(guest: Hex): Duplex
  }
  /** Reaches the next hops of routes, and keeps reservations of nodes that cannot be dialled. */
  relay: Relay
  /** How long sessions and flows wait for a consumer that went away. */
  outage?: Outage
}

export interface Provider {
  readonly listener: TlsListener
  /** Of its TLS key: what an offer carries. */
  readonly pin: Hex
  sessions(): SessionView[]
  close(): Promise<void>
}

/** One live session, for people. */
export interface SessionView {
  id: Hex
  payer: Hex
  openedAtMs: number
  up: bigint
  down: bigint
  unpaidBytes: bigint
  /** Paid for and still to be carried. */
  prepaidBytes: bigint
  window: bigint
  links: number
}

export async function createProvider(needs: ProviderNeeds): Promise<Provider> {
  const { vault, observer, clock, terms } = needs
  const sessions = new Map<Hex, ProviderSession>()
  const byPayer = new Map<Hex, ProviderSession>()
  /** Ids that open sessions had before they moved to another channel. */
  const formerIds = new Map<Hex, ProviderSession>()
  /** Openings of one payer run one after the other, so that they agree on what is unpaid. */
  const queues = new Map<Hex, Promise<void>>()
  /** Sessions that are there may pay and move to the end; none is opened any more. */
  let closing = false

  /** Kept over sessions, so that a pair that meets again does not start from a stranger's window. The oldest is forgotten first. */
  const peaks = new Map<Hex, PeakRate>()
  function peakOf(payer: Hex): PeakRate {
    const peak = peaks.get(payer) ?? new PeakRate()
    peaks.delete(payer)
    peaks.set(payer, peak)
    if (peaks.size > MAX_PEAKS) peaks.delete(peaks.keys().next().value!)
    return peak
  }

  /** Openings under way, by remote address. */
  const openings = new Map<string, number>()

  const refuse = (link: Link, thrown: unknown) => {
    const error = asBywayError(thrown)
    // Whatever else it says until it is gone stays unheard.
    link.unlisten()
    observer.count('handshakes_failed', 1, { reason: error.code })
    observer.log('session refused', { code: error.code, why: error.message })
    link.send('refused', farewell(error))
    link.close()
  }

  function inTurn(payer: Hex, work: () => Promise<void>): Promise<void> {
    // The turn before may have failed; that was its own consumer's to hear.
    const turn = (queues.get(payer) ?? Promise.resolve()).catch(() => {}).then(work)
    queues.set(payer, turn)
    return turn.finally(() => {
      if (queues.get(payer) === turn) queues.delete(payer)
    })
  }

  const diallerFor = (sessionId: () => Hex): Dialler => ({
    async dial(host, port, signal): Promise<Duplex> {
      if (host === MEASURE_NAME && port === 80) return connectMeasure()
      const hops = hopsAsked(host)
      if (hops === undefined) return needs.dialler.dial(host, port, signal)
      if (port !== 80) throw new BywayError('CONNECTION_REFUSED', 'whoami answers on port 80 only')
      return connectWhoami({ exit: needs.nodeKey.slice(2), country: needs.country, hops, session: sessionId().slice(2) })
    },
    addresses: (host, port, signal) =>
      hopsAsked(host) === undefined && host !== MEASURE_NAME ? needs.dialler.addresses?.(host, port, signal) : undefined,
    associate: () => needs.dialler.associate(sessions.get(sessionId())?.payer ?? sessionId()),
    extend: (offer, signal) => needs.relay.extend(offer, sessionId(), signal),
  })

  function requireServing(): void {
    if (closing) throw new BywayError('PROVIDER_BUSY', 'this node is stopping')
  }

  /** First `session` on a link, or a later one that moves the session to another channel. */
  async function open(link: Link, message: MessageBody<'session'>, current: ProviderSession | undefined): Promise<void> {
    const exporter = link.wire.exportKeyingMaterial(32, EXPORTER_LABEL, Buffer.alloc(0))
    const presented = checkPresented(message, terms, exporter, Math.floor(clock.nowMs() / 1000))
    if (!presented.ok) throw new BywayError(presented.code, presented.message)
    const { channel } = presented
    if (current === undefined) requireServing()
    else if (current.payer !== channel.descriptor.payer) {
      throw new BywayError('MESSAGE_UNEXPECTED', 'a session moves between channels of one payer only')
    }
    await requireMoney(channel, needs)
    await inTurn(channel.descriptor.payer, () => begin(link, message, channel, current))
  }

  async function begin(link: Link, message: MessageBody<'session'>, channel: PresentedChannel, current: ProviderSession | undefined) {
    const { payer } = channel.descriptor
    await adoptLatest(channel, message.latest, needs)
    if (current === undefined) {
      requireServing()
      await byPayer.get(payer)?.close('superseded')
      // The last moment before the row is written.
      requireServing()
      if (sessions.size >= MAX_SESSIONS) throw new BywayError('PROVIDER_BUSY', `this node serves ${MAX_SESSIONS} sessions already`)
    }
    const sessionId = toHex(randomBytes(16))
    const before = vault.book.counterparty(payer)
    const paidBytes = boughtBytes(before, terms.leastPerGib())
    const enter = (window: bigint) => beginSession(channel, sessionId, message.pricePerGib, carried, window, needs)
    let carried = { up: 0n, down: before.unpaidBytes }
    let session = current
    if (session === undefined) {
      const till = await enter(creditWindow({ paidBytes, unpaidBytes: 0n, peakBytes: peakOf(payer).bytes }))
      session = new ProviderSession(link, channel, sessionId, till, sessionNeeds)
      listenControl(link, session)
    } else {
      const left = session.id
      await session.moveTo(channel, sessionId, (unpaid, window) => {
        carried = unpaid
        return enter(window)
      })
      sessions.delete(left)
      // A flow link that was on its way during the move still names the old row.
      formerIds.set(left, session)
    }
    // It may have ended meanwhile: one that is kept here then would never leave again.
    if (session.closed) return
    sessions.set(sessionId, session)
    byPayer.set(payer, session)
    const { till } = session
    const last = vault.channel({ rootId: channel.rootId, index: channel.proof.index })?.latest
    observer.log('session opened', { session: sessionId, payer, carriedBytes: Number(carriedBytes(till)) })
    const accepted = { sessionId, token: session.token, base: till.base, window: till.window, last, carried }
    if (session.move !== undefined) session.move.answer = accepted
    // In the middle of a move the consumer may have come back on another link.
    session.send('accepted', accepted)
  }

  const sessionNeeds = {
    vault,
    separator: needs.separator,
    payee: needs.payee,
    clock,
    observer,
    leastPerGib: terms.leastPerGib,
    dialler: diallerFor,
    peakOf,
    shared: newShared(),
    allLinks: () => sessions.values().reduce((sum, { links }) => sum + links, 0),
    outage: needs.outage ?? OUTAGE,
    plane: needs.plane,
    onClosed(session: ProviderSession) {
      for (const [id, moved] of formerIds) if (moved === session) formerIds.delete(id)
      sessions.delete(session.id)
      if (byPayer.get(session.payer) === session) byPayer.delete(session.payer)
    },
  }

  function listenControl(link: Link, session: ProviderSession): void {
    const move = (message: MessageBody<'session'>) => {
      const { payer, root, nonce, index } = message
      const to = [payer, root, nonce, index].join(':')
      const { move: last } = session
      // The answer may have been lost with the link it was sent on.
      if (last?.to === to && !session.closed) {
        if (last.answer !== undefined) link.send('accepted', last.answer)
        return
      }
      if ((last !== undefined && last.answer === undefined) || session.closed)
        throw new BywayError('MESSAGE_UNEXPECTED', 'a session moves once at a time, while it is open')
      session.move = { to }
      open(link, message, session).catch((thrown) => session.fail(asBywayError(thrown)))
    }
    link.listen({
      onMessage: (message) => {
        if (message.name === 'session') move(message.body)
        else session.onMessage(message)
      },
      onData: () => link.destroy(new BywayError('MESSAGE_UNEXPECTED', 'data on a control link')),
      onClose: (error) => {
        countMalformed(error, observer)
        // Whoever breaks the rules is not waited for.
        if (error?.code.startsWith('MESSAGE_')) void session.close('peer-lost')
        else session.lostControl()
      },
    })
  }

  /** Counts an opening as long as it lasts. */
  async function admitted(remote: string, work: () => Promise<void>): Promise<void> {
    const count = openings.get(remote) ?? 0
    if (count >= MAX_OPENINGS) throw new BywayError('PROVIDER_BUSY', 'too many sessions are being opened from this address')
    openings.set(remote, count + 1)
    try {
      await work()
    } finally {
      const left = openings.get(remote)! - 1
      if (left === 0) openings.delete(remote)
      else openings.set(remote, left)
    }
  }

  /** The open session that these credentials belong to. */
  function sessionOf({ version, sessionId, token }: MessageBody<'attach'>): ProviderSession {
    const session = sessions.get(sessionId) ?? formerIds.get(sessionId)
    // One that is closing has counted its flows already.
    const known = session !== undefined && !session.closed && timingSafeEqual(fromHex(session.token, 32), fromHex(token, 32))
    if (version !== PROTOCOL_VERSION) throw new BywayError('PROTOCOL_VERSION', `this node speaks version ${PROTOCOL_VERSION}`)
    if (!known) throw new BywayError('SESSION_UNKNOWN', 'no open session has this id and token')
    return session
  }

  function rejoin(link: Link, message: MessageBody<'rejoin'>): void {
    const session = sessionOf(message)
    session.rejoin(link)
    listenControl(link, session)
    observer.log('session rejoined', { session: session.id })
  }

  /** A new link: its first message says what it is for. */
  function receive(link: Link, remote: string): void {
    const timer = setTimeout(() => refuse(link, new BywayError('SESSION_TIMEOUT', 'nothing was said')), FIRST_MESSAGE_TIMEOUT_MS)
    link.listen({
      onMessage: (message: Message) => {
        clearTimeout(timer)
        if (message.name === 'attach' || message.name === 'rejoin' || isRelayMessage(message)) {
          try {
            if (isRelayMessage(message)) needs.relay.receive(link, remote, message)
            else if (message.name === 'attach') sessionOf(message.body).attach(link)
            else rejoin(link, message.body)
          } catch (thrown) {
            refuse(link, thrown)
          }
        } else if (message.name === 'session') {
          link.unlisten()
          const { body } = message
          void admitted(remote, () => open(link, body, undefined)).catch((thrown) => refuse(link, thrown))
        } else {
          refuse(link, new BywayError('MESSAGE_UNEXPECTED', `a link does not start with ${message.name}`))
        }
      },
      onData: () => link.destroy(new BywayError('MESSAGE_UNEXPECTED', 'data outside a flow')),
      onClose: (error) => {
        clearTimeout(timer)
        countMalformed(error, observer)
      },
    })
  }

  /** Ends all sessions in order, those too whose rows were being written when this began. */
  async function drain(): Promise<void> {
    while (queues.size > 0 || sessions.size > 0) {
      await Promise.allSettled([...queues.values(), ...sessions.values().map((session) => session.drain())])
    }
  }

  const listener = await listenTls(
    {
      ...needs.listen,
      certificate: needs.certificate,
      nodeKey: needs.nodeKey,
      onFailure: () => observer.count('malformed', 1, { where: 'tls' }),
    },
    receive,
  )
  const ticking = setInterval(
    () => {
      for (const session of sessions.values()) session.tick(clock.nowMs())
    },
    Math.min(TICK_MS, sessionNeeds.outage.limitMs),
  )

  return {
    listener,
    pin: needs.certificate.pin,
    sessions: () =>
      [...sessions.values()].map((session) => {
        // What the other thread carried may be paid before it is counted here.
        session.refresh()
        const { id, payer, openedAtMs, till, links } = session
        const money = { up: till.up, down: most(till.down, 0n), ...unpaidAndPrepaid(unpaidBytes(till)) }
        return { id, payer, openedAtMs, ...money, window: till.window, links }
      }),
    async close() {
      closing = true
      clearInterval(ticking)
      needs.relay.close()
      await drain()
      await listener.close()
    },
  }
}
