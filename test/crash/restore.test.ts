/**
 * Old copies of a state folder: they are noticed, and nothing is signed below what the peer or the chain knows.
 *
 * BYWAY_TEST_RESTORES sets the number of random restores; the release bar is 1,000.
 */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Hex } from '../../src/protocol/bytes.ts'
import type { MessageBody } from '../../src/protocol/messages.ts'
import { numeratorOf } from '../../src/protocol/price.ts'
import { seededRandom } from './random.ts'
import { type Side, TimeTravel } from './time-travel.ts'

const RESTORES = Number(process.env.BYWAY_TEST_RESTORES ?? 40)
const KB = 1_000
/** Three of them at once are less than a stranger's window. */
const MOST_CUT_KB = 80

async function world(t: TestContext): Promise<TimeTravel> {
  const made = await TimeTravel.create()
  t.after(() => made.close())
  return made
}

/** Nothing sent from `from` on is below what was known elsewhere. */
function assertAbove(made: TimeTravel, from: number, marks: ReadonlyMap<string, bigint>): void {
  for (const { rootId, index, cumulative } of made.sent.slice(from)) {
    const mark = marks.get(`${rootId}:${index}`) ?? 0n
    assert.ok(cumulative >= mark, `signed ${cumulative} where ${mark} was known`)
  }
}

async function restart(made: TimeTravel, side: Side): Promise<void> {
  await made.stop(side)
  await made.start(side)
}

test('a consumer’s old copy takes its high-water mark from its provider', async (t) => {
  const made = await world(t)
  await made.transfer(300 * KB)
  const old = await made.copy('buyer')
  await made.transfer(300 * KB)
  // Control: without time travel a restart is silent.
  await restart(made, 'buyer')
  await made.transfer(50 * KB)
  assert.deepEqual(made.restored, { seller: [], buyer: [] })
  await made.putBack('buyer', old)
  const marks = made.marks()
  const from = made.sent.length
  await made.startBuyer()
  await made.transfer(50 * KB)
  await made.stop('buyer')
  assert.match(made.restored.buyer.join(), /^peer:\d+$/)
  assert.ok(made.sent.length > from)
  assertAbove(made, from, marks)
  assert.deepEqual(made.conflicts, [])
})

test('a copy that is less than a unit behind is noticed too', async (t) => {
  const made = await world(t)
  await made.transfer(300 * KB)
  await restart(made, 'buyer')
  const old = await made.copy('buyer')
  await made.transfer(20)
  await made.putBack('buyer', old)
  await made.startBuyer()
  await made.transfer(50 * KB)
  assert.equal(made.restored.buyer.length, 1)
})

test('a provider is lent as much as the forgotten vouchers that it shows have paid', async (t) => {
  const made = await world(t)
  await made.transfer(100 * KB)
  const old = await made.copy('buyer')
  for (let times = 0; times < 9; times++) await made.transfer(400 * KB)
  await made.putBack('buyer', old)
  await made.startBuyer()
  // The provider lends more than to a stranger by now, and all of that is on its way when a download is given up.
  await made.transfer(800 * KB, true)
  await made.transfer(50 * KB)
  assert.match(made.restored.buyer.join(), /^peer:\d+$/)
  const closed = [...made.buyer!.vault.book.sessions.values()].map((session) => session.closed?.reason)
  assert.deepEqual(closed, ['restarted', undefined])
})

test('while the chain is down an old copy takes its mark from its provider, and signs nothing below it', async (t) => {
  const made = await world(t)
  await made.transfer(300 * KB)
  const old = await made.copy('buyer')
  await made.transfer(300 * KB)
  await made.putBack('buyer', old)
  const marks = made.marks()
  const from = made.sent.length
  made.chain.down = true
  await made.startBuyer()
  await made.transfer(50 * KB)
  await made.stop('buyer')
  assert.match(made.restored.buyer.join(), /^peer:\d+$/)
  assert.ok(made.sent.length > from)
  assertAbove(made, from, marks)
  // When it is back there is nothing to correct.
  made.chain.down = false
  await made.startBuyer()
  await made.transfer(50 * KB)
  assert.deepEqual(made.restored.buyer, [])
  assert.deepEqual(made.conflicts, [])
})

test('a silent provider gets nothing signed', async (t) => {
  const made = await world(t)
  await made.transfer(300 * KB)
  await made.stop('seller')
  const from = made.sent.length
  await restart(made, 'buyer')
  const silence = await made.impersonate(() => undefined)
  const opening = assert.rejects(made.transfer(50 * KB), { code: 'PROVIDER_LOST' })
  await silence.asked
  await silence.close()
  await opening
  assert.deepEqual([made.sent.length - from, silence.statements], [0, 0])
})

const SESSION: Pick<MessageBody<'accepted'>, 'sessionId' | 'token' | 'window' | 'carried'> = {
  sessionId: `0x${'5e'.repeat(16)}`,
  token: `0x${'70'.repeat(32)}`,
  window: 262_144n,
  carried: { up: 0n, down: 0n },
}

test('a provider that claims a later voucher must show it, with our signature', async (t) => {
  const made = await world(t)
  await made.transfer(300 * KB)
  await made.stop('buyer')
  await made.stop('seller')
  await made.startBuyer()
  const [channel] = [...made.buyer!.vault.book.channels.values()]
  const { numerator, cumulative, latest } = channel!
  const forged: Hex = `0x${'11'.repeat(64)}`
  const lies: [string, Partial<MessageBody<'accepted'>>][] = [
    ['VOUCHER_SIGNER', { base: numeratorOf(cumulative + 5n), last: { cumulative: cumulative + 5n, signature: forged } }],
    ['VOUCHER_SIGNER', { base: numeratorOf(cumulative + 5n), last: { cumulative: cumulative + 5n, signature: latest!.signature } }],
    ['METER_DIVERGED', { base: numeratorOf(cumulative + 5n), last: latest! }],
    ['METER_DIVERGED', { base: numeratorOf(cumulative + 5n) }],
    ['METER_DIVERGED', { base: numerator - 1n, last: latest! }],
    ['METER_DIVERGED', { base: 0n }],
  ]
  const from = made.sent.length
  for (const [code, lie] of lies) {
    const liar = await made.impersonate(() => ({ ...SESSION, base: numerator, last: undefined, ...lie }))
    await assert.rejects(
      made.transfer(50 * KB),
      { code },
      JSON.stringify(lie, (_key, value: unknown) => (typeof value === 'bigint' ? `${value}` : value)),
    )
    assert.equal(liar.statements, 0)
    await liar.close()
  }
  assert.equal(made.sent.length, from)
  assert.deepEqual(made.restored.buyer, [])
  // Control: the same provider telling the truth is paid.
  await made.startSeller()
  await made.transfer(50 * KB)
  await made.stop('buyer')
  assert.ok(made.sent.length > from)
})

test('a provider that shows an older voucher than it has gains nothing, and the chain tells on it', async (t) => {
  const made = await world(t)
  await made.transfer(300 * KB)
  await made.stop('buyer')
  await made.startBuyer()
  const old = { buyer: await made.copy('buyer'), seller: await made.copy('seller') }
  await made.transfer(300 * KB)
  await made.stop('buyer')
  const highest = made.marks()
  const [[key, most]] = [...highest] as [[string, bigint]]
  const kept = await made.copy('seller')
  // Both forget; the provider does so on purpose and keeps its later voucher.
  await made.putBack('seller', old.seller)
  await made.putBack('buyer', old.buyer)
  await made.startSeller()
  await made.startBuyer()
  const from = made.sent.length
  await made.transfer(100 * KB)
  await made.stop('buyer')
  // It carried that for vouchers below one it had: nobody owes it for them.
  assert.ok(made.sent.length > from)
  assert.ok(made.sent.slice(from).every(({ cumulative }) => cumulative < most))
  assert.deepEqual(made.conflicts, [])
  // It claims the later one; from then on nothing is signed below it.
  await made.putBack('seller', kept)
  await made.startSeller()
  await made.seller!.claims.claim()
  assert.equal(made.chain.paid.get(key), most)
  await made.putBack('seller', old.seller)
  await made.startSeller()
  await made.startBuyer()
  const later = made.sent.length
  await made.transfer(100 * KB)
  await made.stop('buyer')
  assert.match(made.restored.buyer.join(), /^chain:\d+$/)
  assert.ok(made.sent.length > later)
  assertAbove(made, later, new Map([[key, most]]))
  assert.deepEqual(made.conflicts, [])
})

test('a provider’s old copy takes the latest voucher back from its consumer', async (t) => {
  const made = await world(t)
  const empty = await made.copy('seller')
  await made.transfer(300 * KB)
  const old = await made.copy('seller')
  await made.transfer(300 * KB)
  for (const copy of [old, empty]) {
    await restart(made, 'buyer')
    await made.putBack('seller', copy)
    await made.startSeller()
    await made.transfer(50 * KB)
    await made.stop('buyer')
    assert.equal(made.restored.seller.length > 0, true)
    assert.deepEqual(made.restored.buyer, [])
    const [sold] = [...made.seller!.vault.book.channels.values()]
    await made.startBuyer()
    const [bought] = [...made.buyer!.vault.book.channels.values()]
    assert.deepEqual([sold!.numerator, sold!.latest], [bought!.numerator, bought!.latest])
  }
  await made.seller!.claims.claim()
  assert.deepEqual(made.conflicts, [])
})

test('a mark that one side learned from the other is there when the other loses it', async (t) => {
  const made = await world(t)
  await made.transfer(300 * KB)
  await made.stop('buyer')
  const old = { buyer: await made.copy('buyer'), seller: await made.copy('seller') }
  await made.startBuyer()
  await made.transfer(300 * KB)
  await made.putBack('buyer', old.buyer)
  await made.startBuyer()
  // The consumer learns the mark and pays nothing on top of it; then the provider forgets.
  await made.transfer(0)
  await made.stop('buyer')
  assert.match(made.restored.buyer.join(), /^peer:\d+$/)
  const marks = made.marks()
  await made.putBack('seller', old.seller)
  await made.startSeller()
  await made.startBuyer()
  const from = made.sent.length
  await made.transfer(100 * KB)
  await made.stop('buyer')
  assert.ok(made.sent.length > from)
  assertAbove(made, from, marks)
  assert.ok(made.restored.seller.length > 0)
})

test('a copy from before the first deposit finds it on the chain, and opens another with another key', async (t) => {
  const made = await world(t)
  const empty = await made.copy('buyer')
  await made.transfer(300 * KB)
  const [root] = [...made.buyer!.vault.book.roots.values()]
  await made.putBack('buyer', empty)
  await made.startBuyer()
  await made.transfer(300 * KB)
  assert.deepEqual(made.restored.buyer, [`chain:${root!.rootId}`])
  const roots = [...made.buyer!.vault.book.roots.values()]
  assert.deepEqual(
    roots.map(({ rootId, state, leaves }) => [rootId === root!.rootId, state, leaves.length]),
    [
      [true, 'open', 0],
      [false, 'open', 1],
    ],
  )
  assert.notEqual(roots[1]!.descriptor.signer, root!.descriptor.signer)
  // Both deposits are on the books, to the unit.
  await made.stop('buyer')
  const ledger = await made.ledger('buyer')
  assert.equal(ledger.totals.deposited, 2n * root!.descriptor.sum)
  assert.ok(ledger.identityHolds)
})

test(`${RESTORES} random old copies: noticed, agreed on, and never two signatures for one counter`, async (t) => {
  const seed = Number(process.env.BYWAY_TEST_SEED ?? Math.floor(Math.random() * 2 ** 31))
  t.diagnostic(`seed ${seed}`)
  const random = seededRandom(seed)
  const made = await world(t)
  const copies: Record<Side, Buffer[]> = { seller: [], buyer: [] }
  let [noticed, silent] = [0, 0]
  for (let restores = 0; restores < RESTORES; restores++) {
    for (let transfers = random.between(1, 3); transfers > 0; transfers--) {
      // Of a download that is given up a consumer without its history takes no more than from a stranger.
      const cut = random.chance(0.2)
      const running = made.transfer(random.between(1, cut ? MOST_CUT_KB : 400) * KB, cut)
      for (const side of ['seller', 'buyer'] as const) if (random.chance(0.3)) copies[side].push(await made.copy(side))
      await running
    }
    if (random.chance(0.2)) await made.seller!.claims.claim().catch(() => {}) // nothing to claim
    for (const side of ['seller', 'buyer'] as const) copies[side].push(await made.copy(side))
    // Both at once is possible too, and the chain may be down for a while.
    const sides: Side[] = random.chance(0.15) ? ['seller', 'buyer'] : [random.pick(['seller', 'buyer'] as const)]
    let older = false
    // What is said from here on is said of these copies.
    made.restored.seller = []
    made.restored.buyer = []
    for (const side of sides) {
      const copy = random.pick(copies[side])
      older ||= copy !== copies[side].at(-1)
      await made.putBack(side, copy)
    }
    const other = sides[0] === 'seller' ? 'buyer' : 'seller'
    if (sides.length === 1 && random.chance(0.5)) await restart(made, other)
    if (sides.includes('seller')) await made.startSeller()
    const before = made.sent.length
    if (sides.includes('buyer')) {
      made.chain.down = random.chance(0.2)
      await made.startBuyer()
    }
    const known = debts(made)
    const alike = [...known].every(([key, [a, b]]) => a === b && numeratorOf(made.chain.paid.get(key) ?? 0n) <= a)
    const sessions = made.buyer!.vault.book.sessions.size
    const marks = made.marks()
    if (made.chain.down) {
      // Who was paid before serves all the same. What needs a deposit waits, and a provider that forgot the channel, or what the chain paid there.
      await made.transfer(KB).then(
        () => silent++,
        (thrown) => assert.match(thrown.code, /^(RPC_UNREACHABLE|PROVIDER_BUSY|STATE_RESTORED)$/),
      )
      made.chain.down = false
    }
    await made.transfer(random.between(1, 100) * KB)
    const first = [...made.buyer!.vault.book.sessions.values()][sessions]!.channel
    const [bought, sold] = known.get(`${first.rootId}:${first.index}`) ?? [0n, 0n]
    if (bought < sold) {
      noticed++
      assert.ok(made.restored.buyer.length > 0, 'the consumer did not notice that its provider knows more')
    }
    // Two old copies of one age agree with each other, yet the chain may know of later claims and roots: that is no false alarm.
    if (alike && !older) assert.deepEqual(made.restored, { seller: [], buyer: [] }, 'a false alarm')
    await restart(made, 'buyer')
    if (!sides.includes('seller')) assertAbove(made, before, marks)
    assert.deepEqual(made.conflicts, [])
  }
  t.diagnostic(`${made.sent.length} vouchers, ${made.chain.roots.size} roots, ${noticed} noticed, ${silent} served without the chain`)
})

/** Exact debts per channel, as buyer and seller know them. */
function debts(made: TimeTravel): Map<string, [bigint, bigint]> {
  const found = new Map<string, [bigint, bigint]>()
  for (const [key, { numerator }] of made.buyer!.vault.book.channels) found.set(key, [numerator, 0n])
  for (const [key, { numerator }] of made.seller!.vault.book.channels) found.set(key, [found.get(key)?.[0] ?? 0n, numerator])
  return found
}
