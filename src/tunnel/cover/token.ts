/**
 * The outer token: opens the WebSocket a link runs in when it comes through a proxy that ends TLS, such as a CDN.
 *
 * The node's own TLS connection is inside, so no exporter binds this token. It is worth little: it opens a carrier, and the proof follows inside. Still a
 * replay must meet the website: a token names its time and is taken once, within half a minute, and never if it could be from before this node
 * started. Spec: docs/protocol.md#behind-a-proxy.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'

// --- Fixed by docs/protocol.md. Changing one breaks peers. ---
const NONCE_BYTES = 16
const TIME_BYTES = 6
const MAC_BYTES = 16
const TOKEN_BYTES = NONCE_BYTES + TIME_BYTES + MAC_BYTES
/** How far the clocks of both ends may be apart. */
const SKEW_MS = 30_000

/** Each is remembered for a minute; a node serves some hundred links, and more would be somebody who wants the memory. */
const MAX_REMEMBERED = 16_384

const hmac = (key: Buffer, label: string, ...parts: Uint8Array[]) => {
  const mac = createHmac('sha256', key).update(label)
  for (const part of parts) mac.update(part)
  return mac.digest()
}

/** 38 bytes: nonce 16, the time under a mask that follows from it 6, and an HMAC over both 16. `key` is the cover key of the node. */
export function outerToken(key: Buffer, nonce: Uint8Array, nowMs: number): Buffer {
  const time = Buffer.alloc(TIME_BYTES)
  time.writeUIntBE(nowMs, 0, TIME_BYTES)
  const sealed = Buffer.concat([nonce, xor(time, hmac(key, 'time', nonce))])
  return Buffer.concat([sealed, hmac(key, 'outer', sealed).subarray(0, MAC_BYTES)])
}

export class OuterTokens {
  readonly #key: Buffer
  readonly #startedMs: number
  /** Nonces taken, with the time after which their token is too old anyway. Oldest first. */
  readonly #taken = new Map<string, number>()

  constructor(key: Buffer, startedMs: number) {
    this.#key = key
    this.#startedMs = startedMs
  }

  /** Whether this is a token, fresh and for the first time. Costs the same for anything that is none. */
  take(token: Buffer | undefined, nowMs: number): boolean {
    const bytes = token?.length === TOKEN_BYTES ? token : Buffer.alloc(TOKEN_BYTES)
    const nonce = bytes.subarray(0, NONCE_BYTES)
    const sealed = bytes.subarray(0, NONCE_BYTES + TIME_BYTES)
    const right = timingSafeEqual(hmac(this.#key, 'outer', sealed).subarray(0, MAC_BYTES), bytes.subarray(sealed.length))
    const madeMs = xor(sealed.subarray(NONCE_BYTES), hmac(this.#key, 'time', nonce)).readUIntBE(0, TIME_BYTES)
    // A clock that is ahead may have made it before we started, and dated it after.
    if (!right || Math.abs(nowMs - madeMs) > SKEW_MS || madeMs <= this.#startedMs + SKEW_MS) return false
    for (const [taken, untilMs] of this.#taken) {
      if (untilMs >= nowMs) break
      this.#taken.delete(taken)
    }
    const name = nonce.toString('latin1')
    if (this.#taken.has(name) || this.#taken.size >= MAX_REMEMBERED) return false
    this.#taken.set(name, nowMs + 2 * SKEW_MS)
    return true
  }
}

const xor = (bytes: Buffer, mask: Buffer) => Buffer.from(bytes.map((byte, at) => byte ^ mask[at]!))
