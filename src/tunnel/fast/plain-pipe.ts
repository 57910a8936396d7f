/**
 * A link given back to the main thread: its plaintext goes through a pair of sockets, and this thread only seals and opens. For what is carried
 * in messages and not in bytes (datagrams), which is never much.
 */
import type { Message } from '../../protocol/messages.ts'
import type { Task, Watcher } from './loop.ts'
import { EPOLL, ERRNO, type Memory } from './native.ts'
import type { LinkOwner, SealedLink } from './sealed-link.ts'
import { PIECE_BYTES, type Thread } from './shared.ts'

/** Read from the main thread before others have their turn. */
const PIECES_A_TURN = 4

export class PlainPipe implements LinkOwner, Watcher, Task {
  readonly #thread: Thread
  readonly #link: SealedLink
  #fd: number
  #waiting: Buffer[]
  #readable = true

  /** `first` is what the main thread hears before anything that comes over the link. */
  constructor(thread: Thread, link: SealedLink, fd: number, first: Buffer) {
    this.#thread = thread
    this.#link = link
    this.#fd = fd
    this.#waiting = [first]
    thread.loop.watch(fd, this)
    link.listenPlain(this)
    thread.loop.again(this)
  }

  run(): void {
    this.#write()
    this.#read()
  }

  onEvents(events: number): void {
    if ((events & (EPOLL.ERR | EPOLL.HUP)) !== 0) {
      this.#link.close()
      return
    }
    if ((events & EPOLL.OUT) !== 0) this.#write()
    if ((events & (EPOLL.IN | EPOLL.RDHUP)) !== 0) {
      this.#readable = true
      this.#read()
    }
  }

  #read(): void {
    const { native, pieces, loop } = this.#thread
    for (let turn = 0; turn < PIECES_A_TURN; turn++) {
      if (this.#fd < 0 || !this.#readable || this.#link.blocked) return
      const piece = pieces.take()
      const count = native.read(this.#fd, piece.address, PIECE_BYTES)
      if (count > 0) {
        this.#link.seal(piece, 0, count)
        this.#link.flush()
      }
      pieces.give(piece)
      if (count === 0) this.#link.close()
      if (count < 0) {
        if (count === -ERRNO.EAGAIN) this.#readable = false
        else if (count !== -ERRNO.EINTR) this.#link.close()
        return
      }
    }
    loop.again(this)
  }

  onData(memory: Memory, at: number, bytes: number): void {
    this.#waiting.push(Buffer.from(memory.bytes.subarray(at, at + bytes)))
  }

  onBatch(): boolean {
    this.#write()
    return false
  }

  #write(): void {
    const { native, input } = this.#thread
    while (this.#waiting.length > 0 && this.#fd >= 0) {
      const first = this.#waiting[0]!
      const memory = input.take()
      first.copy(memory.bytes)
      const count = native.send(this.#fd, memory.address, first.length)
      input.give(memory)
      if (count === first.length) this.#waiting.shift()
      else if (count > 0) this.#waiting[0] = first.subarray(count)
      else if (count === -ERRNO.EAGAIN) break
      else if (count !== -ERRNO.EINTR) {
        this.#link.close()
        return
      }
    }
    if (this.#waiting.length > 0) this.#link.pause()
    else this.#link.resume()
  }

  onRoom(): void {
    this.#thread.loop.again(this)
  }

  onMessage(_message: Message): void {}

  onClosed(): void {
    if (this.#fd < 0) return
    this.#thread.loop.close(this.#fd)
    this.#fd = -1
    this.#waiting = []
  }
}
