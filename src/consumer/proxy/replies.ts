/**
 * How an error sounds in each protocol: HTTP status, `Proxy-Status` (RFC 9209), body, and SOCKS reply, all read from the one table.
 *
 * An origin's own error never carries our `Proxy-Status`, so an application can tell whose refusal it got.
 */
import { STATUS_CODES } from 'node:http'
import { formatDollars } from '../../protocol/dollars.ts'
import { type BywayError, ERRORS, type ErrorCode } from '../../protocol/errors.ts'
import type { Route } from './index.ts'

/** Name of this proxy in `Proxy-Status`. */
const PROXY_NAME = 'byway'
/** Long enough for any sentence of ours; a header from a peer's words must stay small. */
const MAX_DETAILS = 300
/** A market with no exit now may have one in seconds; less would be a busy loop. */
const RETRY_AFTER_S = 2
const RETRY_AFTER_STATUSES: readonly number[] = [429, 503]

/** Name and value in turn, as `rawHeaders` has them. */
export type HeaderList = string[]

export interface HttpReply {
  status: number
  headers: HeaderList
  body: string
}

/** The answer to a request that failed here, at a provider or on the way: never one the origin gave. */
export function httpReply(error: BywayError): HttpReply {
  const { status, proxyStatus } = ERRORS[error.code]
  const body = `${sentence(error.message)}${error.hint === undefined ? '' : ` ${sentence(error.hint)}`}\n`
  const details = printable(`${error.code}: ${error.message}`).slice(0, MAX_DETAILS).replaceAll(/["\\]/g, '\\$&')
  const retry = RETRY_AFTER_STATUSES.includes(status) ? { 'Retry-After': String(RETRY_AFTER_S) } : {}
  const headers = Object.entries({
    'Content-Type': 'text/plain; charset=utf-8',
    'Content-Length': String(Buffer.byteLength(body)),
    'Cache-Control': 'no-store',
    'Proxy-Status': `${PROXY_NAME}; error=${proxyStatus}; details="${details}"`,
    ...retry,
  }).flat()
  return { status, headers, body }
}

/** The same as bytes, for a connection no HTTP server holds any more. Always the last answer on its connection. */
export function rawHttpReply(error: BywayError): Buffer {
  const { status, headers, body } = httpReply(error)
  return Buffer.from(`${head(status, STATUS_CODES[status] ?? 'Error', [...headers, 'Connection', 'close'])}${body}`)
}

/** `200` to a CONNECT: the bytes that follow are the flow's. */
export function rawConnected(route: Route): Buffer {
  return Buffer.from(head(200, 'Connection established', routeHeaders(route)))
}

/** Tells the application which exit served it and at what price. */
export function routeHeaders(route: Route): HeaderList {
  return Object.entries({
    'Byway-Session': printable(route.sessionId),
    'Byway-Country': printable(route.country),
    'Byway-Price-Per-Gib': formatDollars(route.pricePerGib),
  }).flat()
}

/** Whether an origin's `Proxy-Status` pretends to be ours. */
export function claimsToBeUs(proxyStatus: string): boolean {
  return new RegExp(`(^|,)\\s*"?${PROXY_NAME}"?\\s*(;|,|$)`, 'i').test(proxyStatus)
}

// --- Fixed by RFC 1928. ---
export const SOCKS_VERSION = 0x05
const ATYP_IPV4 = 0x01

/** Reply `code` with the bound address 0.0.0.0:0: where the exit connects from is nobody's business. */
function socks(code: number): Buffer {
  return Buffer.from([SOCKS_VERSION, code, 0, ATYP_IPV4, 0, 0, 0, 0, 0, 0])
}

export const socksSucceeded = socks(0)

export function socksReply(code: ErrorCode): Buffer {
  return socks(ERRORS[code].socks)
}

function head(status: number, reason: string, headers: HeaderList): string {
  let text = `HTTP/1.1 ${status} ${reason}\r\n`
  for (let i = 0; i < headers.length; i += 2) text += `${headers[i]}: ${headers[i + 1]}\r\n`
  return `${text}\r\n`
}

function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`
}

/** A message may hold a peer's words: nothing but printable ASCII reaches a header. */
function printable(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, '?')
}
