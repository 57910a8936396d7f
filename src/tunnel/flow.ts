/**
 * A flow: one byte stream between an application and a destination, carried by a link.
 *
 * A Duplex on both ends. Ending it sends `end` (half-close), destroying it sends `reset`; the other end's `end` and `reset` arrive as end and
 * as an ECONNRESET error. Back-pressure is TCP's own: a reader that stops pauses the link, which carries nothing else. At rest a flow holds
 * at most its two stream buffers.
 *
 * The ends differ in one thing. When both directions are over and everything was consumed, the provider's owner says `done` with what it
 * counted, and the link is free for the next flow. The consumer counts whatever arrives until then, also after a reset, so both sides agree
 * to the byte.
 */
import { Duplex } from 'node:stream'
import { BywayError } from '../protocol/errors.ts'
import type { Message } from '../protocol/messages.ts'
import type { Link } from './link.ts'

/** Buffered in each direction before the source is held back: two `data` frames. */
const BUFFER_BYTES = 131_072

/** After a reset nothing has to be delivered any more: a few round trips, and whatever still fills the line. */
const RESET_LIMIT_MS = 30_000
/** After an orderly end the last bytes may wait in front of a destination that reads slowly; TCP itself would wait for ever. */
const DRAIN_LIMIT_MS = 600_000

export interface FlowOptions {
  link: Link
  side: 'consumer' | 'provider'
  /**
   * Payload that leaves on the link ('sent') or came from it ('received', or 'discarded' after this end gave the flow up), before it is
   * handed on. Throwing breaks the link.
   */
  onCount?: (way: 'sent' | 'received' | 'discarded', bytes: number) => void
  /** The flow is over and the link free. Consumer: with the provider's totals. */
  onDone: (stated: { up: bigint; down: bigint } | undefined) => void
  /** The link broke, or the peer broke the rules, before the flow was over. */
  onBroken: (error: BywayError) => void
}

export class FlowStream extends Duplex {
  /** Payload bytes this end sent and received on the link. */
  sent = 0n
  received = 0n
  /** Of those received: what came after this end had given the flow up. */
  discarded = 0n
  /** A reset went either way: what was on its way may have been thrown away. */
  aborted = false
  readonly #options: FlowOptions
  #localOver = false
  #remoteOver = false
  #remoteReset = false
  #finished = false
  #doneTimer: NodeJS.Timeout | undefined

  constructor(options: FlowOptions) {
    super({ allowHalfOpen: true, highWaterMark: BUFFER_BYTES })
    this.#options = options
    if (options.side === 'provider') this.once('close', () => this.#settle())
    options.link.listen({
      onData: (chunk) => this.#onData(chunk),
      onMessage: (message) => this.#onMessage(message),
      onClose: (error) => this.#onClose(error),
    })
  }

  override _read(): void {
    if (!this.#finished) this.#options.link.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    if (this.#finished || this.#remoteReset) {
      done(resetError())
      return
    }
    this.sent += BigInt(chunk.length)
    this.#options.onCount?.('sent', chunk.length)
    this.#options.link.sendData(chunk, done)
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#localOver = true
    if (!this.#finished) this.#options.link.send('end', {})
    done()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    // A stream that read its end and wrote its end is simply over; anything else tells the other side to stop.
    if (!this.#finished && (error !== null || !this.#localOver || !this.#remoteOver)) {
      this.aborted = true
      this.#localOver = true
      this.#options.link.send('reset', {})
      this.#options.link.resume()
    }
    if (this.#options.side === 'consumer' && !this.#finished) this.#expectDone()
    done(error)
  }

  /** Nothing is left to do here but to hear `done`: a link must not wait for it for ever. */
  #expectDone(): void {
    const limitMs = this.aborted ? RESET_LIMIT_MS : DRAIN_LIMIT_MS
    this.#doneTimer = setTimeout(() => {
      this.#options.link.destroy(new BywayError('PROVIDER_LOST', 'a flow that is over was not called done in time'))
    }, limitMs)
    this.#doneTimer.unref()
  }

  #onData(chunk: Buffer): void {
    if (this.#remoteOver) throw new BywayError('MESSAGE_UNEXPECTED', 'data after the end of a flow')
    this.received += BigInt(chunk.length)
    if (this.destroyed) this.discarded += BigInt(chunk.length)
    this.#options.onCount?.(this.destroyed ? 'discarded' : 'received', chunk.length)
    if (this.destroyed) return
    if (!this.push(chunk)) this.#options.link.pause()
  }

  #onMessage(message: Message): void {
    switch (message.name) {
      case 'end':
        if (this.#remoteOver && !this.aborted) throw new BywayError('MESSAGE_UNEXPECTED', 'a flow ended twice')
        this.#remoteOver = true
        if (this.destroyed) this.#settle()
        else this.push(null)
        // No more data can come, and nobody reads on past an end: a link paused by the last piece must still bring what follows it.
        this.#options.link.resume()
        break
      case 'reset':
        this.aborted = true
        this.#remoteOver = true
        this.#remoteReset = true
        if (this.destroyed) this.#settle()
        else this.destroy(resetError())
        break
      case 'done':
        if (this.#options.side === 'provider' || !this.#remoteOver || !this.#localOver) {
          throw new BywayError('MESSAGE_UNEXPECTED', 'a flow was called done before both directions ended')
        }
        this.#finish(message.body)
        break
      default:
        throw new BywayError('MESSAGE_UNEXPECTED', `${message.name} has no place in a flow`)
    }
  }

  /** Provider: over once its owner consumed everything and the consumer said that it sends no more. */
  #settle(): void {
    if (this.#options.side === 'provider' && this.closed && this.#localOver && this.#remoteOver) this.#finish(undefined)
  }

  #finish(stated: { up: bigint; down: bigint } | undefined): void {
    if (this.#finished) return
    this.#finished = true
    clearTimeout(this.#doneTimer)
    this.#options.link.unlisten()
    this.#options.onDone(stated)
  }

  #onClose(error: BywayError | undefined): void {
    if (this.#finished) return
    this.#finished = true
    clearTimeout(this.#doneTimer)
    this.aborted = true
    const broken = error ?? new BywayError('PROVIDER_LOST', 'the tunnel connection closed in the middle of a flow')
    this.#options.onBroken(broken)
    this.destroy(broken)
  }
}

function resetError(): Error {
  return Object.assign(new Error('the other side reset the flow'), { code: 'ECONNRESET' })
}
