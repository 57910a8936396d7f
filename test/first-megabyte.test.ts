/**
 * Tests that cross rooms; what concerns one file is tested beside it. The rule they keep: each refusal has a positive control in the same
 * test, nothing sleeps for luck, traffic stays on loopback. Start reading here, then support/pair.ts (two nodes in one process).
 *
 * This one: bytes arrive unchanged, both sides count the same, and the vouchers settle.
 */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { test } from 'node:test'
import { STRANGER_WINDOW_BYTES } from '../src/protocol/credit.ts'
import { parseDestination } from '../src/protocol/destination.ts'
import { MemoryChain } from './support/memory-chain.ts'
import { anyRoute, part, startConsumer, startProvider } from './support/pair.ts'

async function origin(onSocket: (socket: Socket) => void): Promise<{ server: Server; port: number }> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {})
    onSocket(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { server, port: (server.address() as AddressInfo).port }
}

const never = new AbortController().signal

test('a megabyte each way is carried, counted alike on both sides, paid and claimed', async () => {
  const chain = new MemoryChain()
  const seller = await startProvider({ chain })
  const buyer = await startConsumer({ chain, offers: () => [seller.offer] })
  const payload = randomBytes(1_000_000)
  const { server, port } = await origin((socket) => {
    // Echoes everything, then ends: half-close must pass through both ways.
    socket.pipe(socket)
  })
  const { stream, route } = await buyer.consumer.dial({ destination: parseDestination('127.0.0.1', port), parameters: anyRoute }, never)
  assert.equal(route.country, 'de')
  const hash = createHash('sha256')
  let got = 0
  stream.on('data', (chunk: Buffer) => {
    got += chunk.length
    hash.update(chunk)
  })
  stream.end(payload)
  await once(stream, 'end')
  assert.equal(got, payload.length)
  assert.equal(hash.digest('hex'), createHash('sha256').update(payload).digest('hex'))
  await part(buyer, [seller])
  await seller.provider.close()
  const [bought] = [...buyer.vault.book.sessions.values()]
  const [sold] = [...seller.vault.book.sessions.values()]
  assert.deepEqual([bought!.up, bought!.down], [1_000_000n, 1_000_000n])
  assert.deepEqual([sold!.up, sold!.down, sold!.unpaid], [1_000_000n, 1_000_000n, 0n])
  assert.equal(bought!.channel.cumulative, (2_000_000n * 100_000n) >> 30n)
  const [claim] = await seller.claims.claim()
  assert.equal(claim!.amount, bought!.channel.cumulative)
  assert.equal(seller.claims.claimable(), 0n)
  await assert.rejects(seller.claims.claim(), { code: 'CLAIM_NOTHING' })
  await Promise.all([buyer.vault.close(), seller.vault.close()])
  server.close()
})

test('a pair that meets again starts from its history, a stranger does not', async () => {
  const chain = new MemoryChain()
  const seller = await startProvider({ chain })
  const { server, port } = await origin((socket) => socket.end(Buffer.alloc(8_000_000)))
  const meet = async (known?: { home: string; wallet: Buffer }) => {
    const buyer = await startConsumer({ chain, offers: () => [seller.offer], ...known })
    const { stream } = await buyer.consumer.dial({ destination: parseDestination('127.0.0.1', port), parameters: anyRoute }, never)
    const window = seller.provider.sessions()[0]!.window
    stream.resume().end()
    await once(stream, 'end')
    await part(buyer, [seller])
    await buyer.vault.close()
    return { window, known: { home: buyer.home, wallet: buyer.wallet } }
  }
  const first = await meet()
  const again = await meet(first.known)
  const stranger = await meet()
  assert.equal(first.window, STRANGER_WINDOW_BYTES)
  assert.ok(again.window > 1_900_000n && again.window <= 2_000_000n, `${again.window}: a quarter of what was paid`)
  assert.equal(stranger.window, STRANGER_WINDOW_BYTES)
  await seller.provider.close()
  await seller.vault.close()
  server.close()
})
