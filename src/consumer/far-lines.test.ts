/**
 * Payment must not throttle a line, however far its other end is: both sides' rules, run against each other a millisecond at a time over a line that
 * delays what it carries.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { COUNTED_WITHIN_MS, creditWindow, PeakRate, STRANGER_WINDOW_BYTES, TRAFFIC_WINDOW_MS } from '../protocol/credit.ts'
import { dueBytes, isRipe, markSigned, newPurse, nextStatement, onPaid } from '../protocol/purse.ts'
import { acceptStatement, carriedBytes, newTill, paidBytes, roomBytes, takeBytes, unpaidBytes } from '../protocol/till.ts'
import { Lead } from './lead.ts'
import { SOON_MS } from './payments.ts'

const TERMS = { base: 0n, pricePerGib: 1n << 30n, cap: 1n << 60n, cumulative: 0n, window: STRANGER_WINDOW_BYTES }
const DISK_MS = 3
const LINE_BYTES_PER_MS = 12_500
const SECONDS = 20
/** What flows that waited say of a line is forgotten after a minute. */
const LONG_SECONDS = 70

/** A download by a stranger over a line of {@link LINE_BYTES_PER_MS}. `widens`: a provider whose flows wait for payment lends more. */
function download(roundTripMs: number, { widens = true, seconds = SECONDS } = {}) {
  const till = newTill(TERMS)
  const purse = newPurse({ ...TERMS, paidBefore: 0n, disputedBefore: 0n })
  const peak = new PeakRate()
  const lead = new Lead()
  const later = new Map<number, (() => void)[]>()
  const after = (fromMs: number, ms: number, act: () => void) => {
    const atMs = fromMs + Math.max(1, ms)
    later.set(atMs, [...(later.get(atMs) ?? []), act])
  }
  const oneWayMs = Math.ceil(roundTripMs / 2)
  const carriedAt: bigint[] = []
  let signing = false
  let signedAtMs: number | undefined
  let dueSinceMs: number | undefined
  let counted = 0n
  let waiting = false
  let vouchers = 0
  const count = (nowMs: number) => {
    peak.add(nowMs, carriedBytes(till) - counted)
    counted = carriedBytes(till)
  }
  const pay = (nowMs: number) => {
    const statement = nextStatement(purse)!
    const bytes = statement.up + statement.down - purse.paidUp - purse.paidDown
    lead.signed(bytes, nowMs - (signedAtMs ?? Number.NEGATIVE_INFINITY))
    signedAtMs = nowMs
    signing = true
    dueSinceMs = undefined
    vouchers++
    after(nowMs, DISK_MS, () => {
      lead.durable(DISK_MS)
      markSigned(purse, statement)
      signing = false
    })
    after(nowMs, DISK_MS + oneWayMs + DISK_MS, () => {
      const paidMs = nowMs + DISK_MS + oneWayMs + DISK_MS
      if (widens && waiting) peak.waited(paidMs, till.window)
      count(paidMs)
      acceptStatement(till, statement, creditWindow({ paidBytes: paidBytes(till), unpaidBytes: 0n, peakBytes: peak.bytes }))
      const { window } = till
      after(paidMs, oneWayMs, () => onPaid(purse, window))
    })
  }
  for (let nowMs = 1_000; nowMs < 1_000 + seconds * 1_000; nowMs++) {
    for (const act of later.get(nowMs) ?? []) act()
    later.delete(nowMs)
    const room = Number(roomBytes(till))
    const bytes = Math.min(room, LINE_BYTES_PER_MS)
    waiting = bytes < LINE_BYTES_PER_MS
    assert.ok(takeBytes(till, 'down', bytes))
    assert.ok(unpaidBytes(till) <= till.window, 'nobody lends more than the window')
    after(nowMs, oneWayMs, () => {
      purse.received += BigInt(bytes)
    })
    if (nowMs % COUNTED_WITHIN_MS === 0) count(nowMs)
    carriedAt.push(carriedBytes(till))
    if (dueBytes(purse) > 0n) dueSinceMs ??= nowMs
    const soon = dueSinceMs !== undefined && nowMs - dueSinceMs >= SOON_MS
    // The round trip is known once something was answered.
    const known = nowMs > 1_500 ? lead.bytes(roundTripMs) : undefined
    if (!signing && dueBytes(purse) > 0n && (soon || isRipe(purse, known))) pay(nowMs)
  }
  const lastSecond = Number(carriedAt.at(-1)! - carriedAt.at(-1_001)!)
  return { share: lastSecond / (1_000 * LINE_BYTES_PER_MS), window: Number(till.window), vouchersPerSecond: vouchers / seconds }
}

test('a line is as fast as without payment, wherever its other end is', () => {
  for (const roundTripMs of [1, 20, 60, 100, 150, 200, 250, 300, 400]) {
    const { share } = download(roundTripMs)
    assert.ok(share > 0.95, `${roundTripMs} ms: ${share}`)
  }
})

test('control: where payment takes longer than a window lasts, a window of what went by stays as small as it began', () => {
  assert.ok(download(20, { widens: false }).share > 0.95)
  for (const roundTripMs of [250, 300, 400]) {
    const { share } = download(roundTripMs, { widens: false })
    assert.ok(share < 0.2, `${roundTripMs} ms: ${share}`)
  }
})

test('lent is at most twice what goes by until it is paid, and on a line that needs no more, a quarter second', () => {
  for (const roundTripMs of [1, 20, 60, 100, 200, 300, 400]) {
    const { window } = download(roundTripMs)
    const most = 2 * LINE_BYTES_PER_MS * Math.max(TRAFFIC_WINDOW_MS, roundTripMs + 2 * DISK_MS + SOON_MS)
    assert.ok(window <= most, `${roundTripMs} ms: ${window} of ${most}`)
  }
  for (const roundTripMs of [1, 60, 100]) {
    const { window, share } = download(roundTripMs, { seconds: LONG_SECONDS })
    assert.ok(window <= LINE_BYTES_PER_MS * TRAFFIC_WINDOW_MS * 1.02, `${roundTripMs} ms: ${window}`)
    assert.ok(share > 0.95, `${roundTripMs} ms: ${share}`)
  }
})

test('vouchers are a dozen a second, near or far', () => {
  for (const roundTripMs of [1, 60, 200, 400]) assert.ok(download(roundTripMs).vouchersPerSecond < 16)
})
