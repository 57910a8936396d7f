/**
 * The offer document: a node's newest signed offer, served by the node itself over HTTPS at its own port, at a path that only who knows the node
 * can compute. To everybody else the path is one of the many that the website there does not have.
 */
import { fromHex, type Hex, sha256 } from './bytes.ts'

// --- Fixed by docs/protocol.md. Changing one breaks peers. ---
const TAG = Buffer.from('byway offer document v1\0')
/** Sites name their parts by a hash of them, by the million. */
export const documentPath = (nodeKey: Hex): string => `/assets/${sha256(TAG, fromHex(nodeKey, 32)).subarray(0, 10).toString('hex')}.bin`

/** Of a request line whose path is the document's; anything else is a visitor's. */
export const asksForDocument = (first: Buffer, nodeKey: Hex): boolean =>
  first
    .subarray(0, 64)
    .toString('latin1')
    .startsWith(`GET ${documentPath(nodeKey)} HTTP/1.1\r\n`)

export function documentAnswer(offer: Uint8Array): Buffer {
  const head = [
    'HTTP/1.1 200 OK',
    'Content-Type: application/octet-stream',
    `Content-Length: ${offer.length}`,
    'Cache-Control: no-store',
    'Connection: close',
    '\r\n',
  ]
  return Buffer.concat([Buffer.from(head.join('\r\n')), offer])
}
