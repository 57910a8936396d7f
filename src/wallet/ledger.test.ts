import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { postingsOf } from './accounts.ts'
import {
  accepted,
  claimSent,
  claimSettled,
  closed,
  genesis,
  hexOf,
  journals,
  opened,
  planned,
  ROOT,
  rootOpened,
  voucher,
} from './fixtures.ts'
import { type LedgerRow, ledgerOf } from './ledger.ts'
import type { JournalRecord } from './records.ts'

const GIB = 2n ** 30n
const PRICE = 1_000_000n
const sum = (rows: readonly LedgerRow[], column: 'earned' | 'claimed' | 'claimable' | 'fees' | 'burnt' | 'spent' | 'returned') =>
  rows.reduce((total, row) => total + row[column], 0n)

const BASE = GIB * PRICE
/** Two sessions of one GiB and three GiB on one channel. */
const TWO = [genesis(), accepted(), opened(1), voucher(1, GIB, 0n), opened(2, { base: BASE }), voucher(2, 0n, 3n * GIB, { base: BASE })]

const money = ({ earned, claimed, claimable, fees }: LedgerRow) => [earned, claimed, claimable, fees].map(Number)

suite('ledger of a provider', () => {
  test('shows what each session earned, and claims oldest first', () => {
    assert.deepEqual(ledgerOf(TWO).rows.map(money), [
      [1e6, 0, 1e6, 0],
      [3e6, 0, 3e6, 0],
    ])
    const { rows, totals, identityHolds } = ledgerOf([...TWO, claimSent(1, 2n * PRICE), claimSettled(1, 2n * PRICE, 10_000n)])
    assert.deepEqual(rows.map(money), [
      [1e6, 995_000, 0, 5_000],
      [3e6, 995_000, 2e6, 5_000],
    ])
    assert.deepEqual([totals.earned, totals.claimed, totals.claimable, totals.fees], [4n * PRICE, 1_990_000n, 2n * PRICE, 10_000n])
    assert.ok(identityHolds)
  })

  test('the fee of a claim that was overtaken comes off what was claimed', () => {
    const { rows, totals, identityHolds } = ledgerOf([...TWO, claimSettled(2, 4n * PRICE, 100n), claimSettled(1, PRICE, 60n)])
    assert.deepEqual(rows.map(money), [
      [1e6, 999_915, 0, 85],
      [3e6, 2_999_925, 0, 75],
    ])
    assert.deepEqual([totals.claimed, totals.fees], [4n * PRICE - 160n, 160n])
    assert.ok(identityHolds)
  })

  test('the burn of a claim is spread as its fee is, and one heard of later comes off what was claimed', () => {
    const { rows, totals, identityHolds } = ledgerOf([...TWO, claimSettled(1, 2n * PRICE, 10_000n, 0, 200_000n)])
    assert.deepEqual(
      rows.map((row) => [...money(row), Number(row.burnt)]),
      [
        [1e6, 895_000, 0, 5_000, 100_000],
        [3e6, 895_000, 2e6, 5_000, 100_000],
      ],
    )
    assert.equal(totals.burnt, 200_000n)
    assert.ok(identityHolds)
    const mark = { kind: 'high-water', rootId: ROOT, index: 0, cumulative: 2n * PRICE, source: 'chain', atMs: 9 } as const
    const later = ledgerOf([...TWO, mark, { kind: 'burn-seen', total: 200_000n, atMs: 9 }, { kind: 'burn-seen', total: 150_000n, atMs: 9 }])
    assert.deepEqual([later.totals.claimed, later.totals.burnt, later.identityHolds], [1_800_000n, 200_000n, true])
  })

  test('names why a session earned nothing', () => {
    const reasons = (...records: JournalRecord[]) => ledgerOf([genesis(), accepted(), ...records]).rows.map((row) => row.reasonCode)
    assert.deepEqual(reasons(opened(1)), ['IN_PROGRESS'])
    assert.deepEqual(reasons(opened(1), closed(1, 0n, 0n)), ['NO_TRAFFIC'])
    assert.deepEqual(reasons(opened(1), closed(1, 0n, 900n)), ['UNPAID'])
    assert.deepEqual(reasons(opened(1, { carriedDown: -900n }), closed(1, 0n, -100n)), ['PREPAID'])
    assert.deepEqual(reasons(opened(1, { carriedDown: -900n }), closed(1, 300n, -300n)), ['PREPAID'])
    assert.deepEqual(reasons(opened(1, { carriedDown: -900n }), closed(1, 0n, -900n)), ['NO_TRAFFIC'])
    assert.deepEqual(reasons(opened(1, { carriedDown: -900n }), closed(1, 0n, 100n)), ['UNPAID'])
    assert.deepEqual(reasons(opened(1), voucher(1, 0n, 900n), closed(1, 0n, 900n)), ['BELOW_ONE_UNIT'])
    assert.deepEqual(reasons(opened(1, { pricePerGib: 0n }), voucher(1, GIB, 0n, { pricePerGib: 0n })), ['FREE'])
    const close: JournalRecord = { kind: 'root-closed', rootId: ROOT, refund: 0n, tx: hexOf(32, 'c'), atMs: 9 }
    assert.deepEqual(reasons(opened(1), voucher(1, GIB, 0n), close), ['LOST'])
    assert.deepEqual(reasons(opened(1), voucher(1, GIB, 0n), closed(1, GIB, 0n)), [undefined])
  })

  test('bytes that were paid and not carried yet are shown beside those carried and not paid', () => {
    const { rows, totals } = ledgerOf([
      ...[genesis(), accepted(), opened(1), voucher(1, GIB, GIB), closed(1, GIB, GIB - 100n)],
      ...[opened(2, { base: 2n * GIB * PRICE }), closed(2, 7n, 0n)],
    ])
    assert.deepEqual(
      rows.map((row) => [row.unpaidBytes, row.prepaidBytes]),
      [
        [0n, 100n],
        [7n, 0n],
      ],
    )
    assert.deepEqual([totals.unpaidBytes, totals.prepaidBytes], [7n, 100n])
  })

  test('money lost with a root is found again when the claim was in time', () => {
    const close: JournalRecord = { kind: 'root-closed', rootId: ROOT, refund: 0n, tx: hexOf(32, 'c'), atMs: 9 }
    const lost = ledgerOf([...TWO, close])
    assert.deepEqual([lost.totals.earned, lost.totals.returned, lost.identityHolds], [0n, 4n * PRICE, true])
    const found = ledgerOf([...TWO, close, claimSettled(1, 4n * PRICE)])
    assert.deepEqual(
      [found.totals.earned, found.totals.claimed, found.totals.returned, found.identityHolds],
      [4n * PRICE, 4n * PRICE, 0n, true],
    )
    assert.deepEqual(found.rows.map(money), [
      [1e6, 1e6, 0, 0],
      [3e6, 3e6, 0, 0],
    ])
  })

  test('money known only from the chain has a row of its own', () => {
    const mark: JournalRecord = { kind: 'high-water', rootId: ROOT, index: 0, cumulative: 5n * PRICE, source: 'chain', atMs: 9 }
    const { rows, totals } = ledgerOf([...TWO, mark])
    assert.deepEqual(rows.map((row) => [row.sessionId, row.state, ...money(row)]).at(-1), [undefined, 'unknown', 1e6, 1e6, 0, 0])
    assert.equal(totals.claimed, 5n * PRICE)
    assert.equal(totals.sessions, 2)
  })
})

suite('ledger of a consumer', () => {
  const OPEN = [genesis('consumer'), planned([5n * PRICE, 5n * PRICE]), rootOpened()]

  test('shows deposit, spending and refund', () => {
    const spent = [...OPEN, opened(1), voucher(1, GIB, 0n), opened(2, { index: 1 }), voucher(2, GIB, GIB, { index: 1 })]
    const before = ledgerOf(spent)
    assert.deepEqual(
      [before.totals.deposited, before.totals.spent, before.totals.unspent, before.totals.refunded],
      [10n * PRICE, 3n * PRICE, 7n * PRICE, 0n],
    )
    assert.deepEqual(
      before.rows.map(({ spent, earned }) => [spent, earned]),
      [
        [PRICE, 0n],
        [2n * PRICE, 0n],
      ],
    )
    const close: JournalRecord = { kind: 'root-closed', rootId: ROOT, refund: 7n * PRICE, tx: hexOf(32, 'c'), atMs: 9 }
    const after = ledgerOf([...spent, close])
    assert.deepEqual(
      [after.totals.spent, after.totals.unspent, after.totals.refunded, after.identityHolds],
      [3n * PRICE, 0n, 7n * PRICE, true],
    )
    // The last provider never claimed half a session: that came back too, so it was not spent.
    const unclaimed = ledgerOf([...spent, { ...close, refund: 8n * PRICE }])
    assert.deepEqual(
      unclaimed.rows.map(({ spent, returned }) => [spent, returned]),
      [
        [PRICE, 0n],
        [PRICE, PRICE],
      ],
    )
    assert.ok(unclaimed.identityHolds)
  })
})

test('an empty journal has an empty ledger', () => {
  const { rows, identityHolds, totals } = ledgerOf([])
  assert.deepEqual([rows, identityHolds, totals.earned], [[], true, 0n])
})

suite('conservation, for every legal journal', () => {
  test('every posting has equal debits and credits, none of them negative', () => {
    for (const role of ['provider', 'consumer'] as const) {
      let postings = 0
      fc.assert(
        fc.property(journals(role, 80), (records) => {
          for (const { entries } of postingsOf(records)) {
            postings++
            const debits = entries.reduce((total, { debit }) => total + debit, 0n)
            assert.equal(
              debits,
              entries.reduce((total, { credit }) => total + credit, 0n),
            )
            assert.ok(entries.every(({ debit, credit }) => debit >= 0n && credit >= 0n && (debit === 0n) !== (credit === 0n)))
          }
        }),
        { numRuns: 300 },
      )
      assert.ok(postings > 1_000, `only ${postings} postings`)
    }
  })

  test('a provider: earned = claimed + claimable + fees + burnt, in every row and in total', () => {
    const seen = new Set<string>()
    fc.assert(
      fc.property(journals('provider', 120), (records) => {
        const { rows, totals, identityHolds } = ledgerOf(records)
        assert.ok(identityHolds)
        assert.equal(totals.earned, totals.claimed + totals.claimable + totals.fees + totals.burnt)
        for (const row of rows) {
          assert.equal(row.earned, row.claimed + row.claimable + row.fees + row.burnt)
          for (const column of ['earned', 'claimed', 'claimable', 'fees', 'burnt', 'returned'] as const) {
            assert.ok(row[column] >= 0n, column)
            if (row[column] > 0n) seen.add(column)
          }
        }
        for (const column of ['earned', 'claimed', 'claimable', 'fees', 'burnt', 'returned'] as const)
          assert.equal(sum(rows, column), totals[column], column)
      }),
      { numRuns: 500 },
    )
    assert.equal(seen.size, 6, 'the journals reach every column')
  })

  test('a consumer: deposited = spent + unspent + refunded, in total and as rows', () => {
    const seen = new Set<string>()
    fc.assert(
      fc.property(journals('consumer', 120), (records) => {
        const { rows, totals, identityHolds } = ledgerOf(records)
        assert.ok(identityHolds)
        assert.equal(totals.deposited, totals.spent + totals.unspent + totals.refunded)
        assert.equal(sum(rows, 'spent'), totals.spent)
        for (const column of ['deposited', 'spent', 'unspent', 'refunded', 'returned'] as const) {
          assert.ok(totals[column] >= 0n, column)
          if (totals[column] > 0n) seen.add(column)
        }
      }),
      { numRuns: 500 },
    )
    assert.equal(seen.size, 5, 'the journals reach every column')
  })

  test('ledger and book tell the same: bytes, units, claims', () => {
    fc.assert(
      fc.property(journals('provider', 80), (records) => {
        const { totals } = ledgerOf(records)
        const paid = records.filter((record) => record.kind === 'claim-settled')
        const fees = new Map(paid.map(({ tx, fee }) => [tx, fee]))
        assert.equal(
          totals.fees,
          [...fees.values()].reduce((a, b) => a + b, 0n),
        )
      }),
      { numRuns: 200 },
    )
  })
})
