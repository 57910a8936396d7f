/** NAT-PMP messages (RFC 6886): the router's outer address, and a TCP mapping. Pure. */
import type { MappingRequest } from './mapping.ts'

// --- Fixed by RFC 6886. ---
const VERSION = 0
const OPCODE_ADDRESS = 0
const OPCODE_MAP_TCP = 2
const RESPONSE = 0x80

export const ADDRESS_REQUEST = Buffer.from([VERSION, OPCODE_ADDRESS])

export function encodeTcpMap({ internalPort, externalPort, lifetimeS }: MappingRequest): Buffer {
  const packet = Buffer.alloc(12)
  packet[1] = OPCODE_MAP_TCP
  packet.writeUInt16BE(internalPort, 4)
  // Taking a mapping away asks for port 0 (RFC 6886 section 3.4).
  packet.writeUInt16BE(lifetimeS === 0 ? 0 : externalPort, 6)
  packet.writeUInt32BE(lifetimeS, 8)
  return packet
}

type Refusal = { ok: false; result: number }

/** The router's outer address. Undefined for what is no answer to ADDRESS_REQUEST. */
export function decodeAddress(packet: Buffer): { ok: true; address: string } | Refusal | undefined {
  const result = resultOf(packet, OPCODE_ADDRESS)
  if (result === undefined) return undefined
  if (result !== 0) return { ok: false, result }
  return packet.length < 12 ? undefined : { ok: true, address: packet.subarray(8, 12).join('.') }
}

export function decodeTcpMap(
  packet: Buffer,
  { internalPort }: MappingRequest,
): { ok: true; externalPort: number; lifetimeS: number } | Refusal | undefined {
  const result = resultOf(packet, OPCODE_MAP_TCP)
  if (result === undefined) return undefined
  if (result !== 0) return { ok: false, result }
  if (packet.length < 16 || packet.readUInt16BE(8) !== internalPort) return undefined
  return { ok: true, externalPort: packet.readUInt16BE(10), lifetimeS: packet.readUInt32BE(12) }
}

/** Result code of an answer to `opcode`; a refusal may end right after it. */
function resultOf(packet: Buffer, opcode: number): number | undefined {
  const answers = packet.length >= 8 && packet[0] === VERSION && packet[1] === (RESPONSE | opcode)
  return answers ? packet.readUInt16BE(2) : undefined
}
