/**
 * Flow links of a session: kept warm between flows, so that a new flow costs one round trip and no handshake.
 */
import type { Hex } from '../protocol/bytes.ts'
import { BywayError } from '../protocol/errors.ts'
import { type MessageBody, PROTOCOL_VERSION } from '../protocol/messages.ts'
import type { Transport } from '../protocol/offer.ts'
import { connectLink, type Link } from '../tunnel/index.ts'
import { failure, refusal } from './refusals.ts'

/** A browser's burst of connections; more idle links only hold memory. */
const MAX_IDLE = 32
/** Longer than the pause between two clicks, shorter than most NAT timers. */
const IDLE_LIMIT_MS = 60_000
const ATTACH_TIMEOUT_MS = 6_000
/** Opening waits for the provider to ask the chain. */
export const OPEN_TIMEOUT_MS = 15_000
/** The exit itself gives up dialling after 10 s; this only catches an exit that does not. */
const FLOW_OPEN_TIMEOUT_MS = 20_000

export class LinkPool {
  readonly #transport: Transport
  readonly #idle: { link: Link; timer: NodeJS.Timeout }[] = []
  readonly #all = new Set<Link>()
  #closed = false

  constructor(transport: Transport) {
    this.#transport = transport
  }

  get size(): number {
    return this.#all.size
  }

  /** An idle link, or a new one attached to the session. */
  async take(session: { sessionId: Hex; token: Hex }, signal: AbortSignal): Promise<Link> {
    for (let entry = this.#idle.pop(); entry !== undefined; entry = this.#idle.pop()) {
      clearTimeout(entry.timer)
      if (!entry.link.closed && !entry.link.wire.destroyed) return entry.link
    }
    const link = await connectLink(this.#transport, signal)
    if (this.#closed) {
      link.destroy()
      throw new BywayError('PROVIDER_LOST', 'the session closed')
    }
    this.#all.add(link)
    link.wire.once('close', () => this.#all.delete(link))
    await attach(link, session, signal)
    return link
  }

  /** The flow on it is over: keep it for the next. */
  put(link: Link): void {
    if (this.#closed || link.closed || this.#idle.length >= MAX_IDLE) {
      link.close()
      return
    }
    const drop = () => {
      const at = this.#idle.findIndex((entry) => entry.link === link)
      if (at >= 0) clearTimeout(this.#idle.splice(at, 1)[0]!.timer)
    }
    const timer = setTimeout(() => {
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

  close(): void {
    this.#closed = true
    for (const { timer } of this.#idle) clearTimeout(timer)
    for (const link of this.#all) link.destroy(new BywayError('PROVIDER_LOST', 'the session closed'))
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

/** Asks the exit for a flow. Resolves with what it said if it could not, and the link is free again; rejects, the link gone, in all other cases. */
export function askForFlow(link: Link, open: MessageBody<'open'>, signal: AbortSignal): Promise<BywayError | undefined> {
  return waitFor<BywayError | undefined>(
    link,
    FLOW_OPEN_TIMEOUT_MS,
    signal,
    (reply, resolve, reject) => {
      if (reply.name === 'opened') resolve(undefined)
      else if (reply.name === 'failed') resolve(failure(reply.body))
      else reject(new BywayError('MESSAGE_UNEXPECTED', `${reply.name} is no answer to open`))
    },
    () => link.send('open', open),
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
