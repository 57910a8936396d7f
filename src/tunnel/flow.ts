/**
 * A flow: one byte stream between an application and a destination, carried by a link, and by another when that breaks.
 *
 * A Duplex on both ends. Ending it sends `end` (half-close), destroying it sends `reset`; the other end's `end` and `reset` arrive as end and
 * as an ECONNRESET error. Back-pressure is TCP's own: a reader that stops pauses the link, which carries nothing else. What a flow keeps is
 * bounded: its two stream buffers, and what the other end has not acknowledged ({@link Keeping}).
 *
 * The ends differ in one thing. When both directions are over and everything was consumed, the provider's owner says `done` with what it
 * counted, and the link is free for the next flow. The consumer counts whatever arrives until then, also after a reset, so both sides agree
 * to the byte. The rules are protocol/flow.ts.
 *
 * Longer than 400 lines because both directions and the end of a flow are one state.
 */
import { Duplex } from 'node:stream'
import { BywayError } from '../protocol/errors.ts'
import {
  ackAtEnd,
  ackDue,
  askDue,
  bothOver,
  type FlowMark,
  MAX_EARLY_BYTES,
  markOf,
  mayBeDone,
  NO_BYTES,
  newFlow,
  onAck,
  onAsk,
  onData,
  onEnd,
  onReset,
  onResume,
  UNTOLD_BYTES,
} from '../protocol/flow.ts'
import type { Message } from '../protocol/messages.ts'
import type { FlowOptions } from './flow-options.ts'
import { Keeping } from './keeping.ts'
import type { Link } from './link.ts'

/** Buffered in each direction before the source is held back: two `data` frames. */
const BUFFER_BYTES = 131_072

/** After a reset nothing has to be delivered any more: a few round trips, and whatever still fills the line. */
const RESET_LIMIT_MS = 30_000
/**
 * A reset behind what was sent before may wait for payments which wait until the flow is over. After this long it is told on another link, where
 * nothing stands before it.
 */
const RESET_BEHIND_MS = 5_000
/** After an orderly end the last bytes may wait in front of a destination that reads slowly; TCP itself would wait for ever. */
const DRAIN_LIMIT_MS = 600_000

export class FlowStream extends Duplex {
  /** Of the bytes received: what came after this end had given the flow up. */
  discarded = NO_BYTES
  readonly #state = newFlow()
  readonly #options: FlowOptions
  readonly #keeping: Keeping
  #link: Link | undefined
  #opening: boolean
  #finished = false
  #remoteReset = false
  /** Room for more is given by the link, and by acknowledgements. */
  #linkReady = true
  #written: ((error?: Error | null) => void) | undefined
  /** Taken from the stream, not yet put on a link: it found none, or no more may leave early. */
  #waiting: Buffer | undefined
  #doneTimer: NodeJS.Timeout | undefined

  constructor(options: FlowOptions) {
    super({ allowHalfOpen: true, highWaterMark: BUFFER_BYTES })
    this.#options = options
    this.#opening = options.opening ?? false
    this.#keeping = new Keeping(options.budget)
    if (options.side === 'provider') this.once('close', () => this.#settle())
    for (const chunk of options.early ?? []) this.#onData(chunk)
    this.#take(options.link)
  }

  /** Payload bytes this end sent and received, each counted once. */
  get sent(): bigint {
    return BigInt(this.#state.sent)
  }

  get received(): bigint {
    return BigInt(this.#state.received)
  }

  /** A reset went either way: what was on its way may have been thrown away. */
  get aborted(): boolean {
    return this.#state.aborted
  }

  /** The provider has not answered yet. */
  get opening(): boolean {
    return this.#opening
  }

  /** The link that carries it; undefined while it waits for one. */
  get link(): Link | undefined {
    return this.#link
  }

  /** Grows with each byte that surely arrived, here or there. */
  get progress(): number {
    return this.#state.received + this.#state.acked
  }

  get mark(): FlowMark {
    return markOf(this.#state)
  }

  #take(link: Link): void {
    this.#link = link
    link.listen({
      onData: (chunk) => this.#onData(chunk),
      onMessage: (message) => this.#onMessage(message),
      onClose: (error) => {
        if (this.#link !== link || this.#finished) return
        this.suspend()
        this.#options.onSuspended(error ?? new BywayError('PROVIDER_LOST', 'the tunnel connection closed in the middle of a flow'))
      },
    })
  }

  override _read(): void {
    if (!this.#finished) this.#link?.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    if (this.#finished || this.#remoteReset) {
      done(resetError())
      return
    }
    this.#written = done
    if (this.#opening) this.#sendEarly(chunk)
    // What is on no link is not sent: it neither counts nor is paid for.
    else if (this.#link === undefined) this.#waiting = chunk
    else this.#sendNew(chunk)
  }

  /**
   * The first bytes may leave before the destination is connected. They count at once, because the provider's count of them may arrive before its
   * `opened` does, and are taken back if it fails. The rest waits.
   */
  #sendEarly(chunk: Buffer): void {
    const room = MAX_EARLY_BYTES - this.#keeping.bytes
    const now = chunk.subarray(0, room)
    if (now.length > 0) {
      this.#countSent(now)
      this.#link?.sendData(now)
    }
    if (now.length < chunk.length) this.#waiting = chunk.subarray(now.length)
    else this.#allowMore()
  }

  #sendNew(chunk: Buffer): void {
    this.#countSent(chunk)
    this.#send(chunk)
    this.#ask()
    this.#allowMore()
  }

  #ask(): void {
    if (this.#link !== undefined && askDue(this.#state, this.#keeping.most)) this.#link.send('ask', {})
  }

  #countSent(chunk: Buffer): void {
    this.#state.sent += chunk.length
    this.#keeping.add(chunk)
    this.#options.onCount?.('sent', chunk.length)
  }

  #send(chunk: Buffer): void {
    const link = this.#link
    if (link === undefined) return
    this.#linkReady = false
    link.sendData(chunk, (error) => {
      // A link that takes nothing any more is about to break.
      if (this.#link !== link || error) return
      this.#linkReady = true
      this.#allowMore()
    })
  }

  /** Asks for the next chunk once the link took the last and not too much is unacknowledged. */
  #allowMore(): void {
    if (!this.#linkReady || this.#waiting !== undefined || this.#written === undefined) return
    if (this.#keeping.full) {
      // It may have become so because others keep much by now.
      this.#ask()
      return
    }
    const written = this.#written
    this.#written = undefined
    written()
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#state.localOver = true
    if (!this.#finished && !this.#opening) this.#sayEnd()
    done()
  }

  #sayEnd(): void {
    const received = this.#options.side === 'consumer' ? ackAtEnd(this.#state) : undefined
    if (received !== undefined) this.#link?.send('ack', { received: BigInt(received) })
    this.#link?.send('end', {})
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    // A stream that read its end and wrote its end is simply over; anything else tells the other side to stop.
    if (!this.#finished && (error !== null || !bothOver(this.#state))) {
      this.#state.aborted = true
      this.#state.localOver = true
      this.#link?.send('reset', {})
      this.#link?.resume()
    }
    if (this.#options.side === 'consumer' && !this.#finished) {
      const behind = this.aborted && this.#state.sent > this.#state.acked
      this.#expectDone(behind ? RESET_BEHIND_MS : this.aborted ? RESET_LIMIT_MS : DRAIN_LIMIT_MS)
    }
    done(error)
  }

  /** Nothing is left to do here but to hear `done`: a link must not wait for it for ever. */
  #expectDone(limitMs: number): void {
    const link = this.#link
    clearTimeout(this.#doneTimer)
    this.#doneTimer = setTimeout(() => {
      link?.destroy(new BywayError('PROVIDER_LOST', 'a flow that is over was not called done in time'))
    }, limitMs)
    this.#doneTimer.unref()
  }

  #onData(chunk: Buffer): void {
    if (this.#opening) throw new BywayError('MESSAGE_UNEXPECTED', 'data before the flow was open')
    onData(this.#state, chunk.length)
    if (this.destroyed) this.discarded += chunk.length
    this.#options.onCount?.(this.destroyed ? 'discarded' : 'received', chunk.length)
    this.#acknowledge()
    if (this.destroyed) return
    if (!this.push(chunk)) this.#link?.pause()
  }

  #acknowledge(): void {
    const received = ackDue(this.#state, this.#options.side === 'provider' ? UNTOLD_BYTES : 0)
    if (received !== undefined) this.#link?.send('ack', { received: BigInt(received) })
  }

  #onMessage(message: Message): void {
    this.#options.onHeard?.()
    if (this.#opening) {
      this.#onAnswer(message)
      return
    }
    switch (message.name) {
      case 'ask':
        onAsk(this.#state)
        this.#acknowledge()
        break
      case 'ack':
        this.#keeping.release(onAck(this.#state, Number(message.body.received)))
        this.#allowMore()
        this.#settle()
        break
      case 'end':
        onEnd(this.#state)
        this.#acknowledge()
        if (this.destroyed) this.#settle()
        else this.push(null)
        // No more data can come, and nobody reads on past an end: a link paused by the last piece must still bring what follows it.
        this.#link?.resume()
        break
      case 'reset':
        onReset(this.#state)
        this.#acknowledge()
        this.#remoteReset = true
        if (this.destroyed) this.#settle()
        else this.destroy(resetError())
        break
      case 'done':
        this.finish(message.body)
        break
      default:
        throw new BywayError('MESSAGE_UNEXPECTED', `${message.name} has no place in a flow`)
    }
  }

  /** The answer to `open`: from here on the flow carries, or there is none. */
  #onAnswer(message: Message): void {
    if (message.name === 'failed') {
      this.#opening = false
      this.#link?.send('reset', {})
      if (this.#state.sent > 0) this.#options.onCount?.('unsent', this.#state.sent)
      this.#over()
      this.#options.onFailed?.(message.body)
      this.destroy(resetError())
      return
    }
    if (message.name !== 'opened') throw new BywayError('MESSAGE_UNEXPECTED', `${message.name} is no answer to open`)
    this.#opening = false
    this.#options.onOpened?.()
    this.#sendWaiting()
    // A reset was said at once when the stream was destroyed; an end waited for this.
    if (this.writableFinished && !this.aborted) this.#sayEnd()
  }

  #sendWaiting(): void {
    const chunk = this.#waiting
    this.#waiting = undefined
    if (chunk !== undefined && !this.destroyed) this.#sendNew(chunk)
    else this.#allowMore()
  }

  /** Provider: over once its owner consumed everything, and the consumer has everything and said that it sends no more. */
  #settle(): void {
    if (this.#options.side !== 'provider' || !this.closed || this.#finished || !mayBeDone(this.#state)) return
    this.#over()
    this.#options.onDone(undefined)
  }

  /** Consumer: the provider says, here or elsewhere, that the flow is over. Throws MESSAGE_UNEXPECTED when it cannot be. */
  finish(stated: { up: bigint; down: bigint }): void {
    if (this.#finished) return
    if (this.#options.side === 'provider' || !bothOver(this.#state)) {
      throw new BywayError('MESSAGE_UNEXPECTED', 'a flow was called done before both directions ended')
    }
    this.#over()
    this.#options.onDone(stated)
  }

  #over(): void {
    this.#finished = true
    clearTimeout(this.#doneTimer)
    this.#keeping.clear()
    this.#link?.unlisten()
  }

  /** Takes it off its link, which is good for nothing any more. */
  suspend(): void {
    const link = this.#link
    this.#link = undefined
    this.#linkReady = false
    clearTimeout(this.#doneTimer)
    link?.unlisten()
    link?.destroy()
  }

  /**
   * Goes on on another link, from where the other end says it is. Throws MESSAGE_UNEXPECTED for a place that cannot be.
   * Both ends exchanged their marks on the link before.
   */
  continueOn(link: Link, mark: FlowMark): void {
    // The answer was lost with its link.
    if (this.#opening) {
      this.#opening = false
      this.#options.onOpened?.()
    }
    const { released, sayLastWord } = onResume(this.#state, mark)
    this.#keeping.release(released)
    // Nothing new may come between the pieces that are sent again.
    this.#linkReady = false
    this.#take(link)
    // Held back as before, and whoever reads on resumes it; but what comes first may be a reset, so a piece more is taken once.
    if (!this.destroyed && this.readableLength >= 2 * this.readableHighWaterMark) link.pause()
    // Of a flow that was reset the consumer still pays what was sent to it, so the provider sends all of it. What the consumer sent is worth
    // nothing any more, and behind it the reset might wait for payments that wait for the reset.
    if (this.#options.side === 'provider' || !this.aborted) this.#sendAgain(link)
    if (sayLastWord) link.send(this.aborted ? 'reset' : 'end', {})
    if (this.destroyed && this.#options.side === 'consumer') this.#expectDone(this.aborted ? RESET_LIMIT_MS : DRAIN_LIMIT_MS)
    this.#sendWaiting()
    // It may have lacked nothing but this acknowledgement.
    this.#settle()
    if (this.#finished) link.unlisten()
  }

  /** Begins anew on another link, on which it was asked for again: the provider knows nothing of it. */
  beginOn(link: Link): void {
    this.#linkReady = true
    this.#take(link)
    for (const chunk of this.#keeping.chunks()) link.sendData(chunk)
  }

  #sendAgain(link: Link): void {
    const chunks = this.#keeping.chunks()
    const last = chunks.length - 1
    // The connection buffers what it cannot send at once: one wait, for the last of them.
    for (const [i, chunk] of chunks.entries()) {
      if (i < last) link.sendData(chunk)
      else this.#send(chunk)
    }
    if (chunks.length === 0) this.#linkReady = true
  }

  /** No link comes any more: the flow ends here with an error, and nobody is told. */
  giveUp(error: BywayError): void {
    if (this.#finished) return
    this.#state.aborted = true
    this.suspend()
    this.#over()
    this.destroy(error)
  }
}

function resetError(): Error {
  return Object.assign(new Error('the other side reset the flow'), { code: 'ECONNRESET' })
}
