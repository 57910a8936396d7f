/**
 * Which addresses an exit never connects to: everything that is not the public internet, and everything that is the exit itself.
 *
 * An IPv6 address that carries an IPv4 one (mapped, NAT64, 6to4, Teredo) is judged by both. Ranges follow the IANA special-purpose
 * registries; the last rows deny by default whatever IANA has not handed out.
 */
import { isIP } from 'node:net'
import { BywayError } from '../../protocol/errors.ts'

export interface Cidr {
  family: 4 | 6
  base: bigint
  prefix: number
}

/** Never reachable, whatever is allowed: they hand out the credentials of the machine. */
const METADATA = [
  '169.254.169.254', // nearly every cloud
  '169.254.170.2', // Amazon container credentials
  '169.254.170.23', // Amazon pod identity
  '168.63.129.16', // Azure, inside a public range
  '100.100.100.200', // Alibaba
  '192.0.0.192', // Oracle
  'fd00:ec2::254', // Amazon
  'fd00:ec2::23', // Amazon pod identity
  'fd20:ce::254', // Google
].map(parseCidr)

/** The one table of blocked ranges; its text is part of the policy hash. */
export const BLOCKED_RANGES: readonly (readonly [cidr: string, reason: string])[] = [
  ['0.0.0.0/8', 'this network'],
  ['10.0.0.0/8', 'private network'],
  ['100.64.0.0/10', 'carrier network'],
  ['127.0.0.0/8', 'loopback'],
  ['169.254.0.0/16', 'link-local'],
  ['172.16.0.0/12', 'private network'],
  ['192.0.0.0/24', 'protocol assignments'],
  ['192.0.2.0/24', 'documentation'],
  ['192.31.196.0/24', 'anycast infrastructure'], // reachable, but no business of a guest
  ['192.52.193.0/24', 'anycast infrastructure'],
  ['192.88.99.0/24', '6to4 relay'],
  ['192.168.0.0/16', 'private network'],
  ['192.175.48.0/24', 'anycast infrastructure'],
  ['198.18.0.0/15', 'benchmarking'],
  ['198.51.100.0/24', 'documentation'],
  ['203.0.113.0/24', 'documentation'],
  ['224.0.0.0/4', 'multicast'],
  ['240.0.0.0/4', 'reserved'], // with 255.255.255.255
  ['::/128', 'unspecified'],
  ['::1/128', 'loopback'],
  ['64:ff9b:1::/48', 'local translation'],
  ['100::/64', 'discard'],
  ['2001::/23', 'protocol assignments'], // with Teredo, ORCHID (2001:10::/28) and drone identifiers (2001:30::/28)
  ['2001:db8::/32', 'documentation'],
  ['2620:4f:8000::/48', 'anycast infrastructure'],
  ['3fff::/20', 'documentation'],
  ['5f00::/16', 'segment routing'],
  ['fc00::/7', 'private network'],
  ['fe80::/10', 'link-local'],
  ['fec0::/10', 'private network'],
  ['ff00::/8', 'multicast'],
  // Global unicast is 2000::/3; nothing outside it is the internet.
  ['::/3', 'not global unicast'],
  ['4000::/2', 'not global unicast'],
  ['8000::/1', 'not global unicast'],
]

const BLOCKED = BLOCKED_RANGES.map(([cidr, reason]) => ({ range: parseCidr(cidr), reason }))

interface Address {
  family: 4 | 6
  value: bigint
}

const LOW_32 = 0xffff_ffffn
/** `::` and `::1` are addresses of their own, not IPv4 0.0.0.0 and 0.0.0.1 (RFC 4291). */
const LOOPBACK_V6 = 1n
/** IPv6 forms that carry an IPv4 address: `take` finds it; with `alone` the IPv4 address alone decides, as the outer one is only a notation. */
const EMBEDDED: readonly { range: Cidr; alone: boolean; take: (value: bigint) => bigint }[] = [
  { range: parseCidr('::ffff:0:0/96'), alone: true, take: (value) => value & LOW_32 },
  { range: parseCidr('::/96'), alone: true, take: (value) => value & LOW_32 },
  { range: parseCidr('64:ff9b::/96'), alone: true, take: (value) => value & LOW_32 },
  { range: parseCidr('2002::/16'), alone: true, take: (value) => (value >> 80n) & LOW_32 },
  { range: parseCidr('2001::/32'), alone: false, take: (value) => ~value & LOW_32 }, // Teredo hides the client's address by inverting it
]

export interface AddressRules {
  /** Addresses of this machine and the networks it stands in. */
  own: readonly Cidr[]
  /** Lifts the block of exactly these ranges; metadata addresses stay blocked. */
  allowPrivate: readonly Cidr[]
}

/** Why the exit must not connect to `ip`, or undefined when it may. Text that is not an address is blocked. */
export function blockedReason(ip: string, { own, allowPrivate }: AddressRules): string | undefined {
  const outer = parseAddress(ip)
  if (outer === undefined) return 'not an address'
  const form = outer.family === 6 && outer.value > LOOPBACK_V6 ? EMBEDDED.find(({ range }) => covers(range, outer)) : undefined
  const inner: Address[] = form === undefined ? [] : [{ family: 4, value: form.take(outer.value) }]
  for (const address of [outer, ...inner]) {
    if (METADATA.some((range) => covers(range, address))) return 'metadata service'
    if (allowPrivate.some((range) => covers(range, address))) continue
    if (own.some((range) => covers(range, address))) return 'own address'
    if (address === outer && form?.alone === true) continue
    const blocked = BLOCKED.find(({ range }) => covers(range, address))
    if (blocked !== undefined) return blocked.reason
  }
  return undefined
}

/**
 * What one owner usually has: the /24 of an IPv4 address, in whatever form it is written, or the /48 of an IPv6 address. Undefined for what is no
 * address and for loopback, where everything on one machine is.
 */
export function ownersNetwork(ip: string): string | undefined {
  const outer = parseAddress(ip)
  if (outer === undefined || (outer.family === 6 && outer.value <= LOOPBACK_V6)) return undefined
  const form = outer.family === 6 ? EMBEDDED.find(({ range, alone }) => alone && covers(range, outer)) : undefined
  const { family, value } = form === undefined ? outer : { family: 4, value: form.take(outer.value) }
  if (family === 6) return `${(value >> 80n).toString(16)}/48`
  return value >> 24n === 127n ? undefined : `${value >> 8n}/24`
}

/** `10.0.0.0/8`, `fc00::/7`, or one address. Bits after the prefix are ignored. Throws ARGUMENT_INVALID. */
export function parseCidr(text: string): Cidr {
  const [ip = '', length, ...more] = text.split('/')
  const address = parseAddress(ip)
  const bits = address?.family === 4 ? 32 : 128
  const prefix = length === undefined ? bits : /^\d{1,3}$/.test(length) ? Number(length) : Number.NaN
  if (address === undefined || more.length > 0 || !(prefix <= bits)) {
    throw new BywayError('ARGUMENT_INVALID', `not an address range: ${JSON.stringify(text)}`, {
      hint: 'Write it as 127.0.0.0/8 or fd00::/8.',
    })
  }
  const free = BigInt(bits - prefix)
  return { family: address.family, base: (address.value >> free) << free, prefix }
}

function covers({ family, base, prefix }: Cidr, address: Address): boolean {
  const free = BigInt((family === 4 ? 32 : 128) - prefix)
  return family === address.family && address.value >> free === base >> free
}

function parseAddress(text: string): Address | undefined {
  const family = isIP(text)
  if (family === 4) return { family, value: number(text.split('.').map(Number), 8n) }
  if (family !== 6 || text.includes('%')) return undefined
  const [head = '', tail] = text.split('::')
  const [left, right] = [groups(head), groups(tail ?? '')]
  const zeros = tail === undefined ? [] : Array<number>(8 - left.length - right.length).fill(0)
  return { family, value: number([...left, ...zeros, ...right], 16n) }
}

/** The 16-bit groups of one side of an IPv6 address; a dotted quad at its end is two of them. */
function groups(text: string): number[] {
  if (text === '') return []
  return text.split(':').flatMap((part) => {
    if (!part.includes('.')) return [Number.parseInt(part, 16)]
    const [a = 0, b = 0, c = 0, d = 0] = part.split('.').map(Number)
    return [a * 256 + b, c * 256 + d]
  })
}

function number(parts: readonly number[], bits: bigint): bigint {
  return parts.reduce((sum, part) => (sum << bits) | BigInt(part), 0n)
}
