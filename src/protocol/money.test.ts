/** Properties of prices, credit, till and purse: what is at risk is bounded, what is paid is exact, and nothing is paid that was not seen. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { creditWindow, MAX_WINDOW_BYTES, PeakRate, STRANGER_WINDOW_BYTES } from './credit.ts'
import { bytesWithin, numeratorOf, owed, unitsOf } from './price.ts'
import {
  checkDone,
  dueBytes,
  isRipe,
  markSigned,
  newPurse,
  nextStatement,
  onLost,
  onMeter,
  onPaid,
  promptBytes,
  tolerance,
} from './purse.ts'
import {
  acceptStatement,
  capBytes,
  carriedBytes,
  checkStatement,
  newTill,
  paidBytes,
  roomBytes,
  takeBytes,
  unpaidBytes,
  windowOver,
} from './till.ts'

const price = fc.bigInt(0n, 10_000_000n)
const bytes = fc.bigInt(0n, 1n << 45n)

test('the window is a quarter of what was paid, at least 256 KiB, at most 16 MiB or a quarter second, less what is owed', () => {
  const rows: [paid: bigint, unpaid: bigint, peak: bigint | undefined, window: bigint][] = [
    [0n, 0n, undefined, STRANGER_WINDOW_BYTES],
    [4n * STRANGER_WINDOW_BYTES, 0n, undefined, STRANGER_WINDOW_BYTES],
    [8n * STRANGER_WINDOW_BYTES, 0n, undefined, 2n * STRANGER_WINDOW_BYTES],
    [1n << 40n, 0n, undefined, MAX_WINDOW_BYTES],
    [1n << 40n, 0n, 5_000_000n, 5_000_000n],
    [1n << 40n, 0n, 0n, STRANGER_WINDOW_BYTES],
    [0n, 100_000n, undefined, STRANGER_WINDOW_BYTES - 100_000n],
    [0n, 1n << 30n, undefined, 0n],
  ]
  for (const [paid, unpaid, peakBytes, window] of rows) {
    assert.equal(creditWindow({ paidBytes: paid, unpaidBytes: unpaid, peakBytes }), window, `${paid} ${unpaid} ${peakBytes}`)
  }
})

test('the peak is the most bytes of any quarter second, and is forgotten after a minute', () => {
  const peak = new PeakRate()
  peak.add(100, 100n)
  peak.add(249, 100n)
  peak.add(350, 150n)
  assert.equal(peak.bytes, 200n)
  for (let ms = 500; ms < 61_000; ms += 250) peak.add(ms, 10n)
  assert.equal(peak.bytes, 10n)
})

test('three counts of a tenth of a second each are no quarter second', () => {
  // Always at the same pace: whatever the counts fall on, no window is wider than what really goes by.
  for (let firstMs = 0; firstMs < 250; firstMs += 10) {
    const peak = new PeakRate()
    for (let ms = firstMs; ms < 5_000; ms += 100) peak.add(ms, 100_000n)
    assert.ok(peak.bytes >= 250_000n && peak.bytes <= 251_000n, `${firstMs}: ${peak.bytes}`)
  }
})

test('a burst after a pause is of the last tenth of a second at most', () => {
  const peak = new PeakRate()
  peak.add(0, 1n)
  peak.add(1_050, 1_000n)
  assert.equal(peak.bytes, 500n, 'half of it before the last quarter second began')
  peak.add(1_050, 1_000n)
  assert.equal(peak.bytes, 1_500n)
})

test('amounts are exact: sessions in any number cost what their bytes cost together, to the unit', () => {
  fc.assert(
    fc.property(fc.array(bytes, { maxLength: 20 }), price, (parts, pricePerGib) => {
      let numerator = 0n
      for (const part of parts) numerator = owed(numerator, part, pricePerGib)
      const total = parts.reduce((sum, part) => sum + part, 0n)
      assert.equal(unitsOf(numerator), (total * pricePerGib) >> 30n)
    }),
  )
})

test('the most bytes within a cap are payable, and one more is not', () => {
  fc.assert(
    fc.property(fc.bigInt(0n, 1n << 60n), bytes, fc.bigInt(1n, 10_000_000n), (cap, before, pricePerGib) => {
      const base = owed(0n, before, pricePerGib)
      fc.pre(unitsOf(base) <= cap)
      const most = bytesWithin(cap, base, pricePerGib)!
      assert.ok(unitsOf(owed(base, most, pricePerGib)) <= cap)
      assert.ok(unitsOf(owed(base, most + 1n, pricePerGib)) > cap)
    }),
  )
  assert.equal(bytesWithin(5n, 0n, 0n), undefined)
  assert.equal(bytesWithin(5n, numeratorOf(7n), 1n), 0n)
})

/** What may happen between the two, in any order. */
const steps = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constant('down' as const), bytes: fc.integer({ min: 1, max: 65_536 }) }),
    fc.record({ kind: fc.constant('up' as const), bytes: fc.integer({ min: 1, max: 65_536 }) }),
    fc.record({ kind: fc.constant('pay' as const) }),
    fc.record({ kind: fc.constant('lose' as const), bytes: fc.integer({ min: 1, max: 65_536 }) }),
  ),
  { maxLength: 200 },
)

test('honest nodes, any order of events: never more unpaid than the window, both agree to the byte and the unit, the cap holds', () => {
  fc.assert(
    fc.property(steps, price, fc.bigInt(1n, 2_000_000n), (events, pricePerGib, cap) => {
      const terms = { base: 0n, pricePerGib, cap, cumulative: 0n, window: STRANGER_WINDOW_BYTES }
      const till = newTill(terms)
      const purse = newPurse({ ...terms, paidBefore: 0n, disputedBefore: 0n })
      for (const event of events) {
        if (event.kind === 'pay') {
          onMeter(purse, { up: till.up, down: till.down })
          const statement = nextStatement(purse)
          if (statement === undefined) continue
          markSigned(purse, statement)
          assert.equal(checkStatement(till, statement), undefined)
          acceptStatement(till, statement, creditWindow({ paidBytes: paidBytes(till), unpaidBytes: 0n }))
          onPaid(purse, till.window)
        } else {
          const direction = event.kind === 'up' ? 'up' : 'down'
          const took = takeBytes(till, direction, event.bytes)
          if (!took) continue
          if (direction === 'up') purse.sent += BigInt(event.bytes)
          else if (event.kind === 'down') purse.received += BigInt(event.bytes)
          else if (onLost(purse, { sent: 0n, received: 0n }, { up: 0n, down: BigInt(event.bytes) }) !== undefined) {
            // Beyond the tolerance the consumer leaves; what it agreed to before stands.
            break
          }
        }
        assert.ok(unpaidBytes(till) <= till.window, 'at risk')
        assert.ok(unitsOf(owed(till.base, carriedBytes(till), pricePerGib)) <= cap, 'within the cap')
        assert.ok(till.cumulative <= cap)
      }
      assert.equal(purse.cumulative, till.cumulative)
      assert.deepEqual([purse.paidUp, purse.paidDown], [till.paidUp, till.paidDown])
    }),
    { numRuns: 500 },
  )
})

/** A consumer that pays part of what it owes, and loses its link now and then with what was said on it; windows come and go. */
const shrinking = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constant('carry' as const), bytes: fc.constantFrom(60_000, 1_000_000) }),
    fc.record({
      kind: fc.constant('pay' as const),
      percent: fc.constantFrom(0n, 30n, 100n),
      window: fc.constantFrom(STRANGER_WINDOW_BYTES, 16n * STRANGER_WINDOW_BYTES),
    }),
    fc.record({ kind: fc.constant('break' as const) }),
    fc.record({ kind: fc.constant('rejoin' as const) }),
  ),
  { minLength: 4, maxLength: 30 },
)

test('a window that shrinks covers what was lent before: no count is above what the consumer heard of, whichever words it lost', () => {
  let beyond = 0
  fc.assert(
    fc.property(shrinking, (events) => {
      const terms = { base: 0n, pricePerGib: 1n, cap: 1n << 60n, cumulative: 0n, window: STRANGER_WINDOW_BYTES }
      const till = newTill(terms)
      const purse = newPurse({ ...terms, paidBefore: 0n, disputedBefore: 0n })
      let [linked, byHistory] = [false, terms.window]
      const meter = () => assert.equal(onMeter(purse, { up: 0n, down: till.down }), undefined)
      for (const event of events) {
        if (event.kind === 'carry' && takeBytes(till, 'down', event.bytes) && linked) meter()
        if (event.kind === 'break') linked = false
        if (event.kind === 'rejoin') {
          linked = true
          const heard = purse.widest > byHistory ? purse.widest : byHistory
          if (till.down > purse.paidDown + heard) beyond++
          onPaid(purse, till.window)
          meter()
        }
        if (event.kind !== 'pay') continue
        const down = purse.paidDown + ((till.down - purse.paidDown) * event.percent) / 100n
        const statement = { up: 0n, down, disputed: 0n, cumulative: unitsOf(owed(0n, down, 1n)) }
        const before = till.window
        markSigned(purse, statement)
        acceptStatement(till, statement, event.window)
        byHistory = event.window
        assert.ok(till.window <= (before > byHistory ? before : byHistory), 'nothing is lent beyond either window')
        if (unpaidBytes(till) === 0n) assert.equal(till.window, byHistory, 'and once all is paid the history alone counts')
        if (linked) onPaid(purse, till.window)
      }
    }),
    { numRuns: 2_000 },
  )
  assert.ok(beyond > 0, 'control: the window by history alone would have been too small')
})

test('what may be unpaid is what history allows, and no less than what is unpaid already, as far as it was lent', () => {
  const till = newTill({ base: 0n, pricePerGib: 1n, cap: 1_000n, cumulative: 0n, window: 4_000n })
  takeBytes(till, 'down', 3_000)
  acceptStatement(till, { up: 0n, down: 1_000n, cumulative: 0n }, 500n)
  assert.deepEqual([till.window, roomBytes(till)], [2_000n, 0n], 'lent already, and no more')
  acceptStatement(till, { up: 0n, down: 2_800n, cumulative: 0n }, 500n)
  assert.deepEqual([till.window, roomBytes(till)], [500n, 300n])
  // Carried over from an earlier session, and never lent in this one.
  till.up += 9_000n
  acceptStatement(till, { up: 0n, down: 2_900n, cumulative: 0n }, 400n)
  assert.equal(till.window, 500n)
  assert.deepEqual([windowOver(500n, 300n), windowOver(500n, 700n), windowOver(500n, -1n)], [500n, 700n, 500n])
})

test('a till without room takes nothing, and a refused chunk changes nothing', () => {
  const till = newTill({ base: 0n, pricePerGib: 100_000n, cap: 1_000_000n, cumulative: 0n, window: 1_000n })
  assert.ok(takeBytes(till, 'down', 1_000), 'control')
  const before = { ...till }
  assert.ok(!takeBytes(till, 'up', 1))
  assert.deepEqual({ ...till }, before)
  assert.equal(roomBytes(till), 0n)
  assert.ok(capBytes(till)! > 0n)
})

test('a statement is refused when it is lower, above the cap, or not the exact price of its bytes', () => {
  const till = newTill({ base: 0n, pricePerGib: 1n << 30n, cap: 1_000n, cumulative: 0n, window: 1_000n })
  takeBytes(till, 'down', 500)
  const good = { up: 0n, down: 400n, cumulative: 400n }
  assert.equal(checkStatement(till, good), undefined, 'control')
  acceptStatement(till, good, 1_000n)
  assert.equal(checkStatement(till, good), undefined, 'the same again is no news, and no harm')
  assert.equal(checkStatement(till, { ...good, cumulative: 399n }), 'VOUCHER_LOWER')
  assert.equal(checkStatement(till, { up: 400n, down: 0n, cumulative: 400n }), 'VOUCHER_LOWER')
  assert.equal(checkStatement(till, { ...good, down: 401n }), 'VOUCHER_AMOUNT')
  assert.equal(checkStatement(till, { ...good, cumulative: 401n }), 'VOUCHER_AMOUNT')
  assert.equal(checkStatement(till, { up: 0n, down: 1_001n, cumulative: 1_001n }), 'CAP_EXCEEDED')
})

test('a purse pays downloads as they arrive, uploads as they were delivered, and no more than was sent', () => {
  const purse = newPurse({
    base: 0n,
    pricePerGib: 1n << 30n,
    cap: 10_000n,
    cumulative: 0n,
    paidBefore: 0n,
    disputedBefore: 0n,
    window: 1_000n,
  })
  purse.received = 10n
  purse.sent = 20n
  assert.equal(nextStatement(purse)!.cumulative, 10n)
  assert.equal(onMeter(purse, { up: 15n, down: 900n }), undefined)
  assert.deepEqual([nextStatement(purse)!.up, nextStatement(purse)!.down], [15n, 10n])
  assert.equal(onMeter(purse, { up: 21n, down: 10n }), 'METER_DIVERGED')
  assert.equal(onMeter(purse, { up: 20n, down: 981n }), 'METER_DIVERGED')
  assert.equal(dueBytes(purse), 25n)
})

test('a purse whose cap is short pays what it can and says so', () => {
  const purse = newPurse({ base: 0n, pricePerGib: 1n << 30n, cap: 30n, cumulative: 0n, paidBefore: 0n, disputedBefore: 0n, window: 1_000n })
  purse.received = 100n
  const statement = nextStatement(purse)!
  assert.deepEqual([statement.cumulative, statement.down, statement.short], [30n, 30n, true])
})

test('a flow that ended must have been counted alike; only a reset may have thrown uploads away', () => {
  const flow = { sent: 10n, received: 20n, aborted: false }
  assert.equal(checkDone(flow, { up: 10n, down: 20n }), undefined, 'control')
  for (const [up, down] of [
    [9n, 20n],
    [11n, 20n],
    [10n, 19n],
    [10n, 21n],
  ] as const)
    assert.equal(checkDone(flow, { up, down }), 'METER_DIVERGED')
  assert.equal(checkDone({ ...flow, aborted: true }, { up: 3n, down: 20n }), undefined)
  assert.equal(checkDone({ ...flow, aborted: true }, { up: 11n, down: 20n }), 'METER_DIVERGED')
})

test('what is paid on a provider’s word is bounded over the whole acquaintance', () => {
  fc.assert(
    fc.property(fc.array(fc.bigInt(1n, 200_000n), { maxLength: 60 }), fc.bigInt(0n, 1n << 30n), (claims, paidBefore) => {
      const purse = newPurse({ base: 0n, pricePerGib: 1n, cap: 1n << 60n, cumulative: 0n, paidBefore, disputedBefore: 0n, window: 0n })
      const limit = tolerance(purse)
      for (const claim of claims) onLost(purse, { sent: 0n, received: 0n }, { up: 0n, down: claim })
      assert.ok(purse.disputedDown <= limit)
    }),
  )
})

/** Of a session in which `window` may be unpaid. */
function purseOf(window: bigint) {
  return newPurse({ base: 0n, pricePerGib: 1n, cap: 10n ** 12n, cumulative: 0n, paidBefore: 0n, disputedBefore: 0n, window })
}

test('the next payment waits as long as the rest of the window lasts until it has arrived, beside what a voucher under way pays for', () => {
  const window = MAX_WINDOW_BYTES
  const purse = purseOf(window)
  const prompt = (voucher: bigint, inFlight = 0n, signing = 0n) => promptBytes(purse, { signing, lead: { voucher, inFlight, lasting: 0n } })
  const unknown = (signing = 0n) => promptBytes(purse, { signing, lead: undefined })
  assert.equal(unknown(), window / 2n, 'nobody knows how long a voucher takes')
  assert.equal(prompt(0n), (window * 3n) / 4n, 'a quarter is left whatever happens')
  assert.equal(prompt(window / 3n), window - window / 3n)
  assert.equal(prompt(window), window / 2n, 'a slow disk is written to twice a window')
  assert.equal(prompt(window / 2n, window / 4n), window / 4n, 'what is in flight was lent already')
  assert.equal(prompt(window / 2n, window), window / 8n, 'but never less than a step')
  purse.received += window / 4n
  assert.equal(unknown(), window / 4n, 'a quarter is due already')
  assert.equal(unknown(window / 4n), window / 2n, 'and is being paid')
  purse.received += window
  assert.equal(prompt(0n), window / 8n, 'never less than a step')
})

test('what is due is paid when it is ripe: a step while little is known, then what the line asks for; uploads of a step always', () => {
  const window = MAX_WINDOW_BYTES
  const purse = purseOf(window)
  const lead = { voucher: window / 3n, inFlight: window / 6n, lasting: 0n }
  purse.received = window / 8n - 1n
  assert.equal(isRipe(purse, undefined), false)
  purse.received += 1n
  assert.equal(isRipe(purse, undefined), true)
  assert.equal(isRipe(purse, lead), false)
  purse.received = window / 2n
  assert.equal(isRipe(purse, lead), false)
  purse.received += 1n
  assert.equal(isRipe(purse, lead), true)
  purse.received = 0n
  assert.equal(onMeter(purse, { up: 0n, down: window }), undefined)
  assert.equal(isRipe(purse, lead), false, 'all of it is lent, it says, and nothing of it arrived')
  purse.received = window / 8n - 1n
  assert.equal(isRipe(purse, lead), false, 'crumbs are paid with what comes soon')
  purse.received += 1n
  assert.equal(isRipe(purse, lead), true, 'what arrived of it is paid by the step')
  purse.received = 0n
  purse.statedDown = 0n
  purse.sent = window
  assert.equal(isRipe(purse, lead), false, 'sent, and not delivered')
  assert.equal(onMeter(purse, { up: window / 8n, down: 0n }), undefined)
  assert.equal(isRipe(purse, lead), true)
})

test('a line is never left without a window, however far: what arrives until a voucher is there fits into what is left', () => {
  // Bytes go by at a steady pace, a window is a quarter second of them, a voucher takes two disks and half a round trip, and bytes half a round trip.
  const window = 2_500_000n
  const perMs = 10_000
  for (const [diskMs, roundTripMs] of [
    [1, 1],
    [10, 20],
    [3, 100],
    [5, 190],
  ] as const) {
    const purse = purseOf(window)
    const goesBy = (ms: number) => BigInt(perMs * ms)
    const lead = { voucher: goesBy(2 * diskMs + roundTripMs / 2), inFlight: goesBy(roundTripMs / 2), lasting: goesBy(100) }
    const due = promptBytes(purse, { signing: 0n, lead })
    const lent = due + lead.inFlight + lead.voucher
    assert.ok(lent <= window, `${diskMs} ms, ${roundTripMs} ms: ${lent} of ${window}`)
    // Control: nearer lines pay less often.
    if (roundTripMs === 1) assert.ok(due > (window * 7n) / 10n)
    if (roundTripMs === 190) assert.ok(due < window / 4n)
  }
})
