/** Bytes that look random and that anyone can compute from a seed: what the origin sends, and what should arrive. */
import { createCipheriv, createHash } from 'node:crypto'

const PART_BYTES = 65_536

export function* stream(seed: string, length: number): Generator<Buffer> {
  const key = createHash('sha256').update(seed).digest()
  const cipher = createCipheriv('aes-256-ctr', key, Buffer.alloc(16))
  for (let at = 0; at < length; at += PART_BYTES) yield cipher.update(Buffer.alloc(Math.min(PART_BYTES, length - at)))
}

export function sha256Of(seed: string, length: number): string {
  const hash = createHash('sha256')
  for (const part of stream(seed, length)) hash.update(part)
  return hash.digest('hex')
}
