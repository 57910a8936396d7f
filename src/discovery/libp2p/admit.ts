/** Which offers of strangers are let in at all, besides being signed and current: none that makes others knock at private addresses. */
import { isIP } from 'node:net'
import { BywayError } from '../../protocol/errors.ts'
import { readOffer, type SignedOffer } from '../../protocol/offer.ts'

export function admission(mayDial: (ip: string) => boolean, nowS: () => number): (bytes: Uint8Array) => SignedOffer {
  return (bytes) => {
    const offer = readOffer(bytes, nowS())
    if (offer.body.transports.some(({ host }) => isIP(host) !== 0 && !mayDial(host))) {
      throw new BywayError('OFFER_MALFORMED', 'the offer names an address that is not public', { facts: { nodeKey: offer.body.nodeKey } })
    }
    return offer
  }
}
