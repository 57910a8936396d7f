import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { numeratorOf, unitsOf } from '../protocol/price.ts'
import { apply, type Book, bookOf, checkGenesis } from './book.ts'
import {
  accepted,
  claimSent,
  claimSettled,
  closed,
  descriptorOf,
  genesis,
  hexOf,
  journals,
  opened,
  planned,
  ROOT,
  rootOpened,
  voucher,
  WALLET,
} from './fixtures.ts'
import type { JournalRecord } from './records.ts'

const GIB = 2n ** 30n
const PRICE = 1_000_000n
const PAYER = descriptorOf().payer
const PAYEE = hexOf(20, 'payee0')

/** Applies `bad` to the book of `records`: refused as STATE_CORRUPT with its number, and without a trace. */
function refuses(records: JournalRecord[], bad: JournalRecord, why: RegExp): void {
  const book = bookOf(records)
  assert.throws(
    () => apply(book, bad),
    (error: { code: string; message: string; facts: Record<string, unknown> }) => {
      assert.equal(error.code, 'STATE_CORRUPT')
      assert.match(error.message, why)
      assert.equal(error.facts.record, records.length + 1)
      assert.equal(error.facts.kind, bad.kind)
      return true
    },
  )
  assert.deepEqual(book, bookOf(records))
}

const SERVED = [genesis(), accepted(), opened(1), voucher(1, GIB, GIB)]

suite('book of a provider', () => {
  test('adds up channels, sessions and the payer', () => {
    const book = bookOf([...SERVED, closed(1, GIB, GIB + 5n, 'peer-lost')])
    const channel = book.channel(ROOT, 0)!
    assert.deepEqual([channel.cumulative, channel.numerator, channel.latest?.cumulative], [2n * PRICE, 2n * GIB * PRICE, 2n * PRICE])
    const session = book.sessions.get(hexOf(16, 1))!
    assert.deepEqual(
      [session.up, session.down, session.billed, session.unpaid, session.closed?.reason],
      [GIB, GIB, 2n * PRICE, 5n, 'peer-lost'],
    )
    const { paidUnits, paidBytes, unpaidBytes } = book.counterparty(PAYER)
    assert.deepEqual([paidUnits, paidBytes, unpaidBytes], [2n * PRICE, 2n * GIB, 5n])
    assert.equal(book.counterparty(hexOf(20, 'stranger')).paidBytes, 0n)
  })

  test('refuses vouchers that are lower, above the cap, or not the floor of the debt', () => {
    refuses(SERVED, voucher(1, GIB, GIB - 2n * 1024n), /lower/)
    refuses(SERVED, voucher(1, GIB + 1n, GIB - 1n), /fewer bytes/)
    refuses([...SERVED, opened(2, { base: 2n * GIB * PRICE })], { ...voucher(1, GIB, GIB), disputed: -1n as never }, /fewer bytes/)
    refuses([genesis(), accepted(0, PRICE), opened(1)], voucher(1, GIB, 2048n), /cap/)
    refuses(SERVED, { ...voucher(1, GIB, 2n * GIB), cumulative: 2n * PRICE }, /floor/)
    // Control: the next honest one is taken.
    apply(bookOf(SERVED), voucher(1, GIB, 2n * GIB))
  })

  test('refuses what it does not know', () => {
    refuses([genesis()], opened(1), /unknown channel/)
    refuses([genesis(), accepted()], voucher(1, 1n, 1n), /unknown session/)
    refuses([genesis(), accepted(), accepted(1), opened(1)], voucher(1, 1n, 1n, { index: 1 }), /another channel/)
    refuses([genesis()], { kind: 'root-closed', rootId: ROOT, refund: 0n, tx: hexOf(32, 1), atMs: 1 }, /unknown root/)
    refuses([], accepted(), /genesis/)
    refuses([genesis()], genesis(), /one genesis/)
    refuses([genesis()], planned([1n]), /only a consumer/)
    refuses([genesis('consumer')], accepted(), /only a provider/)
  })

  test('a session starts at or above what its channel has promised', () => {
    refuses(SERVED, opened(2, { base: 2n * GIB * PRICE - 1n }), /starts below/)
    const book = bookOf([...SERVED, opened(2, { base: 2n * GIB * PRICE })])
    assert.equal(book.sessions.size, 2)
  })

  test('a session takes over what the payer left unpaid, oldest first', () => {
    const book = bookOf([...SERVED, closed(1, GIB + 100n, GIB), opened(2, { base: 2n * GIB * PRICE }), closed(2, 50n, 0n)])
    assert.equal(book.counterparty(PAYER).unpaidBytes, 150n)
    apply(book, opened(3, { base: 2n * GIB * PRICE, carriedUp: 120n }))
    assert.equal(book.counterparty(PAYER).unpaidBytes, 30n)
    assert.deepEqual([...book.counterparty(PAYER).owing], [book.sessions.get(hexOf(16, 2))])
    // It owes them there instead: paid there, they are gone; unpaid, they are owed again.
    apply(book, voucher(3, 100n, 0n, { base: 2n * GIB * PRICE }))
    apply(book, closed(3, 120n, 0n))
    assert.equal(book.counterparty(PAYER).unpaidBytes, 30n + 20n)
    // Closed by a restart that no longer knew the counts: what was taken over is still owed.
    const lost = bookOf([
      ...SERVED,
      closed(1, GIB + 100n, GIB),
      opened(2, { base: 2n * GIB * PRICE, carriedUp: 100n }),
      closed(2, 0n, 0n, 'restarted'),
    ])
    assert.equal(lost.counterparty(PAYER).unpaidBytes, 100n)
  })

  test('a session takes over all that the payer has paid ahead, beside what is unpaid', () => {
    const book = bookOf([...SERVED, closed(1, GIB, GIB - 100n)])
    assert.equal(book.counterparty(PAYER).unpaidBytes, -100n)
    // One that takes nothing over changes nothing of that.
    apply(book, opened(2, { base: 2n * GIB * PRICE }))
    apply(book, closed(2, 0n, 30n))
    assert.equal(book.counterparty(PAYER).unpaidBytes, -70n)
    apply(book, opened(3, { base: 2n * GIB * PRICE, carriedDown: -70n }))
    assert.deepEqual([book.counterparty(PAYER).unpaidBytes, book.counterparty(PAYER).owing.size], [0n, 0])
    apply(book, closed(3, 0n, -20n))
    assert.equal(book.counterparty(PAYER).unpaidBytes, -20n, 'fifty of them were carried')
    // Closed once more after a restart, with what its vouchers paid for.
    apply(book, closed(3, 0n, -70n, 'restarted'))
    assert.equal(book.counterparty(PAYER).unpaidBytes, -20n)
    apply(book, opened(4, { base: 2n * GIB * PRICE, carriedDown: -20n }))
    apply(book, closed(4, 0n, 5n))
    assert.equal(book.counterparty(PAYER).unpaidBytes, 5n)
  })

  test('a voucher that comes after the close still pays', () => {
    const book = bookOf([...SERVED, closed(1, GIB, GIB + 100n), voucher(1, GIB, GIB + 60n)])
    assert.equal(book.counterparty(PAYER).unpaidBytes, 40n)
  })

  test('follows claims, however they overtake each other', () => {
    const book = bookOf([...SERVED, claimSent(1, PRICE), claimSent(2, 2n * PRICE)])
    assert.deepEqual([...book.pendingClaims.keys()], [hexOf(32, 1), hexOf(32, 2)])
    assert.equal(book.channel(ROOT, 0)!.claims.size, 2)
    apply(book, claimSettled(2, 2n * PRICE, 10n))
    apply(book, claimSettled(1, PRICE, 10n))
    assert.deepEqual(
      [book.paid, book.fees, book.channel(ROOT, 0)!.paid, book.pendingClaims.size, book.channel(ROOT, 0)!.claims.size],
      [2n * PRICE, 20n, 2n * PRICE, 0, 0],
    )
    refuses(SERVED, claimSent(1, 2n * PRICE + 1n), /more than was promised/)
    refuses(SERVED, claimSettled(1, PRICE, PRICE + 1n), /fee/)
    refuses(SERVED, claimSettled(1, PRICE, 1n, 0, PRICE), /burn/)
    refuses([...SERVED, claimSettled(1, PRICE)], { kind: 'burn-seen', total: PRICE + 1n, atMs: 9 }, /burnt/)
    refuses(SERVED, claimSettled(1, 10n ** 9n + 1n), /cap/)
  })

  test('a high-water mark raises what was promised, and what was paid when the chain says so', () => {
    const mark = { kind: 'high-water', rootId: ROOT, index: 0, cumulative: 3n * PRICE, atMs: 9 } as const
    const peer = bookOf([
      ...SERVED,
      { ...mark, source: 'peer', signature: hexOf(64, 'theirs'), numerator: numeratorOf(3n * PRICE) + 5n },
    ]).channel(ROOT, 0)!
    assert.deepEqual(
      [peer.cumulative, peer.numerator, peer.latest, peer.paid],
      [3n * PRICE, numeratorOf(3n * PRICE) + 5n, { cumulative: 3n * PRICE, signature: hexOf(64, 'theirs') }, 0n],
    )
    const chain = bookOf([...SERVED, { ...mark, source: 'chain' }]).channel(ROOT, 0)!
    assert.deepEqual([chain.cumulative, chain.latest?.cumulative, chain.paid], [3n * PRICE, 2n * PRICE, 3n * PRICE])
    refuses([...SERVED, { ...mark, source: 'peer' }], voucher(1, GIB, 2n * GIB - 1024n), /lower/)
    refuses(SERVED, { ...mark, cumulative: 10n ** 9n + 1n, source: 'peer' }, /cap/)
    refuses(SERVED, { ...mark, numerator: 1n, source: 'peer' }, /floor/)
  })
})

suite('book of a consumer', () => {
  const OPEN = [genesis('consumer'), planned([5n * PRICE, 5n * PRICE]), rootOpened()]

  test('follows a root from plan to close', () => {
    const states = [...OPEN.keys()].slice(2).map((count) => bookOf(OPEN.slice(0, count)).roots.get(ROOT)?.state)
    assert.deepEqual(states, ['planned'])
    const book = bookOf([...OPEN, opened(1), voucher(1, GIB, 0n, { disputed: 7n })])
    const root = book.roots.get(ROOT)!
    assert.deepEqual(
      [root.state, root.spent, book.counterparty(PAYEE).paidBytes, book.counterparty(PAYEE).disputedBytes],
      ['open', PRICE, GIB, 7n],
    )
    const [refunded, returned] = apply(book, { kind: 'root-closed', rootId: ROOT, refund: 10n * PRICE, tx: hexOf(32, 'c'), atMs: 9 })
    assert.deepEqual([refunded?.kind, returned?.kind, root.state, root.spent], ['refunded', 'returned', 'closed', 0n])
  })

  test('signs on an open root only', () => {
    refuses(OPEN.slice(0, 2), opened(1), /not open/)
    refuses(
      [...OPEN, opened(1), { kind: 'root-closed', rootId: ROOT, refund: 1n, tx: hexOf(32, 'c'), atMs: 9 }],
      voucher(1, GIB, 0n),
      /not open/,
    )
    refuses([...OPEN], { kind: 'root-failed', rootId: ROOT, why: 'reverted', atMs: 9 }, /open already/)
    refuses(OPEN, { kind: 'root-closed', rootId: ROOT, refund: 10n * PRICE + 1n, tx: hexOf(32, 'c'), atMs: 9 }, /more came back/)
    // A transaction given up on may be mined after all.
    const book = bookOf([...OPEN.slice(0, 2), { kind: 'root-failed', rootId: ROOT, why: 'no answer', atMs: 9 }, rootOpened()])
    assert.equal(book.roots.get(ROOT)?.state, 'open')
  })
})

test('a record repeated by a crash changes nothing', () => {
  const settled = claimSettled(1, PRICE, 3n)
  const story = [...SERVED, claimSent(1, PRICE), settled, closed(1, GIB, GIB)]
  for (const record of story.slice(1)) {
    const twice = bookOf([...story, record])
    const once = bookOf(story)
    once.length = twice.length
    assert.deepEqual(twice, once, record.kind)
  }
  refuses(story, opened(1, { pricePerGib: 1n }), /other terms/)
  refuses(story, accepted(0, 5n), /another payee or cap/)
})

test('a folder of another chain, contract, token, wallet or role is refused', () => {
  const { role, chainId, channels, token } = genesis()
  const node = { role, chainId, channels, token, wallet: WALLET }
  const book = bookOf([genesis()])
  checkGenesis(book, node)
  checkGenesis(bookOf([]), node)
  for (const [field, value] of Object.entries({
    role: 'consumer',
    chainId: 1,
    channels: hexOf(20, 9),
    token: hexOf(20, 9),
    wallet: hexOf(20, 9),
  })) {
    assert.throws(() => checkGenesis(book, { ...node, [field]: value }), { code: 'STATE_OTHER_CHAIN' })
  }
})

test('whatever happens, promises stay within caps, payments within promises, and counts add up', () => {
  const invariants = (book: Book) => {
    for (const channel of book.channels.values()) {
      assert.ok(
        channel.cumulative <= channel.cap && channel.paid <= channel.cumulative && channel.lost <= channel.cumulative - channel.paid,
      )
      assert.ok(unitsOf(channel.numerator) === channel.cumulative)
      assert.ok((channel.latest?.cumulative ?? 0n) <= channel.cumulative)
    }
    for (const { id, unpaidBytes, owing, paidBytes } of book.counterparties.values()) {
      const sessions = [...book.sessions.values()].filter(({ channel }) => [channel.payee, channel.root.descriptor.payer].includes(id))
      assert.equal(
        unpaidBytes,
        sessions.reduce((sum, { unpaid }) => sum + unpaid, 0n),
      )
      assert.deepEqual(new Set(sessions.filter(({ unpaid }) => unpaid !== 0n)), new Set(owing))
      assert.equal(
        paidBytes,
        sessions.reduce((sum, { up, down }) => sum + up + down, 0n),
      )
    }
    assert.ok(book.fees + book.burnt <= book.paid)
  }
  for (const role of ['provider', 'consumer'] as const) {
    fc.assert(
      fc.property(journals(role, 80), (records) => {
        const book = bookOf([])
        for (const record of records) {
          apply(book, record)
          invariants(book)
        }
      }),
      { numRuns: 150 },
    )
  }
})
