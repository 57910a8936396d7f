/** A link's bytes over a socket. */

import type { Loop, Watcher } from './loop.ts'
import { EPOLL, type Memory, type Native } from './native.ts'
import type { Carrier, SealedLink } from './sealed-link.ts'

export class SocketCarrier implements Carrier, Watcher {
  readonly #native: Native
  readonly #loop: Loop
  #fd: number
  #link: SealedLink | undefined

  /** Owns the descriptor from now on. */
  constructor(native: Native, loop: Loop, fd: number) {
    this.#native = native
    this.#loop = loop
    this.#fd = fd
  }

  start(link: SealedLink): void {
    this.#link = link
    this.#loop.watch(this.#fd, this)
  }

  onEvents(events: number): void {
    // What a reset connection still held is lost; one that nobody reads must hear of it all the same.
    if ((events & EPOLL.ERR) !== 0) {
      this.#link?.broke(this.#native.socketError(this.#fd))
      return
    }
    const over = (events & (EPOLL.HUP | EPOLL.RDHUP)) !== 0
    this.#link?.onReady(over || (events & EPOLL.IN) !== 0, (events & EPOLL.OUT) !== 0, over)
  }

  read({ address }: Memory, at: number, bytes: number): number {
    return this.#native.read(this.#fd, address + BigInt(at), bytes)
  }

  send({ address }: Memory, at: number, bytes: number): number {
    return this.#native.send(this.#fd, address + BigInt(at), bytes)
  }

  close(): void {
    if (this.#fd < 0) return
    this.#loop.close(this.#fd)
    this.#fd = -1
  }
}
