/**
 * Addresses of peers, as libp2p writes them and as we take them: an IP address and a TCP port, and nothing else.
 *
 * A name would be resolved for whoever invented it, a relayed address would carry others' traffic, and a private one would make us knock at
 * machines of our own network.
 */
import { BlockList, isIP } from 'node:net'

export interface Endpoint {
  host: string
  port: number
}

/** Ranges in CIDR notation that are never dialled, and those that are all the same. */
export interface Reachable {
  blocked: readonly string[]
  allowed: readonly string[]
}

const MULTIADDR = /^\/(ip4|ip6)\/([0-9a-fA-F.:]{2,45})\/tcp\/(\d{1,5})(?:\/p2p\/[A-Za-z0-9]{1,64})?$/

/** Host and port of a multiaddr of ours; undefined for any other. */
export function endpointOf(multiaddr: string): Endpoint | undefined {
  const [, kind, host = '', port = ''] = MULTIADDR.exec(multiaddr) ?? []
  if (isIP(host) !== (kind === 'ip4' ? 4 : 6) || Number(port) < 1 || Number(port) > 65_535) return undefined
  return { host, port: Number(port) }
}

export const multiaddrOf = ({ host, port }: Endpoint, peer?: string): string =>
  `/${isIP(host) === 6 ? 'ip6' : 'ip4'}/${host}/tcp/${port}${peer === undefined ? '' : `/p2p/${peer}`}`

/** Whether an address may be dialled and passed on. */
export function reachableBy({ blocked, allowed }: Reachable): (ip: string) => boolean {
  const [no, yes] = [listsOf(blocked), listsOf(allowed)]
  return (ip) => {
    const family = isIP(ip)
    if (family === 0) return false
    const kind = family === 4 ? 'ipv4' : 'ipv6'
    return yes[kind].check(ip, kind) || !no[kind].check(ip, kind)
  }
}

/** One for each family: a list of both takes an IPv4 address for its form in IPv6, which is in a blocked range. */
function listsOf(ranges: readonly string[]): Record<'ipv4' | 'ipv6', BlockList> {
  const lists = { ipv4: new BlockList(), ipv6: new BlockList() }
  for (const range of ranges) {
    const [base = '', prefix] = range.split('/')
    const kind = isIP(base) === 6 ? 'ipv6' : 'ipv4'
    lists[kind].addSubnet(base, prefix === undefined ? (kind === 'ipv6' ? 128 : 32) : Number(prefix), kind)
  }
  return lists
}

/** `host:port`, `[v6]:port`; undefined for anything else. */
export function parseEndpoint(text: string): Endpoint | undefined {
  const [, inner, plain = '', port = ''] = /^(?:\[([0-9a-fA-F:.]{2,45})\]|([a-zA-Z0-9.-]{1,253})):(\d{1,5})$/.exec(text) ?? []
  const host = inner ?? plain
  const known = inner === undefined ? host !== '' : isIP(host) === 6
  return known && Number(port) >= 1 && Number(port) <= 65_535 ? { host, port: Number(port) } : undefined
}
