/** One connection of an application at the entrance, until it is a flow, the main thread's, or gone. */
import type { Timer } from '../../tunnel/fast/loop.ts'
import { EPOLL, ERRNO } from '../../tunnel/fast/native.ts'
import type { Inside } from '../../tunnel/fast/thread.ts'
import { SOCKS_VERSION } from '../proxy/replies.ts'
import { createSocksParser, type SocksStep } from '../proxy/socks5.ts'

export type SocksRequest = Extract<SocksStep, { kind: 'request' }>

export interface ArrivalNeeds {
  /** Begins the flow asked for, which owns the descriptor then; `events`: what the loop told of it that matters later. False when it is not for us. */
  serve(arrival: Arrival, request: SocksRequest, events: number): boolean
  /** It is for the main thread. */
  hand(arrival: Arrival): void
  /** It is over here: it became a flow, or not. */
  onLeft(arrival: Arrival, served: boolean): void
}

export class Arrival {
  readonly fd: number
  /** Closes it if it takes too long. */
  timer: Timer | undefined
  readonly #inside: Inside
  readonly #needs: ArrivalNeeds
  readonly #parser = createSocksParser()
  #heard: Buffer = Buffer.alloc(0)
  #said = 0
  #ending = 0
  /** The last read brought as much as it could. */
  #full = false

  constructor(inside: Inside, fd: number, needs: ArrivalNeeds) {
    this.#inside = inside
    this.#needs = needs
    this.fd = fd
  }

  /** What it said, with all that was read behind its request, and how many bytes of what it has to hear it has heard. */
  get told(): { heard: Uint8Array; said: number } {
    return { heard: new Uint8Array(this.#heard), said: this.#said }
  }

  onEvents(events: number): void {
    this.#ending |= events & (EPOLL.HUP | EPOLL.RDHUP)
    if ((events & EPOLL.ERR) !== 0) this.leave()
    else if ((events & (EPOLL.IN | EPOLL.HUP | EPOLL.RDHUP)) !== 0) this.#read()
  }

  #read(): void {
    const { native, small } = this.#inside.thread
    const most = small.bytes.length
    for (;;) {
      const count = native.read(this.fd, small.address, most)
      if (count === -ERRNO.EINTR) continue
      if (count <= 0) {
        if (count === -ERRNO.EAGAIN) return
        // An end in the middle of a handshake is for the main thread to judge.
        if (this.#heard.length === 0) this.leave()
        else this.#hand()
        return
      }
      this.#full = count === most
      if (!this.#hear(Buffer.from(small.bytes.subarray(0, count)))) return
      // What comes later the loop tells, but not an end that it told of already.
      if (count < most && this.#ending === 0) return
    }
  }

  /** False when it is no longer here. */
  #hear(chunk: Buffer): boolean {
    this.#heard = this.#heard.length === 0 ? chunk : Buffer.concat([this.#heard, chunk])
    const step = this.#heard[0] === SOCKS_VERSION ? this.#parser.push(chunk) : undefined
    if (step?.kind === 'more') return this.#say(step.reply)
    if (step?.kind === 'request' && this.#say(step.reply)) {
      // More may lie in the socket than was read, and nobody tells of it again.
      if (this.#needs.serve(this, step, this.#full ? this.#ending | EPOLL.IN : this.#ending)) {
        this.#needs.onLeft(this, true)
        return false
      }
    } else if (step?.kind === 'request') return false
    this.#hand()
    return false
  }

  #say(words: Uint8Array): boolean {
    if (words.length === 0) return true
    this.#said += words.length
    if (this.#inside.thread.say(this.fd, words) === words.length) return true
    this.leave()
    return false
  }

  #hand(): void {
    this.#inside.thread.loop.unwatch(this.fd)
    this.#needs.onLeft(this, false)
    this.#needs.hand(this)
  }

  /** Closes it. */
  leave(): void {
    this.#inside.thread.loop.close(this.fd)
    this.#needs.onLeft(this, false)
  }
}
