/**
 * Transport: a tunnel that nobody can tell from a plain TCP connection. Two nodes in one process over real TLS, and sight of the connections
 * between them, which can be cut.
 *
 * The rule of these tests: what TCP would deliver the tunnel delivers, and after whatever went wrong both books tell the same story. Start
 * reading with ends.test.ts.
 */
import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import type { TestContext } from 'node:test'
import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises'
import { parseDestination } from '../../src/protocol/destination.ts'
import { OUTAGE, type Outage } from '../../src/protocol/flow.ts'
import type { FlowStream } from '../../src/tunnel/index.ts'
import { type Origin, origin, Recorder } from '../attacks/world.ts'
import { MemoryChain } from '../support/memory-chain.ts'
import { anyRoute, type ConsumerOptions, type ProviderOptions, startConsumer, startProvider, takeDown } from '../support/pair.ts'

export interface PairOptions {
  /** How long both wait for another way. */
  outage?: Outage
  provider?: Partial<ProviderOptions>
  consumer?: Partial<ConsumerOptions>
}

export async function startPair(t: TestContext, { outage = OUTAGE, provider, consumer }: PairOptions = {}) {
  const chain = new MemoryChain()
  const observer = new Recorder()
  const seller = await startProvider({ chain, outage, observer, ...provider })
  const buyer = await startConsumer({ chain, offers: () => [seller.offer], outage, ...consumer })
  /** TCP connections the provider accepted, the control link's first. */
  const connections: Socket[] = []
  const onSocket = (message: unknown) => {
    const { socket } = message as { socket: Socket }
    if (socket.localPort === seller.port) connections.push(socket)
  }
  subscribe('net.server.socket', onSocket)
  let closing: Promise<void> | undefined
  const closeBoth = async () => {
    await takeDown(buyer, [seller])
    unsubscribe('net.server.socket', onSocket)
  }
  const close = () => {
    closing ??= closeBoth()
    return closing
  }
  t.after(close)
  return {
    seller,
    buyer,
    connections,
    close,
    /** How often a flow went on on another link. */
    resumed: () => observer.counted('flows_resumed'),
    async dial(port: number, host = '127.0.0.1'): Promise<FlowStream> {
      const request = { destination: parseDestination(host, port), parameters: anyRoute }
      const { stream } = await buyer.consumer.dial(request, AbortSignal.timeout(A_MINUTE))
      // A reset reaches whoever listens; until then it must not end the test.
      stream.on('error', () => {})
      return stream as FlowStream
    },
    /** The flow is closed and its link free for the next. */
    async over(flow: FlowStream): Promise<void> {
      while (!flow.closed || buyer.consumer.sessions().some(({ flows }) => flows > 0)) await turn()
    },
    /** No flow is left on either side, and all that was carried is paid. */
    async rest(): Promise<void> {
      await until(() => buyer.consumer.sessions().every(({ flows }) => flows === 0), 'flows that are not over')
      await until(() => seller.provider.sessions().every(({ unpaidBytes }) => unpaidBytes === 0n), 'bytes that are not paid')
    },
  }
}

export type Pair = Awaited<ReturnType<typeof startPair>>

export const A_MINUTE = 60_000
const LOOK_EVERY_MS = 5

/** Resolves when it holds; fails with what is still there after a minute. */
export async function until(holds: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + A_MINUTE
  while (!holds()) {
    if (performance.now() > deadline) assert.fail(`there are still ${what}`)
    await delay(LOOK_EVERY_MS)
  }
}

/** An origin that closes with its test. */
export async function originOf(t: TestContext, onSocket: Parameters<typeof origin>[0]): Promise<Origin> {
  const self = await origin(onSocket)
  t.after(() => self.close())
  return self
}

/** All of a stream, until its end. */
export async function contentOf(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = []
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  await once(stream, 'end')
  return Buffer.concat(chunks)
}

/** How a stream ends: in order, or with which error. */
export function endOf(stream: Readable): Promise<string> {
  return new Promise((resolve) => {
    stream.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    stream.once('end', () => resolve('end'))
  })
}

/** After `close`: both books tell the same of each session, byte for byte and unit for unit. Returns the totals. */
export function booksAgree({ seller, buyer }: Pair) {
  const rows = (book: Pair['buyer']['vault']['book']) =>
    new Map([...book.sessions.values()].map(({ id, up, down, billed }) => [id, { up, down, billed }]))
  const [sold, bought] = [rows(seller.vault.book), rows(buyer.vault.book)]
  assert.deepEqual(bought, sold)
  const sessions = [...buyer.vault.book.sessions.values()]
  return {
    bytes: sessions.reduce((sum, { up, down }) => sum + up + down, 0n),
    disputed: sessions.reduce((sum, { disputed }) => sum + disputed, 0n),
    reasons: sessions.map(({ closed }) => closed?.reason),
  }
}
