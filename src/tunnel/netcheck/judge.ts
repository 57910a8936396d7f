/** What measurements of a network mean: a line for each check, with a code and the fix where something is in the way. Pure. */

import type { ErrorCode } from '../../protocol/errors.ts'
import { blockedReason, parseCidr } from '../egress/address.ts'
import { median } from './median.ts'

/** `note`: things work, but worse than they could. */
export interface Finding {
  check: string
  level: 'ok' | 'note' | 'fault'
  detail: string
  code?: ErrorCode
  fix?: string
}

/** Another node, visited as a browser would. */
export interface NodeSeen {
  name: string
  /** `silent`: no connection. `stalled`: a connection, but its larger packets were not answered. */
  outcome: 'answered' | 'refused' | 'silent' | 'stalled'
  /** One round trip: of the TCP handshake. */
  roundTripMs?: number
  /** How far its clock is ahead of ours, to the second. */
  aheadS?: number
  /** Our own address towards it. */
  localAddress?: string
}

export interface Measured {
  nodes: readonly NodeSeen[]
  /** From one local port, as several relays saw it. */
  mapping: { local: { address: string; port: number }; seen: readonly { address: string; port: number }[] } | undefined
  /** The router's outer address, as it says itself; 'private' when it says that it has none. */
  router: string | undefined
  /** How a running provider is reached, by its own account. */
  reach: 'open' | 'mapped' | 'tucked' | 'unknown' | undefined
  /** Of the interface packets leave by. */
  mtu: { name: string; bytes: number } | undefined
  /** How far the newest block's time is ahead of ours. */
  chainAheadS: number | undefined
  names: { answered: boolean; ms: number } | undefined
  /** An association through the running proxy; undefined without one. */
  association: { ok: true; ms: number } | { ok: false; why: string } | undefined
  /** Through TLS on this machine alone. */
  bitsPerSecond: number | undefined
}

/** Vouchers and offers are valid for hours; certificates and proofs tolerate less, and a clock that is off this far goes on drifting. */
const CLOCK_SLACK_S = 60
/** A block's time may lie a little in the future of whoever made it; when nobody trades it may be old, so it tells only one way. */
const CHAIN_SLACK_S = 3_600
/** Beyond this every page is slow, whatever the bandwidth. */
const FAR_MS = 250
/** Half a home line of today; less than this the machine is the bottleneck, not the line. */
const SLOW_BITS = 100_000_000
/** IPv6 requires this much of every link. */
const LEAST_MTU = 1_280

const CARRIER_RANGE = parseCidr('100.64.0.0/10')

const FIXES = {
  NETWORK_CLOCK: 'Set this machine’s clock, and let the system keep it (NTP).',
  NETWORK_MTU: 'Lower the MTU of your interface or VPN to 1280, or let your router clamp the MSS of TCP.',
  NETWORK_NAT: 'Nothing: relays are used. A router with endpoint-independent NAT, or IPv6, would allow more.',
  NETWORK_CARRIER_NAT: 'Ask your provider for a public IPv4 address or for IPv6; until then relays make you reachable.',
  NETWORK_TUCKED: 'To be reached directly, forward the port in your router or switch UPnP or PCP on there.',
  NETWORK_UNREACHED: 'Forward the port in your router, or wait until a relay is known.',
  NETWORK_DNS: 'Check the name servers of this machine (/etc/resolv.conf): a provider resolves names for its guests.',
  NETWORK_UDP: 'Choose providers that carry datagrams, or let applications fall back to TCP; most do by themselves.',
  NETWORK_SLOW: 'Close other programs, or use a faster machine: encryption alone keeps this one busy.',
  NETWORK_FAR: 'Use nodes nearer to you, for instance by country.',
  PROVIDER_UNREACHABLE: 'No node accepts a connection: check your line and firewall, or whether the exchange is running.',
} as const satisfies { [code in ErrorCode]?: string }

const fine = (check: string, detail: string): Finding => ({ check, level: 'ok', detail })
const bad = (level: 'note' | 'fault', check: string, code: keyof typeof FIXES, detail: string): Finding => ({
  check,
  level,
  detail,
  code,
  fix: FIXES[code],
})

/** One finding for each thing that was measured, in the order a person would look. */
export function judge(measured: Measured): Finding[] {
  const { nodes, mapping, router, reach, mtu, chainAheadS, names, association, bitsPerSecond } = measured
  return [
    ...(nodes.length === 0 ? [] : [judgeNodes(nodes), ...judgeLatency(nodes), ...judgePackets(nodes, mtu)]),
    ...judgeClock(nodes, chainAheadS),
    ...(mapping === undefined ? [] : [judgeMapping(mapping)]),
    ...judgeCarrier(mapping, router),
    ...(reach === undefined ? [] : [judgeReach(reach)]),
    ...(names === undefined ? [] : [judgeNames(names)]),
    ...(association === undefined ? [] : [judgeAssociation(association)]),
    ...(bitsPerSecond === undefined ? [] : [judgeThroughput(bitsPerSecond)]),
  ]
}

const answering = (nodes: readonly NodeSeen[]) => nodes.filter(({ outcome }) => outcome === 'answered')

function judgeNodes(nodes: readonly NodeSeen[]): Finding {
  const good = answering(nodes).length
  const detail = `${good} of ${nodes.length} nodes answer`
  return good > 0 ? fine('nodes', detail) : bad('fault', 'nodes', 'PROVIDER_UNREACHABLE', detail)
}

function judgeLatency(nodes: readonly NodeSeen[]): Finding[] {
  const times = answering(nodes).flatMap(({ name, roundTripMs }) => (roundTripMs === undefined ? [] : [{ name, roundTripMs }]))
  const nearest = times.toSorted((a, b) => a.roundTripMs - b.roundTripMs)[0]
  if (nearest === undefined) return []
  const middle = median(times.map(({ roundTripMs }) => roundTripMs))
  const detail = `nearest ${nearest.name} in ${nearest.roundTripMs.toFixed(1)} ms, half of them within ${middle.toFixed(1)} ms`
  return [nearest.roundTripMs <= FAR_MS ? fine('latency', detail) : bad('note', 'latency', 'NETWORK_FAR', detail)]
}

function judgePackets(nodes: readonly NodeSeen[], mtu: Measured['mtu']): Finding[] {
  const stalled = nodes.filter(({ outcome }) => outcome === 'stalled').length
  const interfaceText = mtu === undefined ? '' : `${mtu.name} takes ${mtu.bytes} bytes; `
  if (answering(nodes).length === 0 && stalled === 0) return []
  // One node that stalls may be broken itself; when all do, what they have in common is here.
  if (stalled > 0 && answering(nodes).length === 0) {
    return [bad('fault', 'packets', 'NETWORK_MTU', `${interfaceText}small packets pass and larger ones vanish`)]
  }
  if (mtu !== undefined && mtu.bytes < LEAST_MTU) return [bad('note', 'packets', 'NETWORK_MTU', `${interfaceText}IPv6 needs ${LEAST_MTU}`)]
  return [fine('packets', `${interfaceText}packets of full size pass`)]
}

function judgeClock(nodes: readonly NodeSeen[], chainAheadS: number | undefined): Finding[] {
  const ahead = nodes.flatMap(({ aheadS }) => (aheadS === undefined ? [] : [aheadS]))
  // One node may be wrong or lie; the middle one of several is not.
  const off = ahead.length === 0 ? 0 : median(ahead)
  if (Math.abs(off) > CLOCK_SLACK_S) {
    const detail = `this clock is ${Math.abs(off)} s ${off > 0 ? 'behind' : 'ahead of'} those of ${ahead.length} nodes`
    return [bad('fault', 'clock', 'NETWORK_CLOCK', detail)]
  }
  if (chainAheadS !== undefined && chainAheadS > CHAIN_SLACK_S) {
    return [bad('fault', 'clock', 'NETWORK_CLOCK', `this clock is ${chainAheadS} s behind the newest block`)]
  }
  if (ahead.length === 0) return []
  return [fine('clock', `within ${Math.max(1, Math.abs(off))} s of ${ahead.length} nodes`)]
}

function judgeMapping({ local, seen }: NonNullable<Measured['mapping']>): Finding {
  const [first, ...others] = seen
  if (first === undefined) return fine('nat', 'no relay could be asked how it sees this machine')
  if (first.address === local.address) return fine('nat', `none: ${first.address} is this machine’s own address`)
  if (others.length === 0) return fine('nat', `seen as ${first.address}; a second relay would tell how the NAT works`)
  if (others.some(({ address }) => address !== first.address)) {
    return bad(
      'note',
      'nat',
      'NETWORK_NAT',
      'relays see different addresses: the line has several, or the NAT draws one for each destination',
    )
  }
  if (others.some(({ port }) => port !== first.port)) {
    return bad('note', 'nat', 'NETWORK_NAT', `seen as ${first.address}, with another port at each destination (address-dependent mapping)`)
  }
  return fine('nat', `seen as ${first.address}, with one port for all destinations (endpoint-independent mapping)`)
}

/** Whether another NAT stands behind the router: its outer address is then not the one others see. */
function judgeCarrier(mapping: Measured['mapping'], router: string | undefined): Finding[] {
  const seen = mapping?.seen[0]?.address
  const local = mapping?.local.address
  const shared = [local, router].find((address) => address !== undefined && address !== 'private' && inCarrierRange(address))
  if (shared !== undefined) {
    return [
      bad(
        'note',
        'carrier',
        'NETWORK_CARRIER_NAT',
        `${shared} belongs to the carrier’s own network: its NAT stands between you and the internet`,
      ),
    ]
  }
  if (router === 'private') return [bad('note', 'carrier', 'NETWORK_CARRIER_NAT', 'your router has no public address itself')]
  if (router === undefined || seen === undefined) return []
  if (router === seen) return [fine('carrier', `your router has the public address ${router}`)]
  return [bad('note', 'carrier', 'NETWORK_CARRIER_NAT', `your router has ${router}, but others see ${seen}: there is a second NAT`)]
}

const inCarrierRange = (address: string) => blockedReason(address, { own: [CARRIER_RANGE], allowPrivate: [] }) === 'own address'

function judgeReach(reach: NonNullable<Measured['reach']>): Finding {
  if (reach === 'open') return fine('reach', 'others dial this node directly')
  if (reach === 'mapped') return fine('reach', 'others dial this node through a port of the router')
  if (reach === 'tucked') return bad('note', 'reach', 'NETWORK_TUCKED', 'others reach this node through relays')
  return bad('fault', 'reach', 'NETWORK_UNREACHED', 'nobody can reach this node')
}

function judgeNames({ answered, ms }: NonNullable<Measured['names']>): Finding {
  if (answered) return fine('names', `the name server answers over UDP in ${ms.toFixed(0)} ms`)
  return bad('note', 'names', 'NETWORK_DNS', 'no name server answers')
}

function judgeAssociation(association: NonNullable<Measured['association']>): Finding {
  if (association.ok) return fine('udp', `the proxy opens an association in ${association.ms.toFixed(0)} ms`)
  return bad('note', 'udp', 'NETWORK_UDP', association.why)
}

function judgeThroughput(bits: number): Finding {
  const detail = `this machine carries ${(bits / 1e9).toFixed(2)} Gbit/s through a link to itself`
  return bits >= SLOW_BITS ? fine('speed', detail) : bad('note', 'speed', 'NETWORK_SLOW', detail)
}
