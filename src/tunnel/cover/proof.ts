/**
 * The proof: the first thing the dialling side says on a link, an ordinary WebSocket upgrade that carries
 * `HMAC-SHA256(key of the node, TLS exporter of this connection)`.
 *
 * The exporter is different on every connection, so a recorded proof is worth nothing on another one, before or after a restart, and
 * nothing has to be remembered. Whoever holds the offer can make a proof: it tells peers from passers-by, it does not authenticate anybody.
 *
 * Pure: the exporter comes in, texts and verdicts go out. Spec: docs/protocol.md#cover.
 */
import { createHash, createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'
import { fromHex, type Hex } from '../../protocol/bytes.ts'

// --- Fixed by docs/protocol.md. Changing one breaks peers. ---
export const COVER_LABEL = 'EXPORTER-byway-cover-v1'
export const EXPORTER_BYTES = 32
/** HKDF info: keys for other uses of the node key differ. */
const KEY_INFO = 'byway cover v1'
/** The first half of the proof is the WebSocket key, which has 16 bytes in every browser. */
const HALF = 16
/** Of the cookie that carries the second half. Sites name it so by the million. */
const COOKIE = 'sid'
/** A request and its answer arrive in one TLS record each, and are no longer than this. */
const MAX_HEAD_BYTES = 4_096
/** RFC 6455, section 1.3. */
const WEBSOCKET_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

/** What a proof is made with: one for each node, from its public key. */
export const coverKey = (nodeKey: Hex): Buffer => Buffer.from(hkdfSync('sha256', fromHex(nodeKey, 32), '', KEY_INFO, 32))

/** The 32 bytes that prove knowledge of the node key on the connection with this exporter. */
export const proofOf = (key: Buffer, exporter: Uint8Array): Buffer => createHmac('sha256', key).update('link').update(exporter).digest()

/** What a browser would send to open a WebSocket at `host`, carrying 32 secret bytes in the key and a cookie. */
export function upgradeRequest(host: string, secret: Uint8Array): string {
  const first = Buffer.from(secret.subarray(0, HALF)).toString('base64')
  const second = Buffer.from(secret.subarray(HALF)).toString('base64url')
  return [
    'GET / HTTP/1.1',
    `Host: ${host}`,
    'Connection: Upgrade',
    'Pragma: no-cache',
    'Cache-Control: no-cache',
    'User-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36',
    'Upgrade: websocket',
    `Origin: https://${host}`,
    'Sec-WebSocket-Version: 13',
    'Accept-Encoding: gzip, deflate, br, zstd',
    'Accept-Language: en-US,en;q=0.9',
    `Cookie: ${COOKIE}=${second}`,
    `Sec-WebSocket-Key: ${first}`,
    'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits',
    '\r\n',
  ].join('\r\n')
}

/** What an upgrade request carries, and the bytes after it; undefined when it is none. It must be whole: it is one record. */
export function readUpgrade(first: Buffer): { secret: Buffer; webSocketKey: string; rest: Buffer } | undefined {
  const head = readHead(first)
  if (head === undefined || !head.line.startsWith('GET ')) return undefined
  const webSocketKey = head.fields.get('sec-websocket-key')
  const cookie = head.fields
    .get('cookie')
    ?.split(/; ?/)
    .find((part) => part.startsWith(`${COOKIE}=`))
  if (webSocketKey === undefined || cookie === undefined) return undefined
  const half = Buffer.from(webSocketKey, 'base64')
  if (half.length !== HALF) return undefined
  const secret = Buffer.concat([half, Buffer.from(cookie.slice(COOKIE.length + 1), 'base64url')])
  return { secret, webSocketKey, rest: head.rest }
}

/** The answer to an upgrade that carried the right secret. */
export const upgradeAnswer = (webSocketKey: string): string =>
  `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${acceptOf(webSocketKey)}\r\n\r\n`

/** Whether `first`, all that arrived, grants the upgrade asked for with `secret`; then the bytes after it. */
export function grantsUpgrade(first: Buffer, secret: Uint8Array): { rest: Buffer } | undefined {
  const head = readHead(first)
  if (head === undefined || !head.line.startsWith('HTTP/1.1 101 ')) return undefined
  const expected = acceptOf(Buffer.from(secret.subarray(0, HALF)).toString('base64'))
  return head.fields.get('sec-websocket-accept') === expected ? { rest: head.rest } : undefined
}

/** In the same time whatever was sent. */
export const sameSecret = (expected: Buffer, sent: Buffer): boolean => sent.length === expected.length && timingSafeEqual(expected, sent)

const acceptOf = (webSocketKey: string) => createHash('sha1').update(webSocketKey).update(WEBSOCKET_GUID).digest('base64')

/** First line and fields (lower-case names; the last of a name counts) of an HTTP head that is whole, and what follows it. */
function readHead(bytes: Buffer): { line: string; fields: Map<string, string>; rest: Buffer } | undefined {
  const end = bytes.subarray(0, MAX_HEAD_BYTES).indexOf('\r\n\r\n')
  if (end < 0) return undefined
  const [line = '', ...lines] = bytes.toString('latin1', 0, end).split('\r\n')
  const fields = new Map<string, string>()
  for (const field of lines) {
    const colon = field.indexOf(':')
    if (colon > 0) fields.set(field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim())
  }
  return { line, fields, rest: bytes.subarray(end + 4) }
}
