/**
 * What a process says and hears on its wires: every packet on loopback, and which of them are its own. By a packet socket, as root on Linux; a
 * connection belongs to whoever has its descriptor.
 */

import { dlopen, getRawPointer } from 'node:ffi'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { foundIn, type Markers } from './knowledge.ts'

const P = 'pointer'
const { functions: libc } = dlopen(null, {
  socket: { arguments: [P, P, P], return: 'i32' },
  setsockopt: { arguments: [P, P, P, P, P], return: 'i32' },
  getsockopt: { arguments: [P, P, P, P, P], return: 'i32' },
  recv: { arguments: [P, P, P, P], return: 'i32' },
  close: { arguments: [P], return: 'i32' },
})

// --- Fixed by Linux and IP. ---
const AF_PACKET = 17n
const SOCK_RAW_NONBLOCK = 3n | 2048n
/** ETH_P_IP in network order: loopback carries what looks like Ethernet. */
const IPV4 = 0x0008n
const ETHERNET_BYTES = 14
const TCP = 6
const SOL_SOCKET = 1n
const SO_RCVBUFFORCE = 33n
const SOL_PACKET = 263n
const PACKET_STATISTICS = 6n

/** What arrives between two looks, also on a busy machine. */
const ROOM_BYTES = 128 * 1024 * 1024
const LOOK_EVERY_MS = 2
/** Loopback's largest packet and its header. */
const PACKET_BYTES = 70_000

interface Packet {
  from: string
  to: string
  payload: Buffer
}

/** `address:port` of both ends of a connection, as the process that has it sees them. */
type Connection = `${string} ${string}`

export interface Wires {
  /** Remembers the connections that a process has in this moment as its own. */
  own(pid: number): void
  /** Packets that were lost: more came than could be looked at. */
  lost(): number
  stop(): void
  /** Which markers are on a process's wires, in what is said or as an address; and how many bytes of payload there are. */
  search(pid: number, markers: Markers): { found: Set<string>; bytes: number }
}

/** Whether this process may have a packet socket: root in a container may not. */
export function mayCapture(): boolean {
  const fd = libc.socket(AF_PACKET, SOCK_RAW_NONBLOCK, IPV4)
  if (fd >= 0) libc.close(BigInt(fd))
  return fd >= 0
}

/** Keeps every packet of TCP over IPv4 on this network's loopback that one of these ports sent or was sent. */
export function captureWires(ports: ReadonlySet<number>): Wires {
  const fd = BigInt(libc.socket(AF_PACKET, SOCK_RAW_NONBLOCK, IPV4))
  if (fd < 0n) throw new Error('no packet socket: it takes root on Linux')
  const memory = Buffer.from(new ArrayBuffer(PACKET_BYTES))
  const at = getRawPointer(memory)
  memory.writeInt32LE(ROOM_BYTES)
  libc.setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, at, 4n)
  const packets: Packet[] = []
  const owned = new Map<number, Set<Connection>>()
  const look = () => {
    for (let length = libc.recv(fd, at, BigInt(PACKET_BYTES), 0n); length > 0; length = libc.recv(fd, at, BigInt(PACKET_BYTES), 0n)) {
      const packet = readPacket(memory.subarray(ETHERNET_BYTES, length), ports)
      if (packet !== undefined) packets.push(packet)
    }
  }
  const looking = setInterval(look, LOOK_EVERY_MS)
  return {
    own(pid) {
      const connections = owned.get(pid) ?? new Set()
      owned.set(pid, connections)
      for (const connection of connectionsOf(pid)) connections.add(connection)
    },
    lost() {
      look()
      memory.writeInt32LE(8, 8)
      libc.getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, at, at + 8n)
      return memory.readUInt32LE(4)
    },
    stop() {
      clearInterval(looking)
      libc.close(fd)
    },
    search(pid, markers) {
      const connections = owned.get(pid) ?? new Set()
      const directions = new Map<string, Buffer[]>()
      for (const { from, to, payload } of packets) {
        if (!connections.has(`${from} ${to}`) && !connections.has(`${to} ${from}`)) continue
        const said = directions.get(`${from} ${to}`) ?? []
        directions.set(`${from} ${to}`, said)
        said.push(payload)
      }
      const found = new Set<string>()
      let bytes = 0
      for (const [ends, said] of directions) {
        // Whole directions: what lies across two packets is found too. Packets of loopback come in order, each once a way.
        const all = Buffer.concat([Buffer.from(`${ends}\n`), ...said])
        bytes += all.length
        for (const name of foundIn(all, markers)) found.add(name)
      }
      return { found, bytes }
    },
  }
}

function readPacket(packet: Buffer, ports: ReadonlySet<number>): Packet | undefined {
  const headBytes = (packet[0]! & 0x0f) * 4
  if (packet.length < headBytes + 20 || packet[9] !== TCP) return undefined
  const [source, target] = [packet.readUInt16BE(headBytes), packet.readUInt16BE(headBytes + 2)]
  if (!ports.has(source) && !ports.has(target)) return undefined
  const dataAt = headBytes + (packet[headBytes + 12]! >> 4) * 4
  // The memory is used again.
  const payload = Buffer.from(packet.subarray(dataAt, Math.max(dataAt, packet.readUInt16BE(2) || packet.length)))
  return { from: `${packet.subarray(12, 16).join('.')}:${source}`, to: `${packet.subarray(16, 20).join('.')}:${target}`, payload }
}

/** Connections over IPv4 whose descriptors the process has. */
function connectionsOf(pid: number): Connection[] {
  const inodes = new Set<string>()
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    try {
      const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1]
      if (inode !== undefined) inodes.add(inode)
    } catch {
      // It was closed while we looked.
    }
  }
  const lines = ['tcp', 'tcp6'].flatMap((name) => readFileSync(`/proc/${pid}/net/${name}`, 'latin1').split('\n').slice(1))
  return lines.flatMap((line): Connection[] => {
    const [, local, remote, , , , , , , inode] = line.trim().split(/\s+/)
    return inode !== undefined && inodes.has(inode) ? [`${endpoint(local!)} ${endpoint(remote!)}`] : []
  })
}

/** `0100007F:1F90` is 127.0.0.1:8080: the address as the machine keeps it, of an IPv4 one in IPv6 the last four bytes. */
function endpoint(text: string): string {
  const [address, port] = text.split(':') as [string, string]
  return `${Buffer.from(address.slice(-8), 'hex').reverse().join('.')}:${Number.parseInt(port, 16)}`
}
