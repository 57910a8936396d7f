/** A session's till, its purse and the provider's book tell the same, whichever way it moves, ends and begins again: nobody asks for what is not owed. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { keptAhead, least, MAX_WINDOW_BYTES } from '../protocol/credit.ts'
import {
  aheadBytes,
  isRipe,
  markSigned,
  movedPurse,
  newPurse,
  nextStatement,
  onMeter,
  type Purse,
  unpaid,
  witnessed,
} from '../protocol/purse.ts'
import {
  acceptStatement,
  carriedOver,
  checkStatement,
  giveBackBytes,
  newTill,
  type Till,
  takeBytes,
  unpaidBytes,
} from '../protocol/till.ts'
import { apply, bookOf } from './book.ts'
import { accepted, closed, genesis, hexOf, opened, ROOT, voucher } from './fixtures.ts'

const MEBI = 1n << 20n
const CHANNELS = 3
const PAYER = hexOf(20, 'payer')

/** Both ends of a pair with a long history, and the book of the one that sells. */
class Pair {
  readonly book = bookOf([genesis(), ...Array.from({ length: CHANNELS }, (_, index) => accepted(index, 10n ** 8n))])
  readonly #pricePerGib: bigint
  #index = 0
  #id = 0
  #givenBack = 0n
  till: Till
  purse: Purse

  constructor(pricePerGib: bigint) {
    this.#pricePerGib = pricePerGib
    this.till = this.#open({ up: 0n, down: 0n })
    this.purse = this.#fresh()
  }

  #open(carried: { up: bigint; down: bigint }): Till {
    const { numerator: base, cumulative, cap } = this.book.channel(ROOT, this.#index)!
    const terms = { base, pricePerGib: this.#pricePerGib }
    this.#givenBack = 0n
    apply(this.book, opened(++this.#id, { ...terms, index: this.#index, carriedUp: carried.up, carriedDown: carried.down }))
    return { ...newTill({ ...terms, cap, cumulative, window: MAX_WINDOW_BYTES }), ...carried }
  }

  #fresh(): Purse {
    const { base, pricePerGib, cap, cumulative, window } = this.till
    return newPurse({ base, pricePerGib, cap, cumulative, window, paidBefore: 1n << 40n, disputedBefore: 0n })
  }

  #closed(reason: 'done' | 'restarted', { up, down }: { up: bigint; down: bigint }): void {
    apply(this.book, closed(this.#id, up, down, reason, this.#index))
  }

  get owedByBook(): bigint {
    return this.book.counterparty(PAYER).unpaidBytes
  }

  carry(direction: 'up' | 'down', bytes: bigint): void {
    if (!takeBytes(this.till, direction, Number(bytes))) return
    if (direction === 'down') this.purse.received += bytes
    else this.purse.sent += bytes
    assert.equal(onMeter(this.purse, this.till), undefined)
  }

  giveBack(bytes: bigint): void {
    giveBackBytes(this.till, 'up', bytes)
    this.#givenBack += bytes
    this.purse.sent -= bytes
    this.purse.statedUp -= bytes
  }

  pay(lasting: bigint): void {
    const lead = { voucher: MEBI, inFlight: 0n, lasting }
    const statement = nextStatement(this.purse, isRipe(this.purse, lead) ? aheadBytes(this.purse, lead) : 0n)
    if (statement === undefined) return
    const { base, pricePerGib } = this.till
    assert.equal(checkStatement(this.till, statement), undefined)
    apply(this.book, voucher(this.#id, statement.up, statement.down, { base, pricePerGib, index: this.#index }))
    markSigned(this.purse, statement)
    acceptStatement(this.till, statement, MAX_WINDOW_BYTES)
  }

  move(): void {
    const carried = carriedOver(this.till, keptAhead(this.book.sessions.get(hexOf(16, this.#id))!))
    this.#closed('done', this.till)
    this.#index = (this.#index + 1) % CHANNELS
    this.till = this.#open(carried)
    this.purse = movedPurse(this.purse, this.#fresh(), carried)
    assert.equal(this.owedByBook, 0n, 'all of it moved along')
  }

  /** As in consumer/opening.ts; bytes the payer has to believe. */
  begin(left: bigint): bigint {
    const carried = this.owedByBook
    const seen = least(carried, left)
    this.till = this.#open({ up: 0n, down: carried })
    this.purse = { ...this.#fresh(), received: seen, statedDown: carried, disputedDown: carried - seen }
    return carried - seen
  }

  /** What the payer's own row says is left. */
  get left(): bigint {
    const { up, down } = witnessed(this.purse)
    return up + down - this.purse.paidUp - this.purse.paidDown
  }

  endInOrder(): void {
    const { left } = this
    this.#closed('done', this.till)
    assert.equal(this.owedByBook, unpaidBytes(this.till))
    assert.equal(this.begin(left), 0n, 'nothing to be believed')
  }

  /** The provider's count is lost. */
  die(): bigint {
    const { up, down } = this.book.sessions.get(hexOf(16, this.#id))!
    const { left } = this
    this.#closed('restarted', { up, down })
    // What was given back of what it began with died with the count too.
    const owed = unpaidBytes(this.till) + this.#givenBack
    assert.ok(this.owedByBook <= (owed > 0n ? owed : 0n), 'no more than is owed')
    return this.begin(left)
  }
}

const steps = fc.array(
  fc.record({
    kind: fc.constantFrom('down', 'down', 'up', 'pay', 'pay', 'move', 'end', 'die', 'give back'),
    bytes: fc.bigInt(1n, 16n * MEBI),
    lasting: fc.bigInt(0n, 40n * MEBI),
  }),
  { maxLength: 60 },
)

test('till, purse and book tell the same after every move, end and new beginning, and only a count that died leaves something to be believed', () => {
  const seen = { ahead: 0, believed: 0, given: 0 }
  fc.assert(
    fc.property(steps, fc.constantFrom(512n, 100_000n, 5_000_000n), (events, pricePerGib) => {
      const pair = new Pair(pricePerGib)
      for (const { kind, bytes, lasting } of events) {
        if (kind === 'down' || kind === 'up') pair.carry(kind, bytes)
        if (kind === 'pay') pair.pay(lasting)
        if (kind === 'move') pair.move()
        if (kind === 'end') pair.endInOrder()
        // Rarely, so that pairs grow old.
        if (kind === 'die' && lasting < 5n * MEBI) {
          const believed = pair.die()
          assert.ok(believed <= MAX_WINDOW_BYTES)
          if (believed > 0n) seen.believed++
          // The history of both is another one from here on.
          return
        }
        // A reset: sent and counted, and never delivered. What was paid of it already the two do not undo.
        if (kind === 'give back' && pair.till.up - bytes >= pair.till.paidUp) {
          pair.giveBack(bytes)
          seen.given++
        }
        assert.equal(unpaid(pair.purse), unpaidBytes(pair.till))
        if (unpaidBytes(pair.till) < 0n) seen.ahead++
      }
    }),
    { numRuns: 2_000 },
  )
  assert.ok(seen.ahead > 0 && seen.believed > 0 && seen.given > 0, JSON.stringify(seen))
})

test('uploads that used up what was ahead leave no debt behind, however the session moves on', () => {
  const pair = new Pair(100_000n)
  pair.carry('down', 14n * MEBI)
  pair.pay(1n << 40n)
  pair.carry('up', 11n * MEBI)
  pair.move()
  pair.carry('down', 2n * MEBI)
  pair.pay(0n)
  assert.equal(unpaidBytes(pair.till), 0n)
  pair.move()
  pair.endInOrder()
  assert.equal(pair.owedByBook, 0n)
})
