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
/** Kinds of line in the order of their number on the wire. */
export const LINES = ['unstated', 'residential', 'hosting', 'mobile'] as const
export type Line = (typeof LINES)[number]
/** A sequence is the time at which its offer was made, in milliseconds: one from further ahead would silence its node for as long. */
const AHEAD_LIMIT_S = 600
/** Nobody's word is kept for longer without being renewed. */
const LIFE_LIMIT_S = 7 * 86_400

/**
 * How a node is reached; `pin` is the SHA-256 of the SubjectPublicKeyInfo its TLS key shows. Kind `tls`: it is dialled at host and port. Kind
 * `relay`: it is called through the node whose key `host` names, in hex; that node's own offer says where it is and what it asks; `port` is 0.
 */
const transport = struct({ kind: text(16), host: text(255), port: u16, pin: hex(32) })

/** A part of the price that has a reason of its own, such as `latency` or `scarcity`. */
const premium = struct({ name: text(16), perGib: u96 })

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
  /** 1: other nodes may keep reservations here and be called through this one. */
  relay: u8,
  region: text(32),
  city: text(32),
  line: u8,
  mbps: u32,
  premiums: list(premium, 4),
})
const signed = struct({ body, signature: hex(64) })

export type Transport = Infer<typeof transport>
export type Premium = Infer<typeof premium>
/**
 * Times are Unix seconds; `pricePerGib` is in units and all there is to pay, the premiums included; `mbps` is what the line is said to carry. An
 * `asn` or `mbps` of 0, and a region or city without letters, is not stated. `region` is a part of the country.
 */
export type Offer = Infer<typeof body>
/** Where and what a line is, for who does not say. */
export const UNSTATED = { asn: 0, region: '', city: '', line: 0, mbps: 0, premiums: [] } satisfies Partial<Offer>
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

/** Whether other nodes can be called through this one. */
export const isRelay = ({ body: { relay, transports } }: SignedOffer): boolean =>
  relay === 1 && transports.some(({ kind }) => kind === 'tls')

/** The way to a tucked node through the relay with this key. */
export const relayTransport = (relayKey: Hex, pin: Hex): Transport => ({ kind: 'relay', host: relayKey.slice(2), port: 0, pin })

/** Keys of the relays a node can be called through. */
export function relaysOf({ body }: SignedOffer): Hex[] {
  const named = body.transports.filter(({ kind, host }) => kind === 'relay' && /^[0-9a-f]{64}$/.test(host))
  return named.map(({ host }) => `0x${host}` as Hex)
}

/** An offer in bytes that were read and verified before. */
export const decodeOffer = (verified: Uint8Array): SignedOffer => decode(signed, verified)

/** The part of the price that is no premium. */
export const basePrice = ({ pricePerGib, premiums }: Offer): bigint => premiums.reduce((rest, { perGib }) => rest - perGib, pricePerGib)

/** Reads and verifies an offer. Throws OFFER_MALFORMED, OFFER_SIGNATURE, OFFER_FUTURE or OFFER_EXPIRED; nothing of a bad offer is returned. */
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
  if (terms.expiresAt > terms.issuedAt + BigInt(LIFE_LIMIT_S)) throw malformed('the offer would last longer than a week')
  if (LINES[terms.line] === undefined) throw malformed('the kind of line is unknown', { line: terms.line })
  if (![terms.region, terms.city].every((name) => /^[a-z0-9_.]*$/.test(name)))
    throw malformed('region and city are of a to z, digits, _ and .')
  if (!terms.premiums.every(({ name }) => /^[a-z]+$/.test(name)) || basePrice(terms) < 0n)
    throw malformed('the premiums are no part of the price')
  const key = createPublicKey({ key: Buffer.concat([ED25519_SPKI, fromHex(terms.nodeKey, 32)]), format: 'der', type: 'spki' })
  if (!verify(null, message(terms), key, fromHex(offer.signature, 64))) {
    throw new BywayError('OFFER_SIGNATURE', 'the offer is not signed by the node key it names', { facts: { nodeKey: terms.nodeKey } })
  }
  const latest = BigInt(nowS + AHEAD_LIMIT_S)
  if (terms.issuedAt > latest || terms.sequence > latest * 1000n) {
    throw new BywayError('OFFER_FUTURE', 'the offer comes from the future', {
      facts: { nodeKey: terms.nodeKey, issuedAt: terms.issuedAt, sequence: terms.sequence },
      hint: 'One of the two clocks is wrong by more than ten minutes.',
    })
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
