/** What a fast line is paid ahead: by how much, what becomes of it, and that neither side ever has more at risk than the window. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { MAX_WINDOW_BYTES } from './credit.ts'
import {
  aheadBytes,
  dueBytes,
  markSigned,
  newPurse,
  nextStatement,
  onLost,
  onMeter,
  promptBytes,
  tolerance,
  unpaid,
  witnessed,
} from './purse.ts'
import { acceptStatement, checkStatement, newTill, takeBytes, unpaidBytes } from './till.ts'

const MEBI = 1n << 20n
/** Of a pair that has the widest window. */
const oldPurse = (terms: { cap?: bigint; disputedBefore?: bigint } = {}) =>
  newPurse({
    base: 0n,
    pricePerGib: 1n << 30n,
    cap: 1n << 60n,
    cumulative: 0n,
    paidBefore: 1n << 40n,
    disputedBefore: 0n,
    window: MAX_WINDOW_BYTES,
    ...terms,
  })
/** Of a line on which so much goes by while a voucher lasts. */
const leadOf = (lasting: bigint) => ({ voucher: MEBI, inFlight: 0n, lasting })

test('only a line that carries the widest window in less than a voucher should last is paid ahead, by what is missing and within what may be lost', () => {
  assert.equal(aheadBytes(oldPurse(), leadOf(20n * MEBI)), 4n * MEBI)
  assert.equal(aheadBytes(oldPurse(), leadOf(1_000n * MEBI)), 12n * MEBI, 'a quarter stays for links that break')
  assert.equal(aheadBytes(oldPurse(), leadOf(16n * MEBI)), 0n)
  assert.equal(aheadBytes(oldPurse(), undefined), 0n, 'nothing is known of the line')
  assert.equal(aheadBytes({ ...oldPurse(), window: MAX_WINDOW_BYTES - 1n }, leadOf(1_000n * MEBI)), 0n, 'it may grow yet')
  assert.equal(aheadBytes(oldPurse({ disputedBefore: 5n * MEBI }), leadOf(1_000n * MEBI)), 7n * MEBI)
  assert.equal(aheadBytes(oldPurse({ disputedBefore: 13n * MEBI }), leadOf(1_000n * MEBI)), 0n)
  assert.equal(aheadBytes(oldPurse({ cap: 32n * MEBI }), leadOf(1_000n * MEBI)), 12n * MEBI, 'control')
  assert.equal(aheadBytes(oldPurse({ cap: 32n * MEBI - 1n }), leadOf(1_000n * MEBI)), 0n, 'the channel ends soon')
})

test('what is ahead is used up by what comes and by what was sent, before anything more is paid', () => {
  const purse = oldPurse()
  purse.received = 2n * MEBI
  const first = nextStatement(purse, 12n * MEBI)!
  assert.deepEqual([first.up, first.down], [0n, 14n * MEBI])
  markSigned(purse, first)
  purse.received += 12n * MEBI
  assert.deepEqual([dueBytes(purse), unpaid(purse), nextStatement(purse, 12n * MEBI)], [0n, 0n, undefined])
  assert.equal(promptBytes(purse, { signing: 0n, lead: leadOf(0n) }), 12n * MEBI, 'three quarters of the window')
  purse.received -= 12n * MEBI
  assert.equal(promptBytes(purse, { signing: 0n, lead: leadOf(0n) }), 24n * MEBI, 'and what is ahead besides')
  purse.sent = 3n * MEBI
  assert.equal(onMeter(purse, { up: 3n * MEBI, down: 2n * MEBI }), undefined)
  assert.deepEqual([unpaid(purse), nextStatement(purse)], [-9n * MEBI, undefined])
  purse.sent = 13n * MEBI
  assert.equal(onMeter(purse, { up: 13n * MEBI, down: 2n * MEBI }), undefined)
  const slower = nextStatement(purse)!
  assert.deepEqual([slower.up, slower.down], [1n * MEBI, 14n * MEBI], 'as much as is missing')
  const asFast = nextStatement(purse, 12n * MEBI)!
  assert.deepEqual([asFast.up, asFast.down], [13n * MEBI, 14n * MEBI], 'and ahead as before')
})

test('what a provider is believed is witnessed once a voucher says so: what is written nowhere it may not claim again and again', () => {
  const purse = oldPurse()
  purse.received = 4n * MEBI
  assert.equal(onLost(purse, { sent: 0n, received: 0n }, { up: 0n, down: 3n * MEBI }), undefined)
  assert.equal(witnessed(purse).down, 4n * MEBI)
  const statement = nextStatement(purse)!
  assert.deepEqual([statement.down, statement.disputed], [7n * MEBI, 3n * MEBI])
  markSigned(purse, statement)
  assert.equal(witnessed(purse).down, 7n * MEBI)
})

const fastSteps = fc.array(
  fc.record({
    kind: fc.constantFrom('down' as const, 'down' as const, 'up' as const, 'told' as const, 'pay' as const, 'lose' as const),
    mebi: fc.bigInt(1n, 16n),
  }),
  { maxLength: 120 },
)

test('a pair on a fast line, any order of events: neither side ever has more at risk than the window, unpaid or ahead or on the other’s word', () => {
  let [most, stood] = [0n, 0]
  fc.assert(
    fc.property(fastSteps, fc.bigInt(0n, 64n), (events, lasting) => {
      const purse = oldPurse()
      const till = newTill({ ...purse })
      for (const { kind, mebi } of events) {
        if (kind === 'told') assert.equal(onMeter(purse, till), undefined)
        if (kind === 'pay') {
          const statement = nextStatement(purse, aheadBytes(purse, leadOf(lasting * MEBI)))
          if (statement === undefined) continue
          markSigned(purse, statement)
          assert.equal(checkStatement(till, statement), undefined)
          acceptStatement(till, statement, MAX_WINDOW_BYTES)
        }
        if (kind === 'down' || kind === 'up' || kind === 'lose') {
          if (kind === 'lose' && mebi * MEBI > tolerance(purse)) continue
          if (!takeBytes(till, kind === 'up' ? 'up' : 'down', Number(mebi * MEBI))) {
            stood++
            continue
          }
          if (kind === 'up') purse.sent += mebi * MEBI
          if (kind === 'down') purse.received += mebi * MEBI
          if (kind === 'lose') assert.equal(onLost(purse, { sent: 0n, received: 0n }, { up: 0n, down: mebi * MEBI }), undefined)
        }
        const ahead = -unpaidBytes(till)
        assert.ok(-ahead <= MAX_WINDOW_BYTES, 'lent')
        assert.ok(ahead <= 12n * MEBI, 'paid ahead')
        const known = unpaid(purse) < 0n ? -unpaid(purse) : 0n
        assert.ok(known <= 12n * MEBI, 'paid ahead, as far as the payer knows')
        assert.ok(known + purse.disputedDown <= MAX_WINDOW_BYTES, 'all that a provider that lies can take')
        if (ahead > most) most = ahead
      }
    }),
    { numRuns: 2_000 },
  )
  assert.equal(most, 12n * MEBI, 'control: as much was ahead as may be')
  assert.ok(stood > 0, 'control: and lent')
})
