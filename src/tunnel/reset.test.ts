/** Resets at the moments that are hard for sockets, and links that stay usable after them. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, Socket } from 'node:net'
import { test } from 'node:test'
import { MemoryChain } from '../../test/support/memory-chain.ts'
import { anyRoute, startConsumer, startProvider } from '../../test/support/pair.ts'
import { parseDestination } from '../protocol/destination.ts'
import { loadNative } from './fast/native.ts'
import { reset } from './splice.ts'

async function listen(onSocket: (socket: Socket) => void): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {})
    onSocket(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}

const portOf = (server: Server) => (server.address() as AddressInfo).port

test('a socket is reset even while it sends its end, and is closed for good', async (t) => {
  const accepted: Socket[] = []
  const server = await listen((socket) => accepted.push(socket.resume()))
  t.after(() => {
    server.close()
    for (const socket of accepted) socket.destroy()
  })
  const socket = connect({ port: portOf(server), host: '127.0.0.1', allowHalfOpen: true })
  socket.on('error', () => {})
  await once(socket, 'connect')
  socket.end()
  // Node asks the system for the end in the next tick; it is done when the loop comes round. Between the two, a reset of Node's own fails
  // and leaves a connection that nothing closes any more, so it cannot be shown here.
  await new Promise<void>(process.nextTick)
  await new Promise<void>(process.nextTick)
  assert.deepEqual([socket.writableEnded, socket.writableFinished], [true, false])
  const closed = once(socket, 'close')
  reset(socket, new Error('gone'))
  await closed
})

test('one end of a pair, which knows no resets, is closed, and so is the other', async () => {
  const [near, far] = loadNative()
    .socketPair()
    .map((fd) => new Socket({ fd }))
  // Positive control: Node's own reset refuses it.
  assert.throws(() => near!.resetAndDestroy(), { code: 'ERR_INVALID_HANDLE_TYPE' })
  near!.on('error', () => {})
  const ended = once(far!.resume(), 'close')
  reset(near!, new Error('gone'))
  await ended
  assert.equal(near!.destroyed, true)
})

test('a flow given up right after its end leaves its link free for the next', async (t) => {
  const chain = new MemoryChain()
  const seller = await startProvider({ chain })
  const buyer = await startConsumer({ chain, offers: () => [seller.offer] })
  const server = await listen((socket) => {
    socket.once('data', () => socket.write('answer'))
    socket.resume()
  })
  t.after(async () => {
    await buyer.consumer.close()
    await seller.provider.close()
    await Promise.all([buyer.vault.close(), seller.vault.close()])
    server.close()
  })
  const request = { destination: parseDestination('127.0.0.1', portOf(server)), parameters: anyRoute }
  for (let i = 0; i < 20; i++) {
    const { stream } = await buyer.consumer.dial(request, AbortSignal.timeout(60_000))
    stream.on('error', () => {})
    stream.write('question')
    await once(stream, 'data')
    // What an HTTP client does that wants nothing more: end and reset leave in one piece.
    stream.end()
    stream.once('finish', () => stream.destroy())
    await once(stream, 'close')
  }
})
