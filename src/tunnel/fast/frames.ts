/**
 * Frames, read from plaintext where it lies: payload is handed on in the pieces it comes in, never assembled; messages are assembled and decoded.
 *
 * It holds at most one unfinished message.
 */
import { BywayError } from '../../protocol/errors.ts'
import { DATA_TYPE, decodeMessage, FRAME_HEADER_BYTES, frameLimit, type Message, PADDING_TYPE } from '../../protocol/messages.ts'
import type { Memory } from './native.ts'

const NOTHING = Buffer.alloc(0)

export interface FrameEvents {
  /** A piece of payload, at this place. */
  onData(memory: Memory, at: number, bytes: number): void
  onMessage(message: Message): void
  /** What follows is no frame any more. */
  isOver(): boolean
}

export class FrameReader {
  readonly #events: FrameEvents
  readonly #header = Buffer.alloc(FRAME_HEADER_BYTES)
  #headerHave = 0
  #type = 0
  #left = 0
  #message: Buffer[] = []

  constructor(events: FrameEvents) {
    this.#events = events
  }

  /** The next bytes. Returns how many of them were frames. Throws MESSAGE_TOO_LARGE or MESSAGE_MALFORMED, and what its events throw. */
  read(memory: Memory, start: number, bytes: number): number {
    const end = start + bytes
    let at = start
    while (at < end && !this.#events.isOver()) {
      if (this.#headerHave < FRAME_HEADER_BYTES) {
        this.#header[this.#headerHave++] = memory.bytes[at++]!
        if (this.#headerHave === FRAME_HEADER_BYTES) this.#begin()
        continue
      }
      const piece = this.#left < end - at ? this.#left : end - at
      this.#left -= piece
      const from = at
      at += piece
      if (this.#type === DATA_TYPE || this.#type === PADDING_TYPE) {
        if (this.#left === 0) this.#headerHave = 0
        if (this.#type === DATA_TYPE) this.#events.onData(memory, from, piece)
      } else if (this.#left === 0) this.#finish(memory.bytes.subarray(from, at))
      else this.#message.push(Buffer.from(memory.bytes.subarray(from, at)))
    }
    return at - start
  }

  #begin(): void {
    const header = this.#header
    this.#type = header[0]!
    this.#left = header[1]! * 65_536 + header[2]! * 256 + header[3]!
    if (this.#left > frameLimit(this.#type)) {
      throw new BywayError('MESSAGE_TOO_LARGE', 'a frame is larger than its type allows', {
        facts: { type: this.#type, length: this.#left },
      })
    }
    if (this.#left > 0) return
    if (this.#type === DATA_TYPE || this.#type === PADDING_TYPE) this.#headerHave = 0
    else this.#finish(NOTHING)
  }

  /** `rest`: where it lies, which is where the whole message lies mostly. */
  #finish(rest: Buffer): void {
    let payload = rest
    if (this.#message.length > 0) {
      payload = Buffer.concat([...this.#message, rest])
      this.#message = []
    }
    this.#headerHave = 0
    this.#events.onMessage(decodeMessage(this.#type, payload))
  }
}
