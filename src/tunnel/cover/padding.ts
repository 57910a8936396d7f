/**
 * Padding: what a link says first, on each flow, in sizes and turns that are not those of what it carries.
 *
 * Most of what a tunnel carries is TLS, whose own handshake (a hello one way, a flight of kilobytes back, a short answer) shows through
 * another TLS: sizes and directions of the first packets give it away (Xue et al., USENIX Security 2024). TLS records of Node cannot be
 * padded, so padding is frames that mean nothing, in the same record as the frames that do, and some records of its own as an answer to what
 * arrived. Only the first records of each flow are padded: later ones say little, and bulk pays nothing.
 *
 * It makes finding links harder, not impossible: `node test/cover/tls-in-tls.ts` prints how much.
 *
 * Pure: what was written comes in, how much to add goes out. Used by both ends alike; the receiver throws padding away.
 */
import { randomFillSync } from 'node:crypto'

/** Padded records of each flow and direction: a handshake, a request and the beginning of its answer. */
const RECORDS = 8
/** After this much payload the rest is bulk, whatever it began with. */
const PAYLOAD_BYTES = 16_384
/** Messages of WebSockets are small more often than large: padding is drawn evenly by its logarithm, from this to a packet. */
const LEAST_BYTES = 60
const MOST_BYTES = 1_200
/** How often something that arrived is answered by a record of nothing, while flows are young. */
const ANSWERED = 0.5

/** With numbers nobody can foresee. */
export const randomPadding = (): Padding => new Padding(drawn)

/** Drawn many at a time: one by one they cost a connection as much as sealing its records. */
const draws = new Uint32Array(1_024)
let left = 0

function drawn(): number {
  if (left === 0) {
    randomFillSync(draws)
    left = draws.length
  }
  return draws[--left]! / 2 ** 32
}

export class Padding {
  #records = RECORDS
  #payload = PAYLOAD_BYTES
  /** Answers that may still be sent for nothing: the two ends together never say more than both of these. */
  #answers = RECORDS / 2
  /** From 0 up to 1, like Math.random; what it draws is seen by observers, so it should not be predictable. */
  readonly #random: () => number

  constructor(random: () => number) {
    this.#random = random
  }

  /** A flow begins on this link. */
  begin(): void {
    this.#records = RECORDS
    this.#payload = PAYLOAD_BYTES
    this.#answers = RECORDS / 2
  }

  /** Length of the padding frame (header included; 0 for none) that goes with a record of `length` bytes of other frames. */
  beside(length: number): number {
    if (this.#records === 0) return 0
    this.#records--
    this.#payload -= length
    if (this.#payload <= 0) this.#records = 0
    return this.#frame()
  }

  /** Length of a padding frame to send alone now that payload arrived; 0 for none. Our own messages are nobody's handshake, and need none. */
  answer(): number {
    if (this.#records === 0 || this.#answers === 0 || this.#random() >= ANSWERED) return 0
    this.#answers--
    return this.#frame()
  }

  #frame(): number {
    return Math.floor(LEAST_BYTES * (MOST_BYTES / LEAST_BYTES) ** this.#random())
  }
}
