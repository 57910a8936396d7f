/**
 * Nodes for routes of several hops: each behind a wire that can be cut or fall silent, each of which may lie to the hops before and after it.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { type Duplex, duplexPair } from 'node:stream'
import type { TestContext } from 'node:test'
import type { Consumer } from '../../src/consumer/index.ts'
import type { Dialed, DialRequest, Route, RouteParameters } from '../../src/consumer/proxy/index.ts'
import { STRANGER_WINDOW_BYTES } from '../../src/protocol/credit.ts'
import { parseDestination } from '../../src/protocol/destination.ts'
import { type SignedOffer, signOffer } from '../../src/protocol/offer.ts'
import type { Plane } from '../../src/tunnel/fast/plane.ts'
import { reset } from '../../src/tunnel/splice.ts'
import { Recorder } from '../attacks/world.ts'
import { MemoryChain } from '../support/memory-chain.ts'
import { anyRoute, dialLoopback, startConsumer, startProvider } from '../support/pair.ts'

/** What a node does to the links it carries to the next hop; set and unset while it runs. */
export interface Lie {
  /** Instead of connecting: never answer, or refuse. */
  extends?: 'never' | 'fails'
  /** Downstream, after this many bytes of a connection. */
  afterBytes?: number
  does?: 'flip' | 'drop' | 'hold' | 'repeat'
}

/** A TCP relay in front of a node. */
async function wireTo(target: number) {
  const sockets = new Set<Socket>()
  const self = { port: 0, connections: 0, held: false, cut, hold }
  const server = createServer({ noDelay: true }, (near) => {
    self.connections++
    const far = connect({ port: target, host: '127.0.0.1', noDelay: true })
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.pipe(other)
      socket.once('close', () => {
        sockets.delete(socket)
        other.destroy()
      })
      if (self.held) socket.unpipe(other)
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  self.port = (server.address() as AddressInfo).port
  /** As when the process behind it is killed: connections are reset, new ones refused. */
  function cut(): void {
    server.close()
    // Not by hand: a socket that is reset while it sends its end is never closed, and the process never ends.
    for (const socket of sockets) reset(socket, new Error('cut'))
  }
  /** As when its line is dead: nothing goes either way, and nobody says so. */
  function hold(): void {
    self.held = true
    for (const socket of sockets) socket.unpipe()
  }
  return self
}

export type HopNode = Awaited<ReturnType<typeof startNode>>

export async function startNode(chain: MemoryChain, country: string, asn = 0, plane?: Plane) {
  const recorder = new Recorder()
  const node: { lie: Lie | undefined } = { lie: undefined }
  /** Connections to next hops. */
  const onward = new Set<Duplex>()
  const dialNode = async (host: string, port: number): Promise<Duplex> => {
    if (node.lie?.extends === 'never') return new Promise(() => {})
    if (node.lie?.extends === 'fails') throw new Error('refused')
    const target = await dialLoopback(host, port)
    onward.add(target)
    target.once('close', () => onward.delete(target))
    return tampered(target, node)
  }
  const seller = await startProvider({ chain, country, observer: recorder, dialNode, ...(plane && { plane }) })
  const wire = await wireTo(seller.port)
  // The same offer, through the wire: the pin is what counts.
  const [transport] = seller.offer.body.transports
  const body = { ...seller.offer.body, asn, transports: [{ ...transport!, port: wire.port }] }
  const offer = signOffer(body, seller.keys.node.privateKey)
  return Object.assign(node, {
    country,
    seller,
    wire,
    offer,
    recorder,
    nodeKey: offer.body.nodeKey,
    /** As kill -9: all its connections are reset. */
    die() {
      wire.cut()
      for (const target of onward) target.destroy()
    },
  })
}

/** Passes everything on, and down from the target whatever the lie of the moment makes of it. */
function tampered(target: Duplex, node: { lie: Lie | undefined }): Duplex {
  const [near, far] = duplexPair({ allowHalfOpen: true })
  let passed = 0
  let lied = false
  for (const stream of [near, far, target]) stream.on('error', () => near.destroy())
  near.once('close', () => target.destroy())
  target.once('close', () => far.destroy())
  far.pipe(target)
  target.on('data', (chunk: Buffer) => {
    passed += chunk.length
    const { lie } = node
    if (lie?.does !== undefined && !lied && passed > lie.afterBytes!) {
      if (lie.does === 'drop') target.destroy()
      if (lie.does === 'hold') target.pause()
      if (lie.does === 'drop' || lie.does === 'hold') return
      lied = true
      if (lie.does === 'flip') chunk[chunk.length >> 1]! ^= 1
      if (lie.does === 'repeat') far.write(Buffer.from(chunk))
    }
    if (!far.write(chunk)) {
      target.pause()
      far.once('drain', () => target.resume())
    }
  })
  target.once('end', () => far.end())
  return near
}

export interface WorldOptions {
  hops: number
  /** A node for each, the best first; the last is the exit of all requests. */
  countries: readonly string[]
  /** Of each node; those that share one are not independent. */
  asns?: readonly number[]
  offers?: (nodes: readonly HopNode[]) => SignedOffer[]
  /** Everybody is on the fast path, with applications that have sockets. */
  plane?: Plane
}

export async function hopsWorld(t: TestContext, { hops, countries, asns = [], offers, plane }: WorldOptions) {
  const chain = new MemoryChain()
  const nodes = await Promise.all(countries.map((country, i) => startNode(chain, country, asns[i], plane)))
  const bought = new Recorder()
  const all = () => offers?.(nodes) ?? nodes.map(({ offer }) => offer)
  // Ever growing numbers: nodes are preferred in the order of their countries. So the first is the hop before the exit, the second before that.
  let drawn = 0
  const random = () => ++drawn / 1e9
  const buyer = await startConsumer({ chain, hops, observer: bought, offers: all, random, ...(plane && { plane }) })
  let open = true
  const close = async () => {
    if (!open) return
    open = false
    await buyer.consumer.close()
    await Promise.all(nodes.map(({ seller }) => seller.provider.close()))
    for (const { wire } of nodes) wire.cut()
  }
  t.after(async () => {
    await close()
    await Promise.all([buyer.vault.close(), ...nodes.map(({ seller }) => seller.vault.close())])
  })
  const exit = countries.at(-1)!
  return {
    nodes,
    buyer,
    bought,
    close,
    dial(port: number, parameters: Partial<RouteParameters> = {}): Promise<Dialed> {
      const request = { destination: parseDestination('127.0.0.1', port), parameters: { ...anyRoute, country: exit, ...parameters } }
      const signal = AbortSignal.timeout(90_000)
      return plane === undefined ? buyer.consumer.dial(request, signal) : carried(buyer.consumer, request, signal)
    },
    /** The nodes whose session at this place of a route is open and well: hop 1 is the entry. */
    serving: (hop: number): HopNode[] =>
      buyer.consumer
        .sessions()
        .filter((session) => session.hop === hop && session.hops === hops && !session.away)
        .map(({ provider }) => nodes.find(({ nodeKey }) => nodeKey === provider)!),
  }
}

/** The same for an application with a socket: what it reads and writes the carrying thread carries. */
async function carried(consumer: Consumer, request: DialRequest, signal: AbortSignal): Promise<Dialed> {
  const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const accepted = once(server, 'connection') as Promise<[Socket]>
  const stream = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true })
  stream.on('error', () => {})
  const [application] = await accepted
  server.close()
  let route: Route | undefined
  const answers = {
    connected(taken: Route) {
      route = taken
      return new Uint8Array(0)
    },
    failed: () => new Uint8Array(0),
  }
  const flow = await consumer.carry!(request, application, answers, signal)
  assert.ok(flow !== undefined, 'the fast path takes it')
  await flow.opened
  return { stream, route: route! }
}

export type HopsWorld = Awaited<ReturnType<typeof hopsWorld>>

/** What each side lost by the books is within the credit window, for every session; call it when all is closed. */
export function assertLossBounded({ nodes, buyer }: HopsWorld): { unpaid: bigint; overpaid: bigint } {
  const most = { unpaid: 0n, overpaid: 0n }
  const windowOf = (paid: bigint) => (paid / 4n > STRANGER_WINDOW_BYTES ? paid / 4n : STRANGER_WINDOW_BYTES)
  for (const { seller, country } of nodes) {
    for (const [id, sold] of seller.vault.book.sessions) {
      const bought = buyer.vault.book.sessions.get(id)
      assert.ok(bought !== undefined || sold.billed === 0n, `session ${id} of ${country} is unknown to the consumer, and earned something`)
      const paid = sold.up + sold.down
      assert.ok(sold.unpaid <= windowOf(paid), `${country} lost ${sold.unpaid} bytes in a session that paid for ${paid}`)
      if (sold.unpaid > most.unpaid) most.unpaid = sold.unpaid
      const disputed = bought?.disputed ?? 0n
      assert.ok(disputed <= windowOf(paid), `the consumer paid ${country} for ${disputed} bytes on its word`)
      if (disputed > most.overpaid) most.overpaid = disputed
    }
  }
  return most
}
