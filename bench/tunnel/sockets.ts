/**
 * TCP and epoll by direct system calls (node:ffi), for the two processes that make and take the load.
 *
 * Why not `net`: both share the machine with what they measure. A connection costs Node's sockets some 100 microseconds, as much as a fast
 * proxy needs for it, and every system would look alike. Here a call costs its system call and little more. Linux only, as all of
 * bench/tunnel. Every argument is declared a pointer, because then V8 calls the function without going through C++.
 */
import { dlopen, getInt32, getRawPointer } from 'node:ffi'

const P = 'pointer'
const four = { arguments: [P, P, P, P], return: 'i32' } as const
const { functions: libc } = dlopen(null, {
  socket: { arguments: [P, P, P], return: 'i32' },
  bind: { arguments: [P, P, P], return: 'i32' },
  listen: { arguments: [P, P], return: 'i32' },
  getsockname: { arguments: [P, P, P], return: 'i32' },
  connect: { arguments: [P, P, P], return: 'i32' },
  accept4: four,
  setsockopt: { arguments: [P, P, P, P, P], return: 'i32' },
  send: four,
  recv: four,
  close: { arguments: [P], return: 'i32' },
  epoll_create1: { arguments: [P], return: 'i32' },
  epoll_ctl: four,
  epoll_wait: four,
  prctl: { arguments: [P, P], return: 'i32' },
  __errno_location: { arguments: [], return: P },
})

// --- Fixed by Linux. ---
const AF_INET = 2n
const SOCK_STREAM = 1n
const SOCK_NONBLOCK = 2048n
const IPPROTO_TCP = 6n
const TCP_NODELAY = 1n
const MSG_TRUNC = 0x20n
const MSG_NOSIGNAL = 0x4000n
const EAGAIN = 11
const EINPROGRESS = 115
const EPOLL_CTL_ADD = 1n
const EPOLL_CTL_MOD = 3n
const PR_SET_PDEATHSIG = 1n
const SIGKILL = 9n
/** `struct epoll_event` is packed on x86-64 only. */
const EVENT = process.arch === 'x64' ? { bytes: 12, dataAt: 4 } : { bytes: 16, dataAt: 8 }
export const READABLE = 1
export const WRITABLE = 4

/** Connections that may wait to be accepted: more than are ever opened at once. */
const BACKLOG = 4_096n
const EVENTS_PER_WAIT = 256
/** The call would have to wait. */
export const AGAIN = -1

/** Memory that system calls read and write. It never moves and is never freed: ours are all made at start. */
export interface Memory {
  readonly bytes: Buffer<ArrayBuffer>
  readonly at: bigint
}

export function memory(bytes: number): Memory {
  const buffer = Buffer.from(new ArrayBuffer(bytes))
  return { bytes: buffer, at: getRawPointer(buffer) }
}

const errnoAt = libc.__errno_location() as bigint

function check(result: number, call: string): number {
  if (result < 0) throw new Error(`${call}: errno ${getInt32(errnoAt)}`)
  return result
}

const one = memory(4)
one.bytes.writeInt32LE(1)
const noDelay = (fd: bigint) => check(libc.setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, one.at, 4n), 'setsockopt')

const address = memory(16)
const addressLength = memory(4)

/** An IPv4 address, in four numbers. */
export type Host = readonly [number, number, number, number]
export const LOOPBACK: Host = [127, 0, 0, 1]

/** Writes `struct sockaddr_in`. */
function socketAddress(host: Host, port: number): bigint {
  address.bytes.fill(0)
  address.bytes.writeUInt16LE(Number(AF_INET), 0)
  address.bytes.writeUInt16BE(port, 2)
  address.bytes.set(host, 4)
  return address.at
}

/** On any free port. */
export function listenTcp(host: Host = LOOPBACK): { fd: bigint; port: number } {
  const fd = BigInt(check(libc.socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0n), 'socket'))
  check(libc.bind(fd, socketAddress(host, 0), 16n), 'bind')
  check(libc.listen(fd, BACKLOG), 'listen')
  addressLength.bytes.writeUInt32LE(16)
  check(libc.getsockname(fd, address.at, addressLength.at), 'getsockname')
  return { fd, port: address.bytes.readUInt16BE(2) }
}

/** A connection under way; sending waits until it stands. */
export function connectTcp(port: number, host: Host = LOOPBACK): bigint {
  const fd = BigInt(check(libc.socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0n), 'socket'))
  noDelay(fd)
  if (libc.connect(fd, socketAddress(host, port), 16n) < 0 && getInt32(errnoAt) !== EINPROGRESS) check(-1, 'connect')
  return fd
}

/** Undefined when nobody waits. */
export function acceptTcp(listener: bigint): bigint | undefined {
  const fd = libc.accept4(listener, 0n, 0n, SOCK_NONBLOCK)
  if (fd < 0) {
    if (getInt32(errnoAt) === EAGAIN) return undefined
    check(fd, 'accept')
  }
  noDelay(BigInt(fd))
  return BigInt(fd)
}

/** Bytes taken, or {@link AGAIN}. */
export function send(fd: bigint, from: bigint, length: number): number {
  const sent = libc.send(fd, from, BigInt(length), MSG_NOSIGNAL)
  return sent < 0 && getInt32(errnoAt) === EAGAIN ? AGAIN : check(sent, 'send')
}

/** Bytes read, 0 at the end of the stream, or {@link AGAIN}. */
export function receive(fd: bigint, to: bigint, length: number): number {
  const got = libc.recv(fd, to, BigInt(length), 0n)
  return got < 0 && getInt32(errnoAt) === EAGAIN ? AGAIN : check(got, 'recv')
}

/** As {@link receive}, but the kernel throws the bytes away instead of copying them to us. */
export function swallow(fd: bigint, length: number): number {
  const got = libc.recv(fd, 0n, BigInt(length), MSG_TRUNC)
  return got < 0 && getInt32(errnoAt) === EAGAIN ? AGAIN : check(got, 'recv')
}

export function closeTcp(fd: bigint): void {
  libc.close(fd)
}

/** This process ends with the one that started it, however that ends. */
export function dieWithParent(): void {
  check(libc.prctl(PR_SET_PDEATHSIG, SIGKILL), 'prctl')
}

/** Level-triggered: whoever does not use up an event is told again. */
export class Poller {
  readonly #fd = BigInt(check(libc.epoll_create1(0n), 'epoll_create'))
  readonly #event = memory(EVENT.bytes)
  readonly #events = memory(EVENT.bytes * EVENTS_PER_WAIT)

  add(fd: bigint, id: number, events: number): void {
    this.#control(EPOLL_CTL_ADD, fd, id, events)
  }

  change(fd: bigint, id: number, events: number): void {
    this.#control(EPOLL_CTL_MOD, fd, id, events)
  }

  #control(what: bigint, fd: bigint, id: number, events: number): void {
    this.#event.bytes.writeUInt32LE(events, 0)
    this.#event.bytes.writeUInt32LE(id, EVENT.dataAt)
    check(libc.epoll_ctl(this.#fd, what, fd, this.#event.at), 'epoll_ctl')
  }

  /** Waits at most this long (for ever below zero). Errors of a connection show as readable and writable. */
  wait(timeoutMs: number, onEvent: (id: number, readable: boolean, writable: boolean) => void): void {
    const timeout = timeoutMs < 0 ? 0xffff_ffffn : BigInt(Math.ceil(timeoutMs))
    const count = libc.epoll_wait(this.#fd, this.#events.at, BigInt(EVENTS_PER_WAIT), timeout)
    const { bytes } = this.#events
    // Below zero it was a signal; the caller looks at its clock and comes again.
    for (let i = 0; i < count; i++) {
      const events = bytes.readUInt32LE(i * EVENT.bytes)
      onEvent(bytes.readUInt32LE(i * EVENT.bytes + EVENT.dataAt), (events & ~WRITABLE) !== 0, (events & ~READABLE) !== 0)
    }
  }
}
