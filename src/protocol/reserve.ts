/**
 * What a tucked node signs to reserve at a relay: that it holds its node key, on this very connection.
 *
 * The exporter makes the signature worth nothing on any other connection, so nothing in it has to be fresh. Spec: docs/protocol.md#relays.
 */
import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto'
import { concat, fromHex, type Hex, toHex } from './bytes.ts'

// --- Fixed by docs/protocol.md. Changing one breaks peers. ---
/** Label of the TLS exporter (32 bytes) that the signature covers. */
export const RESERVE_LABEL = 'EXPORTER-byway-reserve-v1'
const TAG = Buffer.from('byway reserve v1\0')

/** Ed25519 SubjectPublicKeyInfo without its 32 key bytes (RFC 8410). */
const ED25519_SPKI = Buffer.from('302a300506032b6570032100', 'hex')

/** `nodeKey` is the Ed25519 private key. */
export const signReservation = (exporter: Uint8Array, nodeKey: KeyObject): Hex => toHex(sign(null, concat(TAG, exporter), nodeKey))

/** Whether the holder of `nodeKey` signed for this connection. */
export function isReservation(exporter: Uint8Array, nodeKey: Hex, signature: Hex): boolean {
  const key = createPublicKey({ key: Buffer.concat([ED25519_SPKI, fromHex(nodeKey, 32)]), format: 'der', type: 'spki' })
  return verify(null, concat(TAG, exporter), key, fromHex(signature, 64))
}
