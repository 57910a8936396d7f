/**
 * The addresses of this machine and the networks it stands in, so that an exit never connects to its own owner.
 *
 * Interfaces come and go (Wi-Fi, VPN, DHCP), so the list is read again every few seconds while flows are dialled.
 */
import { networkInterfaces } from 'node:os'
import { type Cidr, parseCidr } from './address.ts'

/** A new address is noticed within this time; reading the list takes tens of microseconds, too much for every flow. */
const REFRESH_MS = 5_000
/** An interface may claim a network so wide that it is the internet itself (a /0 on a tunnel); wider than this, only its address counts. */
const WIDEST_NETWORK = { 4: 16, 6: 48 } as const

/** `extra`: addresses no interface shows, such as the public one in front of a NAT. */
export function ownNetworks(extra: () => readonly string[], nowMs: () => number): () => readonly Cidr[] {
  let known: readonly Cidr[] = []
  let readAtMs = Number.NEGATIVE_INFINITY
  return () => {
    if (nowMs() - readAtMs >= REFRESH_MS) {
      readAtMs = nowMs()
      known = [...interfaceNetworks(), ...extra().map(parseCidr)]
    }
    return known
  }
}

function interfaceNetworks(): Cidr[] {
  const addresses = Object.values(networkInterfaces()).flatMap((entries) => entries ?? [])
  return addresses.flatMap(({ address, cidr }) => {
    const host = parseCidr(withoutZone(address))
    const network = parseCidr(withoutZone(cidr ?? address))
    return network.prefix >= WIDEST_NETWORK[network.family] ? [host, network] : [host]
  })
}

/** Some systems append the interface to a link-local address: `fe80::1%en0`. */
const withoutZone = (text: string) => text.replace(/%[^/]*/, '')
