/** What moves along when a session changes its channel, what credit counts, and what peers are told: for any history, nothing is made or lost. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { boughtBytes, creditWindow, MAX_WINDOW_BYTES, STRANGER_WINDOW_BYTES } from './credit.ts'
import { BywayError, ERRORS, type ErrorCode } from './errors.ts'
import { decodeMessage, encodeMessage, FRAME_HEADER_BYTES, farewell, MESSAGES } from './messages.ts'
import { GIB } from './price.ts'
import {
  counted,
  dueBytes,
  markSigned,
  movedPurse,
  newPurse,
  nextStatement,
  onDiscard,
  onDiscarded,
  onLost,
  onMeter,
  unpaid,
} from './purse.ts'
import { acceptStatement, carriedBytes, carriedOver, giveBackBytes, newTill, takeBytes, unpaidBytes } from './till.ts'

const PRICE = 1_000_000n
const amount = fc.bigInt(0n, 1n << 30n)

const till = (window = 1n << 60n) => newTill({ base: 0n, pricePerGib: PRICE, cap: 1n << 90n, cumulative: 0n, window })
const purse = (window = STRANGER_WINDOW_BYTES) =>
  newPurse({ base: 0n, pricePerGib: PRICE, cap: 1n << 90n, cumulative: 0n, paidBefore: 0n, disputedBefore: 0n, window })

test('what is carried over is what is unpaid or paid ahead, and uploads never below zero, however oddly it was paid', () => {
  fc.assert(
    fc.property(amount, amount, amount, amount, amount, (up, down, paidUp, paidDown, kept) => {
      const left = { ...till(), up, down, paidUp, paidDown }
      const carried = carriedOver(left, kept)
      assert.ok(carried.up >= 0n)
      const owed = unpaidBytes(left)
      assert.equal(carried.up + carried.down, owed > -kept ? owed : -kept)
      if (up >= paidUp && owed > -kept) assert.deepEqual(carried, { up: up - paidUp, down: down - paidDown })
    }),
  )
})

test('bytes given back come off, uploads never below zero', () => {
  fc.assert(
    fc.property(amount, amount, fc.constantFrom('up', 'down') as fc.Arbitrary<'up' | 'down'>, (before, back, direction) => {
      const there = { ...till(), [direction]: before }
      giveBackBytes(there, direction, back)
      assert.ok(there.up >= 0n)
      assert.equal(carriedBytes(there), before - back)
      if (direction === 'down') assert.equal(there.up, 0n)
    }),
  )
})

test('credit counts no byte that units did not buy', () => {
  fc.assert(
    fc.property(fc.bigInt(0n, 1n << 50n), fc.bigInt(0n, 1n << 30n), fc.bigInt(0n, 10_000_000n), (bytes, units, price) => {
      const bought = boughtBytes({ paidBytes: bytes, paidUnits: units }, price)
      assert.ok(bought <= bytes)
      if (price === 0n) assert.equal(bought, bytes)
      // One unit of rounding, as in every amount.
      else assert.ok((bought * price) / GIB <= units)
    }),
  )
  assert.equal(boughtBytes({ paidBytes: 1n << 40n, paidUnits: 0n }, PRICE), (GIB - 1n) / PRICE)
  assert.equal(
    creditWindow({ paidBytes: boughtBytes({ paidBytes: 1n << 40n, paidUnits: 0n }, PRICE), unpaidBytes: 0n }),
    STRANGER_WINDOW_BYTES,
  )
})

type Event = { do: 'down' | 'up' | 'deliver' | 'break' | 'pay' | 'pay ahead' | 'move'; bytes: bigint }
const event: fc.Arbitrary<Event> = fc.record({
  do: fc.constantFrom('down', 'up', 'deliver', 'break', 'pay', 'pay ahead', 'move'),
  bytes: fc.bigInt(1n, 60_000n),
})

test('an honest pair moves whenever it likes: both sides end with the same bytes, all of them paid, doubts and what is ahead remembered', () => {
  let movedAhead = 0
  fc.assert(
    fc.property(fc.array(event, { maxLength: 80 }), (events) => {
      let [provider, consumer] = [till(STRANGER_WINDOW_BYTES), purse()]
      let [carried, paid, doubted, disputes] = [0n, 0n, 0n, 0n]
      const pay = (ahead: bigint) => {
        const statement = nextStatement(consumer, ahead)
        if (statement === undefined) return
        const before = consumer.disputedPaid
        paid += statement.up + statement.down - consumer.paidUp - consumer.paidDown
        markSigned(consumer, statement)
        disputes += consumer.disputedPaid - before
        acceptStatement(provider, statement, provider.window)
      }
      for (const { do: what, bytes } of events) {
        if (what === 'down' && takeBytes(provider, 'down', Number(bytes))) {
          carried += bytes
          consumer.received += bytes
        }
        if (what === 'up') consumer.sent += bytes
        if (what === 'deliver') {
          const waiting = consumer.sent - provider.up
          const some = waiting < bytes ? waiting : bytes
          if (takeBytes(provider, 'up', Number(some))) carried += some
          assert.equal(onMeter(consumer, provider), undefined)
        }
        // A link breaks with bytes on their way: the provider counted them, nobody got them.
        if (what === 'break' && doubted + bytes <= STRANGER_WINDOW_BYTES && takeBytes(provider, 'down', Number(bytes))) {
          carried += bytes
          doubted += bytes
          assert.equal(onLost(consumer, { sent: 0n, received: 0n }, { up: 0n, down: bytes }), undefined)
        }
        if (what === 'pay') pay(0n)
        if (what === 'pay ahead') pay(bytes)
        if (what === 'move') {
          const along = carriedOver(provider, MAX_WINDOW_BYTES)
          provider = { ...till(STRANGER_WINDOW_BYTES), ...along }
          const fresh = { ...purse(), paidBefore: paid, disputedBefore: disputes }
          consumer = movedPurse(consumer, fresh, along)
          assert.deepEqual(counted(consumer), along, 'both sides know the same bytes, unpaid or ahead')
          if (along.down < 0n) movedAhead++
        }
      }
      pay(0n)
      assert.equal(dueBytes(consumer), 0n)
      const ahead = -unpaidBytes(provider)
      assert.ok(ahead >= 0n)
      assert.equal(unpaid(consumer), -ahead)
      assert.equal(paid, carried + ahead)
      assert.equal(disputes + consumer.disputedDown - consumer.disputedPaid, doubted, 'every doubt is recorded with a voucher, or will be')
    }),
    { numRuns: 1_000 },
  )
  assert.ok(movedAhead > 0, 'control: some moved with bytes that were paid ahead')
})

test('what flows bring after they were given up is due when they are over, and never more than a window at once', () => {
  const there = purse()
  assert.equal(onDiscard(there, STRANGER_WINDOW_BYTES), undefined)
  assert.equal(dueBytes(there), 0n)
  assert.equal(onDiscard(there, 1n), 'METER_DIVERGED')
  const another = purse()
  onDiscard(another, 1_000n)
  onDiscarded(another, 1_000n)
  assert.equal(dueBytes(another), 1_000n)
  assert.equal(onDiscard(another, STRANGER_WINDOW_BYTES), undefined)
  const old = { ...purse(), paidBefore: 1n << 40n }
  assert.equal(onDiscard(old, MAX_WINDOW_BYTES), undefined)
})

test('a farewell fits its field whatever the words, and says nothing of this node’s own trouble', () => {
  const codes = Object.keys(ERRORS) as ErrorCode[]
  fc.assert(
    fc.property(
      fc.constantFrom(...codes),
      fc.string({ unit: 'binary', maxLength: 60 }).map((words) => words.repeat(10)),
      (code, words) => {
        const body = farewell(new BywayError(code, words))
        const frame = encodeMessage('refused', body)
        const read = decodeMessage(MESSAGES.refused.type, frame.subarray(FRAME_HEADER_BYTES))
        assert.equal(read.name, 'refused')
        const own = /^(INTERNAL|DISK_FAILED|STATE_|KEYS_|RPC_|CONTRACT_MISSING|TRANSACTION_FAILED)/.test(code)
        if (own) assert.deepEqual(body, { code: 'PROVIDER_BUSY', message: 'this node has trouble of its own' })
        else assert.equal(body.code, code)
      },
    ),
  )
  const long = farewell(new BywayError('PRICE_TOO_LOW', 'ü'.repeat(400)))
  assert.equal(long.message, 'ü'.repeat(256))
})
