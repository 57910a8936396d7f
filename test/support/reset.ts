/** A reset in the middle of whatever a connection is doing. */
import type { Socket } from 'node:net'
import { descriptorOf } from '../../src/tunnel/fast/detach.ts'
import { loadNative } from '../../src/tunnel/fast/native.ts'

const native = process.platform === 'linux' ? loadNative() : undefined

/**
 * As its peer sees it, resetAndDestroy(). That is refused while a socket sends its end, which cannot be seen from outside when it is TLS above it,
 * or Node itself after the peer's end, that does; Node then neither closes the socket nor ends the process, ever. Closing it so that the system
 * sends a reset works at any moment.
 */
export function resetAtAnyMoment(socket: Socket): void {
  const fd = descriptorOf(socket)
  if (fd >= 0) native?.resetWhenClosed(fd, true)
  socket.destroy()
}
