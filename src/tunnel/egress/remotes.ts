/**
 * Whom an association has spoken to, and how much it may still say to whom.
 *
 * Two things must not come out of a provider's line: scans (many destinations) and floods (many datagrams at one that never asked for them).
 * So new destinations are rationed, and so is what is sent to one between two of its answers. Pure; the clock is passed in.
 */

/** Not heard any more after this time without a word to it (RFC 4787, REQ-5). */
const REMEMBERED_MS = 120_000
/** A call with many parties, or a resolver: tens. One more than this pushes out the one that was quiet longest. */
const MAX_REMOTES = 512
/** New destinations at once, and more with time: a page full of HTTP/3 sites at once; a port scan would take hours. */
const NEW_AT_ONCE = 64
const NEW_PER_SECOND = 4
/** Datagrams to one that did not answer yet: the first flights of a handshake, tried again a few times. */
const UNANSWERED_AT_ONCE = 64
const UNANSWERED_PER_SECOND = 8
/** Datagrams each answer is good for: an upload over QUIC gets one for every two to ten. */
const PER_ANSWER = 1_024

/** Fills with time up to its size. */
export class Bucket {
  #left: number
  #atMs: number
  readonly #most: number
  readonly #perSecond: number

  constructor(most: number, perSecond: number, nowMs: number) {
    this.#left = most
    this.#most = most
    this.#perSecond = perSecond
    this.#atMs = nowMs
  }

  take(nowMs: number): boolean {
    const grown = this.#left + ((nowMs - this.#atMs) / 1_000) * this.#perSecond
    // More than the size only after an answer, and only as it is used up.
    this.#left = this.#left > this.#most ? this.#left : Math.min(grown, this.#most)
    this.#atMs = nowMs
    if (this.#left < 1) return false
    this.#left--
    return true
  }

  fill(to: number): void {
    this.#left = Math.max(this.#left, to)
  }
}

/** How many new destinations one guest may still have, over all its associations: closing one and opening the next gains nothing. */
export const newcomers = (nowMs: number) => new Bucket(NEW_AT_ONCE, NEW_PER_SECOND, nowMs)

export class Remotes {
  readonly #nowMs: () => number
  readonly #fresh: Bucket
  /** The one spoken to longest ago first. */
  readonly #known = new Map<string, { budget: Bucket; spokenAtMs: number }>()

  constructor(nowMs: () => number, fresh: Bucket) {
    this.#nowMs = nowMs
    this.#fresh = fresh
  }

  /** `allowed` is asked once for each destination, again after it was forgotten. */
  maySend(address: string, port: number, allowed: () => boolean): 'yes' | 'limited' | 'blocked' {
    const nowMs = this.#nowMs()
    const key = keyOf(address, port)
    let remote = this.#known.get(key)
    if (remote === undefined || nowMs - remote.spokenAtMs > REMEMBERED_MS) {
      if (!allowed()) return 'blocked'
      if (!this.#fresh.take(nowMs)) return 'limited'
      remote = { budget: new Bucket(UNANSWERED_AT_ONCE, UNANSWERED_PER_SECOND, nowMs), spokenAtMs: nowMs }
    }
    if (!remote.budget.take(nowMs)) return 'limited'
    remote.spokenAtMs = nowMs
    this.#known.delete(key)
    this.#known.set(key, remote)
    if (this.#known.size > MAX_REMOTES) this.#known.delete(this.#known.keys().next().value!)
    return 'yes'
  }

  /** A datagram came from there: whether it is one of those spoken to. */
  heard(address: string, port: number): boolean {
    const remote = this.#known.get(keyOf(address, port))
    if (remote === undefined || this.#nowMs() - remote.spokenAtMs > REMEMBERED_MS) return false
    remote.budget.fill(PER_ANSWER)
    return true
  }

  clear(): void {
    this.#known.clear()
  }
}

const keyOf = (address: string, port: number) => `${address} ${port}`
