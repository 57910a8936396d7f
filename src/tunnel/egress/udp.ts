/**
 * Datagrams of guests at an exit: an association is a flow that carries many of them, to and from many destinations.
 *
 * To whoever joins it with a flow it is a stream like a destination's connection: records of datagrams go in, records of answers come out
 * (src/protocol/datagram.ts), so what is carried is gated, counted and paid like any other byte. It never holds that stream up: what cannot be
 * sent or taken at once is dropped, as networks do.
 *
 * Outside it behaves like a good NAT (RFC 4787): one port for all destinations, and nobody is heard who was not spoken to. Destinations are
 * judged like those of connections; remotes.ts keeps an association from becoming a scanner or a flood.
 */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { isIPv6 } from 'node:net'
import { Duplex } from 'node:stream'
import { type Datagram, DatagramReader, encodeDatagram } from '../../protocol/datagram.ts'
import { type Destination, isReserved, parseDestination } from '../../protocol/destination.ts'
import { asBywayError, BywayError } from '../../protocol/errors.ts'
import { type Observer, silent } from '../../protocol/observe.ts'
import { blockedReason, type Cidr } from './address.ts'
import type { EgressNeeds } from './dial.ts'
import { createNameServer, type NameServer } from './names.ts'
import { udpPort } from './policy.ts'
import { type Bucket, newcomers, Remotes } from './remotes.ts'
import { dnsLookup, type Lookup } from './resolve.ts'

/** Answers that wait for the line: a tenth of a second of a fast one. More only makes them old. */
const BUFFER_BYTES = 262_144
/** Sockets nobody used for so long are closed (RFC 4787 asks for two minutes at least, and recommends five). The flow goes on. */
const IDLE_LIMIT_MS = 300_000
const LOOK_EVERY_MS = 10_000
/** Each may hold two sockets. A home line has few guests, and an application needs one or two. */
const MAX_ASSOCIATIONS = 1_024
/** Of one guest: a browser opens one for each of its profiles, a torrent client one. */
const MAX_OF_ONE_GUEST = 64
/** A name's address is asked for again after this time: shorter than any address is reused, longer than most handshakes. */
const NAME_AGE_MS = 60_000
const MAX_NAMES = 128
/** Datagrams that wait for the name they go to: the first flight of a handshake. */
const MAX_WAITING = 16

export interface UdpEgressOptions {
  lookup?: Lookup
  names?: NameServer
  ownPorts?: () => readonly number[]
  allowPrivate?: readonly Cidr[]
  observer?: Observer
  nowMs?: () => number
}

export interface UdpEgress {
  /** An association of this guest. Throws PROVIDER_BUSY. */
  associate(guest: string): Duplex
  close(): void
}

export function createUdpEgress({ ownAddresses, tier }: EgressNeeds, options: UdpEgressOptions = {}): UdpEgress {
  const { ownPorts = () => [], allowPrivate = [], observer = silent, nowMs = () => performance.now() } = options
  const { lookup = dnsLookup(nowMs), names = createNameServer() } = options
  const associations = new Set<Association>()
  /** The guest that was here longest ago first. */
  const guests = new Map<string, { open: number; fresh: Bucket }>()
  const shared: Shared = {
    names,
    lookup,
    nowMs,
    judge: ({ port }) => udpPort(tier, port),
    allowed: (address, port) =>
      blockedReason(address, { own: ownAddresses(), allowPrivate: ownPorts().includes(port) ? [] : allowPrivate }) === undefined,
    refused: (reason) => observer.count('blocked', 1, { reason }),
    dropped: (why) => observer.count('datagrams_dropped', 1, { why }),
  }
  const looking = setInterval(() => {
    for (const association of associations) association.closeIdle(nowMs() - IDLE_LIMIT_MS)
  }, LOOK_EVERY_MS).unref()

  return {
    associate(guest) {
      const known = guests.get(guest) ?? { open: 0, fresh: newcomers(nowMs()) }
      if (associations.size >= MAX_ASSOCIATIONS || known.open >= MAX_OF_ONE_GUEST) {
        throw new BywayError('PROVIDER_BUSY', 'the exit has no room for another association', { facts: { ofThisGuest: known.open } })
      }
      guests.delete(guest)
      guests.set(guest, known)
      if (guests.size > 2 * MAX_ASSOCIATIONS) guests.delete(guests.keys().next().value!)
      const association = new Association(shared, known.fresh)
      known.open++
      associations.add(association)
      association.once('close', () => {
        known.open--
        associations.delete(association)
      })
      return association
    },
    close() {
      clearInterval(looking)
      for (const association of associations) association.destroy()
      names.close()
    },
  }
}

/** What associations of one exit have in common. */
interface Shared {
  names: NameServer
  lookup: Lookup
  nowMs: () => number
  judge(destination: Destination): ReturnType<typeof udpPort>
  allowed(address: string, port: number): boolean
  refused(reason: 'PORT_BLOCKED' | 'DESTINATION_BLOCKED'): void
  dropped(why: 'exit-full' | 'exit-limit' | 'exit-unsent' | 'exit-unknown'): void
}

interface Name {
  /** Allowed addresses, the one in use first; undefined while they are asked for. */
  addresses: string[] | undefined
  waiting: Buffer[]
  untilMs: number
}

class Association extends Duplex {
  readonly #shared: Shared
  readonly #reader = new DatagramReader()
  readonly #remotes: Remotes
  readonly #names = new Map<string, Name>()
  readonly #over = new AbortController()
  readonly #sockets: { [family in 4 | 6]?: Socket } = {}
  #full = false
  #usedAtMs: number

  constructor(shared: Shared, fresh: Bucket) {
    super({ allowHalfOpen: true, readableHighWaterMark: BUFFER_BYTES })
    this.#shared = shared
    this.#remotes = new Remotes(shared.nowMs, fresh)
    this.#usedAtMs = shared.nowMs()
  }

  override _read(): void {
    this.#full = false
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    try {
      this.#reader.push(chunk, (datagram) => this.#send(datagram))
      done()
    } catch (thrown) {
      done(asBywayError(thrown))
    }
  }

  /** The guest sends no more: nobody is left to answer. */
  override _final(done: (error?: Error | null) => void): void {
    this.#closeSockets()
    this.push(null)
    done()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#over.abort()
    this.#closeSockets()
    this.#names.clear()
    done(error)
  }

  closeIdle(usedBeforeMs: number): void {
    if (this.#usedAtMs < usedBeforeMs) this.#closeSockets()
  }

  #closeSockets(): void {
    for (const family of [4, 6] as const) {
      this.#sockets[family]?.close()
      delete this.#sockets[family]
    }
    this.#remotes.clear()
  }

  #send({ endpoint, payload }: Datagram): void {
    const { refused, judge, names } = this.#shared
    this.#usedAtMs = this.#shared.nowMs()
    if (isReserved(endpoint)) refused('DESTINATION_BLOCKED')
    else if (judge(endpoint) === 'refuse') refused('PORT_BLOCKED')
    else if (judge(endpoint) === 'resolve') {
      // Which server was asked is of no consequence, so it may be one that nobody could reach.
      if (!names.ask(Buffer.from(payload), (answer) => this.#deliver(endpoint, answer))) refused('DESTINATION_BLOCKED')
    } else if (endpoint.kind === 'ip') this.#sendTo(endpoint.host, endpoint.port, payload)
    else this.#sendToName(endpoint, payload)
  }

  #sendToName({ host, port }: Destination, payload: Uint8Array): void {
    const key = `${host}:${port}`
    const known = this.#names.get(key)
    if (known !== undefined && (known.addresses === undefined || known.untilMs > this.#shared.nowMs())) {
      const address = known.addresses?.[0]
      if (address !== undefined) this.#sendTo(address, port, payload, () => known.addresses!.push(known.addresses!.shift()!))
      else if (known.addresses === undefined && known.waiting.length < MAX_WAITING) known.waiting.push(Buffer.from(payload))
      else this.#shared.dropped('exit-unsent')
      return
    }
    this.#names.delete(key)
    if (this.#names.size >= MAX_NAMES) this.#names.delete(this.#names.keys().next().value!)
    const name: Name = { addresses: undefined, waiting: [Buffer.from(payload)], untilMs: this.#shared.nowMs() + NAME_AGE_MS }
    this.#names.set(key, name)
    void this.#resolve(host, port, name)
  }

  async #resolve(host: string, port: number, name: Name): Promise<void> {
    // A name that does not resolve is remembered as one without addresses: asked again with each datagram it would load the resolver.
    const found = await this.#shared.lookup(host, this.#over.signal).catch(() => [])
    const usable = found.filter((address) => this.#shared.allowed(address, port))
    if (found.length > 0 && usable.length === 0) this.#shared.refused('DESTINATION_BLOCKED')
    // IPv4 first: of two addresses that both seem to have a way, datagrams cannot tell which arrives, and IPv4 nearly always does.
    name.addresses = usable.toSorted((a, b) => Number(isIPv6(a)) - Number(isIPv6(b)))
    const { waiting } = name
    name.waiting = []
    if (this.destroyed) return
    for (const payload of waiting) this.#sendToName({ kind: 'domain', host, port }, payload)
  }

  /** `noWay`: the system has no route to this address. */
  #sendTo(address: string, port: number, payload: Uint8Array, noWay: () => void = () => {}): void {
    const { allowed, refused, dropped } = this.#shared
    switch (this.#remotes.maySend(address, port, () => allowed(address, port))) {
      case 'blocked':
        refused('DESTINATION_BLOCKED')
        break
      case 'limited':
        dropped('exit-limit')
        break
      case 'yes':
        this.#socket(isIPv6(address) ? 6 : 4).send(payload, port, address, (error) => {
          if (error === null) return
          dropped('exit-unsent')
          noWay()
        })
    }
  }

  #socket(family: 4 | 6): Socket {
    const known = this.#sockets[family]
    if (known !== undefined) return known
    const socket = createSocket({ type: `udp${family}`, ipv6Only: family === 6 })
    this.#sockets[family] = socket
    socket.on('message', (payload, from) => this.#onAnswer(payload, from))
    // Most often: no descriptor or no port is left. The next datagram tries again.
    socket.on('error', () => {
      if (this.#sockets[family] === socket) delete this.#sockets[family]
      socket.close()
    })
    return socket
  }

  #onAnswer(payload: Buffer, { address, port }: RemoteInfo): void {
    if (!this.#remotes.heard(address, port)) this.#shared.dropped('exit-unknown')
    else this.#deliver(parseDestination(address, port), payload)
  }

  #deliver(endpoint: Destination, payload: Buffer): void {
    if (this.destroyed || this.readableEnded || this.writableEnded) return
    this.#usedAtMs = this.#shared.nowMs()
    if (this.#full) this.#shared.dropped('exit-full')
    else this.#full = !this.push(encodeDatagram({ endpoint, payload }))
  }
}
