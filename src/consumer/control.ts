/**
 * The control link of a session: kept alive, found silent before a person would notice, and replaced by another when it breaks.
 *
 * While flows carry bytes something is heard all the time, so two seconds of silence mean that the way is dead. The longer nothing moved, the
 * more rarely it is asked for a sign of life: an hour of a session that stands still costs some tens of kilobytes. A session whose way is dead is
 * *away*: new flows go elsewhere, and it rejoins over whatever way answers first.
 */

import { backoffMs } from '../protocol/backoff.ts'
import type { Clock } from '../protocol/clock.ts'
import { asBywayError, BywayError } from '../protocol/errors.ts'
import type { Outage } from '../protocol/flow.ts'
import { EXPORTER_LABEL, type Message, type MessageBody, type MessageName } from '../protocol/messages.ts'
import type { Link } from '../tunnel/index.ts'
import { type Budget, RETRY_BYTES } from './budget.ts'
import { pause } from './pause.ts'

/** Without flows nobody waits, and each ping is traffic somebody pays for with battery. */
const IDLE = { leastPingMs: 5_000, leastSilenceMs: 15_000 }
/** With flows: noticed within two seconds, after two pings without an answer on a line as slow as a satellite's. */
const BUSY = { leastPingMs: 500, leastSilenceMs: 1_250 }
/** After so many seconds without a byte the next ping is one of them away: whatever stands still for a minute will for another. */
const PART_OF_QUIET = 1 / 4
/** Routers at home forget a connection after minutes, mobile ones after not much more than this. */
const MOST_PING_MS = 30_000
/** An answer may take so many pings, up to this: a device that slept, a train in a tunnel. */
const PINGS_UNANSWERED = 2.5
const MOST_SILENCE_MS = 15_000

/** Who is waited for and does not even answer a ping in this time, and some of its round trips more, is taken for dead. A person notices a third of a second. */
const DOUBT_MS = 200
const DOUBT_ROUND_TRIPS = 4
/** Round trips of which the longest counts: a machine that is busy now and then is not dead. */
const RECENT_ROUND_TRIPS = 8
/** The longest pause between attempts is so many times the first: a line that comes back is used in a moment. */
const LONGEST_PAUSES = 4

/** The link broke, nothing was heard on it, or the owner of the way said that it is gone. */
export type AwayReason = 'broken' | 'silent' | 'cut off'

export interface ControlNeeds {
  clock: Clock
  outage: Outage
  budget: Budget
  /** A number in [0, 1). */
  random(): number
  /** Another link to the same provider, by any way. */
  connect(signal: AbortSignal): Promise<Link>
  /** Says `rejoin` on it and returns the answer. */
  rejoin(link: Link, signal: AbortSignal): Promise<MessageBody<'rejoined'>>
  /** Whether flows are open, and how long ago a byte of one moved, or one began. */
  activity(): { flows: boolean; quietMs: number }
  onMessage(message: Message): void
  /** The way is dead, as far as we know. */
  onAway(why: AwayReason): void
  /** The session goes on over another link. Links of before `lostAtMs` belong to a way that is dead. */
  onRejoined(answer: MessageBody<'rejoined'>, lostAtMs: number): void
  /** The link that seemed dead was only slow. */
  onBack(): void
  /** No way led back in time, or the provider broke the rules or ended the session. */
  onGone(error: BywayError): void
}

export class Control {
  readonly #needs: ControlNeeds
  readonly #timer: NodeJS.Timeout
  #link: Link
  #lastHeardMs: number
  #lastPingMs: number
  #rejoining: AbortController | undefined
  #roundTripMs: number | undefined
  readonly #recent: number[] = []
  #doubting = false
  #closed = false

  constructor(link: Link, needs: ControlNeeds) {
    this.#needs = needs
    this.#link = link
    this.#lastHeardMs = needs.clock.nowMs()
    this.#lastPingMs = this.#lastHeardMs
    this.#timer = setInterval(() => this.#tick(), BUSY.leastPingMs)
    this.#listen(link)
    // So that the round trip is known when somebody doubts.
    this.#ping(this.#lastPingMs)
  }

  /** The way to the provider is dead, as far as we know; another is looked for. */
  get away(): boolean {
    return this.#rejoining !== undefined
  }

  /** For how long it has been asked for a sign of life and gave none; 0 when it answered. */
  get unansweredMs(): number {
    return this.#lastHeardMs >= this.#askedMs ? 0 : this.#needs.clock.nowMs() - this.#askedMs
  }

  /** Of the last ping that was answered. */
  get roundTripMs(): number | undefined {
    return this.#roundTripMs
  }

  /** Of the last few: what the line takes when nobody is busy. */
  get shortestRoundTripMs(): number | undefined {
    return this.#recent.length === 0 ? undefined : Math.min(...this.#recent)
  }

  /** Lost while away: what matters is said again after rejoining. */
  send<N extends MessageName>(name: N, body: MessageBody<N>): void {
    this.#link.send(name, body)
  }

  exportKeyingMaterial(): Buffer {
    return this.#link.wire.exportKeyingMaterial(32, EXPORTER_LABEL, Buffer.alloc(0))
  }

  /** The provider said something, here or on a flow link. */
  heard(): void {
    this.#lastHeardMs = this.#needs.clock.nowMs()
  }

  #listen(link: Link): void {
    link.listen({
      onMessage: (message) => {
        this.heard()
        // It was only slow.
        if (this.#link === link) this.#rejoining?.abort()
        if (message.name === 'pong') this.#pong(Number(message.body.nonce))
        else this.#needs.onMessage(message)
      },
      onData: () => this.#gone(new BywayError('MESSAGE_UNEXPECTED', 'data on a control link')),
      onClose: (error) => {
        if (this.#link !== link || this.#closed) return
        if (error?.code.startsWith('MESSAGE_')) this.#gone(error)
        else void this.#rejoin('broken')
      },
    })
  }

  #pong(askedAtMs: number): void {
    this.#roundTripMs = Math.max(0, this.#needs.clock.nowMs() - askedAtMs)
    this.#recent.push(this.#roundTripMs)
    if (this.#recent.length > RECENT_ROUND_TRIPS) this.#recent.shift()
  }

  /** Asks for a sign of life now, and looks for another way if none comes in a moment. */
  doubt(): void {
    // Without a round trip there is no telling how long a moment is here.
    if (this.#doubting || this.away || this.#closed || this.#recent.length === 0) return
    this.#doubting = true
    const fromMs = this.#needs.clock.nowMs()
    this.#ping(fromMs)
    const judge = () => {
      this.#doubting = false
      if (this.#lastHeardMs < fromMs && !this.#closed) void this.#rejoin('silent')
    }
    // What came in while this process was busy is read before it is judged.
    setTimeout(() => setImmediate(judge), DOUBT_MS + DOUBT_ROUND_TRIPS * Math.max(...this.#recent)).unref()
  }

  #ping(nowMs: number): void {
    // Silence counts from a question that could have been answered.
    if (this.#lastHeardMs >= this.#lastPingMs) this.#askedMs = nowMs
    this.#lastPingMs = nowMs
    this.#link.send('ping', { nonce: BigInt(nowMs) })
  }

  #tick(): void {
    const nowMs = this.#needs.clock.nowMs()
    const { flows, quietMs } = this.#needs.activity()
    const { pingMs, silenceMs } = patience(flows, quietMs)
    if (nowMs - this.#lastPingMs >= pingMs && !this.#link.closed) this.#ping(nowMs)
    if (this.#lastHeardMs >= this.#askedMs) return
    const leftMs = this.#askedMs + silenceMs - nowMs
    if (leftMs <= 0) void this.#rejoin('silent')
    // The next look would be half a second late.
    else if (leftMs < BUSY.leastPingMs) this.#lastLook ??= setTimeout(() => this.#lookAgain(), leftMs)
  }
  #askedMs = 0
  #lastLook: NodeJS.Timeout | undefined

  #lookAgain(): void {
    this.#lastLook = undefined
    if (!this.#closed) this.#tick()
  }

  /** Tries until the provider answers on another link, the old one speaks again, or it is too late. */
  async #rejoin(why: AwayReason): Promise<void> {
    if (this.#rejoining !== undefined || this.#closed) return
    const given = new AbortController()
    this.#rejoining = given
    const lostAtMs = this.#needs.clock.nowMs()
    const { limitMs, againMs } = this.#needs.outage
    this.#needs.onAway(why)
    // An attempt that hangs must not prolong it.
    const signal = AbortSignal.any([given.signal, AbortSignal.timeout(limitMs)])
    for (let attempt = 1; !given.signal.aborted && !this.#closed; attempt++) {
      await this.#needs.budget.take(RETRY_BYTES, signal)
      const last = await this.#tryToRejoin(given, signal, lostAtMs)
      if (last === undefined) return
      if (given.signal.aborted) break
      if (last.code === 'SESSION_UNKNOWN') {
        this.#gone(last)
        return
      }
      if (signal.aborted) {
        // What the last attempt ended with is that it was cut short.
        this.#gone(new BywayError('PROVIDER_LOST', 'no way led back to the provider in time', { cause: last }))
        return
      }
      const pauses = { firstMs: againMs, longestMs: LONGEST_PAUSES * againMs }
      await pause(backoffMs(attempt, pauses, this.#needs.random), signal)
    }
    // The session moved to another link meanwhile, and whoever moved it said so.
    if (this.#rejoining !== given) return
    this.#rejoining = undefined
    if (!this.#link.closed && !this.#closed) this.#needs.onBack()
    // It broke for good in the moment it had spoken again.
    if (this.#link.closed && !this.#closed) void this.#rejoin('broken')
  }

  /** The way is dead, as its owner knows: the link need not fall silent first. */
  lostWay(): void {
    void this.#rejoin('cut off')
  }

  /** A better way was found: the session goes on over this link. Rejects, the link gone, when the provider does not agree. */
  async moveTo(link: Link): Promise<void> {
    if (this.#rejoining !== undefined || this.#closed) {
      link.destroy()
      return
    }
    const answer = await this.#needs.rejoin(link, new AbortController().signal)
    this.#replace(link, answer, this.#needs.clock.nowMs())
  }

  /** Undefined when it worked, or the session is on another link already. */
  async #tryToRejoin(given: AbortController, signal: AbortSignal, lostAtMs: number): Promise<BywayError | undefined> {
    try {
      const link = await this.#needs.connect(signal)
      const answer = await this.#needs.rejoin(link, signal)
      if (this.#rejoining !== given) {
        link.destroy()
        return undefined
      }
      // Nothing is left to be given up; links may listen to the signal as long as they live.
      this.#rejoining = undefined
      this.#replace(link, answer, lostAtMs)
      return undefined
    } catch (thrown) {
      return asBywayError(thrown)
    }
  }

  #replace(link: Link, answer: MessageBody<'rejoined'>, lostAtMs: number): void {
    const old = this.#link
    this.#link = link
    // Whoever still looks for a way, because the old link closed before the answer came on the new one, needs none any more.
    const looking = this.#rejoining
    this.#rejoining = undefined
    looking?.abort()
    old.unlisten()
    old.destroy()
    if (this.#closed) {
      link.close()
      return
    }
    this.heard()
    this.#askedMs = 0
    this.#needs.onRejoined(answer, lostAtMs)
    this.#listen(link)
  }

  #gone(error: BywayError): void {
    if (!this.#closed) this.#needs.onGone(error)
  }

  close(): void {
    this.#closed = true
    clearInterval(this.#timer)
    clearTimeout(this.#lastLook)
    this.#rejoining?.abort()
    this.#link.close()
  }
}

/** How often to ask for a sign of life, and how long an answer may take, when nothing moved for so long. */
export function patience(flows: boolean, quietMs: number): { pingMs: number; silenceMs: number } {
  const { leastPingMs, leastSilenceMs } = flows ? BUSY : IDLE
  const pingMs = Math.min(MOST_PING_MS, Math.max(leastPingMs, quietMs * PART_OF_QUIET))
  return { pingMs, silenceMs: Math.min(MOST_SILENCE_MS, Math.max(leastSilenceMs, pingMs * PINGS_UNANSWERED)) }
}
