/** The bytes of a prober's challenge: what an exit sends under the reserved name `measure.byway.internal`, and nobody else can. */
import { createCipheriv } from 'node:crypto'

// --- Fixed by docs/protocol.md. Changing one breaks peers. ---
export const MEASURE_NAME = 'measure.byway.internal'
export const CHALLENGE_KEY_BYTES = 32

/** The AES-256-CTR key stream of `key`, from counter 0: each call continues where the last one ended. */
export function challengeBytes(key: Uint8Array): (length: number) => Buffer {
  const cipher = createCipheriv('aes-256-ctr', key, Buffer.alloc(16))
  return (length) => cipher.update(Buffer.alloc(length))
}
