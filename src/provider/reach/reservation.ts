/**
 * One reservation at a relay, from the tucked node's side: the link that keeps it, and a connection for each call.
 *
 * A connection that was brought because of a call is silent until a consumer speaks on it; from its first byte on it is like any connection to
 * the node's own port.
 */
import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import type { Hex } from '../../protocol/bytes.ts'
import { BywayError, errorCode } from '../../protocol/errors.ts'
import { type Message, type MessageBody, PROTOCOL_VERSION } from '../../protocol/messages.ts'
import type { Link } from '../../tunnel/index.ts'

/** A relay that does not answer by then is of no use within the five seconds in which a node should be reachable. */
const ANSWER_TIMEOUT_MS = 4_000
/** Keeps the router's memory of the connection fresh, and tells the relay that we live. */
const PING_EVERY_MS = 5_000
const SILENCE_LIMIT_MS = 12_000
/** A relay that asks for more at once than the calls it may have pending is no relay. */
const MAX_ANSWERS_UNDER_WAY = 64
/** Connections that no consumer has used yet. Relays keep two; a few more are on their way at a time. */
const MAX_UNUSED = 64
/** Relays replace theirs after four minutes; this is for those that forget. */
const UNUSED_LIMIT_MS = 600_000

export interface ReservationNeeds {
  /** Public half of our node key, and its signature for a link. */
  nodeKey: Hex
  sign(link: Link): Hex
  /** A fresh link to the relay. */
  connect(signal: AbortSignal): Promise<Link>
  /** A consumer speaks on this connection. */
  onCall(carrier: Duplex): void
}

export interface Reservation {
  /** Resolves when it is lost, for whatever reason. */
  readonly lost: Promise<BywayError>
  close(): void
}

/** Reserves a reservation; rejects when the relay refuses or does not answer. */
export async function takeReservation(needs: ReservationNeeds, signal: AbortSignal): Promise<Reservation> {
  const link = await needs.connect(signal)
  const reserve = () => link.send('reserve', { version: PROTOCOL_VERSION, nodeKey: needs.nodeKey, signature: needs.sign(link) })
  const first = await ask(link, reserve, 'reserved', signal)
  return keep(link, first, reserve, needs)
}

/** Says something on a fresh link and waits for its one right answer; the link then has no listener. */
async function ask<N extends 'reserved' | 'answered'>(
  link: Link,
  say: () => void,
  answer: N,
  signal: AbortSignal,
): Promise<MessageBody<N>> {
  const { promise, resolve, reject } = Promise.withResolvers<MessageBody<N>>()
  const timer = setTimeout(() => reject(new BywayError('PROVIDER_UNREACHABLE', 'the relay did not answer in time')), ANSWER_TIMEOUT_MS)
  const aborted = () => reject(new BywayError('PROVIDER_UNREACHABLE', 'the attempt was given up'))
  signal.addEventListener('abort', aborted, { once: true })
  link.listen({
    onMessage: (message: Message) => {
      link.unlisten()
      if (message.name === answer) resolve(message.body as MessageBody<N>)
      else if (message.name === 'refused') reject(new BywayError(errorCode(message.body.code, 'PROVIDER_BUSY'), message.body.message))
      else reject(new BywayError('MESSAGE_UNEXPECTED', `${message.name} is not what a relay answers`))
    },
    onData: () => reject(new BywayError('MESSAGE_UNEXPECTED', 'data from a relay')),
    onClose: (error) => reject(error ?? new BywayError('PROVIDER_LOST', 'the relay closed the connection')),
  })
  if (signal.aborted) aborted()
  else say()
  try {
    return await promise
  } catch (thrown) {
    link.destroy()
    throw thrown
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', aborted)
  }
}

function keep(link: Link, first: MessageBody<'reserved'>, reserve: () => void, needs: ReservationNeeds): Reservation {
  const { promise: lost, resolve } = Promise.withResolvers<BywayError>()
  const over = new AbortController()
  const unused = new Set<Duplex>()
  let { token, lifetimeS } = first
  let renewAtMs = performance.now() + lifetimeS * 500
  let heardAtMs = performance.now()
  let answering = 0

  const end = (error: BywayError) => {
    if (over.signal.aborted) return
    over.abort()
    clearInterval(pinging)
    link.destroy()
    for (const carrier of unused) carrier.destroy()
    resolve(error)
  }
  const pinging = setInterval(() => {
    const nowMs = performance.now()
    if (nowMs - heardAtMs > SILENCE_LIMIT_MS) {
      end(new BywayError('PROVIDER_LOST', 'the relay fell silent'))
      return
    }
    if (nowMs >= renewAtMs) reserve()
    link.send('ping', { nonce: BigInt(Math.floor(nowMs)) })
  }, PING_EVERY_MS)
  pinging.unref()

  async function answer(callId: number): Promise<void> {
    const fresh = await needs.connect(over.signal)
    await ask(fresh, () => fresh.send('answer', { version: PROTOCOL_VERSION, token, callId }), 'answered', over.signal)
    await waitForCaller(fresh.detach())
  }

  /** Hands the connection on when somebody speaks; nobody may, and then it ends with the reservation. */
  async function waitForCaller(carrier: Duplex): Promise<void> {
    if (over.signal.aborted) {
      carrier.destroy()
      return
    }
    unused.add(carrier)
    const waiting = new AbortController()
    const timer = setTimeout(() => carrier.destroy(), UNUSED_LIMIT_MS).unref()
    const closed = () => waiting.abort()
    carrier.on('error', closed).once('end', closed).once('close', closed)
    try {
      await once(carrier, 'readable', { signal: waiting.signal })
      if (carrier.readableLength > 0) needs.onCall(carrier)
      else carrier.destroy()
    } catch {
      // It ended unused: the relay lost it or replaced it.
      carrier.destroy()
    } finally {
      clearTimeout(timer)
      carrier.off('end', closed).off('close', closed)
      unused.delete(carrier)
    }
  }

  link.listen({
    onMessage: (message) => {
      heardAtMs = performance.now()
      if (message.name === 'call') {
        if (answering >= MAX_ANSWERS_UNDER_WAY || unused.size >= MAX_UNUSED) return
        answering++
        void answer(message.body.callId)
          // The relay gave the call up, or cannot be reached: it notices, and so do we by its silence.
          .catch(() => {})
          .finally(() => answering--)
      } else if (message.name === 'reserved') {
        ;({ token, lifetimeS } = message.body)
        renewAtMs = performance.now() + lifetimeS * 500
      } else if (message.name !== 'pong') throw new BywayError('MESSAGE_UNEXPECTED', `${message.name} is not what a relay says`)
    },
    onData: () => end(new BywayError('MESSAGE_UNEXPECTED', 'data from a relay')),
    onClose: (error) => end(error ?? new BywayError('PROVIDER_LOST', 'the relay closed the connection')),
  })
  return { lost, close: () => end(new BywayError('PROVIDER_LOST', 'the reservation was given back')) }
}
