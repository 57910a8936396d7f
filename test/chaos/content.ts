/** What is sent: bytes that follow from transfer, direction and place, so that any byte lost, doubled, moved or of another flow shows. */
import { seededRandom } from '../crash/random.ts'

/** A prime, so that no round number of bytes can go missing and leave what follows in its place. */
const BLOCK_BYTES = 1_048_573
const random = seededRandom(20_261_120)
/** Twice, so that a piece that crosses the end is one piece. */
const BLOCK = Buffer.alloc(BLOCK_BYTES * 2)
for (let i = 0; i < BLOCK_BYTES; i++) BLOCK[i] = random.between(0, 255)
BLOCK.copyWithin(BLOCK_BYTES, 0, BLOCK_BYTES)

/** Where streams begin in the block lies this far apart. */
const STRIDE = 7_919

export class Content {
  readonly #start: number

  constructor(transfer: number, direction: 'up' | 'down') {
    this.#start = (transfer * 2 + (direction === 'up' ? 0 : 1)) * STRIDE
  }

  /** At most a block. */
  piece(at: number, length: number): Buffer {
    const from = (this.#start + at) % BLOCK_BYTES
    return BLOCK.subarray(from, from + length)
  }

  /** Where `got`, which stands at `at`, first differs. */
  differs(at: number, got: Buffer): number | undefined {
    for (let i = 0; i < got.length; i += BLOCK_BYTES) {
      const part = got.subarray(i, i + BLOCK_BYTES)
      const expected = this.piece(at + i, part.length)
      if (!part.equals(expected)) return at + i + part.findIndex((byte, j) => byte !== expected[j])
    }
    return undefined
  }
}
