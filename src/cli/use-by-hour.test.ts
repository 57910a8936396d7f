/** What the journal says of use, hour by hour, and of what a GB cost. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Hex } from '../protocol/bytes.ts'
import type { JournalRecord } from '../wallet/records.ts'
import { spotPerGb } from './reserve-plan.ts'
import { useByHour } from './use-by-hour.ts'

const HOUR_MS = 3_600_000
const BEGIN = 500_000
const at = (hours: number) => Math.round((BEGIN + hours) * HOUR_MS)
const hex = (bytes: number): Hex => `0x${'11'.repeat(bytes)}`
const channel = { rootId: hex(32), index: 0 }
const GB = 1_000_000_000n

const opened = (hours: number, sessionId: Hex, pricePerGib = 500_000n, carriedDown = 0n): JournalRecord =>
  ({
    kind: 'session-opened',
    ...channel,
    sessionId,
    peer: hex(32),
    country: 'de',
    pricePerGib,
    base: 0n,
    carriedUp: 0n,
    carriedDown,
    atMs: at(hours),
  }) as JournalRecord
const voucher = (hours: number, sessionId: Hex, down: bigint): JournalRecord =>
  ({
    kind: 'voucher',
    ...channel,
    sessionId,
    up: 0n,
    down,
    disputed: 0n,
    numerator: 0n,
    cumulative: 0n,
    signature: hex(64),
    atMs: at(hours),
  }) as JournalRecord
const closed = (hours: number, sessionId: Hex, down: bigint): JournalRecord =>
  ({ kind: 'session-closed', ...channel, sessionId, up: 0n, down, reason: 'done', atMs: at(hours) }) as JournalRecord

test('bytes fall into the hours between two moments at which they are known, and none is lost or counted twice', () => {
  const [one, two] = [`0x${'01'.repeat(16)}`, `0x${'02'.repeat(16)}`] as [Hex, Hex]
  const records = [opened(0, one), voucher(0.5, one, GB), opened(1, two), closed(1.5, one, 3n * GB), voucher(3, two, 4n * GB)]
  assert.deepEqual(useByHour(records, at(5)), { begins: BEGIN, gb: [2, 3, 2, 0, 0] })
  assert.deepEqual(useByHour([...records, voucher(4.5, hex(16), GB)], at(5)).gb, [2, 3, 2, 0, 0], 'of a session that is not known')
  assert.deepEqual(useByHour([], at(5)), { begins: BEGIN + 5, gb: [] })
  // Three GB, one of them paid ahead in the first session and carried in the second.
  const ahead = [opened(0, one), voucher(0.5, one, 2n * GB), closed(0.5, one, GB), opened(1, two, 1n, -GB), voucher(1.5, two, GB)]
  assert.deepEqual(useByHour(ahead, at(2)).gb, [2, 1])
})

test('a GB is expected to cost what the last sessions paid, in the middle', () => {
  const paying = (...prices: bigint[]) => spotPerGb(prices.map((price, i) => opened(i, hex(16), price)))
  assert.equal(paying(), undefined)
  assert.equal(paying(1n << 30n), GB)
  assert.equal(paying(3n << 30n, 1n << 30n, 2n << 30n), 2n * GB)
})
