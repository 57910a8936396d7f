/**
 * Destinations: where a flow goes, as the application named it.
 *
 * A destination is parsed once at each edge it crosses (the local proxy, then the exit), and one name has one spelling afterwards. A host
 * that looks like a number is an address in canonical form or nothing: `127.1`, `0x7f.1` and `2130706433` are how filters are talked past,
 * so they are refused rather than repaired. Nothing here resolves a name.
 */
import { isIPv4, isIPv6 } from 'node:net'
import { domainToASCII } from 'node:url'
import { BywayError } from './errors.ts'

// --- Fixed by RFC 1035. ---
export const MAX_DOMAIN_BYTES = 253
const MAX_LABEL_BYTES = 63
const MAX_PORT = 65_535

/** Every exit answers this name itself; anything under `.byway.internal` is never resolved. */
export const RESERVED_NAME = 'whoami.byway.internal'
/** A flow to this name, on any port, is an association: it carries datagrams. See datagram.ts. */
export const UDP_NAME = 'udp.byway.internal'
const RESERVED_SUFFIX = '.byway.internal'

export type Destination =
  /** `host` is lower-case ASCII (IDN as punycode) without a trailing dot. */
  | { kind: 'domain'; host: string; port: number }
  /** `host` is the canonical text: dotted quad, or RFC 5952 without brackets. */
  | { kind: 'ip'; host: string; family: 4 | 6; port: number }

/** Letters, digits, hyphen, and the underscore that service names use in practice. */
const LABEL = /^[a-z0-9_-]+$/
/** A last label that makes a URL parser read the whole host as an IPv4 address (WHATWG URL, "ends in a number"). */
const NUMERIC_LABEL = /^(\d+|0x[0-9a-f]*)$/

/** Throws DESTINATION_INVALID; the message never repeats the host, for it ends up in logs. */
export function parseDestination(host: string, port: number): Destination {
  if (!Number.isInteger(port) || port < 1 || port > MAX_PORT) throw invalid(`the port must be 1 to ${MAX_PORT}`)
  if (isIPv4(host)) return { kind: 'ip', host, family: 4, port }
  const bare = host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host
  if (bare.includes(':')) return { kind: 'ip', host: canonicalIPv6(bare), family: 6, port }
  if (bare !== host) throw invalid('only an IPv6 address may stand in brackets')
  return { kind: 'domain', host: parseDomain(host), port }
}

/** Whether the exit answers itself (or refuses), without asking any resolver. */
export function isReserved(destination: Destination): boolean {
  return destination.kind === 'domain' && (destination.host.endsWith(RESERVED_SUFFIX) || destination.host === RESERVED_SUFFIX.slice(1))
}

/** `host:port` as a URL or a Host header writes it. */
export function formatDestination(destination: Destination): string {
  const host = destination.kind === 'ip' && destination.family === 6 ? `[${destination.host}]` : destination.host
  return `${host}:${destination.port}`
}

function canonicalIPv6(text: string): string {
  // isIPv6 accepts a zone (fe80::1%eth0), which names an interface of whoever reads it; no zone may cross the network.
  if (!isIPv6(text) || text.includes('%')) throw invalid('the IPv6 address is malformed')
  return new URL(`http://[${text}]/`).hostname.slice(1, -1)
}

function parseDomain(text: string): string {
  // Twice the limit in UTF-16 units still cannot become a legal name, and bounds the work of the conversion below.
  if (text.length > 2 * MAX_DOMAIN_BYTES) throw invalid(`the name is longer than ${MAX_DOMAIN_BYTES} bytes`)
  const ascii = isAscii(text) ? text.toLowerCase() : domainToASCII(text)
  const host = ascii.endsWith('.') ? ascii.slice(0, -1) : ascii
  if (host === '') throw invalid('the name is empty or not a domain name')
  if (host.length > MAX_DOMAIN_BYTES) throw invalid(`the name is longer than ${MAX_DOMAIN_BYTES} bytes`)
  const labels = host.split('.')
  for (const label of labels) {
    if (label === '' || label.length > MAX_LABEL_BYTES) throw invalid(`a part of the name is empty or longer than ${MAX_LABEL_BYTES} bytes`)
    if (!LABEL.test(label)) throw invalid('the name has a character that no domain name has')
  }
  if (NUMERIC_LABEL.test(labels.at(-1)!)) throw invalid('the address is not written in its canonical form')
  return host
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return false
  return true
}

function invalid(why: string): BywayError {
  return new BywayError('DESTINATION_INVALID', `cannot use this destination: ${why}`, {
    hint: 'Name a domain, or an IPv4 or IPv6 address in its usual form, and a port from 1 to 65535.',
  })
}
