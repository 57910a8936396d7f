/** Where visitors go: the website an owner names, or the built-in one, as a source of raw connections. */
import { once } from 'node:events'
import { connect, type Server, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { serverName } from './hello.ts'
import { builtInSite } from './site.ts'

export interface Cover {
  /** A fresh connection that takes and gives what a visitor says and hears inside TLS: for one who says nothing yet. */
  open(): Socket
  /** The same for a visitor who waits for an answer: a connection that stands already, if there is one. */
  take(): Socket
  /**
   * A connection for somebody whose first bytes are no TLS hello, in the clear; undefined when the TLS server should answer, as the
   * cover's own would.
   */
  openPlain(first: Buffer): Socket | undefined
  close(): Promise<void>
}

/** An http or https origin, such as http://127.0.0.1:8080; nothing else of the URL is used. */
export type CoverAddress = string

/** TLS records begin like this; SSLv2 hellos have the high bit. Web servers tell TLS from plain HTTP by it. */
const TLS_HANDSHAKE = 0x16
const HIGH_BIT = 0x80
/** The cover's patience runs from when a connection began: visitors lose at most this of it. */
const SPARE_LIFE_MS = 10_000

/** The cover at an address, or the built-in site, whose content follows from `seed`, so that no two nodes show the same. */
export async function openCover(address: CoverAddress | undefined, seed: Uint8Array): Promise<Cover> {
  if (address === undefined) return coverOfSite(seed)
  const url = new URL(address)
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const encrypted = url.protocol === 'https:'
  const port = url.port === '' ? (encrypted ? 443 : 80) : Number(url.port)
  const dial = () => connect({ host, port, allowHalfOpen: true, noDelay: true })
  // The owner named this very address; nobody else's word is taken for what it is.
  const tls = () => connectTls({ socket: dial(), ...serverName(host), rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] })
  const open = encrypted ? tls : dial
  const spare = new Spare(open)
  return {
    open,
    take: () => spare.take(),
    openPlain: (first) => (encrypted || (first[0]! !== TLS_HANDSHAKE && first[0]! < HIGH_BIT) ? dial() : undefined),
    close: async () => spare.close(),
  }
}

async function coverOfSite(seed: Uint8Array): Promise<Cover> {
  const server = builtInSite(seed)
  const host = await listenOnLoopback(server)
  const { port } = server.address() as { port: number }
  const open = () => connect({ host, port, allowHalfOpen: true, noDelay: true })
  const spare = new Spare(open)
  return {
    open,
    take: () => spare.take(),
    // The built-in site is a Node server, and what Node's TLS says to plain HTTP is what it says.
    openPlain: () => undefined,
    close: () =>
      new Promise<void>((closed) => {
        spare.close()
        server.close(() => closed())
        server.closeAllConnections()
      }),
  }
}

/** One connection to the cover that stands already, so that no visitor can measure how it is made. Renewed as it ages. */
class Spare {
  readonly #open: () => Socket
  readonly #renewing: NodeJS.Timeout
  #socket: Socket | undefined
  #closed = false

  constructor(open: () => Socket) {
    this.#open = open
    this.#renewing = setInterval(() => this.#renew(), SPARE_LIFE_MS).unref()
    this.#renew()
  }

  take(): Socket {
    const socket = this.#socket
    this.#socket = undefined
    // The next visitor may be on his heels; the one who waits now goes first.
    setImmediate(() => this.#socket ?? this.#renew())
    if (socket === undefined || socket.destroyed || socket.readableEnded) return this.#open()
    return socket.ref()
  }

  close(): void {
    clearInterval(this.#renewing)
    this.#closed = true
    this.#socket?.destroy()
  }

  #renew(): void {
    this.#socket?.destroy()
    if (this.#closed) return
    this.#socket = this.#open()
    // Whoever takes it hears what happens to it; until then a cover that is down is nobody's trouble.
    this.#socket.on('error', () => {})
    this.#socket.unref()
  }
}

/** The loopback address it listens on: a machine may have IPv6 alone. */
async function listenOnLoopback(server: Server, host = '127.0.0.1'): Promise<string> {
  try {
    const listening = once(server, 'listening')
    server.listen(0, host)
    await listening
    return host
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== 'EADDRNOTAVAIL' || host === '::1') throw thrown
    return listenOnLoopback(server, '::1')
  }
}
