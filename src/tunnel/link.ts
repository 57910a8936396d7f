/**
 * A link: frames on one TLS connection.
 *
 * Control messages are assembled and decoded; `data` is handed on as it arrives, in pieces, never assembled. At most one owner at a time
 * listens (a session's control loop, or the flow the link carries). A link holds at most one unfinished message and what its TLS
 * connection buffers.
 */
import type { Duplex } from 'node:stream'
import { asBywayError, BywayError } from '../protocol/errors.ts'
import { NO_BYTES } from '../protocol/flow.ts'
import {
  DATA_TYPE,
  decodeMessage,
  encodeMessage,
  FRAME_HEADER_BYTES,
  frameHeader,
  frameLimit,
  MAX_DATA_BYTES,
  type Message,
  type MessageBody,
  type MessageName,
  PADDING_TYPE,
} from '../protocol/messages.ts'
import type { Padding } from './cover/padding.ts'

/** What a link needs from a TLS connection; `node:tls` sockets are one. */
export interface Wire extends Duplex {
  /** RFC 5705 keying material, the same on both ends of this connection only. */
  exportKeyingMaterial(length: number, label: string, context: Buffer): Buffer
}

export interface LinkEvents {
  /** A whole message. Throwing closes the link with that error. */
  onMessage(message: Message): void
  /** A piece of payload. Return value ignored; call {@link Link.pause} to hold the sender back. */
  onData(chunk: Buffer): void
  /** The connection is gone; `error` tells why unless it ended in order. Called once. */
  onClose(error: BywayError | undefined): void
}

export class Link {
  readonly wire: Wire
  /** Told when somebody else went on with the connection ({@link leave}) and lost it. `garbled`: its bytes were changed on their way. */
  onLost: ((lost: { garbled: boolean }) => void) | undefined
  #padding: Padding | undefined
  #detached = false
  #events: LinkEvents | undefined
  #header = Buffer.alloc(FRAME_HEADER_BYTES)
  #headerHave = 0
  #type = 0
  #left = 0
  #message: Buffer[] = []
  /** Some came since the last answer. */
  #payload = false
  #closed = false
  #closeError: BywayError | undefined
  #closeTimer: NodeJS.Timeout | undefined
  #watch: NodeJS.Timeout | undefined
  /** Messages sent since the connection last took all it was given. */
  #unreadBytes = 0
  /** Frames wait here while nobody listens: between two owners of a link. */
  #unheard: Buffer[] = []
  /** Bytes taken off the connection, in all and up to the end of the last whole frame. */
  #taken = NO_BYTES
  #whole = NO_BYTES

  /** `padding`: how the first records of each flow are made to say less; undefined for none. */
  constructor(wire: Wire, padding?: Padding) {
    this.wire = wire
    this.#padding = padding
    wire.on('data', this.#onData)
    wire.pause()
    wire.on('error', (cause: Error) => {
      this.#closeError ??= new BywayError('PROVIDER_LOST', 'the tunnel connection broke', { cause })
      // A record that fails its check leaves a TLS socket open, and deaf.
      wire.destroy()
    })
    wire.on('end', this.#onEnd)
    wire.on('close', () => {
      this.#closed = true
      clearTimeout(this.#closeTimer)
      clearInterval(this.#watch)
      this.#unheard = []
      const events = this.#events
      this.#events = undefined
      events?.onClose(this.#closeError)
    })
  }

  readonly #onData = (chunk: Buffer) => this.#receive(chunk)
  readonly #onEnd = () => this.close()

  get closed(): boolean {
    return this.#closed
  }

  /**
   * Ends the framing: what follows the last message, in both directions, is no link any more but a byte stream for whoever takes it. It comes
   * paused. May be called while a message is delivered.
   */
  detach(): Duplex {
    const { wire } = this
    this.#detached = true
    this.#padding = undefined
    this.#events = undefined
    clearInterval(this.#watch)
    wire.off('data', this.#onData)
    wire.off('end', this.#onEnd)
    wire.pause()
    for (const chunk of this.#unheard.splice(0).reverse()) wire.unshift(chunk)
    return wire
  }

  /** Bytes of whole frames that came over this link: where somebody else would go on. */
  get consumed(): number {
    return this.#whole
  }

  /** Somebody else goes on with the connection: this link is over, and says nothing to anybody. */
  leave(): void {
    this.#events = undefined
    clearTimeout(this.#closeTimer)
    clearInterval(this.#watch)
    this.#closed = true
  }

  /** Who listens from now on. What arrived since the last owner left is delivered first, unless the connection is gone: then only that. */
  listen(events: LinkEvents): void {
    this.#events = events
    if (this.#closed) {
      this.#events = undefined
      queueMicrotask(() => events.onClose(this.#closeError))
      return
    }
    const waiting = this.#unheard
    this.#unheard = []
    this.wire.resume()
    for (const chunk of waiting) this.#receive(chunk)
  }

  /** Nobody listens until {@link listen}: the sender is held back. */
  unlisten(): void {
    this.#events = undefined
    this.wire.pause()
  }

  send<N extends MessageName>(name: N, body: MessageBody<N>): void {
    if (this.#closed || this.wire.writableEnded) return
    const message = encodeMessage(name, body)
    if (this.wire.writableLength === 0) this.#unreadBytes = 0
    this.#unreadBytes += message.length
    if (name === 'open' || name === 'extend') this.#padding?.begin()
    const extra = this.#padding?.beside(message.length) ?? 0
    const last = name === 'answer' || name === 'answered'
    const parts = extra === 0 ? [message] : [message, paddingFrame(extra)]
    // Nothing may come after the last message of a link that becomes a stream of bytes.
    this.wire.write(Buffer.concat(last ? parts.reverse() : parts))
    if (last) this.#padding = undefined
    // Answers to a peer that asks without end and never reads would fill the memory.
    if (Math.min(this.#unreadBytes, this.wire.writableLength) > MAX_UNREAD_BYTES) {
      this.destroy(
        new BywayError('MESSAGE_UNEXPECTED', 'the peer does not read what is said to it', { facts: { limit: MAX_UNREAD_BYTES } }),
      )
    }
  }

  /** What is sent meanwhile leaves in one piece: one wake-up of the peer. */
  together(say: () => void): void {
    this.wire.cork()
    try {
      say()
    } finally {
      this.wire.uncork()
    }
  }

  /** Sends payload; `written` is called when there is room for more (at once, or after the connection drained), or never will be. */
  sendData(chunk: Buffer, written?: (error?: Error | null) => void): void {
    if (this.#closed || this.wire.writableEnded) {
      written?.(new BywayError('PROVIDER_LOST', 'the tunnel connection is closed'))
      return
    }
    this.wire.cork()
    for (let at = 0; at < chunk.length; at += MAX_DATA_BYTES) {
      const piece = chunk.subarray(at, at + MAX_DATA_BYTES)
      this.wire.write(frameHeader(DATA_TYPE, piece.length))
      this.wire.write(piece)
    }
    const extra = this.#padding?.beside(chunk.length) ?? 0
    if (extra > 0) this.wire.write(paddingFrame(extra))
    this.wire.uncork()
    if (written === undefined) return
    if (this.wire.writableNeedDrain) this.#whenDrained(written)
    else written()
  }

  #whenDrained(done: (error?: Error | null) => void): void {
    const drained = () => {
      this.wire.off('close', closed)
      done()
    }
    const closed = () => {
      this.wire.off('drain', drained)
      done(new BywayError('PROVIDER_LOST', 'the tunnel connection broke'))
    }
    this.wire.once('drain', drained)
    this.wire.once('close', closed)
  }

  pause(): void {
    this.wire.pause()
    // The system tells of a lost connection only those who read or write.
    this.#watch ??= setInterval(() => this.#sayNothing(), WATCH_EVERY_MS).unref()
  }

  /** An empty `data` frame means nothing; on a connection that is gone it fails, and the link closes. */
  #sayNothing(): void {
    if (this.wire.isPaused() && !this.#closed && !this.wire.writableEnded) this.wire.write(frameHeader(DATA_TYPE, 0))
  }

  resume(): void {
    if (this.#events !== undefined) this.wire.resume()
  }

  /** Ends the connection after what was sent. */
  close(): void {
    if (this.#closed) return
    this.wire.end()
    // The other side has seen our end; if it does not answer with its own, there is nothing more to wait for.
    this.#closeTimer ??= setTimeout(() => this.wire.destroy(), CLOSE_GRACE_MS).unref()
  }

  /** Cuts the connection. */
  destroy(error?: BywayError): void {
    this.#closeError ??= error
    this.wire.destroy()
  }

  #receive(chunk: Buffer): void {
    let rest = chunk
    // A connection that was cut may still hand over what it held: after a refused frame nothing in it has a meaning.
    while (rest.length > 0 && !this.#closed && !this.wire.destroyed) {
      if (this.#detached) {
        this.wire.unshift(rest)
        return
      }
      const events = this.#events
      if (events === undefined) {
        this.#unheard.push(rest)
        return
      }
      try {
        const before = rest.length
        rest = this.#consume(rest, events)
        this.#taken += before - rest.length
        if (this.#headerHave === 0) this.#whole = this.#taken
      } catch (thrown) {
        this.destroy(asBywayError(thrown))
      }
    }
    this.#answer()
  }

  /** Payload that arrived is answered by a frame that means nothing, now and then. */
  #answer(): void {
    if (!this.#payload || this.#closed || this.wire.writableEnded || this.wire.destroyed) return
    this.#payload = false
    const extra = this.#padding?.answer() ?? 0
    if (extra > 0) this.wire.write(paddingFrame(extra))
  }

  /** Takes one step's worth of bytes off `rest`: part of a header, of a message, or of payload. */
  #consume(rest: Buffer, events: LinkEvents): Buffer {
    if (this.#headerHave < FRAME_HEADER_BYTES) {
      const copied = rest.copy(this.#header, this.#headerHave, 0, FRAME_HEADER_BYTES - this.#headerHave)
      this.#headerHave += copied
      if (this.#headerHave < FRAME_HEADER_BYTES) return rest.subarray(copied)
      this.#type = this.#header[0]!
      this.#left = this.#header.readUIntBE(1, 3)
      if (this.#left > frameLimit(this.#type)) {
        throw new BywayError('MESSAGE_TOO_LARGE', 'a frame is larger than its type allows', {
          facts: { type: this.#type, length: this.#left },
        })
      }
      if (this.#left === 0) this.#finish(events)
      return rest.subarray(copied)
    }
    const piece = rest.subarray(0, this.#left)
    this.#left -= piece.length
    if (this.#type === DATA_TYPE || this.#type === PADDING_TYPE) {
      if (this.#left === 0) this.#headerHave = 0
      if (this.#type === DATA_TYPE) {
        this.#payload = true
        events.onData(piece)
      }
    } else {
      this.#message.push(piece)
      if (this.#left === 0) this.#finish(events)
    }
    return rest.subarray(piece.length)
  }

  #finish(events: LinkEvents): void {
    const payload = this.#message.length === 1 ? this.#message[0]! : Buffer.concat(this.#message)
    this.#message = []
    this.#headerHave = 0
    if (this.#type === DATA_TYPE || this.#type === PADDING_TYPE) return
    const message = decodeMessage(this.#type, payload)
    if (message.name === 'open' || message.name === 'extend') this.#padding?.begin()
    events.onMessage(message)
  }
}

/** `length` bytes that mean nothing, header included. */
function paddingFrame(length: number): Buffer {
  const frame = Buffer.alloc(length)
  frame.writeUInt32BE(PADDING_TYPE * 0x1000000 + length - FRAME_HEADER_BYTES)
  return frame
}

/** Messages are small and few: this many bytes of them (twenty thousand answers to a ping) wait only for a peer that stopped reading. */
const MAX_UNREAD_BYTES = 256 * 1024
/** A flow held back by its destination must not outlive its other end by much; four bytes this often are nothing. */
const WATCH_EVERY_MS = 10_000
/** Long enough for the last frames to leave on a slow line, short enough that a dead peer holds no file descriptor. */
const CLOSE_GRACE_MS = 5_000
