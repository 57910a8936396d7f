/**
 * How wire messages are laid out: a handful of bounded field codecs, and structs made of them.
 *
 * Big-endian, no padding, no self-description: a message is its fields in order. Every variable part has a limit given where it is
 * declared, and a reader that meets anything else throws MESSAGE_MALFORMED. A decoder consumes its input to the last byte.
 */
import { fromHex, type Hex, readUint, toHex, uint } from './bytes.ts'
import { BywayError } from './errors.ts'

interface Reader {
  readonly bytes: Uint8Array
  at: number
}

export interface Codec<T> {
  write(parts: Uint8Array[], value: T): void
  read(reader: Reader): T
}

export type Infer<C> = C extends Codec<infer T> ? T : never

function take(reader: Reader, length: number): Uint8Array {
  const end = reader.at + length
  if (end > reader.bytes.length)
    throw new BywayError('MESSAGE_MALFORMED', 'a message ends in the middle of a field', { facts: { at: reader.at, length } })
  const bytes = reader.bytes.subarray(reader.at, end)
  reader.at = end
  return bytes
}

const numberOf = (length: 1 | 2 | 4): Codec<number> => ({
  write: (parts, value) => parts.push(uint(BigInt(value), length)),
  read: (reader) => Number(readUint(take(reader, length))),
})
const bigintOf = (length: number): Codec<bigint> => ({
  write: (parts, value) => parts.push(uint(value, length)),
  read: (reader) => readUint(take(reader, length)),
})

export const u8 = numberOf(1)
export const u16 = numberOf(2)
export const u32 = numberOf(4)
export const u64 = bigintOf(8)
export const u96 = bigintOf(12)
export const u128 = bigintOf(16)

/** Exactly `length` bytes, as hex. */
export const hex = (length: number): Codec<Hex> => ({
  write: (parts, value) => parts.push(fromHex(value, length)),
  read: (reader) => toHex(take(reader, length)),
})

/** UTF-8 of at most `limit` bytes (up to 65,535), after its length in two bytes. */
export const text = (limit: number): Codec<string> => ({
  write(parts, value) {
    const bytes = Buffer.from(value)
    if (bytes.length > limit)
      throw new BywayError('MESSAGE_TOO_LARGE', `text longer than ${limit} bytes`, { facts: { length: bytes.length } })
    u16.write(parts, bytes.length)
    parts.push(bytes)
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
  write(parts, value) {
    if (value.length > limit) throw new BywayError('MESSAGE_TOO_LARGE', `more than ${limit} bytes`, { facts: { length: value.length } })
    u16.write(parts, value.length)
    parts.push(value)
  },
  read(reader) {
    const length = u16.read(reader)
    if (length > limit) throw new BywayError('MESSAGE_TOO_LARGE', `more than ${limit} bytes`, { facts: { length } })
    return take(reader, length)
  },
})

/** At most `limit` items (up to 255), after their count in one byte. */
export const list = <T>(item: Codec<T>, limit: number): Codec<T[]> => ({
  write(parts, values) {
    if (values.length > limit) throw new BywayError('MESSAGE_TOO_LARGE', `more than ${limit} items`, { facts: { items: values.length } })
    u8.write(parts, values.length)
    for (const value of values) item.write(parts, value)
  },
  read(reader) {
    const length = u8.read(reader)
    if (length > limit) throw new BywayError('MESSAGE_TOO_LARGE', `more than ${limit} items`, { facts: { items: length } })
    return Array.from({ length }, () => item.read(reader))
  },
})

/** One byte 0 (absent) or 1, then the value. */
export const optional = <T>(item: Codec<T>): Codec<T | undefined> => ({
  write(parts, value) {
    u8.write(parts, value === undefined ? 0 : 1)
    if (value !== undefined) item.write(parts, value)
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
    write(parts, value) {
      for (const [name, codec] of entries) codec.write(parts, (value as Record<string, unknown>)[name])
    },
    read(reader) {
      const value: Record<string, unknown> = {}
      for (const [name, codec] of entries) value[name] = codec.read(reader)
      return value as StructOf<F>
    },
  }
}

export function encode<T>(codec: Codec<T>, value: T): Uint8Array {
  const parts: Uint8Array[] = []
  codec.write(parts, value)
  return Buffer.concat(parts)
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
