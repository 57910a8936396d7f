/**
 * The system and OpenSSL, called without a stream in between: the only file that uses node:ffi.
 *
 * `dlopen(null)` reaches the C library and the OpenSSL inside the node binary. Every argument is declared `pointer` (a bigint): V8 then inlines
 * the call, where one `i32` among them would cost more than encrypting a kilobyte. Calls return a count or a negated errno, as the kernel does.
 *
 * Addresses are taken of buffers with their own memory only (`allocUnsafeSlow`), which never moves; whoever passes one keeps the buffer alive.
 */
import { createRequire } from 'node:module'
import { BywayError } from '../../protocol/errors.ts'

/** Memory with its address: what calls read from and write into. */
export interface Memory {
  readonly bytes: Buffer
  readonly address: bigint
}

// --- Numbers of the Linux ABI, the same on x64 and arm64. ---
export const EPOLL = { IN: 0x1, OUT: 0x4, ERR: 0x8, HUP: 0x10, RDHUP: 0x2000, ET: 0x80000000 } as const
export const ERRNO = {
  EINTR: 4,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  ENFILE: 23,
  EMFILE: 24,
  EPIPE: 32,
  ENETDOWN: 100,
  ENETUNREACH: 101,
  ENOBUFS: 105,
  ECONNRESET: 104,
  ETIMEDOUT: 110,
  ECONNREFUSED: 111,
  EHOSTDOWN: 112,
  EHOSTUNREACH: 113,
  EINPROGRESS: 115,
} as const
const EPOLL_CLOEXEC = 0x80000n
const EPOLL_CTL_ADD = 1n
const EPOLL_CTL_DEL = 2n
const SOCK_STREAM_NONBLOCK_CLOEXEC = 0x1n | 0x800n | 0x80000n
const SOCK_FLAGS = 0x800n | 0x80000n
const AF = { unix: 1n, ip4: 2n, ip6: 10n } as const
const F_DUPFD_CLOEXEC = 1030n
const F_SETFL = 4n
const O_RDWR_NONBLOCK = 0x802n
const SOL_SOCKET = 1n
const SO_ERROR = 4n
const SO_LINGER = 13n
const IPPROTO_TCP = 6n
const TCP_NODELAY = 1n
const SHUT_WR = 1n
const MSG_NOSIGNAL_DONTWAIT = 0x4000n | 0x40n
const MADV_DONTNEED = 4n
const MADV_HUGEPAGE = 14n
const EFD_FLAGS = 0x800n | 0x80000n

/** Where huge pages are larger, none fits a slab, and ordinary ones do. */
const HUGE_PAGE_BYTES = 2 * 1024 * 1024

// --- Numbers of OpenSSL's EVP interface. ---
const CTRL_AEAD_GET_TAG = 16n
const CTRL_AEAD_SET_TAG = 17n
const AS_BEFORE = 0xffffffffn
const TAG_BYTES = 16n

/** Functions and how many arguments each takes. All return an int; those in {@link RETURN_POINTERS} an address. */
const FUNCTIONS = {
  __errno_location: 0,
  epoll_create1: 1,
  epoll_ctl: 4,
  epoll_wait: 4,
  eventfd: 2,
  read: 3,
  readv: 3,
  write: 3,
  send: 4,
  sendmsg: 3,
  socket: 3,
  socketpair: 4,
  connect: 3,
  accept4: 4,
  shutdown: 2,
  close: 1,
  setsockopt: 5,
  getsockopt: 5,
  fcntl: 3,
  madvise: 3,
  EVP_CIPHER_fetch: 3,
  EVP_CIPHER_CTX_new: 0,
  EVP_CIPHER_CTX_free: 1,
  EVP_CipherInit_ex: 6,
  EVP_CipherUpdate: 5,
  EVP_CipherFinal_ex: 3,
  EVP_CIPHER_CTX_ctrl: 4,
} as const
const RETURN_POINTERS: readonly string[] = ['__errno_location', 'EVP_CIPHER_fetch', 'EVP_CIPHER_CTX_new']

type Pointers = '__errno_location' | 'EVP_CIPHER_fetch' | 'EVP_CIPHER_CTX_new'
type Functions = {
  [N in keyof typeof FUNCTIONS]: (...args: bigint[]) => N extends Pointers ? bigint : number
}

interface Ffi {
  dlopen(path: null): { lib: { getFunction(name: string, signature: object): (...args: bigint[]) => never } }
  getRawPointer(source: ArrayBufferView): bigint
  getInt32(pointer: bigint): number
}

export type Native = ReturnType<typeof createNative>

/** Loads everything, or throws with the reason: another system, a Node without node:ffi, a missing symbol. */
export function loadNative(): Native {
  if (process.platform !== 'linux' || !['x64', 'arm64'].includes(process.arch)) {
    throw new Error(`the fast path is for Linux on x64 and arm64, not ${process.platform} on ${process.arch}`)
  }
  return createNative(requireFfi())
}

/** node:ffi says once a process that it is experimental. We know: the self-test looks before anything relies on it. */
function requireFfi(): Ffi {
  const { emitWarning } = process
  process.emitWarning = (() => {}) as typeof emitWarning
  try {
    return createRequire(import.meta.url)('node:ffi') as Ffi
  } finally {
    process.emitWarning = emitWarning
  }
}

function mallocTrim(lib: ReturnType<Ffi['dlopen']>['lib']): ((pad: bigint) => unknown) | undefined {
  try {
    return lib.getFunction('malloc_trim', { return: 'i32', arguments: ['pointer'] })
  } catch {
    return undefined // another libc
  }
}

function createNative(ffi: Ffi) {
  const { lib } = ffi.dlopen(null)
  const f = Object.fromEntries(
    Object.entries(FUNCTIONS).map(([name, count]) => [
      name,
      lib.getFunction(name, { return: RETURN_POINTERS.includes(name) ? 'pointer' : 'i32', arguments: Array(count).fill('pointer') }),
    ]),
  ) as unknown as Functions
  const trim = mallocTrim(lib)
  const errno = (): number => -ffi.getInt32(f.__errno_location())
  const result = (count: number): number => (count < 0 ? errno() : count)

  const allocate = (size: number): Memory => {
    const bytes = Buffer.allocUnsafeSlow(size)
    return { bytes, address: ffi.getRawPointer(bytes) }
  }
  /** So many bytes in huge pages where the system has them: aligned, and nothing is touched before it is used. */
  const allocateHuge = (size: number): Memory => {
    const bytes = Buffer.allocUnsafeSlow(size + HUGE_PAGE_BYTES)
    const start = ffi.getRawPointer(bytes)
    const skip = (HUGE_PAGE_BYTES - Number(start % BigInt(HUGE_PAGE_BYTES))) % HUGE_PAGE_BYTES
    const memory = { bytes: bytes.subarray(skip, skip + size), address: start + BigInt(skip) }
    // A system without huge pages refuses, and nothing is lost.
    f.madvise(memory.address, BigInt(size), MADV_HUGEPAGE)
    return memory
  }
  /** Small arguments that a call reads or fills at once. One thread uses them, one call at a time. */
  const scratch = allocate(256)
  /** A `struct msghdr`: all nothing but its vector, and how many entries that has. */
  const message = allocate(64)
  message.bytes.fill(0)
  const messageWords = new BigUint64Array(message.bytes.buffer, message.bytes.byteOffset, 8)
  const event = allocate(EVENT_BYTES)
  const eventWords = wordsOf(event)
  const outLength = allocate(16)
  const option = allocate(16)

  /** What never changes lies ready: writing it again for each connection cost more than the call. */
  const ready = (...values: number[]): Memory => {
    const memory = allocate(values.length * 4)
    for (const [i, value] of values.entries()) memory.bytes.writeInt32LE(value, i * 4)
    return memory
  }
  const on = ready(1)
  const reset = ready(1, 0)
  const orderly = ready(0, 0)
  const setOption = (fd: number, level: bigint, name: bigint, value: Memory): number =>
    result(f.setsockopt(BigInt(fd), level, name, value.address, BigInt(value.bytes.length)))

  const close = (fd: number): void => {
    f.close(BigInt(fd))
  }

  return {
    allocate,
    allocateHuge,
    /** The pages of what {@link allocateHuge} gave go back to the system; what was in them is gone, and it may be used again. */
    giveBack(memory: Memory): void {
      f.madvise(memory.address, BigInt(memory.bytes.length), MADV_DONTNEED)
    },

    // --- Descriptors and sockets. Descriptors made here do not block and do not outlive an exec. ---
    close,
    /** A buffer's memory as calls see it. It must have memory of its own. */
    memoryOf: (bytes: Buffer): Memory => ({ bytes, address: ffi.getRawPointer(bytes) }),
    read: (fd: number, address: bigint, bytes: number): number => result(f.read(BigInt(fd), address, BigInt(bytes))),
    /** `vector` is `count` pairs of address and length (two u64 each). */
    readv: (fd: number, vector: bigint, count: number): number => result(f.readv(BigInt(fd), vector, BigInt(count))),
    /** To a socket whose other end may be gone: EPIPE, never a signal. */
    send: (fd: number, address: bigint, bytes: number): number => result(f.send(BigInt(fd), address, BigInt(bytes), MSG_NOSIGNAL_DONTWAIT)),
    sendv(fd: number, vector: bigint, count: number): number {
      messageWords[2] = vector
      messageWords[3] = BigInt(count)
      return result(f.sendmsg(BigInt(fd), message.address, MSG_NOSIGNAL_DONTWAIT))
    },
    /** Another descriptor of the same open file, so that closing one leaves the other. */
    duplicate: (fd: number): number => result(f.fcntl(BigInt(fd), F_DUPFD_CLOEXEC, 3n)),
    setNonBlocking: (fd: number): number => result(f.fcntl(BigInt(fd), F_SETFL, O_RDWR_NONBLOCK)),
    shutdownWrite: (fd: number): number => result(f.shutdown(BigInt(fd), SHUT_WR)),
    setNoDelay: (fd: number): number => setOption(fd, IPPROTO_TCP, TCP_NODELAY, on),
    /** Closes so that the peer sees a reset (RST), whatever is still under way. */
    closeWithReset(fd: number): void {
      setOption(fd, SOL_SOCKET, SO_LINGER, reset)
      close(fd)
    },
    /** Whether closing resets the connection, also when the system closes it for a process that was killed. */
    resetWhenClosed: (fd: number, resets: boolean): number => setOption(fd, SOL_SOCKET, SO_LINGER, resets ? reset : orderly),
    /** Two connected Unix stream sockets. */
    socketPair(): [number, number] {
      const status = result(f.socketpair(AF.unix, SOCK_STREAM_NONBLOCK_CLOEXEC, 0n, scratch.address))
      if (status < 0) {
        throw new BywayError('PROVIDER_BUSY', 'no descriptors are left', {
          facts: { errno: -status },
          hint: 'Raise the limit of open files (`ulimit -n`, LimitNOFILE) and start again.',
        })
      }
      return [scratch.bytes.readInt32LE(0), scratch.bytes.readInt32LE(4)]
    },
    accept: (fd: number): number => result(f.accept4(BigInt(fd), 0n, 0n, SOCK_FLAGS)),
    /** Starts connecting a TCP socket to an address in network order (4 or 16 bytes). A descriptor, or a negated errno. */
    connect(address: Uint8Array, port: number): number {
      const six = address.length === 16
      const fd = result(f.socket(six ? AF.ip6 : AF.ip4, SOCK_STREAM_NONBLOCK_CLOEXEC, 0n))
      if (fd < 0) return fd
      const { bytes } = scratch
      bytes.fill(0, 0, 28)
      bytes.writeUInt16LE(six ? 10 : 2, 0)
      bytes.writeUInt16BE(port, 2)
      bytes.set(address, six ? 8 : 4)
      const status = result(f.connect(BigInt(fd), scratch.address, six ? 28n : 16n))
      if (status === 0 || status === -ERRNO.EINPROGRESS) {
        setOption(fd, IPPROTO_TCP, TCP_NODELAY, on)
        return fd
      }
      close(fd)
      return status
    },
    /** What became of a connect: 0 or an errno. */
    socketError(fd: number): number {
      option.bytes.writeInt32LE(4, 8)
      const status = result(f.getsockopt(BigInt(fd), SOL_SOCKET, SO_ERROR, option.address, option.address + 8n))
      return status < 0 ? -status : option.bytes.readInt32LE(0)
    },

    /** Gives free pages of malloc's back to the system, where malloc can: musl's has no such call. */
    trim(): void {
      trim?.(0n)
    },

    // --- Waiting. ---
    epollCreate(): number {
      const fd = result(f.epoll_create1(EPOLL_CLOEXEC))
      if (fd < 0) throw new Error(`epoll_create1 failed: errno ${-fd}`)
      return fd
    },
    /** `generation` comes back with each event. */
    epollAdd(epoll: number, fd: number, events: number, generation = 0): number {
      eventWords[EVENT.mask] = events
      eventWords[EVENT.fd] = fd
      eventWords[EVENT.generation] = generation
      return result(f.epoll_ctl(BigInt(epoll), EPOLL_CTL_ADD, BigInt(fd), event.address))
    },
    epollRemove: (epoll: number, fd: number): number => result(f.epoll_ctl(BigInt(epoll), EPOLL_CTL_DEL, BigInt(fd), event.address)),
    /** Events land in `events`, {@link EVENT_BYTES} each. `timeoutMs` -1 waits for ever. */
    epollWait: (epoll: number, events: Memory, timeoutMs: number): number =>
      result(
        f.epoll_wait(BigInt(epoll), events.address, BigInt(Math.floor(events.bytes.length / EVENT_BYTES)), BigInt(timeoutMs) & 0xffffffffn),
      ),
    eventFd(): number {
      const fd = result(f.eventfd(0n, EFD_FLAGS))
      if (fd < 0) throw new Error(`eventfd failed: errno ${-fd}`)
      return fd
    },
    /** Adds one to an eventfd: whoever waits for it wakes. */
    signal(fd: number): void {
      scratch.bytes.writeBigUInt64LE(1n, 0)
      f.write(BigInt(fd), scratch.address, 8n)
    },
    /** Takes all signals off an eventfd. */
    unsignal(fd: number): void {
      f.read(BigInt(fd), scratch.address, 8n)
    },

    // --- One AEAD key and direction: a context. ---
    cipher(name: string): bigint {
      const text = allocate(name.length + 1)
      text.bytes.write(`${name}\0`, 'latin1')
      const cipher = f.EVP_CIPHER_fetch(0n, text.address, 0n)
      if (cipher === 0n) throw new Error(`OpenSSL has no ${name}`)
      return cipher
    },
    newContext(cipher: bigint, key: Uint8Array, encrypt: boolean): bigint {
      const context = f.EVP_CIPHER_CTX_new()
      scratch.bytes.set(key, 0)
      const ok = f.EVP_CipherInit_ex(context, cipher, 0n, scratch.address, 0n, encrypt ? 1n : 0n)
      scratch.bytes.fill(0, 0, key.length)
      if (ok !== 1) throw new Error('OpenSSL refused the key')
      return context
    },
    freeContext(context: bigint): void {
      f.EVP_CIPHER_CTX_free(context)
    },
    /** Encrypts `bytes` at `from` to `to`, the tag behind them. All addresses; `aadBytes` at `aad`. */
    seal(context: bigint, nonce: bigint, aad: bigint, aadBytes: bigint, from: bigint, to: bigint, bytes: bigint): boolean {
      return (
        f.EVP_CipherInit_ex(context, 0n, 0n, 0n, nonce, AS_BEFORE) === 1 &&
        f.EVP_CipherUpdate(context, 0n, outLength.address, aad, aadBytes) === 1 &&
        f.EVP_CipherUpdate(context, to, outLength.address, from, bytes) === 1 &&
        f.EVP_CipherFinal_ex(context, to + bytes, outLength.address) === 1 &&
        f.EVP_CIPHER_CTX_ctrl(context, CTRL_AEAD_GET_TAG, TAG_BYTES, to + bytes) === 1
      )
    },
    /** Decrypts `bytes` at `at` in place; the tag stands behind them. False when it does not fit. */
    open(context: bigint, nonce: bigint, aad: bigint, aadBytes: bigint, at: bigint, bytes: bigint): boolean {
      return (
        f.EVP_CipherInit_ex(context, 0n, 0n, 0n, nonce, AS_BEFORE) === 1 &&
        f.EVP_CIPHER_CTX_ctrl(context, CTRL_AEAD_SET_TAG, TAG_BYTES, at + bytes) === 1 &&
        f.EVP_CipherUpdate(context, 0n, outLength.address, aad, aadBytes) === 1 &&
        f.EVP_CipherUpdate(context, at, outLength.address, at, bytes) === 1 &&
        f.EVP_CipherFinal_ex(context, at + bytes, outLength.address) === 1
      )
    },
  }
}

/** Words of `struct epoll_event`: x64 packs it, elsewhere its second half is aligned. What is ours comes back as it was given. */
export const EVENT = process.arch === 'x64' ? { mask: 0, fd: 1, generation: 2, words: 3 } : { mask: 0, fd: 2, generation: 3, words: 4 }
export const EVENT_BYTES = 4 * EVENT.words

export const wordsOf = ({ bytes }: Memory): Int32Array => new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2)
