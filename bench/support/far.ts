/**
 * A path of a given round trip on one machine, without netem: what is sent to the far address comes back, half a round trip later, as if a
 * machine there had sent it, so that a server on the near address is reached through the far one. Whole packets are delayed, so
 * handshakes take their round trips too. Needs a TUN device: root, in a network of its own.
 *
 * Exchanging source and destination of a packet leaves its checksums right, because they are sums.
 */
import { type ChildProcess, execFileSync, fork } from 'node:child_process'
import { once } from 'node:events'
import { dlopen } from 'node:ffi'
import { openSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { dieWithParent, type Host, memory } from '../tunnel/sockets.ts'

/** Networks with a far side, so that the nodes of a route can each have their own. */
const NETWORKS = [1, 2, 3] as const
export const NEAR: readonly Host[] = NETWORKS.map((network) => [10, 98, network, 1])
export const FAR: readonly Host[] = NETWORKS.map((network) => [10, 98, network, 2])

const DEVICE = 'far0'
/** Packets under way at once; more are lost, as on a path with a short queue. 1,500 bytes at 20 ms: about 5 Gbit/s. */
const SLOTS = 8_192
const SLOT_BYTES = 2_048

export interface FarPath {
  stop(): void
}

export async function startFarPath(roundTripMs: number): Promise<FarPath> {
  const child: ChildProcess = fork(fileURLToPath(import.meta.url), [String(roundTripMs)], {
    execArgv: ['--disable-warning=ExperimentalWarning'],
  })
  const failed = once(child, 'exit').then(() => {
    throw new Error('no TUN device can be made here')
  })
  await Promise.race([once(child, 'message'), failed])
  failed.catch(() => {}) // stopped
  return { stop: () => void child.kill('SIGKILL') }
}

// --- Fixed by Linux. ---
const TUNSETIFF = 0x4004_54can
const IFF_TUN = 0x0001
const IFF_NO_PI = 0x1000
const O_RDWR_NONBLOCK = 0o4002
const POLLIN = 1

function openTun(): bigint {
  const P = 'pointer'
  const { functions: libc } = dlopen(null, { ioctl: { arguments: [P, P, P], return: 'i32' } })
  const fd = BigInt(openSync('/dev/net/tun', O_RDWR_NONBLOCK))
  const request = memory(40)
  request.bytes.write(DEVICE, 'latin1')
  request.bytes.writeUInt16LE(IFF_TUN | IFF_NO_PI, 16)
  if (libc.ioctl(fd, TUNSETIFF, request.at) < 0) throw new Error('TUNSETIFF failed')
  for (const near of NEAR) execFileSync('ip', ['address', 'add', `${near.join('.')}/24`, 'dev', DEVICE])
  execFileSync('ip', ['link', 'set', DEVICE, 'up', 'txqueuelen', '10000'])
  return fd
}

function delayPackets(oneWayMs: number): never {
  dieWithParent()
  const P = 'pointer'
  const { functions: libc } = dlopen(null, {
    read: { arguments: [P, P, P], return: 'i64' },
    write: { arguments: [P, P, P], return: 'i64' },
    poll: { arguments: [P, P, P], return: 'i32' },
  })
  const fd = openTun()
  const ring = memory(SLOTS * SLOT_BYTES)
  const spare = memory(SLOT_BYTES)
  const lengths = new Uint16Array(SLOTS)
  const dueMs = new Float64Array(SLOTS)
  const watched = memory(8)
  watched.bytes.writeInt32LE(Number(fd), 0)
  watched.bytes.writeInt16LE(POLLIN, 4)
  let head = 0
  let tail = 0
  const deliver = () => {
    for (const now = performance.now(); head !== tail && dueMs[head % SLOTS]! <= now; head++) {
      libc.write(fd, ring.at + BigInt((head % SLOTS) * SLOT_BYTES), BigInt(lengths[head % SLOTS]!))
    }
  }
  const take = () => {
    for (;;) {
      const full = tail - head >= SLOTS
      const slot = tail % SLOTS
      const at = slot * SLOT_BYTES
      const got = Number(libc.read(fd, full ? spare.at : ring.at + BigInt(at), BigInt(SLOT_BYTES)))
      if (got <= 0) return
      // Anything but IPv4 is the kernel talking to itself.
      if (full || ring.bytes[at]! >> 4 !== 4) continue
      const from = Buffer.from(ring.bytes.subarray(at + 12, at + 16))
      ring.bytes.copyWithin(at + 12, at + 16, at + 20)
      from.copy(ring.bytes, at + 16)
      lengths[slot] = got
      dueMs[slot] = performance.now() + oneWayMs
      tail++
    }
  }
  process.send!('ready', () => {
    for (;;) {
      const waitMs = head === tail ? 1_000 : Math.max(0, dueMs[head % SLOTS]! - performance.now())
      // A millisecond early and then looking again: poll counts whole ones.
      libc.poll(watched.at, 1n, BigInt(Math.floor(waitMs)))
      take()
      deliver()
    }
  })
  return undefined as never
}

if (import.meta.main) delayPackets(Number(process.argv[2]) / 2)
