/** One connection of the load generator: through SOCKS5 or direct to the origin, then whatever its task does with it. */
import type { Path } from './jobs.ts'
import { AGAIN, closeTcp, connectTcp, memory, Poller, READABLE, receive, send, WRITABLE } from './sockets.ts'

/** What is done with a connection that reached the origin. Whatever throws ends the job. */
export interface Task {
  onOpen(connection: Connection): void
  onReadable(connection: Connection): void
  onWritable?(connection: Connection): void
  /** The proxy refused, or the connection ended or broke while it was being opened. */
  onRefused(connection: Connection, why: string): void
}

const poller = new Poller()
const connections = new Map<number, Connection>()
let nextId = 1

/** Longest message of the handshake: a username of 255 bytes and what surrounds it. */
const HANDSHAKE_BYTES = 600
const message = memory(HANDSHAKE_BYTES)
const reply = memory(HANDSHAKE_BYTES)

/** Turns events into calls until `done()`; throws when that takes longer than `limitMs`. */
export function run(done: () => boolean, limitMs: number, nextDeadlineMs: () => number = () => Number.POSITIVE_INFINITY): void {
  const limit = performance.now() + limitMs
  while (!done()) {
    const now = performance.now()
    if (now > limit) throw new Error(`not finished after ${limitMs / 1000} s`)
    poller.wait(Math.max(0, Math.min(nextDeadlineMs(), limit) - now), dispatch)
  }
}

function dispatch(id: number, readable: boolean, writable: boolean): void {
  connections.get(id)?.onEvent(readable, writable)
}

/** Closes everything that is still open. */
export function closeAll(): void {
  for (const connection of connections.values()) connection.close()
}

export class Connection {
  readonly fd: bigint
  readonly #id = nextId++
  readonly #path: Path
  readonly #task: Task
  #events = 0
  /** Where the SOCKS5 handshake stands: what is waited for next. */
  #step: 'method' | 'login' | 'reply' | 'open'
  #unsent: (() => void) | undefined

  constructor(path: Path, task: Task) {
    this.#path = path
    this.#task = task
    this.#step = path.proxy === undefined ? 'open' : 'method'
    this.fd = path.proxy === undefined ? connectTcp(path.origin, path.host) : connectTcp(path.proxy.port)
    connections.set(this.#id, this)
    poller.add(this.fd, this.#id, 0)
    if (path.proxy === undefined) this.#trying(() => task.onOpen(this))
    else {
      const login = path.proxy.username === undefined ? 0 : 2
      this.#trying(() => this.#say([5, 1, login]))
    }
  }

  get open(): boolean {
    return this.#step === 'open'
  }

  /** Which events the task hears of from now on. */
  listen(events: number): void {
    if (events !== this.#events) poller.change(this.fd, this.#id, events)
    this.#events = events
  }

  close(): void {
    if (connections.delete(this.#id)) closeTcp(this.fd)
  }

  /** Sends a few bytes as soon as the connection stands, and then listens. */
  say(at: bigint, length: number, then = READABLE): void {
    const sent = send(this.fd, at, length)
    if (sent === length) {
      this.listen(then)
      return
    }
    if (sent !== AGAIN) throw new Error('a message was cut in two')
    this.#unsent = () => this.say(at, length, then)
    this.listen(WRITABLE)
  }

  onEvent(readable: boolean, writable: boolean): void {
    const unsent = this.#unsent
    if (unsent !== undefined) {
      this.#unsent = undefined
      this.#trying(unsent)
    } else if (this.#step !== 'open') this.#trying(() => this.#onReply())
    else {
      if (readable) this.#task.onReadable(this)
      if (writable && connections.has(this.#id)) this.#task.onWritable?.(this)
    }
  }

  #trying(work: () => void): void {
    if (this.open) {
      work()
      return
    }
    try {
      work()
    } catch (thrown) {
      this.close()
      this.#task.onRefused(this, (thrown as Error).message)
    }
  }

  #say(bytes: readonly number[]): void {
    message.bytes.set(bytes)
    this.say(message.at, bytes.length)
    // Sent at once on loopback. Should it have to wait, the bytes are written again: connections share this memory.
    if (this.#unsent !== undefined) this.#unsent = () => this.#say(bytes)
  }

  #onReply(): void {
    const got = receive(this.fd, reply.at, HANDSHAKE_BYTES)
    if (got === AGAIN) return
    if (got === 0) throw new Error('the proxy closed the connection during the handshake')
    const answer = reply.bytes.subarray(0, got)
    if (this.#step === 'method') {
      if (got !== 2 || answer[0] !== 5 || answer[1] === 0xff) throw new Error('the proxy accepts no method')
      if (answer[1] === 2) this.#login()
      else this.#request()
    } else if (this.#step === 'login') {
      if (got !== 2 || answer[1] !== 0) throw new Error('the proxy refused the user')
      this.#request()
    } else {
      // Replies of other families than IPv4 are longer; nothing may follow any of them, because the origin waits for us.
      if (got < 10 || answer[0] !== 5) throw new Error('the reply of the proxy is cut short')
      if (answer[1] !== 0) throw new Error(`the proxy refused: SOCKS5 reply ${answer[1]}`)
      this.#step = 'open'
      this.#task.onOpen(this)
    }
  }

  #login(): void {
    const name = Buffer.from(this.#path.proxy!.username!)
    this.#step = 'login'
    this.#say([1, name.length, ...name, 1, 0x78])
  }

  #request(): void {
    const { origin } = this.#path
    this.#step = 'reply'
    this.#say([5, 1, 0, 1, 127, 0, 0, 1, origin >> 8, origin & 0xff])
  }
}
