/** Words that may wait do, words that somebody waits for do not. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Statement } from '../protocol/messages.ts'
import { newTill } from '../protocol/till.ts'
import { Acknowledging, Telling } from './telling.ts'

const WINDOW = 1_048_576n
const till = () => newTill({ base: 0n, pricePerGib: 1n, cap: 10n ** 12n, cumulative: 0n, window: WINDOW })

/** A clock that timers follow. */
function clockOf(t: TestContext) {
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 1_000 })
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

test('downloads are told ten times a second while they go on, and once more after the last', (t) => {
  const { clock, account, telling, told } = tellingOf(t)
  for (let ms = 0; ms < 1_000; ms += 10) {
    account.down += 1_000_000n
    telling.carried(account)
    clock.waitMs(10)
  }
  assert.ok(told() >= 9 && told() <= 10, `${told()} times`)
  const before = told()
  account.down += 1n
  telling.carried(account)
  clock.waitMs(1_000)
  assert.equal(told(), before + 1)
})

test('uploads are told when an eighth of the window was carried, or the last byte is 20 ms ago', (t) => {
  const { clock, account, telling, told } = tellingOf(t)
  account.up += WINDOW / 8n - 1n
  telling.carried(account)
  assert.equal(told(), 0)
  account.up += 1n
  telling.carried(account)
  assert.equal(told(), 1, 'at once')
  account.down += 1n
  telling.carried(account)
  account.up += 1n
  telling.carried(account)
  clock.waitMs(19)
  assert.equal(told(), 1)
  clock.waitMs(1)
  assert.equal(told(), 2, 'an upload does not wait for the slower word of a download')
  assert.equal(telling.promptBytes(account), WINDOW / 2n)
  account.up += WINDOW / 4n
  assert.equal(telling.promptBytes(account), WINDOW / 4n, 'half a window, less what was not told')
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
  clock.waitMs(99)
  assert.deepEqual(told, [])
  clock.waitMs(1)
  assert.deepEqual(told.splice(0), [[5n, 200n]])
  acknowledging.durable(statement(6n), 200n)
  acknowledging.flush()
  clock.waitMs(1_000)
  assert.deepEqual(told, [[6n, 200n]], 'once')
})
