/** For tests: both ends of a session on one loop without a thread, links between them, and peers that keep no rules. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { FLOW_PROTOCOLS, type Message } from '../../protocol/messages.ts'
import { ConsumerSide } from './consumer-side.ts'
import { Loop } from './loop.ts'
import { Meter } from './meter.ts'
import { loadNative, type Native } from './native.ts'
import type { Report } from './orders.ts'
import { ProviderSide } from './provider-side.ts'
import { SealedLink } from './sealed-link.ts'
import { Thread } from './shared.ts'
import { SocketCarrier } from './socket-carrier.ts'

export const native = loadNative()
/** More than any test carries. */
const PAID = 1n << 40n
/** Longer than anything that is said waits for company. */
const LATE_MS = 3
export const NOTHING = Buffer.alloc(0)
/** As in `open` of docs/protocol.md. */
export const ANYWHERE = { host: 'a.example', port: 80 }
const END_FRAME = Buffer.from([0x14, 0, 0, 0])

/** A peer of the test's own at the other end of a link. */
export interface RawPeer {
  readonly id: number
  readonly link: SealedLink
  readonly messages: Message[]
  /** Bytes of payload that came. */
  heard(): number
  data(bytes: number): void
  end(): void
}

/** Where both ends of a fresh link stand. */
export const standings = () => {
  const keys = () => ({ suite: 'TLS_AES_128_GCM_SHA256' as const, secret: randomBytes(32), sequence: 0 })
  const [there, back] = [keys(), keys()]
  const rest = { unread: NOTHING, partial: NOTHING }
  return [
    { send: { ...there }, receive: { ...back }, ...rest },
    { send: { ...back }, receive: { ...there }, ...rest },
  ] as const
}

export function twoSides(own: Native = native) {
  const loop = new Loop(own)
  const thread = new Thread(own, loop)
  const [consumerSaid, providerSaid]: [Report[], Report[]] = [[], []]
  const meters = { consumer: new Meter(), provider: new Meter() }
  let urgent = 0
  const tell = () => {
    urgent++
  }
  const consumer = new ConsumerSide(1, meters.consumer.shared, { thread, say: (report) => void consumerSaid.push(report), tell })
  const provider = new ProviderSide(2, meters.provider.shared, { thread, say: (report) => void providerSaid.push(report), tell })
  let links = 0
  const turns = (count = 50) => {
    const all = () => {
      for (let i = 0; i < count; i++) loop.turn(0)
    }
    all()
    // What was to go with the next thing said goes alone by now.
    const untilMs = performance.now() + LATE_MS
    while (performance.now() < untilMs) loop.turn(1)
    all()
  }
  const saidOf = <S extends Report['say']>(reports: readonly Report[], say: S) =>
    reports.filter((report): report is Extract<Report, { say: S }> => report.say === say)

  return {
    thread,
    consumer,
    provider,
    meters,
    turns,
    consumerSaid: <S extends Report['say']>(say: S) => saidOf(consumerSaid, say),
    providerSaid: <S extends Report['say']>(say: S) => saidOf(providerSaid, say),
    /** How often the main threads were to hear at once what was said. */
    urgent: () => urgent,
    /** Whatever is carried is paid for. */
    pay: () => meters.provider.give(PAID),
    /** A link between both sides, idle at the consumer's. */
    link(): number {
      const id = ++links
      const [a, b] = native.socketPair()
      const [here, there] = standings()
      consumer.addLink(id, a, here, undefined)
      provider.addLink(id, b, there, undefined)
      consumer.put(consumer.links.get(id))
      return id
    },
    /** A link of one side to a peer of the test's own. */
    raw(side: 'consumer' | 'provider'): RawPeer {
      const id = ++links
      const [a, b] = native.socketPair()
      const [here, there] = standings()
      ;(side === 'consumer' ? consumer : provider).addLink(id, a, here, undefined)
      if (side === 'consumer') consumer.put(consumer.links.get(id))
      const carrier = new SocketCarrier(native, loop, b)
      const link = new SealedLink(thread, carrier, there)
      const messages: Message[] = []
      let heard = 0
      link.listen({
        onData: (_memory, _at, bytes) => {
          heard += bytes
        },
        onMessage: (message) => void messages.push(message),
        onBatch: () => false,
        onRoom() {},
        onClosed() {},
      })
      carrier.start(link)
      const data = (bytes: number) => {
        const memory = native.allocate(bytes + 5)
        memory.bytes.writeUInt32BE(0x13 * 0x1000000 + bytes)
        link.seal(memory, 0, bytes + 4)
        link.flush()
      }
      const end = () => {
        link.sendFrame(END_FRAME)
        link.flush()
      }
      return { id, link, messages, heard: () => heard, data, end }
    },
    /** An application's flow, which has just been asked for. Its own end of the socket, and the number of ours. */
    begin({ reply = NOTHING }: { reply?: Buffer } = {}): { application: number; ours: number } {
      const [ours, application] = native.socketPair()
      const asker = { onOpened() {}, onFailed() {}, onOver() {} }
      const told = { fd: ours, events: 0, early: NOTHING, reply, atOnce: reply.length === 0 }
      assert.ok(consumer.begin(ANYWHERE, told, { asker, timeoutMs: 10_000 }))
      turns()
      return { application, ours }
    },
    /** Asks the provider's side for a flow. */
    ask(peer: RawPeer, flowId: number): void {
      peer.link.send('open', { flowId, protocol: FLOW_PROTOCOLS.tcp, ...ANYWHERE })
      turns()
    },
    /** The destination of a flow that was asked for is connected. Its own end of the socket, and the number of ours. */
    connected(flow: number): { destination: number; ours: number } {
      const [ours, destination] = native.socketPair()
      provider.use(flow, ours)
      turns()
      return { destination, ours }
    },
    /** As the main thread does when a flow lost its link: `link` is idle. */
    resume(flow: number, link: number): void {
      consumer.takeFor(flow)
      consumer.resume({ do: 'resume', session: 1, link, flow })
      turns()
    },
    write(fd: number, bytes: number | Buffer): number {
      const source = typeof bytes === 'number' ? Buffer.alloc(bytes) : bytes
      const memory = native.allocate(source.length + 1)
      source.copy(memory.bytes)
      return native.send(fd, memory.address, source.length)
    },
    /** What was read, or a negated errno. */
    read(fd: number): Buffer | number {
      const memory = native.allocate(1_000_000)
      const count = native.read(fd, memory.address, memory.bytes.length)
      return count < 0 ? count : memory.bytes.subarray(0, count)
    },
    /** So much time goes by for the loop's timers. */
    later(ms: number): void {
      const now = performance.now.bind(performance)
      performance.now = () => now() + ms
      turns(100)
      performance.now = now
      turns()
    },
  }
}

/** Reads all that comes, turn by turn: how much, and whether an end came behind it. */
export function drained(world: ReturnType<typeof twoSides>, fd: number): { bytes: number; ended: boolean } {
  let bytes = 0
  for (let quiet = 0; quiet < 20; quiet++) {
    const got = world.read(fd)
    if (typeof got !== 'number') {
      if (got.length === 0) return { bytes, ended: true }
      bytes += got.length
      quiet = 0
    }
    world.turns(3)
  }
  return { bytes, ended: false }
}
