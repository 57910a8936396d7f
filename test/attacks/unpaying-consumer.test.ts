/**
 * Consumers that do not pay: whatever they try, a provider loses at most the credit window of their history.
 *
 * Loss is measured outside the provider: bytes the rogue got, less what the vouchers on the provider's disk are worth.
 * Longer than 400 lines because each way of not paying is one test, and they share what they measure.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, type TestContext, test } from 'node:test'
import { type Hex, toHex } from '../../src/protocol/bytes.ts'
import { creditWindow, MAX_WINDOW_BYTES, STRANGER_WINDOW_BYTES } from '../../src/protocol/credit.ts'
import { PROTOCOL_VERSION } from '../../src/protocol/messages.ts'
import { GIB, numeratorOf, owed, unitsOf } from '../../src/protocol/price.ts'
import type { Vault } from '../../src/wallet/vault.ts'
import { MemoryChain } from '../support/memory-chain.ts'
import { type ProviderOptions, startProvider } from '../support/pair.ts'
import { newWallet, openRoot, Rogue, type RogueRoot, type Seller, sessionOf, signVoucher, dial as talk, until } from './rogue.ts'
import { firehose, type Origin, origin, Recorder, settled, sink, slowDisk } from './world.ts'

const PRICE = 100_000n
const HOUR_S = 3_600
/** A voucher is a floor: each channel gives away less than one unit's worth. */
const ROUNDING_BYTES = GIB / PRICE + 1n

const measured: string[] = []
after(() => {
  for (const line of measured) console.log(line)
})

interface World {
  chain: MemoryChain
  seller: Seller
  observer: Recorder
  source: Origin
}

async function world(t: TestContext, options: Partial<ProviderOptions> = {}): Promise<World> {
  const chain = new MemoryChain()
  const observer = new Recorder()
  const seller = await startProvider({ chain, observer, pricePerGib: PRICE, ...options })
  const source = await origin(firehose())
  t.after(async () => {
    await seller.provider.close()
    await seller.vault.close()
    await source.close()
  })
  return { chain, seller, observer, source }
}

/** Units on vouchers that the contract would pay, as the bytes they buy. */
function paidBytes({ vault }: Pick<Seller, 'vault'>): bigint {
  let units = 0n
  for (const { latest } of vault.book.channels.values()) units += latest?.cumulative ?? 0n
  return (units * GIB) / PRICE
}

function check(what: string, seller: Seller, got: bigint, most: bigint, channels = 1): void {
  const loss = got - paidBytes(seller)
  measured.push(`${what}: got ${got}, not paid for ${loss}, allowed ${most}`)
  assert.ok(loss <= most + ROUNDING_BYTES * BigInt(channels), `${what}: ${loss} bytes lost, ${most} allowed`)
  // The control: the rogue did get what it may have on credit, so the limit above was reached for and not merely never tried.
  assert.ok(loss > most / 2n, `${what}: only ${loss} bytes of ${most} were even tried for`)
}

/** Ends a session the impolite way and waits until the provider wrote it down. */
async function abandon({ seller }: Pick<World, 'seller'>, rogue: Rogue): Promise<void> {
  rogue.leave()
  await until(() => [...seller.vault.book.sessions.values()].every(({ closed }) => closed !== undefined), 'all sessions are closed')
}

/**
 * Downloads and pays for what came, in steps, until `bytes` are paid; and for what the session took over when it is told how much. Who leaves that
 * unpaid may find the rest of a window smaller than the next piece, and wait for ever.
 */
async function download(rogue: Rogue, port: number, bytes: bigint, carried = 0n): Promise<bigint> {
  const flow = await rogue.flow(port)
  for (let paid = 0n; paid < bytes; ) {
    const next = paid + 65_536n < bytes ? paid + 65_536n : bytes
    await flow.bytes(next)
    await rogue.pay(0n, carried + next)
    paid = next
  }
  return settled(() => flow.received)
}

test('a stranger that never pays gets the first window and no more', async (t) => {
  const w = await world(t)
  const rogue = await Rogue.open(w.seller, openRoot(w.chain, w.seller.payee))
  const flow = await rogue.flow(w.source.port)
  const got = await settled(() => flow.received)
  await abandon(w, rogue)
  check('never pays', w.seller, got, STRANGER_WINDOW_BYTES)
  assert.equal(w.observer.counted('sessions', 'done'), 1)
})

test('a stranger that never pays uploads one window and no more', async (t) => {
  const w = await world(t)
  const hole = await origin(sink)
  const rogue = await Rogue.open(w.seller, openRoot(w.chain, w.seller.payee))
  const flow = await rogue.flow(hole.port)
  flow.link.sendData(Buffer.alloc(4_000_000), () => {})
  const got = await settled(() => BigInt(hole.received))
  await abandon(w, rogue)
  check('never pays for uploads', w.seller, got, STRANGER_WINDOW_BYTES)
  await hole.close()
})

test('one that pays for a while and then stops gets at most a quarter of what it paid', async (t) => {
  const w = await world(t)
  const rogue = await Rogue.open(w.seller, openRoot(w.chain, w.seller.payee))
  const got = await download(rogue, w.source.port, 8_000_000n)
  await abandon(w, rogue)
  check('pays 8 MB, then stops', w.seller, got, creditWindow({ paidBytes: paidBytes(w.seller), unpaidBytes: 0n }))
})

test('one that leaves and comes back, again and again, gets the window once', async (t) => {
  const w = await world(t)
  const root = openRoot(w.chain, w.seller.payee)
  let got = 0n
  for (let visit = 0; visit < 5; visit++) {
    const rogue = await Rogue.open(w.seller, root)
    const flow = await rogue.flow(w.source.port)
    got += await settled(() => flow.received)
    await abandon(w, rogue)
  }
  check('five visits', w.seller, got, STRANGER_WINDOW_BYTES)
})

test('one that comes back while its old session is still being written down gets the window once', async (t) => {
  const w = await world(t, { disk: slowDisk(100) })
  const root = openRoot(w.chain, w.seller.payee)
  let got = 0n
  for (let visit = 0; visit < 2; visit++) {
    // The next connection stands ready, a voucher is under way to the disk, and the old control link goes.
    const rogue = await Rogue.open(w.seller, root)
    const next = await talk(w.seller)
    const flow = await rogue.flow(w.source.port)
    const before = got
    got += await settled(() => flow.received)
    rogue.control.send('pay', rogue.statement(0n, 1n))
    const { sessionId } = rogue.accepted
    await until(() => w.seller.vault.book.sessions.get(sessionId)!.down === 1n, 'the voucher is being written')
    rogue.leave()
    await until(() => w.observer.counted('sessions', 'done') === visit * 2 + 1, 'the provider notices')
    next.send('session', sessionOf(next.link, root, w.seller))
    const { body } = await next.next('accepted')
    const again = new Rogue(next, w.seller, root, 0, body)
    const second = await again.flow(w.source.port)
    got += await settled(() => second.received)
    await abandon(w, again)
    if (visit > 0) assert.equal(got, before, 'nothing more on a later visit')
  }
  check('races its own session', w.seller, got, STRANGER_WINDOW_BYTES)
})

test('a session that is closing takes no more flow links', async (t) => {
  const w = await world(t, { disk: slowDisk(100) })
  const rogue = await Rogue.open(w.seller, openRoot(w.chain, w.seller.payee))
  const link = await talk(w.seller)
  const { sessionId, token } = rogue.accepted
  rogue.control.send('pay', rogue.statement(0n, 1n))
  await until(() => w.seller.vault.book.sessions.get(sessionId)!.down === 1n, 'a voucher is being written')
  rogue.leave()
  await until(() => w.observer.counted('sessions', 'done') === 1, 'the provider notices')
  link.send('attach', { version: PROTOCOL_VERSION, sessionId, token })
  assert.equal((await link.next('refused')).body.code, 'SESSION_UNKNOWN')
  assert.equal(w.seller.provider.sessions().length, 1, 'the control: it was still closing')
})

test('eight flows of one session share the window', async (t) => {
  const w = await world(t)
  const rogue = await Rogue.open(w.seller, openRoot(w.chain, w.seller.payee))
  const flows = await Promise.all(Array.from({ length: 8 }, () => rogue.flow(w.source.port)))
  const got = await settled(() => flows.reduce((sum, flow) => sum + flow.received, 0n))
  await abandon(w, rogue)
  check('eight flows', w.seller, got, STRANGER_WINDOW_BYTES)
})

test('eight sessions of one payer at once share the window, whatever root they come with', async (t) => {
  const w = await world(t)
  const wallet = newWallet()
  const roots = Array.from({ length: 8 }, () => openRoot(w.chain, w.seller.payee, { wallet }))
  let got = 0n
  await Promise.all(
    roots.map(async (root) => {
      // Each ends the one before; whoever is accepted takes what it can before the next comes.
      const rogue = await Rogue.open(w.seller, root)
      const flow = await rogue.flow(w.source.port).catch(() => undefined)
      if (flow === undefined) return
      await settled(() => flow.received)
      got += flow.received
    }),
  )
  assert.equal(w.seller.provider.sessions().length, 1)
  check('eight sessions', w.seller, got, STRANGER_WINDOW_BYTES, roots.length)
})

test('a new root of the same payer brings no new credit; a new payer does', async (t) => {
  const w = await world(t)
  const wallet = newWallet()
  let got = 0n
  for (let visit = 0; visit < 4; visit++) {
    const rogue = await Rogue.open(w.seller, openRoot(w.chain, w.seller.payee, { wallet }))
    const flow = await rogue.flow(w.source.port)
    got += await settled(() => flow.received)
    await abandon(w, rogue)
  }
  check('four roots', w.seller, got, STRANGER_WINDOW_BYTES)
  const stranger = await Rogue.open(w.seller, openRoot(w.chain, w.seller.payee))
  const flow = await stranger.flow(w.source.port)
  await flow.bytes(STRANGER_WINDOW_BYTES / 2n)
})

test('a session does not outlive its root, after which its payer could take the money back', async (t) => {
  const clock = { aheadMs: 0, nowMs: () => Date.now() + clock.aheadMs }
  const w = await world(t, { clock })
  const expiry = Math.floor(Date.now() / 1000) + 2 * HOUR_S
  const [root, later] = [openRoot(w.chain, w.seller.payee, { expiry }), openRoot(w.chain, w.seller.payee, { expiry: expiry + HOUR_S })]
  const [rogue, control] = [await Rogue.open(w.seller, root), await Rogue.open(w.seller, later)]
  const pass = async (minutes: number) => {
    for (let left = minutes * 60; left > 0; left -= 25) {
      clock.aheadMs += 25_000
      for (const { control: link } of [rogue, control]) link.send('ping', { nonce: 1n })
      for (const { control: link } of [rogue, control]) await link.next('pong')
    }
  }
  await pass(80)
  await rogue.pay(0n, 100_000n)
  await pass(11)
  assert.equal((await rogue.control.next('bye')).body.code, 'ROOT_EXPIRED')
  await until(() => w.seller.provider.sessions().length === 1, 'it ended, alone')
  assert.equal(w.observer.counted('sessions', 'expired'), 1)
  await control.pay(0n, 100_000n)
})

/** A thousand sessions of this payer that were paid in full, as the journal would hold them. */
async function honestHistory(vault: Vault, root: RogueRoot, bytesEach: bigint): Promise<void> {
  const { rootId, descriptor, tree } = root
  const { index, cap, salt, siblings } = tree.proof(0)
  const channel = { rootId, index }
  const at = { atMs: Date.now() }
  const writes = [vault.record({ kind: 'channel-accepted', ...channel, descriptor, payee: root.payees[0]!, cap, salt, siblings, ...at })]
  for (let session = 0n; session < 1_000n; session++) {
    const sessionId = toHex(randomBytes(16))
    const base = owed(0n, session * bytesEach, PRICE)
    const numerator = owed(base, bytesEach, PRICE)
    const terms = { peer: descriptor.payer, country: 'de', pricePerGib: PRICE, base, carriedUp: 0n, carriedDown: 0n }
    const counts = { up: 0n, down: bytesEach }
    const cumulative = unitsOf(numerator)
    writes.push(
      vault.record({ kind: 'session-opened', ...channel, sessionId, ...terms, ...at }),
      vault.record({
        kind: 'voucher',
        ...{ ...channel, sessionId, ...counts, ...at },
        ...{ disputed: 0n, numerator, cumulative, signature: signVoucher(root, 0, cumulative) },
      }),
      vault.record({ kind: 'session-closed', ...channel, sessionId, ...counts, reason: 'done', ...at }),
    )
  }
  await Promise.all(writes)
}

test('one that was honest a thousand times gets at most the largest window, and that once', async (t) => {
  const w = await world(t)
  const root = openRoot(w.chain, w.seller.payee)
  await honestHistory(w.seller.vault, root, 1_000_000n)
  const before = paidBytes(w.seller)
  let got = 0n
  for (let visit = 0; visit < 3; visit++) {
    const rogue = await Rogue.open(w.seller, root)
    // Paying a little at full speed shows the provider how much a quarter second carries.
    if (visit === 0) got += await download(rogue, w.source.port, 6_000_000n)
    const flow = await rogue.flow(w.source.port)
    got += await settled(() => flow.received)
    await abandon(w, rogue)
  }
  const loss = got - (paidBytes(w.seller) - before)
  measured.push(`after a thousand honest sessions: got ${got}, not paid for ${loss}, allowed ${MAX_WINDOW_BYTES}`)
  assert.ok(loss <= MAX_WINDOW_BYTES + ROUNDING_BYTES)
  assert.ok(loss > STRANGER_WINDOW_BYTES, 'history did earn a larger window')
})

test('history cannot be invented: statements of sessions that never were give no credit', async (t) => {
  const w = await world(t)
  const root = openRoot(w.chain, w.seller.payee)
  const invented = (sessionId: Hex, pricePerGib: bigint, down: bigint, base = 0n) => {
    const cumulative = unitsOf(owed(base, down, pricePerGib))
    return { statement: { sessionId, up: 0n, down, cumulative, signature: signVoucher(root, 0, cumulative) }, base, pricePerGib }
  }
  let got = 0n
  const take = async (latest: ReturnType<typeof invented>) => {
    const rogue = await Rogue.open(w.seller, root, { latest })
    // Traffic has to flow before a window may be wide, and vouchers make the provider compute it anew.
    got += await download(rogue, w.source.port, 1_000_000n, rogue.accepted.carried.down)
    await abandon(w, rogue)
    return rogue.accepted
  }
  // A gigabyte at a price of nearly nothing.
  const first = await take(invented(toHex(randomBytes(16)), 1n, GIB - 1n))
  // A terabyte more on a session the provider does know, free of charge.
  await take(invented(first.sessionId, 0n, 1n << 40n, first.base + 2n * owed(0n, 1_000_000n, PRICE)))
  const loss = got - paidBytes(w.seller)
  measured.push(`invented history: got ${got}, not paid for ${loss}`)
  assert.ok(loss <= STRANGER_WINDOW_BYTES + ROUNDING_BYTES)
  assert.ok(w.seller.vault.book.counterparty(root.descriptor.payer).paidBytes >= GIB, 'the control: the book did count it')
})

test('many leaves of less than a unit do not add up to free traffic', async (t) => {
  const w = await world(t)
  // Collateral of one unit a leaf: a thousandth of a dollar would otherwise buy 10 MB, and credit for more.
  const dust = openRoot(w.chain, w.seller.payee, { caps: [1n, 1n] })
  const control = await talk(w.seller)
  control.send('session', sessionOf(control.link, dust, w.seller))
  assert.equal((await control.next('refused')).body.code, 'CAP_EXCEEDED')
  // Leaves with real collateral, each left again before a whole unit was paid.
  const LEAVES = 150
  const root = openRoot(w.chain, w.seller.payee, { caps: Array.from({ length: LEAVES }, () => 10_000n) })
  let rogue = await Rogue.open(w.seller, root)
  await rogue.pay(0n, 10_000n)
  rogue.control.send('session', sessionOf(rogue.control.link, root, w.seller, { index: 1 }))
  assert.equal((await rogue.control.next('bye')).body.code, 'MESSAGE_UNEXPECTED', 'a channel that is hardly used is not left')
  for (let index = 1; index < LEAVES; index++) {
    rogue = await Rogue.open(w.seller, root, { index })
    if (index < LEAVES - 1) await rogue.pay(0n, 10_000n)
  }
  const { paidUnits, paidBytes: bytes } = w.seller.vault.book.counterparty(root.descriptor.payer)
  assert.equal(paidUnits, 0n)
  assert.equal(bytes, 1_490_000n, 'the control: the book did count those bytes')
  // Once the traffic is fast enough for a wide window it is as narrow as what was really paid allows: here, and in a new session.
  let got = await download(rogue, w.source.port, 1_000_000n)
  await abandon(w, rogue)
  const again = await Rogue.open(w.seller, root, { index: LEAVES - 1 })
  assert.equal(again.accepted.window, STRANGER_WINDOW_BYTES)
  const flow = await again.flow(w.source.port)
  got += await settled(() => flow.received)
  await abandon(w, again)
  check('a hundred and fifty leaves', w.seller, got, STRANGER_WINDOW_BYTES)
})

test('a statement that races a move does not pay on the new channel', async (t) => {
  const w = await world(t, { disk: slowDisk(20) })
  const root = openRoot(w.chain, w.seller.payee, { caps: [2_000n, 1_000_000n] })
  let got = 0n
  const rogue = await Rogue.open(w.seller, root)
  got += await download(rogue, w.source.port, 4_000_000n)
  const paid = await rogue.useUp()
  const late = rogue.statement(0n, paid + 1n)
  rogue.control.send('session', sessionOf(rogue.control.link, root, w.seller, { index: 1 }))
  // While the rows are written the old channel's statement still names the session.
  await until(() => {
    rogue.control.send('pay', late)
    return rogue.control.inbox.some(({ name }) => name === 'accepted' || name === 'bye')
  }, 'the provider answered the move')
  rogue.accepted = (await rogue.control.next('accepted')).body
  const flow = await rogue.flow(w.source.port)
  got += await settled(() => flow.received)
  await abandon(w, rogue)
  const most = creditWindow({ paidBytes: paidBytes(w.seller), unpaidBytes: 0n })
  const loss = got - paidBytes(w.seller)
  measured.push(`pays the old channel during a move: got ${got}, not paid for ${loss}, allowed ${most}`)
  assert.ok(loss <= most)
  assert.ok(got > 4_000_000n + STRANGER_WINDOW_BYTES / 2n, 'the control: it was served on the new channel')
})

test('paying too much, in the wrong direction, and moving leaves the provider whole and counting', async (t) => {
  const w = await world(t)
  const root = openRoot(w.chain, w.seller.payee, { caps: [1_000n, 1_000n, 1_000_000n] })
  const rogue = await Rogue.open(w.seller, root)
  const flow = await rogue.flow(w.source.port)
  await flow.bytes(100_000n)
  // Nine tenths of the cap, all as uploads that never were.
  await rogue.pay(9_660_000n, 0n)
  await rogue.move(root, 1)
  await flow.bytes(flow.received + 100_000n)
  flow.send('reset', {})
  rogue.control.send('pay', rogue.statement(0n, 9_700_000n))
  await rogue.move(root, 2)
  const { body: done } = await flow.next('done')
  assert.equal(done.down, flow.received)
  await rogue.pay(1n, 1n)
  await abandon(w, rogue)
  const { unpaidBytes, paidBytes: paid } = w.seller.vault.book.counterparty(root.descriptor.payer)
  // What it paid for and never got is carried later, in whichever direction.
  assert.equal(unpaidBytes, -MAX_WINDOW_BYTES, 'a window of it: the rest is a gift')
  assert.ok(paid - flow.received > MAX_WINDOW_BYTES, 'the control: it paid more too much')
  // The control: an ordinary session afterwards.
  const next = await Rogue.open(w.seller, root, { index: 2 })
  assert.ok((await download(next, w.source.port, 300_000n)) >= 300_000n)
})

test('a root that is too small: served up to its cap and not a byte beyond', async (t) => {
  const price = 10_000_000n
  const w = await world(t, { pricePerGib: price })
  const cap = 10_000n
  const root = openRoot(w.chain, w.seller.payee, { caps: [cap] })
  const rogue = await Rogue.open(w.seller, root)
  const flow = await rogue.flow(w.source.port)
  const payable = (numeratorOf(cap + 1n) - 1n) / price
  // What was read in one piece goes on in one piece: the last, of up to 64 KiB, waits when the cap cannot pay for all of it.
  for (let paid = 0n; paid < payable - 131_072n; ) {
    const next = paid + 65_536n
    await flow.bytes(next)
    await rogue.pay(0n, next)
    paid = next
  }
  const got = await settled(() => flow.received)
  assert.ok(got <= payable, `${got} bytes for a cap of ${payable}`)
  assert.ok(got > payable - 131_072n, 'the control: the cap was nearly used up')
  rogue.control.send('pay', { ...rogue.statement(0n, payable + 100_000n) })
  assert.equal((await rogue.control.next('bye')).body.code, 'CAP_EXCEEDED')
  assert.equal(w.observer.counted('vouchers_refused', 'CAP_EXCEEDED'), 1)
  const { unpaid } = [...w.seller.vault.book.sessions.values()][0]!
  measured.push(`cap reached: got ${got}, unpaid ${unpaid}, payable ${payable}`)
})
