/**
 * What a destination hears when this process is killed in the middle of a flow: a reset, and not the end that the system would say for it, as
 * if all had been sent. Nobody could tell such an upload from a whole one.
 *
 * The system is asked for that through node:ffi. Where that is missing a destination hears an end; see known issues.
 */
import { createRequire } from 'node:module'
import type { Socket } from 'node:net'

// --- Numbers of the Linux ABI. ---
const SOL_SOCKET = 1n
const SO_LINGER = 13n
/** `struct linger`: on or off, and for how many seconds; on for none means that closing resets. Memory of their own, which never moves. */
const LINGER_BYTES = 8
const OFF = Buffer.allocUnsafeSlow(LINGER_BYTES).fill(0)
const ON = Buffer.allocUnsafeSlow(LINGER_BYTES).fill(0)
ON.writeInt32LE(1)

/** From now until all was sent, a connection that this process does not end in order is reset. */
export function resetOnDeath(socket: Socket): void {
  const fd = (socket as unknown as { _handle?: { fd?: number } })._handle?.fd
  if (fd === undefined || fd < 0 || socket.writableEnded) return
  setLinger ??= loadSetLinger()
  setLinger(fd, true)
  // Handed to the system, with its end: from here on that delivers it, whatever happens to us.
  socket.once('finish', () => {
    if (!socket.destroyed) setLinger!(fd, false)
  })
}

type SetLinger = (fd: number, on: boolean) => void
let setLinger: SetLinger | undefined

interface Ffi {
  dlopen(path: null): { lib: { getFunction(name: string, signature: object): (...args: bigint[]) => number } }
  getRawPointer(source: ArrayBufferView): bigint
}

function loadSetLinger(): SetLinger {
  if (process.platform !== 'linux') return () => {}
  const { emitWarning } = process
  // It says once a process that it is experimental. All we lose without it is this.
  process.emitWarning = (() => {}) as typeof emitWarning
  try {
    const ffi = createRequire(import.meta.url)('node:ffi') as Ffi
    const pointers = { return: 'i32', arguments: Array(5).fill('pointer') }
    const setsockopt = ffi.dlopen(null).lib.getFunction('setsockopt', pointers)
    const [on, off] = [ffi.getRawPointer(ON), ffi.getRawPointer(OFF)]
    return (fd, linger) => {
      setsockopt(BigInt(fd), SOL_SOCKET, SO_LINGER, linger ? on : off, BigInt(LINGER_BYTES))
    }
  } catch {
    return () => {} // no node:ffi
  } finally {
    process.emitWarning = emitWarning
  }
}
