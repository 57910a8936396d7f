/**
 * Which nodes may serve on one route: of different owners and in different networks, so that no single one of them sees both ends.
 *
 * Owners are told apart by their keys and wallets, networks by the /24 (IPv6: /48) of their address and by their ASN where it is stated. A claim is
 * all there is to go by, so this keeps out the careless, not the determined.
 */
import { isIP } from 'node:net'
import { utility } from '../economy/utility.ts'
import type { SignedOffer } from '../protocol/offer.ts'
import { ownersNetwork } from '../tunnel/egress/address.ts'

/** Whether both may be on one route. */
export function independent(a: SignedOffer, b: SignedOffer): boolean {
  if (a.body.nodeKey === b.body.nodeKey || a.body.payee === b.body.payee) return false
  if (a.body.asn !== 0 && a.body.asn === b.body.asn) return false
  const networks = new Set(networksOf(a))
  return !networksOf(b).some((network) => networks.has(network))
}

/** Points an offer loses for what it has in common with exits in use, itself left out. */
export function sharedWith(offer: SignedOffer, others: readonly SignedOffer[]): number {
  const networks = new Set(networksOf(offer))
  const shared = { latencyMs: 0, sharedOwner: 0, sharedNetwork: 0, sharedAsn: 0 }
  for (const other of others) {
    if (other.body.nodeKey === offer.body.nodeKey) continue
    if (other.body.payee === offer.body.payee) shared.sharedOwner++
    else if (networksOf(other).some((network) => networks.has(network))) shared.sharedNetwork++
    else if (offer.body.asn !== 0 && other.body.asn === offer.body.asn) shared.sharedAsn++
  }
  return -utility(0, shared)
}

/** Networks of the addresses an offer names. A name belongs to whoever owns it; what it resolves to is not known here. */
function networksOf({ body }: SignedOffer): string[] {
  // An exchange on one machine has no other networks: there everybody is independent.
  return body.transports.flatMap(({ host }) => (isIP(host) === 0 ? host.toLowerCase() : (ownersNetwork(host) ?? [])))
}
