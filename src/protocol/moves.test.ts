/** What moves along when a session changes its channel, what credit counts, and what peers are told: for any history, nothing is made or lost. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { boughtBytes, creditWindow, MAX_WINDOW_BYTES, STRANGER_WINDOW_BYTES } from './credit.ts'
import { BywayError, ERRORS, type ErrorCode } from './errors.ts'
import { decodeMessage, encodeMessage, FRAME_HEADER_BYTES, farewell, MESSAGES } from './messages.ts'
import { GIB } from './price.ts'
import { dueBytes, markSigned, movedPurse, newPurse, nextStatement, onDiscard, onDiscarded, onLost, onMeter, payable } from './purse.ts'
import { acceptStatement, carriedBytes, carriedOver, giveBackBytes, newTill, paidBytes, takeBytes, unpaidBytes } from './till.ts'

const PRICE = 1_000_000n
const amount = fc.bigInt(0n, 1n << 30n)

const till = (window = 1n << 60n) => newTill({ base: 0n, pricePerGib: PRICE, cap: 1n << 90n, cumulative: 0n, window })
const purse = (window = STRANGER_WINDOW_BYTES) =>
  newPurse({ base: 0n, pricePerGib: PRICE, cap: 1n << 90n, cumulative: 0n, paidBefore: 0n, disputedBefore: 0n, window })

test('what is carried over is what is unpaid, never below zero in either direction, however oddly it was paid', () => {
  fc.assert(
    fc.property(amount, amount, amount, amount, (up, down, paidUp, paidDown) => {
      const left = { ...till(), up, down, paidUp, paidDown }
      const carried = carriedOver(left)
      assert.ok(carried.up >= 0n && carried.down >= 0n)
      const unpaid = unpaidBytes(left)
      assert.equal(carried.up + carried.down, unpaid > 0n ? unpaid : 0n)
      if (up >= paidUp && down >= paidDown) assert.deepEqual(carried, { up: up - paidUp, down: down - paidDown })
    }),
  )
})

test('bytes given back come off, never below zero', () => {
  fc.assert(
    fc.property(amount, amount, fc.constantFrom('up', 'down') as fc.Arbitrary<'up' | 'down'>, (counted, back, direction) => {
      const there = { ...till(), [direction]: counted }
      giveBackBytes(there, direction, back)
      assert.equal(there[direction], counted > back ? counted - back : 0n)
      assert.equal(carriedBytes(there), there[direction])
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

type Event = { do: 'down' | 'up' | 'deliver' | 'break' | 'pay' | 'move'; bytes: bigint }
const event: fc.Arbitrary<Event> = fc.record({
  do: fc.constantFrom('down', 'up', 'deliver', 'break', 'pay', 'move'),
  bytes: fc.bigInt(1n, 60_000n),
})

test('an honest pair moves whenever it likes: both sides end with the same bytes, all of them paid, doubts remembered', () => {
  fc.assert(
    fc.property(fc.array(event, { maxLength: 80 }), (events) => {
      let [provider, consumer] = [till(STRANGER_WINDOW_BYTES), purse()]
      let [carried, paid, doubted, disputes] = [0n, 0n, 0n, 0n]
      const pay = () => {
        const statement = nextStatement(consumer)
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
        if (what === 'pay') pay()
        if (what === 'move') {
          const along = carriedOver(provider)
          provider = { ...till(STRANGER_WINDOW_BYTES), ...along }
          const fresh = { ...purse(), paidBefore: paid, disputedBefore: disputes }
          consumer = movedPurse(consumer, fresh, along.up)
          assert.deepEqual(payable(consumer), along, 'both sides know the same unpaid bytes')
        }
      }
      pay()
      assert.equal(dueBytes(consumer), 0n)
      assert.equal(unpaidBytes(provider), 0n)
      assert.equal(paid, carried)
      assert.equal(disputes, doubted, 'every doubt was recorded with a voucher')
      assert.equal(paidBytes(provider), carriedBytes(provider))
    }),
    { numRuns: 1_000 },
  )
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
