/** Offers of nodes that do not exist. */
import type { Hex } from '../../src/protocol/bytes.ts'
import type { SignedOffer } from '../../src/protocol/offer.ts'
import { type dice, SIMULATED } from './simulated-chain.ts'

/** What a node might offer. The recorder takes offers that discovery has verified, so nothing is signed here. */
export function simulatedOffer(nodeKey: Hex, payee: Hex, nowS: number, random: ReturnType<typeof dice>): SignedOffer {
  const hex32: Hex = `0x${'00'.repeat(32)}`
  return {
    body: {
      version: 1,
      nodeKey,
      payee,
      chainId: 31_337n,
      channels: SIMULATED.channels!,
      sequence: BigInt(nowS),
      issuedAt: BigInt(nowS - random.below(600)),
      expiresAt: BigInt(nowS + 86_400),
      country: random.pick(['de', 'jp', 'us', 'br']),
      asn: random.below(3) * 64_500,
      transports: [{ kind: random.pick(['tls', 'relay']), host: 'node.example', port: 443, pin: hex32 }],
      pricePerGib: BigInt(100_000 + random.below(9) * 50_000),
      tier: random.below(3),
      policyHash: hex32,
      relay: random.below(2),
      region: random.pick(['', 'bavaria']),
      city: random.pick(['', 'munich']),
      line: random.below(4),
      mbps: random.below(3) * 100,
      premiums: [],
    },
    signature: `0x${'00'.repeat(64)}`,
  }
}
