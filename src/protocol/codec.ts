/**
 * How wire messages are laid out: a handful of bounded field codecs, and structs made of them.
 *
 * Big-endian, no padding, no self-description: a message is its fields in order. Every variable part has a limit given where it is
 * declared, and a reader that meets anything else throws MESSAGE_MALFORMED. A decoder consumes its input to the last byte.
 */
import { fromHex, type Hex, mustFit, toHex } from './bytes.ts'
import { BywayError } from './errors.ts'

interface Reader {
  readonly bytes: Uint8Array
  at: number
}

/** Where fields are written one behind the other: memory that is used again and again, so that a message costs one allocation, its own. */
interface Writer {
  bytes: Buffer
  at: number
}

export interface Codec<T> {
  write(writer: Writer, value: T): void
  read(reader: Reader): T
}

export type Infer<C> = C extends Codec<infer T> ? T : never

/** Where a field of this length begins, which is there. */
function claim(reader: Reader, length: number): number {
  const at = reader.at
  if (at + length > reader.bytes.length)
    throw new BywayError('MESSAGE_MALFORMED', 'a message ends in the middle of a field', { facts: { at, length } })
  reader.at = at + length
  return at
}

function take(reader: Reader, length: number): Uint8Array {
  const at = claim(reader, length)
  return reader.bytes.subarray(at, at + length)
}

/** Where a field of this length goes, for which there is room. */
function room(writer: Writer, length: number): number {
  const at = writer.at
  const end = at + length
  if (end > writer.bytes.length) writer.bytes = Buffer.concat([writer.bytes], 2 * end)
  writer.at = end
  return at
}

function put(writer: Writer, bytes: Uint8Array): void {
  // Asked for first: it may get other memory.
  const at = room(writer, bytes.length)
  writer.bytes.set(bytes, at)
}

const numberOf = (length: 1 | 2 | 4): Codec<number> => ({
  write(writer, value) {
    const at = room(writer, length)
    if (!(Number.isInteger(value) && value >= 0 && value < 2 ** (8 * length))) mustFit(BigInt(value), length)
    writer.bytes.writeUIntBE(value, at, length)
  },
  read(reader) {
    const at = claim(reader, length)
    let value = 0
    for (let i = at; i < at + length; i++) value = value * 256 + reader.bytes[i]!
    return value
  },
})
const bigintOf = (length: 8 | 12 | 16): Codec<bigint> => ({
  write(writer, value) {
    const at = room(writer, length)
    mustFit(value, length)
    let left = value
    for (let word = at + length - WORD_BYTES; word >= at; word -= WORD_BYTES) {
      writer.bytes.writeUInt32BE(Number(left & WORD), word)
      left >>= WORD_BITS
    }
  },
  read(reader) {
    const at = claim(reader, length)
    let value = 0n
    for (let word = at; word < at + length; word += WORD_BYTES) value = (value << WORD_BITS) | BigInt(wordAt(reader.bytes, word))
    return value
  },
})

const WORD_BYTES = 4
const WORD_BITS = 32n
const WORD = 0xffffffffn
const wordAt = (bytes: Uint8Array, at: number) => bytes[at]! * 0x1000000 + ((bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!)

export const u8 = numberOf(1)
export const u16 = numberOf(2)
export const u32 = numberOf(4)
export const u64 = bigintOf(8)
/** Two's complement. */
export const i64: Codec<bigint> = {
  write(writer, value) {
    mustFit(value + HALF_OF_64_BITS, 8)
    u64.write(writer, BigInt.asUintN(64, value))
  },
  read: (reader) => BigInt.asIntN(64, u64.read(reader)),
}
const HALF_OF_64_BITS = 1n << 63n
export const u96 = bigintOf(12)
export const u128 = bigintOf(16)

/** Exactly `length` bytes, as hex. */
export const hex = (length: number): Codec<Hex> => ({
  write: (writer, value) => put(writer, fromHex(value, length)),
  read: (reader) => toHex(take(reader, length)),
})

/** UTF-8 of at most `limit` bytes (up to 65,535), after its length in two bytes. */
export const text = (limit: number): Codec<string> => ({
  write(writer, value) {
    const length = Buffer.byteLength(value)
    if (length > limit) throw new BywayError('MESSAGE_TOO_LARGE', `text longer than ${limit} bytes`, { facts: { length } })
    u16.write(writer, length)
    const at = room(writer, length)
    writer.bytes.write(value, at, 'utf8')
  },
  read(reader) {
    const length = u16.read(reader)
    if (length > limit) throw new BywayError('MESSAGE_TOO_LARGE', `text longer than ${limit} bytes`, { facts: { length } })
    const bytes = take(reader, length)
    try {
      return UTF8.decode(bytes)
    } catch (cause) {
      throw new BywayError('MESSAGE_MALFORMED', 'text is not UTF-8', { cause })
    }
  },
})
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** At most `limit` bytes (up to 65,535), after their length in two bytes. */
export const blob = (limit: number): Codec<Uint8Array> => ({
  write(writer, value) {
    if (value.length > limit) throw new BywayError('MESSAGE_TOO_LARGE', `more than ${limit} bytes`, { facts: { length: value.length } })
    u16.write(writer, value.length)
    put(writer, value)
  },
  read(reader) {
    const length = u16.read(reader)
    if (length > limit) throw new BywayError('MESSAGE_TOO_LARGE', `more than ${limit} bytes`, { facts: { length } })
    // What a message says outlives the memory it was read in.
    return new Uint8Array(take(reader, length))
  },
})

/** At most `limit` items (up to 255), after their count in one byte. */
export const list = <T>(item: Codec<T>, limit: number): Codec<T[]> => ({
  write(writer, values) {
    if (values.length > limit) throw new BywayError('MESSAGE_TOO_LARGE', `more than ${limit} items`, { facts: { items: values.length } })
    u8.write(writer, values.length)
    for (const value of values) item.write(writer, value)
  },
  read(reader) {
    const length = u8.read(reader)
    if (length > limit) throw new BywayError('MESSAGE_TOO_LARGE', `more than ${limit} items`, { facts: { items: length } })
    return Array.from({ length }, () => item.read(reader))
  },
})

/** One byte 0 (absent) or 1, then the value. */
export const optional = <T>(item: Codec<T>): Codec<T | undefined> => ({
  write(writer, value) {
    u8.write(writer, value === undefined ? 0 : 1)
    if (value !== undefined) item.write(writer, value)
  },
  read(reader) {
    const flag = u8.read(reader)
    if (flag > 1) throw new BywayError('MESSAGE_MALFORMED', 'an optional field starts with neither 0 nor 1', { facts: { flag } })
    return flag === 1 ? item.read(reader) : undefined
  },
})

type Fields = Record<string, Codec<never>>
type StructOf<F> = { [K in keyof F]: F[K] extends Codec<infer T> ? T : never }

/** Its fields in the order they are written down. */
export function struct<F extends { [K in keyof F]: Codec<unknown> } | Fields>(fields: F): Codec<StructOf<F>> {
  const entries = Object.entries(fields) as [string, Codec<unknown>][]
  return {
    write(writer, value) {
      for (const [name, codec] of entries) codec.write(writer, (value as Record<string, unknown>)[name])
    },
    read(reader) {
      const value: Record<string, unknown> = {}
      for (const [name, codec] of entries) value[name] = codec.read(reader)
      return value as StructOf<F>
    },
  }
}

/** Nearly every message fits; larger ones get memory of their own. */
const DESK_BYTES = 4_096
const desk = Buffer.allocUnsafeSlow(DESK_BYTES)

/** The value behind `head` bytes that are the caller's to fill. */
export function encode<T>(codec: Codec<T>, value: T, head = 0): Buffer {
  const writer: Writer = { bytes: desk, at: head }
  codec.write(writer, value)
  return Buffer.from(writer.bytes.subarray(0, writer.at))
}

/** Reads one value that must fill `bytes` exactly. */
export function decode<T>(codec: Codec<T>, bytes: Uint8Array): T {
  const reader: Reader = { bytes, at: 0 }
  const value = codec.read(reader)
  if (reader.at !== bytes.length) {
    throw new BywayError('MESSAGE_MALFORMED', 'a message is longer than its fields', { facts: { extra: bytes.length - reader.at } })
  }
  return value
}
