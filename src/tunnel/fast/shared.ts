/**
 * What all links and flows of a carrying thread share: its loop, and memory in pieces of the sizes that one turn of a link moves.
 */
import { FRAME_HEADER_BYTES } from '../../protocol/messages.ts'
import type { Loop } from './loop.ts'
import { Pool } from './memory.ts'
import type { Memory, Native } from './native.ts'
import { MAX_RECORD_BYTES, RECORD_EXTRA_BYTES } from './records.ts'

/** Payload of one piece: with its frame header it fills four records exactly. */
export const PIECE_BYTES = 65_532
/**
 * Pieces read, sealed and written together: fewer calls, and fewer wake-ups of whoever waits for them. Eight cost 1 to 4 % more CPU, four another
 * 8 %, also where the second-level cache has only one megabyte.
 */
export const PIECES_A_TURN = 12
/** As much as a turn of a peer like us seals; fewer calls, and what was read is still in the cache when it is opened. */
export const INPUT_BYTES = PIECES_A_TURN * (PIECE_BYTES + FRAME_HEADER_BYTES + 4 * RECORD_EXTRA_BYTES)
export const OUTPUT_BYTES = INPUT_BYTES + 4_096
/** What small messages go through, and the beginnings of records of a few links. */
const PIECES_AT_REST = 2
const PARTIALS_AT_REST = 8
/**
 * Memory that was not used for this long goes back to the system. Using it again costs a fraction of a millisecond a huge page, all at once when a burst comes:
 * longer than most pauses in what a person does.
 */
const REST_MS = 60_000

export class Thread {
  readonly native: Native
  readonly loop: Loop
  readonly input: Pool
  readonly output: Pool
  /** The beginning of a record each. */
  readonly partials: Pool
  /** Payload on its way into a link, room for its frame header in front. */
  readonly pieces: Pool
  readonly small: Memory

  constructor(native: Native, loop: Loop) {
    this.native = native
    this.loop = loop
    this.input = new Pool(native, INPUT_BYTES + MAX_RECORD_BYTES, 1)
    this.output = new Pool(native, OUTPUT_BYTES, 1)
    this.partials = new Pool(native, MAX_RECORD_BYTES, PARTIALS_AT_REST)
    this.pieces = new Pool(native, FRAME_HEADER_BYTES + PIECE_BYTES + 16, PIECES_AT_REST)
    this.small = native.allocate(MAX_RECORD_BYTES)
    this.#rest()
  }

  /** Says a few words on a socket: so few that a fresh connection always takes them, or it is gone. Bytes taken, or a negated errno. */
  say(fd: number, words: Uint8Array): number {
    this.small.bytes.set(words)
    return this.native.send(fd, this.small.address, words.length)
  }

  #rest(): void {
    for (const pool of [this.input, this.output, this.partials, this.pieces]) pool.rest()
    this.loop.after(REST_MS, () => this.#rest())
  }
}
