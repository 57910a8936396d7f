/**
 * Datagrams inside a flow: a flow to {@link UDP_NAME} carries records instead of a connection's bytes, one record a datagram.
 *
 *   record = payload length u16 | endpoint | payload
 *   endpoint = kind u8 (1 IPv4, 3 name, 4 IPv6, as in SOCKS5) | address 4, 1 + n or 16 | port u16
 *
 * Going up the endpoint is the destination, coming down it is who sent the datagram. Spec: docs/protocol.md#datagrams.
 */
import { isIPv4 } from 'node:net'
import { type Destination, parseDestination } from './destination.ts'
import { BywayError } from './errors.ts'

export interface Datagram {
  endpoint: Destination
  payload: Uint8Array
}

// --- Fixed by docs/protocol.md. Changing one breaks peers. ---
/** The most an IPv4 datagram can carry. */
export const MAX_DATAGRAM_BYTES = 65_507
const KIND = { ipv4: 1, name: 3, ipv6: 4 } as const
const IPV4_BYTES = 4
const IPV6_BYTES = 16
const PORT_BYTES = 2
const LENGTH_BYTES = 2

/** The whole record; both sides count all of its bytes. Throws MESSAGE_TOO_LARGE. */
export function encodeDatagram({ endpoint, payload }: Datagram): Buffer {
  if (payload.length > MAX_DATAGRAM_BYTES) {
    throw new BywayError('MESSAGE_TOO_LARGE', 'the datagram is longer than UDP allows', { facts: { length: payload.length } })
  }
  const address = encodeEndpoint(endpoint)
  const record = Buffer.allocUnsafe(LENGTH_BYTES + address.length + payload.length)
  record.writeUInt16BE(payload.length)
  address.copy(record, LENGTH_BYTES)
  record.set(payload, LENGTH_BYTES + address.length)
  return record
}

export function encodeEndpoint({ kind, host, port }: Destination): Buffer {
  const address = kind === 'domain' ? Buffer.from(host) : addressBytes(host)
  const head = kind === 'domain' ? [KIND.name, address.length] : [address.length === IPV4_BYTES ? KIND.ipv4 : KIND.ipv6]
  return Buffer.concat([Buffer.from(head), address, Buffer.from([port >> 8, port & 0xff])])
}

/**
 * The endpoint at the start of `bytes` and its length, or undefined while bytes are missing. Throws DESTINATION_INVALID, or
 * PROXY_ADDRESS_UNSUPPORTED for a kind nobody knows.
 */
export function readEndpoint(bytes: Buffer): { endpoint: Destination; length: number } | undefined {
  const [kind, first] = bytes
  if (kind === undefined) return undefined
  const start = kind === KIND.name ? 2 : 1
  const size = kind === KIND.ipv4 ? IPV4_BYTES : kind === KIND.ipv6 ? IPV6_BYTES : kind === KIND.name ? first : Number.NaN
  if (Number.isNaN(size)) throw new BywayError('PROXY_ADDRESS_UNSUPPORTED', 'the address type is unknown', { facts: { kind } })
  const length = start + (size ?? Number.POSITIVE_INFINITY) + PORT_BYTES
  if (bytes.length < length) return undefined
  const address = bytes.subarray(start, length - PORT_BYTES)
  const text = kind === KIND.ipv4 ? address.join('.') : kind === KIND.ipv6 ? ipv6Text(address) : address.toString('utf8')
  return { endpoint: parseDestination(text, bytes.readUInt16BE(length - PORT_BYTES)), length }
}

/** Takes a flow's bytes in any pieces and hands out whole datagrams; holds at most one unfinished record. */
export class DatagramReader {
  #pieces: Buffer[] = []
  #have = 0

  /** `take` gets views into what was pushed: whoever keeps one copies it. Throws MESSAGE_MALFORMED; nothing may be pushed after that. */
  push(chunk: Buffer, take: (datagram: Datagram) => void): void {
    this.#pieces.push(chunk)
    this.#have += chunk.length
    let rest = this.#pieces.length === 1 ? chunk : undefined
    for (;;) {
      // A record's pieces are put together once it is whole, not with every piece: a peer that sends single bytes costs no more.
      if (this.#have < this.#needed(rest)) break
      rest ??= Buffer.concat(this.#pieces)
      const record = readRecord(rest)
      if (record === undefined) {
        this.#keep(rest)
        return
      }
      rest = rest.subarray(record.length)
      this.#keep(rest)
      take(record.datagram)
    }
    if (rest !== undefined) this.#keep(rest)
  }

  #keep(rest: Buffer): void {
    this.#pieces = rest.length === 0 ? [] : [rest]
    this.#have = rest.length
  }

  /** The least a record that starts so can have. */
  #needed(whole: Buffer | undefined): number {
    const start = whole ?? this.#pieces[0]!
    return start.length < LENGTH_BYTES ? SHORTEST_RECORD_BYTES : start.readUInt16BE() + SHORTEST_RECORD_BYTES
  }
}

/** A name of one letter, and no payload. */
const SHORTEST_RECORD_BYTES = LENGTH_BYTES + 3 + PORT_BYTES

function readRecord(bytes: Buffer): { datagram: Datagram; length: number } | undefined {
  const size = bytes.readUInt16BE()
  if (size > MAX_DATAGRAM_BYTES) throw malformed('a datagram is longer than UDP allows')
  let head: ReturnType<typeof readEndpoint>
  try {
    head = readEndpoint(bytes.subarray(LENGTH_BYTES))
  } catch (cause) {
    throw malformed('a datagram has no valid endpoint', cause)
  }
  if (head === undefined) return undefined
  const start = LENGTH_BYTES + head.length
  if (bytes.length < start + size) return undefined
  return { datagram: { endpoint: head.endpoint, payload: bytes.subarray(start, start + size) }, length: start + size }
}

function malformed(why: string, cause?: unknown): BywayError {
  return new BywayError('MESSAGE_MALFORMED', why, cause === undefined ? {} : { cause })
}

/** `host` is a canonical address. */
function addressBytes(host: string): Buffer {
  if (isIPv4(host)) return Buffer.from(host.split('.').map(Number))
  // As parseDestination writes it: groups in hexadecimal, one run of zeros left out, no dotted quad.
  const [left = '', right] = host.split('::')
  const groupsOf = (text: string | undefined) => (text === undefined || text === '' ? [] : text.split(':'))
  const [head, tail] = [groupsOf(left), groupsOf(right)]
  const zeros = Array<string>(8 - head.length - tail.length).fill('0')
  return Buffer.from([...head, ...zeros, ...tail].map((group) => group.padStart(4, '0')).join(''), 'hex')
}

const ipv6Text = (bytes: Buffer) => bytes.toString('hex').replaceAll(/(....)(?!$)/g, '$1:')
