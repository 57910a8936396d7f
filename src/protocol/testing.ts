/** What tests of several rooms need of the protocol: nodes that can sign offers. */
import { generateKeyPairSync } from 'node:crypto'
import { type Hex, toHex } from './bytes.ts'
import { type Offer, type SignedOffer, signOffer, UNSTATED } from './offer.ts'

/** Unix seconds at which the offers below are issued; they last an hour. */
export const OFFERED_AT_S = 1_800_000_000

/** A node that can sign offers. */
export function offeringNode(): { nodeKey: Hex; offer(changes?: Partial<Offer>): SignedOffer } {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const nodeKey = toHex(publicKey.export({ format: 'der', type: 'spki' }).subarray(-32))
  const plain: Offer = {
    version: 1,
    nodeKey,
    payee: `0x${'11'.repeat(20)}`,
    chainId: 31_337n,
    channels: `0x${'22'.repeat(20)}`,
    sequence: 1n,
    issuedAt: BigInt(OFFERED_AT_S),
    expiresAt: BigInt(OFFERED_AT_S + 3600),
    ...UNSTATED,
    country: 'de',
    transports: [{ kind: 'tls', host: '127.0.0.1', port: 4433, pin: `0x${'33'.repeat(32)}` }],
    pricePerGib: 100_000n,
    tier: 1,
    policyHash: `0x${'44'.repeat(32)}`,
    relay: 0,
  }
  return { nodeKey, offer: (changes = {}) => signOffer({ ...plain, ...changes }, privateKey) }
}
