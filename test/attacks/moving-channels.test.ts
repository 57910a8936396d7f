/**
 * Sessions that outlive their channels: one transfer crosses channel after channel, and nothing is lost, paid twice or counted differently.
 *
 * Caps are the smallest there are and the price is high, so that a channel lasts for less than a megabyte.
 */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { after, test } from 'node:test'
import { STRANGER_WINDOW_BYTES } from '../../src/protocol/credit.ts'
import type { FlowStream } from '../../src/tunnel/index.ts'
import { seeded } from '../fuzz/mutate.ts'
import { assertBooksAgree, type HonestPair, honestPair } from './pair.ts'
import { until } from './rogue.ts'
import { origin, settled, slowDisk } from './world.ts'

const PRICE = 10_000_000n
const CAP = 10_000n

const measured: string[] = []
after(() => {
  for (const line of measured) console.log(line)
})

const small = { provider: { pricePerGib: PRICE }, consumer: { capPerProvider: CAP } }

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

/** Sends back the sha256 of what it got, after as many bytes as the first four say. */
const mirror = (payload: Buffer) =>
  origin((socket) => {
    const hash = createHash('sha256')
    socket.on('data', (chunk: Buffer) => hash.update(chunk))
    socket.once('end', () => socket.end(Buffer.concat([payload, hash.digest()])))
  })

async function exchange(flow: FlowStream, up: Buffer, down: Buffer): Promise<void> {
  const got = createHash('sha256')
  const tail: Buffer[] = []
  let count = 0
  flow.on('data', (chunk: Buffer) => {
    const body = chunk.subarray(0, Math.max(0, down.length - count))
    got.update(body)
    tail.push(chunk.subarray(body.length))
    count += chunk.length
  })
  flow.end(up)
  await once(flow, 'end')
  assert.equal(count, down.length + 32)
  assert.equal(got.digest('hex'), sha256(down), 'what came down')
  assert.equal(Buffer.concat(tail).toString('hex'), sha256(up), 'what went up')
}

/** Everything promised can be claimed, once. */
async function assertClaimed({ chain, seller }: HonestPair, units: bigint): Promise<void> {
  const claims = await seller.claims.claim()
  assert.equal(
    claims.reduce((sum, { amount }) => sum + amount, 0n),
    units,
  )
  assert.equal(
    [...chain.paid.values()].reduce((sum, paid) => sum + paid, 0n),
    units,
  )
  assert.equal(seller.claims.claimable(), 0n)
  for (const channel of seller.vault.book.channels.values()) assert.ok(channel.cumulative <= channel.cap)
}

test('one download crosses twenty channels, byte for byte', async (t) => {
  const pair = await honestPair(t, small)
  const payload = randomBytes(21_000_000)
  const source = await mirror(payload)
  t.after(() => source.close())
  await exchange(await pair.dial(source.port), Buffer.from('please'), payload)
  await pair.settle()
  await pair.close()
  const sum = assertBooksAgree(pair)
  measured.push(`a download of 21 MB: ${sum.sessions} channels, ${sum.units} units, unpaid ${sum.unpaid}, disputed ${sum.disputed}`)
  assert.ok(sum.sessions >= 20)
  assert.deepEqual({ bytes: sum.bytes, unpaid: sum.unpaid, disputed: sum.disputed }, { bytes: 21_000_038n, unpaid: 0n, disputed: 0n })
  await assertClaimed(pair, sum.units)
})

test('four flows, both ways at once, cross channels together', async (t) => {
  // A slow disk: while a new row is being written the provider counts on.
  const pair = await honestPair(t, { ...small, consumer: { ...small.consumer, disk: slowDisk(15) } })
  const payload = randomBytes(3_000_000)
  const source = await mirror(payload)
  t.after(() => source.close())
  await Promise.all(Array.from({ length: 4 }, async (_, i) => exchange(await pair.dial(source.port), randomBytes(1_900_000 + i), payload)))
  await pair.settle()
  await pair.close()
  const sum = assertBooksAgree(pair)
  measured.push(`four flows both ways: ${sum.sessions} channels, ${sum.units} units, unpaid ${sum.unpaid}, disputed ${sum.disputed}`)
  assert.ok(sum.sessions >= 15)
  assert.deepEqual({ bytes: sum.bytes, unpaid: sum.unpaid, disputed: sum.disputed }, { bytes: 19_600_134n, unpaid: 0n, disputed: 0n })
  await assertClaimed(pair, sum.units)
})

test('flows given up and links cut while the session moves: nothing is counted twice', async (t) => {
  const random = seeded(5)
  const pair = await honestPair(t, small)
  const payload = randomBytes(400_000)
  const source = await mirror(payload)
  t.after(() => source.close())
  let turns = 0
  const flows: FlowStream[] = []
  const worker = async () => {
    while (turns < 120) {
      turns++
      const flow = await pair.dial(source.port).catch(() => undefined)
      if (flow === undefined) continue
      flows.push(flow)
      flow.on('error', () => {})
      flow.resume()
      flow.end(Buffer.alloc(1 + random(200_000)))
      const moment = random(200)
      for (let i = 0; i < moment && !flow.closed; i++) await new Promise((resolve) => setImmediate(resolve))
      if (random(3) === 0) {
        const alive = pair.wire.connections.slice(1).filter(([near]) => !near!.destroyed)
        for (const socket of alive[random(Math.max(1, alive.length))] ?? []) socket.destroy()
      }
      if (random(3) > 0) flow.destroy()
      await until(() => flow.closed, 'the flow is over')
    }
  }
  await Promise.all(Array.from({ length: 4 }, worker))
  for (const flow of flows) flow.destroy()
  await pair.settle()
  assert.equal(pair.bought.counted('sessions', 'meter-diverged'), 0)
  await pair.close()
  const sum = assertBooksAgree(pair)
  measured.push(`120 flows given up or cut: ${sum.sessions} channels, ${sum.bytes} bytes, unpaid ${sum.unpaid}, disputed ${sum.disputed}`)
  assert.ok(sum.sessions >= 5)
  assert.equal(sum.unpaid, 0n)
  await assertClaimed(pair, sum.units)
})

test('every link is cut again and again, the control link too, while the session moves: whole, and nothing disputed', async (t) => {
  const outage = { limitMs: 60_000, againMs: 5 }
  const random = seeded(8)
  const pair = await honestPair(t, { provider: { ...small.provider, outage }, consumer: { ...small.consumer, outage, disk: slowDisk(3) } })
  const payload = randomBytes(4_000_000)
  const source = await mirror(payload)
  t.after(() => source.close())
  let [going, cuts] = [true, 0]
  const cutter = async () => {
    for (let seen = 0n; going; ) {
      const [session] = pair.seller.provider.sessions()
      const carried = (session?.up ?? 0n) + (session?.down ?? 0n)
      // As bytes move, so that there is always some progress between two cuts.
      if (carried - seen > 150_000n || carried < seen) {
        seen = carried
        const alive = pair.wire.connections.filter(([near]) => !near!.destroyed)
        const hit = random(3) === 0 ? alive : alive.slice(random(Math.max(1, alive.length))).slice(0, 1)
        for (const both of hit) for (const socket of both) socket.destroy()
        cuts += hit.length
      }
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  const cutting = cutter()
  const flows = await Promise.all([0, 1, 2].map(() => pair.dial(source.port).catch(() => pair.dial(source.port))))
  await Promise.all(flows.map((flow, i) => exchange(flow, randomBytes(500_000 + i), payload)))
  going = false
  await cutting
  await pair.settle()
  assert.equal(pair.bought.counted('sessions', 'meter-diverged'), 0)
  await pair.close()
  const sum = assertBooksAgree(pair)
  const resumed = pair.sold.counted('flows_resumed')
  measured.push(
    `${cuts} links cut in ${sum.sessions} channels: ${sum.bytes} bytes, ${resumed} times on another link, disputed ${sum.disputed}`,
  )
  assert.ok(cuts >= 30 && sum.sessions >= 10, `${cuts} cuts, ${sum.sessions} channels`)
  assert.deepEqual({ bytes: sum.bytes, unpaid: sum.unpaid, disputed: sum.disputed }, { bytes: 13_500_099n, unpaid: 0n, disputed: 0n })
  await assertClaimed(pair, sum.units)
})

test('a wallet that is too small stops the line at its cap; filled up, the same download goes on and is whole', async (t) => {
  const pair = await honestPair(t, small)
  // Enough for one root and not for the next.
  pair.chain.balances.set(pair.buyer.payer, CAP + CAP / 2n)
  const payload = randomBytes(1_500_000)
  const source = await mirror(payload)
  t.after(() => source.close())
  const flow = await pair.dial(source.port)
  const whole = exchange(flow, Buffer.from('please'), payload)
  const stoppedAt = await settled(() => flow.received)
  const payable = ((CAP + 1n) << 30n) / PRICE
  assert.ok(stoppedAt <= payable && stoppedAt > payable - STRANGER_WINDOW_BYTES, `stopped at ${stoppedAt} of ${payable}`)
  assert.equal(pair.bought.warnings.has('DEPOSIT_LOW'), true)
  const asked = pair.bought.events.filter((event) => event.startsWith('no further channel')).length
  assert.ok(asked <= 2, `asked the wallet ${asked} times`)
  pair.chain.balances.set(pair.buyer.payer, 100n * CAP)
  await whole
  await pair.settle()
  await pair.close()
  const sum = assertBooksAgree(pair)
  measured.push(`wallet refilled: stopped at ${stoppedAt} of ${payable}, then whole over ${sum.sessions} channels, unpaid ${sum.unpaid}`)
  assert.equal(sum.unpaid, 0n)
  await assertClaimed(pair, sum.units)
})

test('a root whose time runs out is left in time', async (t) => {
  const clock = { aheadMs: 0, nowMs: () => Date.now() + clock.aheadMs }
  // Consumers leave a root two hours before it expires: this one is good for another minute.
  const rootDays = (2 * 3_600 + 60) / 86_400
  const pair = await honestPair(t, { provider: { clock }, consumer: { clock, rootDays } })
  const payload = randomBytes(100_000)
  const source = await mirror(payload)
  t.after(() => source.close())
  for (let passedMs = 0; passedMs <= 72_000; passedMs += 12_000) {
    await exchange(await pair.dial(source.port), Buffer.from('please'), payload)
    await pair.settle()
    // Less than the silence after which either side would think that the other is gone.
    clock.aheadMs += 12_000
  }
  await pair.close()
  const sum = assertBooksAgree(pair)
  assert.equal(sum.sessions, 2, 'it moved once')
  assert.deepEqual({ bytes: sum.bytes, unpaid: sum.unpaid }, { bytes: 7n * 100_038n, unpaid: 0n })
  await assertClaimed(pair, sum.units)
})
