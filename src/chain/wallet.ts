/** Who signs and pays for transactions: an address and a way to sign, so that keys never enter this room. */

import type { Hex } from '../protocol/bytes.ts'
import { addressOf, signDigest } from '../protocol/voucher.ts'

export interface Wallet {
  readonly address: Hex
  /** Signs a 32-byte digest: 64 bytes r | vs (EIP-2098). */
  sign(digest: Uint8Array): Hex
}

/** The key stays inside the closure: printing a wallet shows its address only. */
export function walletFromKey(privateKey: Uint8Array): Wallet {
  const key = Uint8Array.from(privateKey)
  return { address: addressOf(key), sign: (digest) => signDigest(digest, key) }
}

/** r | vs taken apart for encodings that want r, s and v. */
export function splitSignature(signature: Hex): { r: Hex; vs: Hex; s: Hex; yParity: 0 | 1 } {
  const r: Hex = `0x${signature.slice(2, 66)}`
  const vs: Hex = `0x${signature.slice(66)}`
  const high = BigInt(vs)
  const s = high & ((1n << 255n) - 1n)
  return { r, vs, s: `0x${s.toString(16).padStart(64, '0')}`, yParity: high >> 255n === 1n ? 1 : 0 }
}
