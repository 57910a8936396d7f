/** What attacks are measured with: origins that count, observers that remember, descriptors of the process. */

import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { CounterName, Observer, WarningCode } from '../../src/protocol/observe.ts'
import { type Disk, type LogFile, realDisk } from '../../src/wallet/disk.ts'

export interface Origin {
  port: number
  /** Payload bytes that came in and went out over all connections. */
  received: number
  sent: number
  sockets: Set<Socket>
  close(): Promise<void>
}

/** A TCP server on loopback that half-closes faithfully; it counts what reaches it and what leaves through {@link send}. */
export async function origin(onSocket: (socket: Socket, origin: Origin) => void): Promise<Origin> {
  const server: Server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    self.sockets.add(socket)
    socket.once('close', () => self.sockets.delete(socket))
    socket.on('error', () => {})
    onSocket(socket, self)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const self: Origin = {
    port: (server.address() as AddressInfo).port,
    received: 0,
    sent: 0,
    sockets: new Set(),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of self.sockets) socket.destroy()
      }),
  }
  return self
}

/** Writes for ever, as fast as the other side takes it. */
export const firehose =
  (chunk = Buffer.alloc(16_384, 'x')) =>
  (socket: Socket, self: Origin) => {
    const more = () => {
      while (!socket.destroyed && socket.writable) {
        self.sent += chunk.length
        if (!socket.write(chunk)) return
      }
    }
    socket.on('drain', more)
    more()
  }

/** Reads all and says nothing. */
export const sink = (socket: Socket, self: Origin) => {
  socket.on('data', (chunk: Buffer) => {
    self.received += chunk.length
  })
}

export const echo = (socket: Socket) => {
  socket.pipe(socket)
}

/** Remembers counters and warnings. */
export class Recorder implements Observer {
  readonly counters = new Map<string, number>()
  readonly warnings = new Map<WarningCode, Readonly<Record<string, string | number>>>()
  readonly events: string[] = []

  count(name: CounterName, by = 1, labels: Readonly<Record<string, string>> = {}): void {
    const key = [name, ...Object.values(labels)].join(' ')
    this.counters.set(key, (this.counters.get(key) ?? 0) + by)
  }

  warn(code: WarningCode, facts: Readonly<Record<string, string | number>> | undefined): void {
    if (facts === undefined) this.warnings.delete(code)
    else this.warnings.set(code, facts)
  }

  log(event: string, facts: Readonly<Record<string, string | number | boolean>> = {}): void {
    this.events.push(`${event} ${JSON.stringify(facts)}`)
  }

  /** Of one counter, whatever its labels: `counted('handshakes_failed', 'PROOF_INVALID')`. */
  counted(name: CounterName, label?: string): number {
    return this.counters.get(label === undefined ? name : `${name} ${label}`) ?? 0
  }
}

/** Open descriptors of this process. */
export const descriptors = (): number => readdirSync('/proc/self/fd').length

/** Nothing on loopback pauses this long while it still moves. */
const QUIET_MS = 120
const LOOK_EVERY_MS = 10

/** The value once it stopped changing. */
export async function settled(value: () => bigint): Promise<bigint> {
  let last = value()
  for (let quietMs = 0; quietMs < QUIET_MS; quietMs += LOOK_EVERY_MS) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS))
    if (value() === last) continue
    last = value()
    quietMs = 0
  }
  return last
}

/** A disk whose every sync takes `delayMs`: what a test must squeeze in between has time to. */
export const slowDisk = (delayMs: number): Disk => diskThatSyncs(() => new Promise((resolve) => setTimeout(resolve, delayMs)))

/** A disk on which nothing becomes durable while it is held. */
export function heldDisk(): Disk & { hold(): void; release(): void } {
  let held = Promise.withResolvers<void>()
  held.resolve()
  return {
    ...diskThatSyncs(() => held.promise),
    hold() {
      held = Promise.withResolvers()
    },
    release: () => held.resolve(),
  }
}

function diskThatSyncs(sync: () => Promise<void>): Disk {
  const disk = realDisk({ fsync: 'off' })
  return {
    ...disk,
    async open(path, how) {
      const file = await disk.open(path, how)
      const there: LogFile = {
        get size() {
          return file.size
        },
        append: (bytes) => file.append(bytes),
        sync,
        truncate: (size) => file.truncate(size),
        readAll: () => file.readAll(),
        close: () => file.close(),
      }
      return there
    },
  }
}

/**
 * Descriptors in use once a node has received its first stranger: from then on it keeps a connection to its cover ready, which is no leak.
 */
export async function descriptorsAfterVisit(port: number): Promise<number> {
  const visitor = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false })
  visitor.end('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
  await visitor.toArray()
  return Number(await settled(() => BigInt(descriptors())))
}
