/**
 * What queries look at, one array for each fact: a number in each, at the slot of its offer.
 *
 * Prices beyond what a column holds are kept as the most it does, and names as hashes: whatever a query finds is checked against the offer itself.
 */
import { LINES, type Offer } from '../../protocol/offer.ts'

const FIRST_CAPACITY = 256
export const MOST_PRICE = 2 ** 32 - 1

/** Bits of `traits`. The first four say which kind of line it is, so that a block of offers can say which kinds are in it. */
export const TRAITS = { anyLine: 0b1111, dialled: 1 << 4, relay: 1 << 5, used: 1 << 6, live: 1 << 7 } as const
export const lineTrait = (line: number): number => 1 << (LINES[line] === undefined ? 0 : line)

export function traitsOf({ line, relay, transports }: Offer): number {
  const dialled = transports.some(({ kind }) => kind === 'tls')
  return lineTrait(line) | (dialled ? TRAITS.dialled : 0) | (dialled && relay === 1 ? TRAITS.relay : 0)
}

const wider = <A extends Float32Array | Float64Array | Uint32Array | Uint16Array>(array: A, capacity: number): A => {
  const made = new (array.constructor as new (length: number) => A)(capacity)
  made.set(array)
  return made
}

export class Columns {
  /** Slots there is room for. */
  capacity = FIRST_CAPACITY
  utility = new Float32Array(FIRST_CAPACITY)
  price = new Uint32Array(FIRST_CAPACITY)
  mbps = new Float32Array(FIRST_CAPACITY)
  score = new Float32Array(FIRST_CAPACITY)
  stake = new Float64Array(FIRST_CAPACITY)
  sequence = new Float64Array(FIRST_CAPACITY)
  expiresAt = new Uint32Array(FIRST_CAPACITY)
  /** Where its bytes are; in a free slot the next free one. */
  ref = new Uint32Array(FIRST_CAPACITY)
  hash = new Uint32Array(FIRST_CAPACITY)
  /** The first four bytes of its key, for those who name it by them. */
  head = new Uint32Array(FIRST_CAPACITY)
  country = new Uint16Array(FIRST_CAPACITY)
  region = new Uint32Array(FIRST_CAPACITY)
  city = new Uint32Array(FIRST_CAPACITY)
  asn = new Uint32Array(FIRST_CAPACITY)
  traits = new Uint16Array(FIRST_CAPACITY)

  get bytes(): number {
    return Object.values(this).reduce((sum: number, array) => sum + (ArrayBuffer.isView(array) ? array.byteLength : 0), 0)
  }

  /** Makes room for more slots: by half, not by double, or a million offers would carry the weight of another. */
  grow(): void {
    this.capacity += this.capacity >> 1
    for (const [name, array] of Object.entries(this)) {
      if (ArrayBuffer.isView(array)) Object.assign(this, { [name]: wider(array as Uint32Array, this.capacity) })
    }
  }
}
