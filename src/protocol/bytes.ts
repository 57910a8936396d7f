/** Bytes and hex: the few conversions the protocol needs, with lengths checked where they matter. */
import { createHash, hash } from 'node:crypto'
import { BywayError } from './errors.ts'

/** `0x` and lower-case hex digits. */
export type Hex = `0x${string}`

/** Ethereum's keccak-256 by the OpenSSL inside Node; asked for as hex because a Buffer result costs three times the hash itself. */
export function keccak(bytes: Uint8Array): Hex {
  return `0x${hash('keccak-256', bytes, 'hex')}`
}

export function hashBytes(bytes: Uint8Array): Uint8Array {
  return Buffer.from(hash('keccak-256', bytes, 'hex'), 'hex')
}

export function sha256(...parts: readonly Uint8Array[]): Buffer {
  const sum = createHash('sha256')
  for (const part of parts) sum.update(part)
  return sum.digest()
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(parts)
}

export function toHex(bytes: Uint8Array): Hex {
  return `0x${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')}`
}

/** Bytes of a hex string of exactly `length` bytes; anything else is MESSAGE_MALFORMED. */
export function fromHex(text: string, length: number): Uint8Array {
  if (text.length !== 2 + length * 2 || !/^0x[0-9a-fA-F]*$/.test(text)) {
    throw new BywayError('MESSAGE_MALFORMED', `expected ${length} bytes of hex`, { facts: { length: text.length } })
  }
  return Buffer.from(text.slice(2), 'hex')
}

/** Big-endian unsigned integer in exactly `length` bytes; out of range is MESSAGE_MALFORMED. */
export function uint(value: bigint, length: number): Uint8Array {
  mustFit(value, length)
  return Buffer.from(value.toString(16).padStart(length * 2, '0'), 'hex')
}

/** Throws MESSAGE_MALFORMED when it is no unsigned integer of `length` bytes. */
export function mustFit(value: bigint, length: number): void {
  if (value < 0n || value >> BigInt(length * 8) !== 0n) {
    throw new BywayError('MESSAGE_MALFORMED', `number does not fit ${length} bytes`, { facts: { value } })
  }
}
