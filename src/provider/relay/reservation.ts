/**
 * One reservation at a relay: the link a tucked node keeps here, its spare connections, and the calls it has not answered yet.
 *
 * Every connection the node brings was asked for by a `call`. The first that comes serves whoever waits longest; with nobody waiting it is kept
 * as a spare.
 */
import { randomBytes } from 'node:crypto'
import type { Duplex } from 'node:stream'
import { type Hex, toHex } from '../../protocol/bytes.ts'
import { BywayError } from '../../protocol/errors.ts'
import type { Link } from '../../tunnel/index.ts'
import { CALL_TIMEOUT_MS, MAX_CALLS_PENDING, MAX_CARRIED, RESERVATION_LIFE_S, SILENCE_LIMIT_MS, SPARE_LIFE_MS, SPARES } from './limits.ts'

interface Waiter {
  resolve(carrier: Duplex): void
  reject(error: BywayError): void
}

interface Spare {
  carrier: Duplex
  sinceMs: number
  /** Stops watching it; it is handed out, or was found dead. */
  release(): void
}

export class Reservation {
  readonly nodeKey: Hex
  readonly token: Hex = toHex(randomBytes(32))
  readonly remote: string
  readonly link: Link
  expiresAtMs: number
  #lastHeardMs: number
  #nextCall = 1
  /** Calls that were not answered yet, and when each was made. */
  readonly #asked = new Map<number, number>()
  readonly #waiting: Waiter[] = []
  readonly #spares: Spare[] = []
  #carried = 0
  #over = false

  constructor(link: Link, { nodeKey, remote, nowMs }: { nodeKey: Hex; remote: string; nowMs: number }) {
    this.link = link
    this.nodeKey = nodeKey
    this.remote = remote
    this.#lastHeardMs = nowMs
    this.expiresAtMs = nowMs + RESERVATION_LIFE_S * 1000
  }

  get spares(): number {
    return this.#spares.length
  }

  get waiting(): number {
    return this.#waiting.length
  }

  heard(nowMs: number): void {
    this.#lastHeardMs = nowMs
  }

  renew(nowMs: number): void {
    this.expiresAtMs = nowMs + RESERVATION_LIFE_S * 1000
  }

  /** Whether the node is gone, or its time is over. */
  lapsed(nowMs: number): boolean {
    return nowMs > this.expiresAtMs || nowMs - this.#lastHeardMs > SILENCE_LIMIT_MS
  }

  /** A connection to the node: a spare, or one it is asked for. PROVIDER_BUSY, PROVIDER_UNREACHABLE, or the signal's reason. */
  async call(nowMs: () => number, signal: AbortSignal): Promise<Duplex> {
    signal.throwIfAborted()
    if (this.#over) throw gone()
    if (this.#carried >= MAX_CARRIED) throw new BywayError('PROVIDER_BUSY', `the relay carries ${MAX_CARRIED} calls to this node already`)
    const spare = this.#spares.shift()
    if (spare === undefined && this.#waiting.length >= MAX_CALLS_PENDING) {
      throw new BywayError('PROVIDER_BUSY', `${MAX_CALLS_PENDING} calls to this node wait for its answer already`)
    }
    spare?.release()
    const carrier = spare?.carrier ?? (await this.#wait(nowMs, signal))
    this.#carried++
    carrier.once('close', () => this.#carried--)
    this.refill(nowMs())
    return carrier
  }

  #wait(nowMs: () => number, signal: AbortSignal): Promise<Duplex> {
    const { promise, resolve, reject } = Promise.withResolvers<Duplex>()
    const waiter = { resolve, reject }
    this.#waiting.push(waiter)
    const leave = (why: unknown) => {
      const at = this.#waiting.indexOf(waiter)
      if (at >= 0) this.#waiting.splice(at, 1)
      reject(why)
    }
    const timer = setTimeout(
      () => leave(new BywayError('PROVIDER_UNREACHABLE', 'the node did not answer the call in time')),
      CALL_TIMEOUT_MS,
    )
    const aborted = () => leave(signal.reason)
    signal.addEventListener('abort', aborted, { once: true })
    this.refill(nowMs())
    return promise.finally(() => {
      clearTimeout(timer)
      signal.removeEventListener('abort', aborted)
    })
  }

  /** Calls until there is one answer under way for each who waits and each spare that is missing; lets go of spares that are old. */
  refill(nowMs: number): void {
    if (this.#over) return
    for (const [callId, atMs] of this.#asked) if (nowMs - atMs > CALL_TIMEOUT_MS) this.#asked.delete(callId)
    for (const spare of [...this.#spares]) if (nowMs - spare.sinceMs > SPARE_LIFE_MS) this.#drop(spare)
    const wanted = this.#waiting.length + Math.max(0, SPARES - this.#spares.length)
    while (this.#asked.size < wanted) {
      const callId = this.#nextCall++
      this.#asked.set(callId, nowMs)
      this.link.send('call', { callId })
    }
  }

  /** The node connected because of a call. False when nobody called: then it is not ours to keep. */
  answered(callId: number, nowMs: number, take: () => Duplex): boolean {
    if (this.#over || !this.#asked.delete(callId)) return false
    const carrier = take()
    const waiter = this.#waiting.shift()
    if (waiter === undefined) this.#keep(carrier, nowMs)
    else waiter.resolve(carrier)
    return true
  }

  /** A spare says nothing until it is used. It is read all the same: only so its end is noticed. */
  #keep(carrier: Duplex, nowMs: number): void {
    const drop = () => this.#drop(spare)
    carrier.on('data', drop).on('end', drop).on('close', drop)
    const release = () => {
      carrier.off('data', drop).off('end', drop).off('close', drop)
      carrier.pause()
    }
    const spare: Spare = { carrier, sinceMs: nowMs, release }
    this.#spares.push(spare)
    carrier.resume()
  }

  #drop(spare: Spare): void {
    const at = this.#spares.indexOf(spare)
    if (at >= 0) this.#spares.splice(at, 1)
    spare.release()
    spare.carrier.destroy()
  }

  /** Ends it: nobody is called any more. Calls that are carried go on by themselves. */
  close(): void {
    if (this.#over) return
    this.#over = true
    for (const spare of [...this.#spares]) this.#drop(spare)
    for (const waiter of this.#waiting.splice(0)) waiter.reject(gone())
    this.link.close()
  }
}

const gone = () => new BywayError('PROVIDER_UNREACHABLE', 'the node left the relay')
