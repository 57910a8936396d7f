/**
 * Flow links of a session: kept warm between flows, so that a new flow costs one round trip and no handshake.
 */
import type { Hex } from '../protocol/bytes.ts'
import type { Clock } from '../protocol/clock.ts'
import { asBywayError, BywayError } from '../protocol/errors.ts'
import { IDLE_LIMIT_MS, KEPT_IDLE } from '../protocol/flow.ts'
import { type MessageBody, PROTOCOL_VERSION } from '../protocol/messages.ts'
import type { Link } from '../tunnel/index.ts'
import { refusal } from './refusals.ts'

/** A browser's burst of connections; more idle links only hold memory. */
const MAX_IDLE = 32
const ATTACH_TIMEOUT_MS = 6_000
/** Opening waits for the provider to ask the chain. */
export const OPEN_TIMEOUT_MS = 15_000

export class LinkPool {
  readonly #connect: (signal: AbortSignal) => Promise<Link>
  readonly #idle: { link: Link; timer: NodeJS.Timeout }[] = []
  /** Since when each link is there, in Unix milliseconds. */
  readonly #all = new Map<Link, number>()
  /** Links that are being made, and since when. */
  readonly #making = new Map<AbortController, number>()
  readonly #clock: Clock
  readonly #onUnknown: (error: BywayError) => void
  #closed = false

  /** `connect` brings a fresh link to the provider; `onUnknown` hears that the provider knows no such session. */
  constructor(connect: (signal: AbortSignal) => Promise<Link>, clock: Clock, onUnknown: (error: BywayError) => void) {
    this.#connect = connect
    this.#clock = clock
    this.#onUnknown = onUnknown
  }

  /** Links that wait for a flow. */
  get idle(): number {
    return this.#idle.length
  }

  /** An idle link, or a new one attached to the session. */
  async take(session: { sessionId: Hex; token: Hex }, signal: AbortSignal): Promise<Link> {
    for (let entry = this.#idle.pop(); entry !== undefined; entry = this.#idle.pop()) {
      clearTimeout(entry.timer)
      if (!entry.link.closed && !entry.link.wire.destroyed) return entry.link
    }
    return this.fresh(session, signal)
  }

  /** A new link attached to the session; begun again when the way it was made over is given up for another. PROVIDER_LOST with {@link away}. */
  async fresh(session: { sessionId: Hex; token: Hex }, signal: AbortSignal): Promise<Link> {
    for (;;) {
      const attempt = new AbortController()
      this.#making.set(attempt, this.#clock.nowMs())
      try {
        return await this.#make(session, AbortSignal.any([signal, attempt.signal]))
      } catch (thrown) {
        if (attempt.signal.reason instanceof BywayError) throw attempt.signal.reason
        if (!attempt.signal.aborted || signal.aborted || this.#closed) throw thrown
      } finally {
        this.#making.delete(attempt)
      }
    }
  }

  async #make(session: { sessionId: Hex; token: Hex }, signal: AbortSignal): Promise<Link> {
    const link = await this.#connect(signal)
    if (this.#closed) {
      link.destroy()
      throw new BywayError('PROVIDER_LOST', 'the session closed')
    }
    this.#all.set(link, this.#clock.nowMs())
    link.wire.once('close', () => this.#all.delete(link))
    try {
      await attach(link, session, signal)
    } catch (thrown) {
      const error = asBywayError(thrown)
      if (error.code === 'SESSION_UNKNOWN') this.#onUnknown(error)
      throw error
    }
    return link
  }

  /** The flow on it is over: keep it for the next. */
  put(link: Link): void {
    if (this.#idle.some((entry) => entry.link === link)) return
    if (this.#closed || link.closed || this.#idle.length >= MAX_IDLE) {
      link.close()
      return
    }
    const drop = () => {
      const at = this.#idle.findIndex((entry) => entry.link === link)
      if (at >= 0) clearTimeout(this.#idle.splice(at, 1)[0]!.timer)
    }
    const timer = setTimeout(() => {
      if (this.#idle.length <= KEPT_IDLE) {
        timer.refresh()
        return
      }
      drop()
      link.close()
    }, IDLE_LIMIT_MS)
    timer.unref()
    this.#idle.push({ link, timer })
    link.listen({
      onMessage: (message) => link.destroy(new BywayError('MESSAGE_UNEXPECTED', `${message.name} has no place on an idle flow link`)),
      onData: () => link.destroy(new BywayError('MESSAGE_UNEXPECTED', 'data outside a flow')),
      onClose: drop,
    })
  }

  /** The way that links took before this moment is dead: flows on them look for other links, and neither idle ones nor those being made are used. */
  cut(beforeMs: number): void {
    for (const [attempt, sinceMs] of this.#making) if (sinceMs <= beforeMs) attempt.abort()
    for (const [link, sinceMs] of this.#all) {
      if (sinceMs <= beforeMs) link.destroy(new BywayError('PROVIDER_LOST', 'the way to the provider is dead'))
    }
  }

  /** The provider fell silent, and others could serve: whoever waits for a link had better ask those. */
  away(): void {
    for (const attempt of this.#making.keys()) attempt.abort(new BywayError('PROVIDER_LOST', 'the provider fell silent'))
  }

  close(): void {
    this.#closed = true
    for (const { timer } of this.#idle) clearTimeout(timer)
    for (const link of this.#all.keys()) link.destroy(new BywayError('PROVIDER_LOST', 'the session closed'))
  }
}

function attach(link: Link, session: { sessionId: Hex; token: Hex }, signal: AbortSignal): Promise<void> {
  return waitFor(
    link,
    ATTACH_TIMEOUT_MS,
    signal,
    (message, resolve, reject) => {
      if (message.name === 'attached') resolve()
      else if (message.name === 'refused' || message.name === 'bye') reject(refusal(message.body))
      else reject(new BywayError('MESSAGE_UNEXPECTED', `${message.name} is no answer to attach`))
    },
    () => link.send('attach', { version: PROTOCOL_VERSION, ...session }),
  )
}

/** Asks for a session on a fresh link. Rejects, the link gone, with what the provider said against it. */
export function askForSession(link: Link, session: MessageBody<'session'>): Promise<MessageBody<'accepted'>> {
  return waitFor<MessageBody<'accepted'>>(
    link,
    OPEN_TIMEOUT_MS,
    new AbortController().signal,
    (reply, resolve, reject) => {
      if (reply.name === 'accepted') resolve(reply.body)
      else if (reply.name === 'refused') reject(refusal(reply.body))
      else reject(new BywayError('MESSAGE_UNEXPECTED', `${reply.name} is no answer to session`))
    },
    () => link.send('session', session),
  )
}

/** Takes over an open session on a fresh link. Rejects, the link gone, with what the provider said against it. */
export function askToRejoin(link: Link, session: { sessionId: Hex; token: Hex }, signal: AbortSignal): Promise<MessageBody<'rejoined'>> {
  return waitFor<MessageBody<'rejoined'>>(
    link,
    ATTACH_TIMEOUT_MS,
    signal,
    (reply, resolve, reject) => {
      if (reply.name === 'rejoined') resolve(reply.body)
      else if (reply.name === 'refused') reject(refusal(reply.body))
      else reject(new BywayError('MESSAGE_UNEXPECTED', `${reply.name} is no answer to rejoin`))
    },
    () => link.send('rejoin', { version: PROTOCOL_VERSION, ...session }),
  )
}

type ResumeAnswer = Extract<Message, { name: 'resumed' | 'done' | 'failed' }>

/** Asks for a flow to go on on this link. Resolves with what the provider says of the flow; rejects, the link gone, in all other cases. */
export function askToResume(link: Link, mark: MessageBody<'resume'>, signal: AbortSignal): Promise<ResumeAnswer> {
  return waitFor<ResumeAnswer>(
    link,
    ATTACH_TIMEOUT_MS,
    signal,
    (reply, resolve, reject) => {
      if (reply.name === 'resumed' || reply.name === 'done' || reply.name === 'failed') resolve(reply)
      else reject(new BywayError('MESSAGE_UNEXPECTED', `${reply.name} is no answer to resume`))
    },
    () => link.send('resume', mark),
  )
}

type OnMessage = Parameters<Link['listen']>[0]['onMessage']
type Message = Parameters<OnMessage>[0]

/**
 * Sends something and waits for the message that answers it. The link is left unlistened when it resolves, so that nothing is lost before the
 * next owner listens, and destroyed when it rejects.
 */
function waitFor<T>(
  link: Link,
  timeoutMs: number,
  signal: AbortSignal,
  answer: (message: Message, resolve: (value: T) => void, reject: (error: BywayError) => void) => void,
  send: () => void,
): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>()
  const fail = (error: BywayError) => {
    reject(error)
    link.destroy(error)
  }
  const timer = setTimeout(() => fail(new BywayError('SESSION_TIMEOUT', 'the provider did not answer in time')), timeoutMs)
  const aborted = () => fail(new BywayError('CONNECTION_RESET', 'the application gave up'))
  signal.addEventListener('abort', aborted, { once: true })
  link.listen({
    onMessage: (message) =>
      answer(
        message,
        (value) => {
          link.unlisten()
          resolve(value)
        },
        fail,
      ),
    onData: () => fail(new BywayError('MESSAGE_UNEXPECTED', 'data outside a flow')),
    onClose: (error) => reject(error ?? new BywayError('PROVIDER_LOST', 'the provider closed the connection')),
  })
  if (signal.aborted) aborted()
  else send()
  return promise.finally(() => {
    clearTimeout(timer)
    signal.removeEventListener('abort', aborted)
  })
}
