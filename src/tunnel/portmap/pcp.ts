/** PCP MAP messages (RFC 6887 sections 7 and 11): 60 bytes each way. Pure. */
import type { MappingRequest } from './mapping.ts'

// --- Fixed by RFC 6887. ---
const VERSION = 2
const OPCODE_MAP = 1
const RESPONSE = 0x80
const TCP = 6
const MAP_BYTES = 60

/** `own` is the address the packet leaves from, IPv4: the router compares it, so that a NAT in between is noticed. */
export function encodeMap({ internalPort, externalPort, lifetimeS, nonce }: MappingRequest, own: string): Buffer {
  const packet = Buffer.alloc(MAP_BYTES)
  packet[0] = VERSION
  packet[1] = OPCODE_MAP
  packet.writeUInt32BE(lifetimeS, 4)
  mapped(own).copy(packet, 8)
  nonce.copy(packet, 24, 0, 12)
  packet[36] = TCP
  packet.writeUInt16BE(internalPort, 40)
  packet.writeUInt16BE(externalPort, 42)
  // No wish for an address, but for its family: all zeros as IPv4.
  mapped('0.0.0.0').copy(packet, 44)
  return packet
}

export type MapAnswer =
  | { kind: 'mapped'; externalAddress: string; externalPort: number; lifetimeS: number }
  /** The router speaks NAT-PMP only: it answers in its own version (RFC 6887 appendix A). */
  | { kind: 'other-version' }
  | { kind: 'refused'; result: number }

/** Undefined for anything that is no answer to this request: it is ignored, and waiting goes on. */
export function decodeMap(packet: Buffer, request: MappingRequest): MapAnswer | undefined {
  if (packet.length >= 4 && packet[0] !== VERSION && (packet[1]! & RESPONSE) !== 0) return { kind: 'other-version' }
  if (packet.length < 24 || packet[0] !== VERSION || packet[1] !== (RESPONSE | OPCODE_MAP)) return undefined
  if (packet.length >= MAP_BYTES && packet.compare(request.nonce, 0, 12, 24, 36) !== 0) return undefined
  const result = packet[3]!
  if (result !== 0) return { kind: 'refused', result }
  if (packet.length < MAP_BYTES || packet[36] !== TCP || packet.readUInt16BE(40) !== request.internalPort) return undefined
  const externalAddress = unmapped(packet.subarray(44, 60))
  const externalPort = packet.readUInt16BE(42)
  if (externalAddress === undefined || (externalPort === 0 && request.lifetimeS > 0)) return undefined
  return { kind: 'mapped', externalAddress, externalPort, lifetimeS: packet.readUInt32BE(4) }
}

/** An IPv4 address as the 16 bytes of `::ffff:a.b.c.d`. */
function mapped(address: string): Buffer {
  const bytes = Buffer.alloc(16)
  bytes.fill(0xff, 10, 12)
  for (const [i, part] of address.split('.').entries()) bytes[12 + i] = Number(part)
  return bytes
}

function unmapped(bytes: Buffer): string | undefined {
  return bytes.subarray(0, 12).equals(mapped('0.0.0.0').subarray(0, 12)) ? bytes.subarray(12).join('.') : undefined
}
