/**
 * Handover: takes an established TLS 1.3 connection away from node:tls, to go on with it record by record.
 *
 * The handshake stays node:tls's. Its `keylog` event tells both traffic secrets, the tap below it remembers what went each way, and here the
 * remembered records are opened one after the other: the first that fits a secret is its record number 0, how many fit is where it stands. What
 * was heard and not yet consumed is handed on. Nothing changes on the wire, and either side may do this without the other knowing.
 */
import { createDecipheriv } from 'node:crypto'
import { SUITES, type Suite, type Traffic, trafficKey } from './keys.ts'

/** A connection in the middle of its life. */
export interface Standing {
  readonly send: Traffic
  readonly receive: Traffic
  /** Plaintext that arrived and was not consumed. */
  readonly unread: Buffer
  /** The beginning of a record whose rest has not arrived. */
  readonly partial: Buffer
}

/** Traffic secrets, from `keylog` lines (NSS key log format). */
export class Secrets {
  client: Buffer | undefined
  server: Buffer | undefined

  hear(line: Buffer): void {
    const [label, , secret] = line.toString('latin1').trim().split(' ')
    if (secret === undefined) return
    if (label === 'CLIENT_TRAFFIC_SECRET_0') this.client = Buffer.from(secret, 'hex')
    else if (label === 'SERVER_TRAFFIC_SECRET_0') this.server = Buffer.from(secret, 'hex')
  }
}

const HEADER_BYTES = 5
const TAG_BYTES = 16
const DATA = 23
const KEY_UPDATE = 24
const HANDSHAKE = 22

/**
 * Where a connection stands, or undefined when that cannot be told, because its keys were updated. `consumed` are the bytes of frames its owner took; everything written must have left node:tls.
 */
export function standing(connection: {
  side: 'client' | 'server'
  suite: string
  secrets: Secrets
  heard: Buffer
  said: Buffer
  consumed: number
}): Standing | undefined {
  const { client, server } = connection.secrets
  const suite = SUITES[connection.suite]
  if (suite === undefined || client === undefined || server === undefined) return undefined
  const [own, other] = connection.side === 'client' ? [client, server] : [server, client]
  const said = follow(suite, own, connection.said)
  const heard = follow(suite, other, connection.heard)
  if (said === undefined || heard === undefined) return undefined
  if (said.rest.length > 0) return undefined
  const frames = heard.plain.subarray(headBytes(heard.plain))
  if (frames.length < connection.consumed) return undefined
  return {
    send: { suite: connection.suite, secret: own, sequence: said.sequence },
    receive: { suite: connection.suite, secret: other, sequence: heard.sequence },
    unread: frames.subarray(connection.consumed),
    partial: heard.rest,
  }
}

/** Frames begin behind the request and answer that prove knowledge of the node; no frame begins like one. */
function headBytes(plain: Buffer): number {
  const start = plain.toString('latin1', 0, 5)
  return start === 'GET /' || start === 'HTTP/' ? plain.indexOf(HEAD_END) + HEAD_END.length : 0
}
const HEAD_END = '\r\n\r\n'

/** Opens what fits `secret` in a remembered direction. Undefined after a KeyUpdate or a record that fits no more. */
function follow(suite: Suite, secret: Buffer, bytes: Buffer): { sequence: number; plain: Buffer; rest: Buffer } | undefined {
  const { key, iv } = trafficKey(suite, secret)
  const plain: Buffer[] = []
  let sequence = 0
  let at = 0
  while (bytes.length - at >= HEADER_BYTES) {
    const length = bytes.readUInt16BE(at + 3)
    if (bytes.length - at < HEADER_BYTES + length) break
    if (bytes[at] === DATA && length > TAG_BYTES) {
      const inner = open(suite, key, iv, sequence, bytes.subarray(at, at + HEADER_BYTES + length))
      // The first records are sealed with the keys of the handshake.
      if (inner === undefined && sequence > 0) return undefined
      if (inner !== undefined) {
        sequence++
        const last = inner.findLastIndex((byte) => byte !== 0)
        if (inner[last] === DATA) plain.push(inner.subarray(0, last))
        else if (inner[last] !== HANDSHAKE || inner[0] === KEY_UPDATE) return undefined
      }
    }
    at += HEADER_BYTES + length
  }
  return { sequence, plain: Buffer.concat(plain), rest: bytes.subarray(at) }
}

function open({ nodeCipher }: Suite, key: Buffer, iv: Buffer, sequence: number, record: Buffer): Buffer | undefined {
  const nonce = Buffer.from(iv)
  nonce.writeUInt32BE((nonce.readUInt32BE(8) ^ sequence) >>> 0, 8)
  const decipher = createDecipheriv(nodeCipher as 'aes-128-gcm', key, nonce, { authTagLength: TAG_BYTES })
  decipher.setAAD(record.subarray(0, HEADER_BYTES), { plaintextLength: record.length - HEADER_BYTES - TAG_BYTES })
  decipher.setAuthTag(record.subarray(-TAG_BYTES))
  const inner = decipher.update(record.subarray(HEADER_BYTES, -TAG_BYTES))
  try {
    decipher.final()
    return inner
  } catch {
    // Not this key: a record of the handshake.
    return undefined
  }
}
