/** Words that may wait do, words that somebody waits for do not. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Statement } from '../protocol/messages.ts'
import { newTill } from '../protocol/till.ts'
import { Acknowledging, Telling } from './telling.ts'

const WINDOW = 1_048_576n
const STEP = WINDOW / 8n
const till = () => newTill({ base: 0n, pricePerGib: 1n, cap: 10n ** 12n, cumulative: 0n, window: WINDOW })

/** A clock that timers follow. */
function clockOf(t: TestContext) {
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 1_000_000 })
  return { nowMs: () => Date.now(), waitMs: (ms: number) => t.mock.timers.tick(ms) }
}

/** Of a new till, whose totals are told when asked for. */
function tellingOf(t: TestContext) {
  const clock = clockOf(t)
  const account = till()
  let told = 0
  const telling = new Telling({ nowMs: clock.nowMs }, () => {
    told++
    telling.told(account)
  })
  return { clock, account, telling, told: () => told }
}

test('downloads are told several times a second while they go on, and once more after the last', (t) => {
  const { clock, account, telling, told } = tellingOf(t)
  for (let ms = 0; ms < 1_500; ms += 10) {
    account.down += 1_000_000n
    telling.carried(account)
    clock.waitMs(10)
  }
  assert.ok(told() >= 8 && told() <= 10, `${told()} times`)
  const before = told()
  account.down += 1n
  telling.carried(account)
  clock.waitMs(1_000)
  assert.equal(told(), before + 1)
})

test('uploads are told by the step while nobody knows how long payment takes, and soon', (t) => {
  const { clock, account, telling, told } = tellingOf(t)
  account.up += STEP - 1n
  telling.carried(account)
  assert.equal(told(), 0)
  account.up += 1n
  telling.carried(account)
  assert.equal(told(), 1, 'at once')
  account.up += 1n
  telling.carried(account)
  clock.waitMs(149)
  assert.equal(told(), 1)
  clock.waitMs(1)
  assert.equal(told(), 2)
  assert.equal(telling.promptBytes(account), WINDOW / 2n)
  account.up += WINDOW / 4n
  assert.equal(telling.promptBytes(account), WINDOW / 4n, 'half a window, less what was not told')
})

test('then as many as leave a window for what goes by until they are paid', (t) => {
  const { clock, account, telling, told } = tellingOf(t)
  /** A step a tenth of a second for a while, each paid after so long. */
  const payAfter = (ms: number) => {
    for (let i = 0; i < 40; i++) {
      account.up += STEP
      telling.carried(account)
      clock.waitMs(ms)
      account.paidUp = account.up
      telling.paid(account)
      clock.waitMs(100 - ms)
      // What was not told yet is told by now or later; here each step is.
      if (told() <= i) telling.told(account)
    }
  }
  payAfter(10)
  assert.equal(telling.promptBytes(account), (WINDOW * 3n) / 4n, 'a quarter of the window is left whatever happens')
  const before = told()
  account.up += STEP
  telling.carried(account)
  assert.equal(told(), before, 'no step is told at once any more')
})

test('on a line so far that a window hardly lasts until payment comes, each step is told as before', (t) => {
  const { clock, account, telling, told } = tellingOf(t)
  // Eight steps are a window and a quarter of a second; a voucher takes nearly as long.
  for (let i = 0; i < 80; i++) {
    account.up += STEP
    telling.carried(account)
    clock.waitMs(31)
    if (i >= 7) account.paidUp = account.up - 7n * STEP
    telling.paid(account)
  }
  assert.ok(told() >= 76, `${told()} of 80 steps`)
  assert.equal(telling.promptBytes(account), STEP)
})

test('on a line so fast that half a window goes by in an instant half is told, whatever payment takes', (t) => {
  const { clock, account, telling } = tellingOf(t)
  for (let i = 0; i < 20; i++) {
    account.up += WINDOW / 2n
    telling.carried(account)
    clock.waitMs(8)
    account.paidUp = account.up
    telling.paid(account)
  }
  assert.equal(telling.promptBytes(account), WINDOW / 2n)
})

test('what is paid ahead is told when it is used up, and pays for uploads that were told', (t) => {
  const { clock, account, telling, told } = tellingOf(t)
  account.paidDown = account.down + WINDOW / 2n
  account.up += STEP
  telling.carried(account)
  assert.equal(told(), 0, 'nothing of it is lent')
  assert.equal(telling.promptBytes(account), WINDOW - STEP, 'half a window, and what is still ahead')
  account.up = WINDOW / 2n + STEP
  telling.carried(account)
  assert.equal(told(), 1)
  // Paid as far as they were not ahead.
  clock.waitMs(10)
  account.paidUp = STEP
  telling.paid(account)
  account.up += 1n
  telling.carried(account)
  clock.waitMs(100)
  assert.ok(telling.promptBytes(account) > STEP, 'how long payment takes is known')
})

test('a session that moved to another channel counts anew, and what waited on the old one is forgotten', (t) => {
  const { clock, account, telling } = tellingOf(t)
  account.up += STEP * 4n
  telling.carried(account)
  const fresh = { ...till(), up: STEP }
  telling.told(fresh)
  clock.waitMs(5_000)
  fresh.paidUp = fresh.up
  telling.paid(fresh)
  assert.equal(telling.promptBytes(fresh), WINDOW / 2n, 'five seconds would be longer than any window lasts')
})

test('a new window is told at once; else vouchers that follow closely are acknowledged by the last of them', (t) => {
  const clock = clockOf(t)
  const told: [bigint, bigint][] = []
  const acknowledging = new Acknowledging({ nowMs: clock.nowMs }, ({ cumulative }, window) => told.push([cumulative, window]))
  const statement = (cumulative: bigint) => ({ cumulative }) as Statement
  acknowledging.durable(statement(1n), 100n)
  acknowledging.durable(statement(2n), 200n)
  assert.deepEqual(told.splice(0), [
    [1n, 100n],
    [2n, 200n],
  ])
  for (const cumulative of [3n, 4n, 5n]) acknowledging.durable(statement(cumulative), 200n)
  clock.waitMs(199)
  assert.deepEqual(told, [])
  clock.waitMs(1)
  assert.deepEqual(told.splice(0), [[5n, 200n]])
  acknowledging.durable(statement(6n), 200n)
  acknowledging.flush()
  clock.waitMs(1_000)
  assert.deepEqual(told, [[6n, 200n]], 'once')
})
