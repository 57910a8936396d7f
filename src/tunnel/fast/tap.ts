/**
 * A tap: the byte stream under a TLS connection, remembered until somebody takes the connection over or nobody will any more.
 *
 * node:tls runs over it as over the stream itself. What went each way from the first byte on is what handover.ts finds the keys' places in. A
 * handshake and the first messages are a few kilobytes; a connection that carries more than {@link MOST_BYTES} before it is taken over stays
 * with node:tls, and the tap forgets.
 */
import { Duplex } from 'node:stream'

/** Certificates, tickets and the first messages of a link stay far below. */
const MOST_BYTES = 64 * 1024

export class Tap extends Duplex {
  readonly under: Duplex
  #heard: Buffer[] | undefined = []
  #said: Buffer[] | undefined = []
  #bytes = 0
  #released = false

  constructor(under: Duplex) {
    super({ allowHalfOpen: true })
    this.under = under
    under.on('data', this.#onData)
    under.pause()
    under.once('end', this.#onEnd)
    under.once('error', this.#onError)
    under.once('close', this.#onClose)
  }

  readonly #onData = (chunk: Buffer) => {
    this.#keep(this.#heard, chunk)
    if (!this.push(chunk)) this.under.pause()
  }
  readonly #onEnd = () => this.push(null)
  readonly #onError = (error: Error) => this.destroy(error)
  readonly #onClose = () => this.destroy()

  #keep(pieces: Buffer[] | undefined, chunk: Buffer): void {
    if (pieces === undefined) return
    this.#bytes += chunk.length
    if (this.#bytes > MOST_BYTES) this.forget()
    else pieces.push(chunk)
  }

  /** Nobody will take this connection over. */
  forget(): void {
    this.#heard = undefined
    this.#said = undefined
  }

  /** Everything that went each way, or undefined when it was forgotten. */
  get remembered(): { heard: Buffer; said: Buffer } | undefined {
    if (this.#heard === undefined || this.#said === undefined) return undefined
    return { heard: Buffer.concat(this.#heard), said: Buffer.concat(this.#said) }
  }

  /** All that was given to the stream below has left it. */
  get flushed(): boolean {
    return this.writableLength === 0 && this.under.writableLength === 0
  }

  /** Leaves the stream below to somebody else; this end is over for node:tls. */
  release(): void {
    this.#released = true
    this.under.pause()
    this.under.off('data', this.#onData)
    this.under.off('end', this.#onEnd)
    this.under.off('close', this.#onClose)
    this.forget()
  }

  override _read(): void {
    if (!this.#released) this.under.resume()
  }

  override _write(chunk: Buffer, encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    // After the connection was taken over what node:tls still has to say (a close_notify) must not reach the wire.
    if (this.#released) {
      done()
      return
    }
    this.#keep(this.#said, Buffer.from(chunk))
    this.under.write(chunk, encoding, done)
  }

  override _final(done: (error?: Error | null) => void): void {
    if (this.#released) done()
    else this.under.end(done)
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (!this.#released) this.under.destroy(error ?? undefined)
    done(error)
  }
}
