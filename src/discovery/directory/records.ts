/**
 * The bytes of offers, in segments: written one after the other, never moved while most of their neighbours stay.
 *
 * A closed segment of which less than half is left is emptied into the open one and given back. So whatever comes and goes in whatever sizes, at
 * most twice of what is kept is held, and one segment.
 */

/** A few hundred offers: small beside a directory that matters, large beside what it costs to keep one more. */
const SEGMENT_BYTES = 256 * 1024
/** Before each record: its slot (u32) and its length (u16). */
const HEADER_BYTES = 6
/** The slot of a record that was dropped. */
const NOBODY = 0xffff_ffff
/** References are 32 bits. */
const MAX_SEGMENTS = 2 ** 32 / SEGMENT_BYTES

interface Segment {
  readonly data: Buffer
  end: number
  live: number
}

export class Records {
  readonly #segments: (Segment | undefined)[] = []
  readonly #free: number[] = []
  readonly #onMoved: (slot: number, ref: number) => void
  #open = -1
  #live = 0

  /** A record that has to make room keeps its slot and gets another reference. */
  constructor(onMoved: (slot: number, ref: number) => void) {
    this.#onMoved = onMoved
  }

  /** Bytes of what is kept. */
  get live(): number {
    return this.#live
  }

  /** Bytes that are held for it. */
  get held(): number {
    return (this.#segments.length - this.#free.length) * SEGMENT_BYTES
  }

  put(slot: number, record: Uint8Array): number {
    const size = HEADER_BYTES + record.length
    let segment = this.#segments[this.#open]
    if (segment === undefined || segment.end + size > SEGMENT_BYTES) segment = this.#begin()
    const { data, end } = segment
    data.writeUInt32BE(slot, end)
    data.writeUInt16BE(record.length, end + 4)
    data.set(record, end + HEADER_BYTES)
    segment.end += size
    segment.live += size
    this.#live += size
    return this.#open * SEGMENT_BYTES + end
  }

  /** The record itself, not a copy: good until the next change. */
  at(ref: number): Buffer {
    const { data, at } = this.#find(ref)
    return data.subarray(at + HEADER_BYTES, at + HEADER_BYTES + data.readUInt16BE(at + 4))
  }

  drop(ref: number): void {
    const { data, at, index, segment } = this.#find(ref)
    const size = HEADER_BYTES + data.readUInt16BE(at + 4)
    data.writeUInt32BE(NOBODY, at)
    segment.live -= size
    this.#live -= size
    if (index !== this.#open && segment.live < SEGMENT_BYTES / 2) this.#empty(index, segment)
  }

  #find(ref: number): { segment: Segment; data: Buffer; at: number; index: number } {
    const index = Math.floor(ref / SEGMENT_BYTES)
    const segment = this.#segments[index]!
    return { segment, data: segment.data, at: ref % SEGMENT_BYTES, index }
  }

  #begin(): Segment {
    const full = this.#open
    this.#open = this.#free.pop() ?? this.#segments.length
    if (this.#open >= MAX_SEGMENTS) throw new Error('a directory holds at most 4 GiB of offers')
    const segment: Segment = { data: Buffer.allocUnsafeSlow(SEGMENT_BYTES), end: 0, live: 0 }
    this.#segments[this.#open] = segment
    // What was dropped while it was open counts now.
    const before = this.#segments[full]
    if (before !== undefined && before.live < SEGMENT_BYTES / 2) this.#empty(full, before)
    return this.#segments[this.#open]!
  }

  #empty(index: number, { data, end }: Segment): void {
    for (let at = 0; at < end; ) {
      const slot = data.readUInt32BE(at)
      const length = data.readUInt16BE(at + 4)
      const record = data.subarray(at + HEADER_BYTES, at + HEADER_BYTES + length)
      at += HEADER_BYTES + length
      if (slot === NOBODY) continue
      this.#live -= HEADER_BYTES + length
      this.#onMoved(slot, this.put(slot, record))
    }
    this.#segments[index] = undefined
    this.#free.push(index)
  }
}
