/** Routes of two and three hops: every byte arrives, each hop is paid by a payer of its own, and the exit's neighbour is the hop before it. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { parseDestination } from '../../src/protocol/destination.ts'
import { origin } from '../attacks/world.ts'
import { MemoryChain } from '../support/memory-chain.ts'
import { anyRoute, part, startConsumer, startProvider } from '../support/pair.ts'
import { contentOf } from '../transport/pair.ts'

const MEGABYTE = 1_048_576
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')

for (const hops of [2, 3]) {
  test(`${hops} hops carry 3 MB each way, and each is paid from a root of its own payer`, async (t) => {
    const chain = new MemoryChain()
    const sellers = await Promise.all(['de', 'us', 'jp'].map((country) => startProvider({ chain, country })))
    const buyer = await startConsumer({ chain, offers: () => sellers.map(({ offer }) => offer), hops })
    const up = randomBytes(3 * MEGABYTE)
    const down = randomBytes(3 * MEGABYTE)
    const got: Buffer[] = []
    const heard = Promise.withResolvers<void>()
    const server = await origin((socket) => {
      socket.on('data', (chunk: Buffer) => got.push(chunk))
      socket.once('end', () => heard.resolve())
      socket.end(down)
    })
    t.after(async () => {
      await buyer.consumer.close()
      await Promise.all(sellers.map(({ provider }) => provider.close()))
      await Promise.all([buyer.vault.close(), ...sellers.map(({ vault }) => vault.close())])
      await server.close()
    })
    const request = { destination: parseDestination('127.0.0.1', server.port), parameters: { ...anyRoute, country: 'jp' } }
    const { stream, route } = await buyer.consumer.dial(request, AbortSignal.timeout(60_000))
    assert.equal(route.hops, hops)
    stream.end(up)
    assert.equal(sha256(await contentOf(stream)), sha256(down))
    await heard.promise
    assert.equal(sha256(Buffer.concat(got)), sha256(up))
    await part(buyer, sellers)
    const rows = [...buyer.vault.book.sessions.values()]
    assert.equal(rows.length, hops)
    const payers = rows.map(({ channel }) => channel.root.descriptor.payer)
    assert.equal(new Set(payers).size, hops)
    assert.equal(new Set(rows.map(({ channel }) => channel.root.descriptor.signer)).size, hops)
    assert.equal(new Set(rows.map(({ channel }) => channel.payee)).size, hops)
    // The nearer a hop, the more layers it carries.
    const carried = rows.map(({ up: sent, down: received }) => sent + received).sort((a, b) => (a < b ? -1 : 1))
    assert.ok(carried[0]! === BigInt(6 * MEGABYTE))
    for (let i = 1; i < hops; i++) assert.ok(carried[i]! > carried[i - 1]!)
    await Promise.all(sellers.map(({ provider }) => provider.close()))
    const sold = sellers.flatMap(({ vault }) => [...vault.book.sessions.values()])
    const total = (sessions: typeof sold) => sessions.reduce((sum, { up: sent, down: received }) => sum + sent + received, 0n)
    assert.equal(total(sold), total(rows))
  })
}
