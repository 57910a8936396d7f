/**
 * A carrier inside a WebSocket (RFC 6455): what one end writes comes out at the other, through any proxy that knows WebSockets.
 *
 * Binary messages only; where one ends means nothing. Payload is handed on as it arrives, so a message of any length costs no memory. Pings
 * are answered. A WebSocket has no half-close: the end of one direction is the end of both.
 */
import { randomBytes } from 'node:crypto'
import { Duplex } from 'node:stream'
import { BywayError } from '../../protocol/errors.ts'

// --- RFC 6455, section 5.2 ---
const FIN = 0x80
const MASKED = 0x80
const RESERVED = 0x70
const CONTROL = 0x08
const OPCODE = { continuation: 0x0, text: 0x1, binary: 0x2, close: 0x8, ping: 0x9, pong: 0xa } as const
const MAX_CONTROL_BYTES = 125
const MASK_BYTES = 4
/** Status 1000, "normal closure". */
const NORMAL = Buffer.from([0x03, 0xe8])

/** A proxy in between may pass on a message only when it is whole. */
const MESSAGE_BYTES = 16_384
/** No proxy makes one message of more than this, and a counter of this length stays exact. */
const MAX_MESSAGE_BYTES = 2 ** 40

export class WebSocketCarrier extends Duplex {
  readonly #socket: Duplex
  readonly #side: 'client' | 'server'
  /** The header of the frame that is arriving, until it is whole. */
  #header: Buffer = Buffer.alloc(0)
  #left = 0
  #mask: Buffer | undefined
  #at = 0
  #opcode = 0
  #control: Buffer[] = []
  #ended = false

  /** `socket` is past its upgrade. A client masks what it sends and takes only what is not masked; a server the other way round. */
  constructor(socket: Duplex, side: 'client' | 'server') {
    super({ allowHalfOpen: false })
    this.#socket = socket
    this.#side = side
    socket.on('data', (chunk: Buffer) => this.#receive(chunk))
    socket.on('end', () => this.#end())
    socket.on('error', (error: Error) => this.destroy(error))
    socket.on('close', () => this.destroy())
    socket.pause()
  }

  override _read(): void {
    this.#socket.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    let free = true
    this.#socket.cork()
    for (let at = 0; at < chunk.length; at += MESSAGE_BYTES) free = this.#send(OPCODE.binary, chunk.subarray(at, at + MESSAGE_BYTES))
    this.#socket.uncork()
    if (free) done()
    else this.#socket.once('drain', done)
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#send(OPCODE.close, NORMAL)
    this.#socket.end(done)
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#socket.destroy()
    done(error)
  }

  #send(opcode: number, payload: Buffer): boolean {
    if (this.#socket.destroyed || this.#socket.writableEnded) return true
    const mask = this.#side === 'client' ? randomBytes(MASK_BYTES) : undefined
    const header = frameHeader(opcode, payload.length, mask)
    return this.#socket.write(Buffer.concat([header, mask === undefined ? payload : masked(payload, mask, 0)]))
  }

  #receive(chunk: Buffer): void {
    let rest = chunk
    try {
      while (rest.length > 0 && !this.destroyed) rest = this.#left > 0 ? this.#payload(rest) : this.#head(rest)
    } catch (error) {
      this.destroy(error as Error)
    }
  }

  /** Reads what it can of a header; returns what follows it. */
  #head(rest: Buffer): Buffer {
    const header = this.#header.length === 0 ? rest : Buffer.concat([this.#header, rest])
    const length = headerLength(header)
    if (length === undefined || header.length < length) {
      this.#header = header
      return Buffer.alloc(0)
    }
    this.#header = Buffer.alloc(0)
    const [first, second] = [header[0]!, header[1]!]
    const isMasked = (second & MASKED) !== 0
    this.#opcode = first & 0x0f
    this.#left = payloadLength(header)
    const isControl = (this.#opcode & CONTROL) !== 0
    const known = Object.values(OPCODE).some((opcode) => opcode === this.#opcode)
    if (!known || (first & RESERVED) !== 0 || isMasked !== (this.#side === 'server') || this.#left > MAX_MESSAGE_BYTES) throw malformed()
    if (isControl && (this.#left > MAX_CONTROL_BYTES || (first & FIN) === 0)) throw malformed()
    this.#mask = isMasked ? Buffer.from(header.subarray(length - MASK_BYTES, length)) : undefined
    this.#at = 0
    if (this.#left === 0 && isControl) this.#onControl(Buffer.alloc(0))
    return header.subarray(length)
  }

  #payload(rest: Buffer): Buffer {
    const piece = rest.subarray(0, this.#left)
    const clear = this.#mask === undefined ? piece : masked(piece, this.#mask, this.#at)
    this.#at += piece.length
    this.#left -= piece.length
    if ((this.#opcode & CONTROL) === 0) {
      if (!this.#ended && !this.push(clear)) this.#socket.pause()
    } else {
      this.#control.push(clear)
      if (this.#left === 0) this.#onControl(Buffer.concat(this.#control.splice(0)))
    }
    return rest.subarray(piece.length)
  }

  /** Nothing more comes; what still does is thrown away. */
  #end(): void {
    if (this.#ended) return
    this.#ended = true
    this.push(null)
  }

  #onControl(payload: Buffer): void {
    // A peer that pings without end and reads nothing would fill the memory: it gets no answers then.
    if (this.#opcode === OPCODE.ping && !this.#socket.writableNeedDrain) this.#send(OPCODE.pong, payload)
    if (this.#opcode === OPCODE.close) {
      this.#end()
      this.#socket.resume()
    }
  }
}

/** Length of the header that begins here, or undefined while its second byte is not there. */
function headerLength(header: Buffer): number | undefined {
  if (header.length < 2) return undefined
  const short = header[1]! & 0x7f
  return 2 + (short === 126 ? 2 : short === 127 ? 8 : 0) + ((header[1]! & MASKED) === 0 ? 0 : MASK_BYTES)
}

function payloadLength(header: Buffer): number {
  const short = header[1]! & 0x7f
  if (short === 126) return header.readUInt16BE(2)
  return short === 127 ? Number(header.readBigUInt64BE(2)) : short
}

function frameHeader(opcode: number, length: number, mask: Buffer | undefined): Buffer {
  const bit = mask === undefined ? 0 : MASKED
  const short = length < 126 ? [length] : [126, length >> 8, length & 0xff]
  return Buffer.from([FIN | opcode, bit | short[0]!, ...short.slice(1), ...(mask ?? [])])
}

/** `bytes` under a mask that has been used for `from` bytes. */
function masked(bytes: Buffer, mask: Buffer, from: number): Buffer {
  const out = Buffer.allocUnsafe(bytes.length)
  for (let at = 0; at < bytes.length; at++) out[at] = bytes[at]! ^ mask[(from + at) & 3]!
  return out
}

const malformed = () => new BywayError('MESSAGE_MALFORMED', 'a WebSocket frame breaks the rules')
