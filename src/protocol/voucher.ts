/**
 * Roots, channels and vouchers: what a payer signs and what the contract can check.
 *
 * A voucher is cumulative: its amount is its own counter. What is signed is a function of (channel, amount) alone, and signing is
 * deterministic (RFC 6979), so two different vouchers with one counter cannot exist.
 * Same bytes as contracts/src/Channels.sol; test/vectors/fanout.json holds both to it. Spec: docs/protocol.md#voucher.
 */
import secp256k1 from 'secp256k1'
import { concat, fromHex, type Hex, hashBytes, keccak, toHex, uint } from './bytes.ts'

// --- Fixed by docs/protocol.md and the contract. ---
export const DOMAIN_NAME = 'Byway Channels'
export const DOMAIN_VERSION = '1'
const DOMAIN_TYPE = 'EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)'
const VOUCHER_TYPE = 'Voucher(bytes32 rootId,uint32 index,address payee,uint96 cumulative)'

/** Everything a root commits to; its hash is the root's name on chain. */
export interface Descriptor {
  payer: Hex
  /** Session key that signs vouchers, one per root. */
  signer: Hex
  root: Hex
  /** Units escrowed: the sum of all caps. */
  sum: bigint
  /** Unix seconds. Claims stay valid until the payer closes, which it can only do at expiry + grace. */
  expiry: number
  depth: number
  nonce: bigint
}

/** Names a channel. */
export interface ChannelRef {
  rootId: Hex
  index: number
}

export interface Voucher extends ChannelRef {
  payee: Hex
  /** Total units ever promised on this channel. */
  cumulative: bigint
  /** r | vs (EIP-2098), 64 bytes. */
  signature: Hex
}

/** Where vouchers are valid. */
export interface Domain {
  chainId: number
  /** The Channels contract. */
  channels: Hex
}

const text = (s: string) => hashBytes(Buffer.from(s))
const DOMAIN_HEAD = concat(text(DOMAIN_TYPE), text(DOMAIN_NAME), text(DOMAIN_VERSION))
const VOUCHER_TYPE_HASH = text(VOUCHER_TYPE)

export function domainSeparator(domain: Domain): Uint8Array {
  return hashBytes(concat(DOMAIN_HEAD, uint(BigInt(domain.chainId), 32), uint(BigInt(domain.channels), 32)))
}

/** The EIP-712 digest a voucher's signature covers. `separator` comes from {@link domainSeparator}, computed once per chain. */
export function voucherDigest(separator: Uint8Array, voucher: Omit<Voucher, 'signature'>): Uint8Array {
  const struct = hashBytes(
    concat(
      VOUCHER_TYPE_HASH,
      fromHex(voucher.rootId, 32),
      uint(BigInt(voucher.index), 32),
      uint(BigInt(voucher.payee), 32),
      uint(voucher.cumulative, 32),
    ),
  )
  return hashBytes(concat(DIGEST_PREFIX, separator, struct))
}
const DIGEST_PREFIX = new Uint8Array([0x19, 0x01])

/** Signs a 32-byte digest; 64 bytes r | vs, low s (EIP-2098). */
export function signDigest(digest: Uint8Array, privateKey: Uint8Array): Hex {
  const { signature, recid } = secp256k1.ecdsaSign(digest, privateKey)
  const compact = Buffer.from(signature)
  // The top bit of s is free because libsecp256k1 always returns the low s; EIP-2098 keeps the recovery bit there.
  if (recid & 1) compact[32] = compact[32]! | 0x80
  return toHex(compact)
}

/** Address that signed the digest, or undefined when the signature is no valid one. */
export function recoverSigner(digest: Uint8Array, signature: Hex): Hex | undefined {
  const compact = Buffer.from(fromHex(signature, 64))
  const recid = compact[32]! >> 7
  compact[32] = compact[32]! & 0x7f
  // A high s would be a second signature for the same voucher; the contract refuses it, so nobody may accept it off chain.
  if (compact.compare(HALF_ORDER, 0, 32, 32, 64) > 0) return undefined
  try {
    return addressOf(secp256k1.ecdsaRecover(compact, recid, digest, false))
  } catch {
    return undefined // libsecp256k1 throws for r or s out of range and for points that do not exist: no valid signature
  }
}
/** Half the group order: the largest s a signature may have. */
const HALF_ORDER = Buffer.from('7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0', 'hex')

/** Address of an uncompressed public key (65 bytes) or of a private key (32 bytes). */
export function addressOf(key: Uint8Array): Hex {
  const publicKey = key.length === 32 ? secp256k1.publicKeyCreate(key, false) : key
  return toHex(hashBytes(publicKey.subarray(1)).subarray(12))
}

/** Name of a root on chain: keccak256 of the descriptor, each field in a 32-byte word as abi.encode lays it out. */
export function rootIdOf(descriptor: Descriptor): Hex {
  return keccak(
    concat(
      uint(BigInt(descriptor.payer), 32),
      uint(BigInt(descriptor.signer), 32),
      fromHex(descriptor.root, 32),
      uint(descriptor.sum, 32),
      uint(BigInt(descriptor.expiry), 32),
      uint(BigInt(descriptor.depth), 32),
      uint(descriptor.nonce, 32),
    ),
  )
}

const SESSION_TAG = Buffer.from('byway session v1\0')

/**
 * What the session key signs to open a session: it is here, on this TLS connection. `exporter` is 32 bytes of RFC 5705 keying material
 * under {@link EXPORTER_LABEL}, so the signature is worth nothing on any other connection.
 */
export function sessionDigest(exporter: Uint8Array, rootId: Hex, index: number): Uint8Array {
  return hashBytes(concat(SESSION_TAG, exporter, fromHex(rootId, 32), uint(BigInt(index), 4)))
}
