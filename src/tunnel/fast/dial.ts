/** Connects to the first of several checked addresses that answers (RFC 8305), without a stream: the descriptor, or why not. */
import { uint } from '../../protocol/bytes.ts'
import { BywayError } from '../../protocol/errors.ts'
import { parseCidr } from '../egress/address.ts'
import { connectError, mostTelling } from '../egress/dial.ts'
import type { Loop, Timer } from './loop.ts'
import { EPOLL, ERRNO, type Native } from './native.ts'

/** How long the next address waits for the one before (RFC 8305, "Connection Attempt Delay"). */
const ATTEMPT_DELAY_MS = 250

const NAMES = new Map<number, string>(Object.entries(ERRNO).map(([name, number]) => [number, name]))

/** As the system wants it. Throws ARGUMENT_INVALID for what is no address. */
export function addressBytes(text: string): Uint8Array {
  const { base, family } = parseCidr(text)
  return uint(base, family === 4 ? 4 : 16)
}

/** A connected descriptor, still watched, and the events it was told of: a mask of EPOLL.*. */
interface Dialled {
  fd: number
  events: number
}

export class Dial {
  readonly #native: Native
  readonly #loop: Loop
  readonly #addresses: readonly Uint8Array[]
  readonly #port: number
  readonly #done: (result: Dialled | { error: BywayError }) => void
  readonly #pending = new Set<number>()
  readonly #failures: BywayError[] = []
  readonly #deadline: Timer
  #next: Timer | undefined
  #tried = 0
  #over = false

  /** `addresses` in network order (4 or 16 bytes). `done` is called once, after {@link start}. */
  constructor(
    { native, loop }: { native: Native; loop: Loop },
    to: { addresses: readonly Uint8Array[]; port: number; timeoutMs: number },
    done: (result: Dialled | { error: BywayError }) => void,
  ) {
    this.#native = native
    this.#loop = loop
    this.#addresses = to.addresses
    this.#port = to.port
    this.#done = done
    this.#deadline = loop.after(to.timeoutMs, () =>
      this.#finish({ error: new BywayError('CONNECTION_TIMEOUT', 'the destination did not answer in time') }),
    )
  }

  start(): void {
    this.#tryNext()
  }

  #tryNext(): void {
    this.#loop.cancel(this.#next)
    const address = this.#addresses[this.#tried]
    if (this.#over || address === undefined) return
    this.#tried++
    const fd = this.#native.connect(address, this.#port)
    if (fd < 0) {
      this.#failed(-fd)
      return
    }
    this.#pending.add(fd)
    this.#loop.watch(fd, { onEvents: (events) => this.#onEvents(fd, events) })
    if (this.#tried < this.#addresses.length) this.#next = this.#loop.after(ATTEMPT_DELAY_MS, () => this.#tryNext())
  }

  #onEvents(fd: number, events: number): void {
    if ((events & (EPOLL.OUT | EPOLL.ERR | EPOLL.HUP)) === 0 || !this.#pending.delete(fd)) return
    // One that failed says so in its events.
    const errno = (events & (EPOLL.ERR | EPOLL.HUP)) === 0 ? 0 : this.#native.socketError(fd)
    if (errno === 0 && (events & EPOLL.ERR) === 0) {
      this.#finish({ fd, events })
      return
    }
    this.#loop.close(fd)
    this.#failed(errno === 0 ? ERRNO.ECONNRESET : errno)
  }

  #failed(errno: number): void {
    this.#failures.push(connectError(Object.assign(new Error(`connect: errno ${errno}`), { code: NAMES.get(errno) ?? 'EUNKNOWN' })))
    if (this.#tried < this.#addresses.length) this.#tryNext()
    else if (this.#pending.size === 0) this.#finish({ error: mostTelling(this.#failures) })
  }

  #finish(result: Dialled | { error: BywayError }): void {
    if (this.#over) return
    this.cancel()
    this.#done(result)
  }

  /** Nobody wants it any more. */
  cancel(): void {
    this.#over = true
    this.#loop.cancel(this.#next)
    this.#loop.cancel(this.#deadline)
    for (const fd of this.#pending) {
      this.#loop.close(fd)
    }
    this.#pending.clear()
  }
}
