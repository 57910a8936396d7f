/**
 * Which ports an exit serves, as tiers a provider chooses and signs into its offer.
 *
 * `open` is Tor's default exit policy, `standard` its reduced one without what invites complaints, `basic` is web and messaging. Tor carries
 * no datagrams, so their ports are our own choice: HTTP/3 and encrypted DNS, then calls and VPNs, then all but what floods others. The hash
 * of a policy covers its ports and the blocked address ranges: two exits with one hash refuse the same things.
 */
import { type Hex, sha256, toHex } from '../../protocol/bytes.ts'
import { TIERS, type Tier } from '../../protocol/offer.ts'
import { BLOCKED_RANGES } from './address.ts'

/** First and last port of a range, both included. */
type Ports = readonly (number | readonly [number, number])[]

interface PortPolicy {
  mode: 'accept' | 'reject'
  ports: Ports
}

/** Mail between servers: one spammer ends a line's reputation for years, so no tier and no setting opens it. */
const SMTP_PORT = 25

export const PORT_POLICIES: Readonly<Record<Tier, PortPolicy>> = {
  // 53 is missing on purpose, here and in `standard`: names are resolved by the exit, and an open resolver path is a tunnel for abuse.
  basic: { mode: 'accept', ports: [80, 443, 853, 993, 995, 5222, 5223, 5228] },
  standard: {
    mode: 'accept',
    // biome-ignore format: one list, as Tor prints its reduced exit policy, minus 23, 53, 79, 3389, 5900 and 10000
    ports: [
      [20, 22], 43, [80, 81], 88, 110, 143, 194, 220, 389, 443, [464, 465], 531, [543, 544], 554, 563, 587, 636, 706, 749, 853, 873,
      [902, 904], 981, [989, 995], 1194, 1220, 1293, 1500, 1533, 1677, 1723, 1755, 1863, [2082, 2083], [2086, 2087], [2095, 2096],
      [2102, 2104], 3128, 3690, 4321, 4643, 5050, 5190, [5222, 5223], 5228, [6660, 6669], 6679, 6697, 8000, 8008, 8074, 8080, 8082,
      [8087, 8088], [8232, 8233], [8332, 8333], 8443, 8888, 9418, 9999, 11_371, 19_294, 19_638, 50_002, 64_738,
    ],
  },
  // Windows file sharing, news, and the usual ports of file-sharing networks.
  open: { mode: 'reject', ports: [119, [135, 139], 445, 563, 1214, [4661, 4666], [6346, 6429], 6699, [6881, 6999]] },
}

/** Datagrams to this port are questions for a name server. Below `open` they are answered by the exit's own, whichever was asked. */
const DNS_PORT = 53

/** Ports of datagrams, beside those of names. */
export const UDP_POLICIES: Readonly<Record<Tier, PortPolicy>> = {
  basic: { mode: 'accept', ports: [443, 853] },
  // VPNs (IPsec, OpenVPN, WireGuard) and the relays of calls (STUN, TURN).
  standard: { mode: 'accept', ports: [443, 500, 853, 1194, [3478, 3481], 4500, 5349, 8443, [19_302, 19_309], 51_820] },
  open: { mode: 'reject', ports: PORT_POLICIES.open.ports },
}

/**
 * Services that answer a few bytes with many, or that only a local network has. A guest cannot forge who asks, but whoever scans for them
 * from a provider's line, or beats on one, brings that line into a blocklist; no application of people needs one across the internet.
 */
const AMPLIFIERS: Ports = [
  7,
  11,
  13,
  17,
  19,
  37,
  69,
  111,
  123,
  [137, 139],
  [161, 162],
  177,
  389,
  427,
  520,
  623,
  1434,
  1604,
  1900,
  2049,
  3283,
  3389,
  3702,
  5093,
  5351,
  5353,
  5355,
  5683,
  10_001,
  10_074,
  11_211,
  17_185,
  27_960,
  30_718,
  32_414,
  37_810,
  47_808,
]

/** What an exit does with datagrams to a port: sends them, asks its own name server instead, or drops them. */
export function udpPort(tier: Tier, port: number): 'serve' | 'resolve' | 'refuse' {
  if (port === DNS_PORT) return tier === 'open' ? 'serve' : 'resolve'
  if (port === SMTP_PORT || includes(AMPLIFIERS, port)) return 'refuse'
  const { mode, ports } = UDP_POLICIES[tier]
  return includes(ports, port) === (mode === 'accept') ? 'serve' : 'refuse'
}

export function portAllowed(tier: Tier, port: number): boolean {
  if (port === SMTP_PORT) return false
  const { mode, ports } = PORT_POLICIES[tier]
  return includes(ports, port) === (mode === 'accept')
}

const includes = (ports: Ports, port: number) =>
  ports.some((range) => (typeof range === 'number' ? range === port : range[0] <= port && port <= range[1]))

/** What an offer states and a consumer may compare: SHA-256 of the policy written out. */
export function policyHash(tier: Tier): Hex {
  return HASHES[tier]
}

const HASHES = Object.fromEntries(TIERS.map((tier) => [tier, hashPolicy(tier)])) as Record<Tier, Hex>

function hashPolicy(tier: Tier): Hex {
  const listed = ({ mode, ports }: PortPolicy) => `${mode} ${written(ports)}`
  const ranges = BLOCKED_RANGES.map(([cidr]) => cidr).join(',')
  return toHex(
    sha256(
      Buffer.from(
        `byway exit policy v2\nreject ${SMTP_PORT}\n${listed(PORT_POLICIES[tier])}\nblock ${ranges}\nudp reject ${written(AMPLIFIERS)}\nudp ${listed(UDP_POLICIES[tier])}\n`,
      ),
    ),
  )
}

function written(ports: Ports): string {
  return ports.map((range) => (typeof range === 'number' ? range : range.join('-'))).join(',')
}
