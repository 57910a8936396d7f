/**
 * TLS 1.3 traffic keys (RFC 8446 section 7): what a traffic secret gives, and its successor. Pure.
 */
import { createHmac } from 'node:crypto'

export interface Suite {
  /** OpenSSL's name of the AEAD. */
  readonly cipher: 'AES-128-GCM' | 'AES-256-GCM' | 'ChaCha20-Poly1305'
  /** Node's name of the same, for `createDecipheriv`. */
  readonly nodeCipher: 'aes-128-gcm' | 'aes-256-gcm' | 'chacha20-poly1305'
  readonly keyBytes: 16 | 32
  readonly hash: 'sha256' | 'sha384'
}

/** By the name `TLSSocket.getCipher().standardName` gives. */
export const SUITES: Readonly<Record<string, Suite>> = {
  TLS_AES_128_GCM_SHA256: { cipher: 'AES-128-GCM', nodeCipher: 'aes-128-gcm', keyBytes: 16, hash: 'sha256' },
  TLS_AES_256_GCM_SHA384: { cipher: 'AES-256-GCM', nodeCipher: 'aes-256-gcm', keyBytes: 32, hash: 'sha384' },
  TLS_CHACHA20_POLY1305_SHA256: { cipher: 'ChaCha20-Poly1305', nodeCipher: 'chacha20-poly1305', keyBytes: 32, hash: 'sha256' },
}

/** One direction of a connection as it stands: who knows this can go on with it. */
export interface Traffic {
  readonly suite: string
  readonly secret: Buffer
  /** Of the next record. */
  readonly sequence: number
}

const IV_BYTES = 12

/** Key and IV of a traffic secret (section 7.3). */
export function trafficKey(suite: Suite, secret: Buffer): { key: Buffer; iv: Buffer } {
  return { key: expandLabel(suite, secret, 'key', suite.keyBytes), iv: expandLabel(suite, secret, 'iv', IV_BYTES) }
}

/** The secret after a KeyUpdate (section 7.2). */
export function nextSecret(suite: Suite, secret: Buffer): Buffer {
  return expandLabel(suite, secret, 'traffic upd', secret.length)
}

/** HKDF-Expand-Label with an empty context. No length here exceeds one block of the hash, so one HMAC is the whole of HKDF-Expand. */
function expandLabel({ hash }: Suite, secret: Buffer, label: string, bytes: number): Buffer {
  const full = `tls13 ${label}`
  const info = Buffer.concat([Buffer.from([bytes >> 8, bytes & 0xff, full.length]), Buffer.from(full), Buffer.from([0, 1])])
  return createHmac(hash, secret).update(info).digest().subarray(0, bytes)
}
