/** Makes identities and writes the offer of each: `node identities.ts COUNT`, to standard output, each record after its length in two bytes. */
import type { Hex } from '../../src/protocol/bytes.ts'
import { encodeOffer } from '../../src/protocol/offer.ts'
import { OFFERED_AT_S, offeringNode } from '../../src/protocol/testing.ts'

export const NOW_S = OFFERED_AT_S
export const DOMAIN = { chainId: 31_337, channels: `0x${'22'.repeat(20)}` as Hex }

if (import.meta.main) {
  const BATCH = 500
  for (let left = Number(process.argv[2]); left > 0; left -= BATCH) {
    const parts: Uint8Array[] = []
    for (let made = 0; made < Math.min(BATCH, left); made++) {
      // As long as real ones are, and of different lengths.
      const record = encodeOffer(offeringNode().offer({ city: 'x'.repeat((left + made) % 33) }))
      parts.push(Buffer.from([record.length >> 8, record.length & 0xff]), record)
    }
    if (!process.stdout.write(Buffer.concat(parts))) await new Promise((resolve) => process.stdout.once('drain', resolve))
  }
}
