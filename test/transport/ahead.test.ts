/**
 * Lines so fast that they are paid ahead: what was paid and did not come is not lost with the session, and a provider that forgets it is not paid ahead again.
 *
 * To both ends no time passes here, so that any line is as fast as they can tell.
 */
import assert from 'node:assert/strict'
import { cpSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import { parseDestination } from '../../src/protocol/destination.ts'
import type { SignedOffer } from '../../src/protocol/offer.ts'
import { owed, unitsOf } from '../../src/protocol/price.ts'
import type { FlowStream } from '../../src/tunnel/index.ts'
import { openRoot, Rogue, signVoucher } from '../attacks/rogue.ts'
import { echo, firehose, Recorder, settled } from '../attacks/world.ts'
import { temporaryFolder } from '../support/folders.ts'
import { MemoryChain } from '../support/memory-chain.ts'
import { anyRoute, part, startConsumer, startProvider, takeDown } from '../support/pair.ts'
import { A_MINUTE, originOf, until } from './pair.ts'

const MEBI = 1n << 20n
const PRICE = 100_000n
const WINDOW = 16n * MEBI
/** A quarter of the window stays for links that break. */
const MOST_AHEAD = 12n * MEBI
/** Four windows, from when on the window is as wide as it gets, and some vouchers more. */
const ENOUGH = 160n * MEBI

const now = Date.now()
const clock = { nowMs: () => now }

/** What was ahead when a download ended is used up by what was under way then: often a little, at times all of it. */
async function leftover(w: Awaited<ReturnType<typeof world>>): Promise<bigint> {
  for (let tries = 0; tries < 30; tries++) {
    const most = await w.rush(ENOUGH)
    assert.ok(most <= MOST_AHEAD, `${most} ahead`)
    const left = await w.rest()
    if (left > MEBI) return left
  }
  assert.fail('nothing is ever left')
}

/** A consumer's account of one provider, as both see it. */
async function world(t: TestContext, { capPerProvider = 1_000_000n } = {}) {
  const chain = new MemoryChain()
  const [fast, slow] = [await originOf(t, firehose()), await originOf(t, echo)]
  let seller = await startProvider({ chain, clock })
  const offers = (): SignedOffer[] => [seller.offer]
  const first = await startConsumer({ chain, clock, offers, capPerProvider })
  let buyer = first
  const sessions = () => ({ sold: seller.provider.sessions()[0]!, bought: buyer.consumer.sessions()[0]! })
  const dial = async (port: number): Promise<FlowStream> => {
    const request = { destination: parseDestination('127.0.0.1', port), parameters: anyRoute }
    const { stream } = await buyer.consumer.dial(request, AbortSignal.timeout(A_MINUTE))
    stream.on('error', () => {})
    return stream as FlowStream
  }
  /** No flow is left and all is paid; the bytes that are ahead then. */
  const rest = async (): Promise<bigint> => {
    await until(() => sessions().bought.flows === 0 && sessions().sold.links > 0, 'flows that are not over')
    await until(() => sessions().sold.unpaidBytes === 0n && sessions().bought.unpaidBytes === 0n, 'bytes that are not paid')
    return sessions().sold.prepaidBytes
  }
  t.after(() => takeDown(buyer, [seller]))
  return {
    sessions,
    rest,
    seller: () => seller,
    buyer: () => buyer,
    /** Downloads so many bytes as fast as they come, then resets the flow; the most that was ever ahead. */
    async rush(bytes: bigint): Promise<bigint> {
      const flow = await dial(fast.port)
      let [got, most] = [0n, 0n]
      flow.on('data', (chunk: Buffer) => {
        got += BigInt(chunk.length)
        const { unpaidBytes, prepaidBytes } = sessions().sold
        assert.ok(unpaidBytes <= WINDOW, `${unpaidBytes} unpaid`)
        if (prepaidBytes > most) most = prepaidBytes
      })
      await until(() => got >= bytes, 'bytes to come')
      flow.destroy()
      return most
    },
    /** Flows that nobody reads. */
    pause: (count: number) => Promise.all(Array.from({ length: count }, () => dial(fast.port))),
    /** Sends so many bytes and gets them back. */
    async talk(bytes: number): Promise<void> {
      const flow = await dial(slow.port)
      let got = 0
      flow.on('data', (chunk: Buffer) => {
        got += chunk.length
      })
      flow.end(Buffer.alloc(bytes))
      await until(() => got === bytes && flow.closed, 'bytes to come back')
    },
    async buyerStartsAnew(): Promise<void> {
      await part(buyer, [seller])
      await buyer.vault.close()
      buyer = await startConsumer({ chain, clock, offers, home: first.home, wallet: first.wallet, capPerProvider })
    },
    /** It stops without a word, and comes back with what is on its disk. */
    async sellerDies(): Promise<void> {
      const { home, keys, provider, vault } = seller
      const disk = temporaryFolder()
      cpSync(home, disk, { recursive: true })
      await provider.close()
      await vault.close()
      seller = await startProvider({ chain, clock, keys, home: disk })
    },
  }
}

test('what is paid ahead and did not come is carried in the next session, and costs nothing there', async (t) => {
  const w = await world(t)
  const left = await leftover(w)
  assert.equal(w.sessions().bought.prepaidBytes, left, 'both know of the same')
  await w.buyerStartsAnew()
  const payer = () => w.seller().vault.book.counterparty(w.buyer().payer)
  assert.equal(payer().unpaidBytes, -left)

  await w.talk(1_000)
  assert.equal(await w.rest(), left - 2_000n)
  await w.buyerStartsAnew()
  await w.talk(0)
  assert.equal(await w.rest(), left - 2_000n)
  assert.equal(w.buyer().vault.book.counterparty(w.seller().payee).disputedBytes, 0n)

  // Both books: all that was paid was carried, but for what is still ahead.
  await w.buyerStartsAnew()
  const rows = (node: ReturnType<typeof w.seller> | ReturnType<typeof w.buyer>) =>
    [...node.vault.book.sessions.values()].map(({ id, up, down, billed, closed }) => ({ id, up, down, billed, closed: closed!.down }))
  assert.deepEqual(rows(w.buyer()), rows(w.seller()))
  const [first, second] = rows(w.seller())
  assert.equal(first!.down - first!.closed, left)
  assert.deepEqual([second!.up, second!.down, second!.closed], [0n, 0n, 1_000n - left])
  assert.equal(second!.billed, 0n)
})

test('a provider that forgot what was paid ahead is believed once, and never again for more than the window', async (t) => {
  const w = await world(t)
  const left = await leftover(w)
  await w.sellerDies()
  await w.talk(1_000)
  await w.rest()
  const payee = () => w.buyer().vault.book.counterparty(w.seller().payee)
  assert.equal(payee().disputedBytes, left)

  const most = await w.rush(ENOUGH)
  assert.ok(most <= MOST_AHEAD - left, `${most} ahead, though ${left} were lost`)
  for (let deaths = 0; deaths < 3; deaths++) {
    await w.rest()
    await w.sellerDies()
    await w.rush(2n * MEBI)
  }
  await w.rest()
  assert.ok(payee().disputedBytes <= WINDOW, `${payee().disputedBytes} lost`)
})

test('flows that nobody reads may hold a window and what was ahead: given up together they are paid, and nobody is called a liar', async (t) => {
  const w = await world(t)
  await leftover(w)
  const flows = await w.pause(8)
  const lent = await settled(() => w.sessions().sold.unpaidBytes)
  assert.ok(lent > WINDOW - MEBI, `${lent} lent`)
  const unseen = lent + w.sessions().bought.prepaidBytes
  assert.ok(unseen > WINDOW, `the control: ${unseen} bytes wait unread`)
  for (const flow of flows) flow.destroy()
  await w.rest()
  await w.talk(1_000)
})

test('what is ahead moves along when a channel is used up, and nobody owes or doubts anything afterwards', async (t) => {
  // A channel pays for some 160 MiB, and is left when three quarters are used.
  const w = await world(t, { capPerProvider: 16_000n })
  const left = await leftover(w)
  assert.equal(w.sessions().bought.prepaidBytes, left)
  await w.rush(3n * ENOUGH)
  const book = () => w.seller().vault.book
  assert.ok(book().channels.size >= 3, `the control: ${book().channels.size} channels`)
  assert.ok(
    [...book().sessions.values()].some(({ carriedDown }) => carriedDown < 0n),
    'the control: one moved with bytes ahead',
  )
  const rest = await w.rest()
  assert.equal(w.sessions().bought.prepaidBytes, rest)
  await w.buyerStartsAnew()
  assert.equal(book().counterparty(w.buyer().payer).unpaidBytes, -rest)
  await w.talk(1_000)
  await w.rest()
  assert.equal(w.buyer().vault.book.counterparty(w.seller().payee).disputedBytes, 0n)
})

test('a last voucher that a crash lost pays for a window and what was ahead: no sign of an older copy, which more would be', async (t) => {
  for (const [mebi, warns] of [
    [28n, false],
    [40n, true],
  ] as const) {
    const [chain, observer] = [new MemoryChain(), new Recorder()]
    const seller = await startProvider({ chain, observer })
    t.after(async () => {
      await seller.provider.close()
      await seller.vault.close()
    })
    const root = openRoot(chain, seller.payee)
    const before = await Rogue.open(seller, root)
    await before.pay(0n, 100n * MEBI)
    const { sessionId, base } = before.accepted
    before.leave()
    await until(() => seller.provider.sessions().length === 0, 'the session')
    const down = (100n + mebi) * MEBI
    const cumulative = unitsOf(owed(base, down, PRICE))
    const statement = { sessionId, up: 0n, down, cumulative, signature: signVoucher(root, 0, cumulative) }
    const again = await Rogue.open(seller, root, { latest: { statement, base, pricePerGib: PRICE } })
    again.leave()
    assert.equal(observer.warnings.has('STATE_RESTORED'), warns, `${mebi} MiB`)
  }
})
