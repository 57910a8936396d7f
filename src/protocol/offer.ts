/**
 * Offers: what a provider sells, signed with its node key.
 *
 * An offer is verified before anything is stored or believed: size, signature, expiry. It pins the TLS key of each address, so a consumer
 * needs no certificate authority. As text (files, arguments) it is `byway-offer:` and base64url. Spec: docs/protocol.md#offer.
 */
import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto'
import { concat, fromHex, type Hex, toHex } from './bytes.ts'
import { decode, encode, hex, type Infer, list, struct, text, u8, u16, u32, u64, u96 } from './codec.ts'
import { BywayError } from './errors.ts'

// --- Fixed by docs/protocol.md. Changing one breaks peers. ---
/** Larger offers are refused unread: a directory holds a million of them. */
export const MAX_OFFER_BYTES = 16_384
const OFFER_TAG = Buffer.from('byway offer v1\0')
const TEXT_PREFIX = 'byway-offer:'
/** Policy tiers in the order of their number on the wire. */
export const TIERS = ['basic', 'standard', 'open'] as const
export type Tier = (typeof TIERS)[number]

/** How a node is reached. `pin` is the SHA-256 of the SubjectPublicKeyInfo its TLS key shows. */
const transport = struct({ kind: text(16), host: text(255), port: u16, pin: hex(32) })

const body = struct({
  version: u16,
  nodeKey: hex(32),
  payee: hex(20),
  chainId: u64,
  channels: hex(20),
  sequence: u64,
  issuedAt: u64,
  expiresAt: u64,
  country: text(2),
  asn: u32,
  transports: list(transport, 8),
  pricePerGib: u96,
  tier: u8,
  policyHash: hex(32),
})
const signed = struct({ body, signature: hex(64) })

export type Transport = Infer<typeof transport>
/** Times are Unix seconds; `pricePerGib` is in units; `asn` 0 means not stated. */
export type Offer = Infer<typeof body>
export type SignedOffer = Infer<typeof signed>

/** Ed25519 SubjectPublicKeyInfo without its 32 key bytes (RFC 8410). */
const ED25519_SPKI = Buffer.from('302a300506032b6570032100', 'hex')

const message = (offer: Offer) => concat(OFFER_TAG, encode(body, offer))

/** `nodeKey` is the Ed25519 private key whose public half the offer names. */
export function signOffer(offer: Offer, nodeKey: KeyObject): SignedOffer {
  return { body: offer, signature: toHex(sign(null, message(offer), nodeKey)) }
}

export function encodeOffer(offer: SignedOffer): Uint8Array {
  return encode(signed, offer)
}

export function offerText(offer: SignedOffer): string {
  return TEXT_PREFIX + Buffer.from(encodeOffer(offer)).toString('base64url')
}

/** Reads and verifies an offer. Throws OFFER_MALFORMED, OFFER_SIGNATURE or OFFER_EXPIRED; nothing of a bad offer is returned. */
export function readOffer(bytes: Uint8Array, nowS: number): SignedOffer {
  if (bytes.length > MAX_OFFER_BYTES) throw malformed('the offer is larger than 16 KiB', { bytes: bytes.length })
  let offer: SignedOffer
  try {
    offer = decode(signed, bytes)
  } catch (cause) {
    throw new BywayError('OFFER_MALFORMED', 'the bytes are no offer', { cause })
  }
  const { body: terms } = offer
  if (terms.version !== 1) throw malformed('the offer has another version', { version: terms.version })
  if (!/^[a-z]{2}$/.test(terms.country)) throw malformed('the country is not two lower-case letters')
  if (terms.transports.length === 0) throw malformed('the offer names no address')
  if (TIERS[terms.tier] === undefined) throw malformed('the policy tier is unknown', { tier: terms.tier })
  const key = createPublicKey({ key: Buffer.concat([ED25519_SPKI, fromHex(terms.nodeKey, 32)]), format: 'der', type: 'spki' })
  if (!verify(null, message(terms), key, fromHex(offer.signature, 64))) {
    throw new BywayError('OFFER_SIGNATURE', 'the offer is not signed by the node key it names', { facts: { nodeKey: terms.nodeKey } })
  }
  if (terms.expiresAt <= BigInt(nowS)) {
    throw new BywayError('OFFER_EXPIRED', 'the offer has expired', { facts: { nodeKey: terms.nodeKey, expiresAt: terms.expiresAt } })
  }
  return offer
}

export function readOfferText(line: string, nowS: number): SignedOffer {
  const encoded = line.trim()
  if (!encoded.startsWith(TEXT_PREFIX)) throw malformed(`an offer starts with ${TEXT_PREFIX}`)
  const data = encoded.slice(TEXT_PREFIX.length)
  if (data.length > (MAX_OFFER_BYTES * 4) / 3 + 4) throw malformed('the offer is larger than 16 KiB', { characters: data.length })
  if (!/^[A-Za-z0-9_-]+$/.test(data)) throw malformed('the offer is not base64url')
  return readOffer(Buffer.from(data, 'base64url'), nowS)
}

function malformed(why: string, facts?: Record<string, number>): BywayError {
  return new BywayError('OFFER_MALFORMED', why, facts === undefined ? {} : { facts })
}

/** First characters of a node key: enough for people to tell nodes apart. */
export function shortKey(nodeKey: Hex): string {
  return nodeKey.slice(2, 12)
}
