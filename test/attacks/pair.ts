/** An honest pair of nodes with a wire between them that can be cut, and the comparison of their books at the end. */
import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TestContext } from 'node:test'
import { parseDestination } from '../../src/protocol/destination.ts'
import { type SignedOffer, signOffer } from '../../src/protocol/offer.ts'
import type { FlowStream } from '../../src/tunnel/index.ts'
import { MemoryChain } from '../support/memory-chain.ts'
import { anyRoute, type ConsumerOptions, type ProviderOptions, startConsumer, startProvider } from '../support/pair.ts'
import { until } from './rogue.ts'
import { Recorder } from './world.ts'

/** A TCP relay: it passes everything on until a connection is cut, on both sides at once. */
async function relay(target: number) {
  const connections: Socket[][] = []
  const server = createServer({ noDelay: true }, (near) => {
    const far = connect({ port: target, host: '127.0.0.1', noDelay: true })
    const both = [near, far]
    connections.push(both)
    for (const [socket, other] of [both, [far, near]] as [Socket, Socket][]) {
      socket.on('error', () => {})
      socket.pipe(other)
      socket.once('close', () => other.destroy())
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    connections,
    close: () => {
      for (const both of connections) for (const socket of both) socket.destroy()
      server.close()
    },
  }
}

export interface PairOptions {
  provider?: Partial<ProviderOptions>
  consumer?: Partial<ConsumerOptions>
}

export async function honestPair(t: TestContext, options: PairOptions = {}) {
  const chain = new MemoryChain()
  const [sold, bought] = [new Recorder(), new Recorder()]
  const seller = await startProvider({ chain, observer: sold, ...options.provider })
  const wire = await relay(seller.port)
  // The same offer, through the relay: the pin is what counts.
  const [transport] = seller.offer.body.transports
  const body = { ...seller.offer.body, transports: [{ ...transport!, port: wire.port }] }
  const offer: SignedOffer = signOffer(body, seller.keys.node.privateKey)
  const buyer = await startConsumer({ chain, observer: bought, offers: () => [offer], ...options.consumer })
  /** TLS connections the provider accepted. */
  let handshakes = 0
  const onSocket = (message: unknown) => {
    const { socket } = message as { socket: Socket }
    if (socket.localPort === seller.port) handshakes++
  }
  subscribe('net.server.socket', onSocket)
  let open = true
  const close = async () => {
    if (!open) return
    open = false
    await buyer.consumer.close()
    await seller.provider.close()
    wire.close()
    unsubscribe('net.server.socket', onSocket)
  }
  t.after(async () => {
    await close()
    await buyer.vault.close()
    await seller.vault.close()
  })
  return {
    chain,
    seller,
    buyer,
    sold,
    bought,
    wire,
    handshakes: () => handshakes,
    close,
    async dial(port: number): Promise<FlowStream> {
      const request = { destination: parseDestination('127.0.0.1', port), parameters: anyRoute }
      const { stream } = await buyer.consumer.dial(request, new AbortController().signal)
      return stream as FlowStream
    },
    /** Waits until neither side has a flow left and all that was carried is paid. */
    async settle(): Promise<void> {
      await until(() => buyer.consumer.sessions().every(({ flows }) => flows === 0), 'all flows are over')
      await until(() => seller.provider.sessions().every(({ unpaidBytes }) => unpaidBytes === 0n), 'everything is paid')
    },
  }
}

export type HonestPair = Awaited<ReturnType<typeof honestPair>>

/** Both books tell the same story, session by session, to the byte and the unit. Returns what it comes to. */
export function assertBooksAgree({ seller, buyer }: Pick<HonestPair, 'seller' | 'buyer'>) {
  const [sold, bought] = [seller.vault.book.sessions, buyer.vault.book.sessions]
  for (const id of bought.keys()) assert.ok(sold.has(id), `session ${id} is known to the consumer alone`)
  const sum = { sessions: sold.size, bytes: 0n, units: 0n, disputed: 0n, unpaid: 0n }
  for (const [id, ours] of sold) {
    const theirs = bought.get(id)
    if (theirs === undefined) {
      // The answer to a move was still on its way when the consumer left: a row of the provider alone, in which nothing happened.
      assert.deepEqual([ours.up, ours.down, ours.billed], [0n, 0n, 0n], `session ${id} of the provider alone`)
      continue
    }
    assert.deepEqual(
      { up: theirs.up, down: theirs.down, billed: theirs.billed, base: theirs.base },
      { up: ours.up, down: ours.down, billed: ours.billed, base: ours.base },
      `session ${id}`,
    )
    assert.ok(
      ours.closed !== undefined && theirs.closed !== undefined,
      `both rows are closed: ${ours.closed?.reason} and ${theirs.closed?.reason}`,
    )
    sum.bytes += ours.up + ours.down
    sum.units += ours.billed
    sum.disputed += theirs.disputed
    sum.unpaid += ours.unpaid
  }
  for (const [key, channel] of seller.vault.book.channels) {
    const { numerator, cumulative, latest } = buyer.vault.book.channels.get(key)!
    assert.deepEqual(
      { numerator, cumulative, latest },
      { numerator: channel.numerator, cumulative: channel.cumulative, latest: channel.latest },
    )
  }
  return sum
}

/** The stream's error or end, once it is closed. */
export function ending(stream: Duplex): Promise<'end' | 'reset'> {
  return new Promise((resolve) => {
    let how: 'end' | 'reset' = 'end'
    stream.once('error', () => {
      how = 'reset'
    })
    stream.once('close', () => resolve(how))
  })
}
