import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Lead } from './lead.ts'

const MEBI = 1_048_576n

/** Vouchers of 8 MiB, one every `everyMs`, each durable after `diskMs`. */
function after(vouchers: number, everyMs: number, diskMs: number): Lead {
  const lead = new Lead()
  for (let i = 0; i < vouchers; i++) {
    lead.signed(8n * MEBI, everyMs)
    lead.durable(diskMs)
  }
  return lead
}

test('nothing is said while the line or the pace is not known', () => {
  assert.equal(new Lead().bytes(10), undefined)
  assert.equal(after(5, 8, 1).bytes(undefined), undefined)
})

test('the lead is what goes by while a voucher passes two disks and half a round trip, beside what is in flight', () => {
  // 1 MiB a millisecond; two disks of 1 ms and 10 ms of line.
  const { voucher, inFlight } = after(50, 8, 1).bytes(20)!
  assert.ok(voucher > 11n * MEBI && voucher < 13n * MEBI, `${voucher}`)
  assert.ok(inFlight > 9n * MEBI && inFlight < 11n * MEBI, `${inFlight}`)
  assert.ok(after(50, 80, 1).bytes(20)!.voucher * 9n < voucher, 'a slower line needs less')
})

test('a disk that became slow is noticed within a few vouchers', () => {
  const lead = after(50, 8, 0)
  assert.ok(lead.bytes(0)!.voucher < MEBI)
  for (let i = 0; i < 5; i++) lead.durable(10)
  assert.ok(lead.bytes(0)!.voucher > 15n * MEBI)
})

test('a pause says nothing of the pace', () => {
  const lead = after(50, 8, 1)
  const before = lead.bytes(20)
  lead.signed(8n * MEBI, 60_000)
  assert.deepEqual(lead.bytes(20), before)
})

test('two vouchers in one millisecond are no endless pace', () => {
  const lead = after(1, 0, 0)
  assert.ok(lead.bytes(2)!.voucher <= 9n * MEBI)
})
