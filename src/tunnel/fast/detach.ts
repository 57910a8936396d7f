/** Taking a socket away from node:net, to read and write it without streams. */
import type { Server, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Native } from './native.ts'

/** The descriptor of a socket or server, or -1 when it is none of the system's. */
export function descriptorOf(socket: Duplex | Server): number {
  return (socket as { _handle?: { fd?: number } | null })._handle?.fd ?? -1
}

/** All that a paused stream holds. It came in several pieces, perhaps, and `read()` returns one of them. */
export function heldBy(stream: Duplex): Buffer {
  const pieces: Buffer[] = []
  for (let piece = stream.read(); piece !== null; piece = stream.read()) pieces.push(piece)
  return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces)
}

/** Takes a plain socket of node:net away from it: a descriptor of its own, and what was read already. Undefined when it cannot be taken: it is as it was. */
export function detach(native: Native, socket: Socket): { fd: number; early: Buffer } | undefined {
  const fd = descriptorOf(socket)
  if (fd < 0 || socket.destroyed || socket.readableEnded || socket.writableLength > 0) return undefined
  const own = native.duplicate(fd)
  if (own < 0) return undefined
  // What arrives from here on is left to the new descriptor: node:net reads nothing before the end of this turn, and then the socket is gone.
  socket.pause()
  const early = heldBy(socket)
  socket.destroy()
  return { fd: own, early }
}
