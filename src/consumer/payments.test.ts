/** Payments of a session, with a disk and a clock of the test's own. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import type { Statement } from '../protocol/messages.ts'
import { newPurse } from '../protocol/purse.ts'
import { addressOf } from '../protocol/voucher.ts'
import { type PaymentNeeds, Payments } from './payments.ts'

const MIB = 1024n * 1024n
const WINDOW = 4n * MIB
const DISK_MS = 3
const ROUND_TRIP_MS = 8

function world(terms: { window?: bigint; paidBefore?: bigint } = {}) {
  let nowMs = 1_000_000
  const sent: Statement[] = []
  const privateKey = randomBytes(32)
  const purse = newPurse({
    base: 0n,
    pricePerGib: 1n << 30n,
    cap: 1n << 60n,
    cumulative: 0n,
    paidBefore: 0n,
    disputedBefore: 0n,
    window: WINDOW,
    ...terms,
  })
  const channel = { ref: { rootId: `0x${'1'.repeat(64)}`, index: 0 }, payee: addressOf(randomBytes(32)), privateKey }
  const needs = {
    vault: {
      record: async () => {
        nowMs += DISK_MS
      },
    },
    separator: randomBytes(32),
    clock: { nowMs: () => nowMs },
    observer: { count() {} },
    roundTripMs: () => ROUND_TRIP_MS,
    send: (statement: Statement) => void sent.push(statement),
    onShort: () => assert.fail('short'),
    onError: (error: Error) => assert.fail(error),
  } as unknown as PaymentNeeds
  const payments = new Payments({ channel: channel as never, sessionId: `0x${'2'.repeat(32)}`, purse }, needs)
  return {
    payments,
    sent,
    /** Bytes arrive. */
    receive(bytes: bigint, afterMs = 0) {
      nowMs += afterMs
      purse.received += bytes
      payments.changed()
    },
    /** Bytes arrive, and are paid. */
    async arrive(bytes: bigint, afterMs: number) {
      nowMs += afterMs
      purse.received += bytes
      payments.changed()
      await payments.finish()
      payments.resume({ channel: channel as never, sessionId: `0x${'2'.repeat(32)}`, purse })
    },
  }
}

test('a payment begins as early as the pace of the line, the disk and the way ask for, once they are known', async () => {
  const { payments, sent, arrive } = world()
  assert.equal(payments.lead, undefined)
  await arrive(MIB, 0)
  for (let i = 0; i < 40; i++) await arrive(MIB, 10 - DISK_MS)
  assert.equal(sent.length, 41)
  assert.equal(sent.at(-1)!.down, 41n * MIB)
  // A tenth of a MiB a millisecond, for two writes and half a round trip.
  const expected = (Number(MIB) / 10) * (2 * DISK_MS + ROUND_TRIP_MS / 2)
  const lead = Number(payments.lead!.voucher)
  assert.ok(Math.abs(lead - expected) < expected / 100, `${lead} bytes, expected ${expected}`)
  await payments.hold()
})

/** Until what was begun here is done. */
const turns = async () => {
  for (let i = 0; i < 10; i++) await Promise.resolve()
}

test('what is not ripe is paid soon, in one voucher with what came meanwhile; what is ripe at once', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { payments, sent, receive } = world()
  // The pace becomes known: the first step is ripe.
  receive(MIB)
  await turns()
  receive(MIB, 50)
  await turns()
  assert.equal(sent.length, 2)
  const before = sent.at(-1)!.down
  for (let i = 0; i < 9; i++) {
    receive(MIB / 16n, 10)
    t.mock.timers.tick(10)
    await turns()
  }
  assert.equal(sent.length, 2, 'much less than a window is due')
  t.mock.timers.tick(10)
  await turns()
  assert.equal(sent.length, 3)
  assert.equal(sent.at(-1)!.down - before, (9n * MIB) / 16n)
  // Three quarters of the window, on a line as slow as this one.
  receive((WINDOW * 3n) / 4n, 200)
  await turns()
  assert.equal(sent.length, 4)
  t.mock.timers.tick(1_000)
  await turns()
  assert.equal(sent.length, 4, 'nothing is due')
  await payments.hold()
})

test('a fast line is paid ahead while it is as fast as that, and never with the last payment', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { payments, sent, receive } = world({ window: 16n * MIB, paidBefore: 1n << 40n })
  // Near a MiB a millisecond: a hundred would go by while a voucher should last, and some eight are enough for one.
  const carry = async (bytes: bigint) => {
    receive(bytes * MIB, Number(bytes))
    await turns()
    return sent.at(-1)!.down / MIB
  }
  assert.equal(await carry(8n), 8n)
  assert.equal(await carry(8n), 16n, 'the pace is not known')
  assert.equal(await carry(8n), 24n + 12n)
  assert.equal(await carry(12n), 24n + 12n, 'all of it was paid for')
  assert.equal(await carry(3n), 24n + 12n)
  assert.equal(await carry(6n), 45n + 12n)
  assert.equal(await carry(15n), 45n + 12n)
  t.mock.timers.tick(1_000)
  await turns()
  assert.equal(sent.at(-1)!.down, 60n * MIB, 'what is left over is paid as it was counted')
  assert.equal(await carry(8n), 68n + 12n, 'control')
  payments.ending()
  assert.equal(await carry(20n), 88n)
  await payments.finish()
})
