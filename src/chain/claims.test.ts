import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Hex } from '../protocol/bytes.ts'
import { belongTogether, type ChannelPaid, claimsHash, type Holding, newestHoldings, packVouchers, planBatches } from './claims.ts'
import { makeRoot, walletOf } from './testing.ts'

const at = {
  network: { chainId: 1, channels: `0x${'cc'.repeat(20)}` as Hex, dollar: `0x${'dd'.repeat(20)}` as Hex, confirmations: 1, pollMs: 10 },
}
const root = makeRoot(
  at,
  walletOf('payer').address,
  Array.from({ length: 600 }, () => walletOf('payee').address),
  2_000_000_000,
  1_000n,
)
const holding = (index: number, cumulative: bigint): Holding => ({
  activation: root.activation(index),
  voucher: { rootId: root.rootId, index, payee: walletOf('payee').address, cumulative, signature: `0x${'5a'.repeat(64)}` },
})

test('packs a voucher into 112 bytes: root id, index, amount, signature', () => {
  const { voucher } = holding(258, 0xabcdn)
  const packed = packVouchers([voucher, voucher])
  assert.equal(packed.length, 2 + 2 * 112 * 2)
  const one = `${root.rootId.slice(2)}00000102${'0'.repeat(20)}abcd${'5a'.repeat(64)}`
  assert.equal(packed, `0x${one}${one}`)
  assert.equal(packVouchers([]), '0x')
  assert.notEqual(claimsHash([voucher]), claimsHash([voucher, voucher]))
})

test('refuses to pack what does not fit', () => {
  const { voucher } = holding(0, 1n)
  assert.equal(packVouchers([{ ...voucher, cumulative: (1n << 96n) - 1n }]).length, 2 + 224)
  for (const bad of [
    { cumulative: 1n << 96n },
    { cumulative: -1n },
    { index: 2 ** 32 },
    { signature: '0x00' as Hex },
    { rootId: '0x00' as Hex },
  ]) {
    assert.throws(() => packVouchers([{ ...voucher, ...bad }]), { code: 'MESSAGE_MALFORMED' })
  }
})

test('keeps the newest voucher of each channel', () => {
  const kept = newestHoldings([holding(0, 5n), holding(1, 1n), holding(0, 7n), holding(0, 6n)])
  assert.deepEqual(
    kept.map(({ voucher }) => [voucher.index, voucher.cumulative]),
    [
      [0, 7n],
      [1, 1n],
    ],
  )
})

test('a proof belongs to a voucher of the same root and index', () => {
  assert.equal(belongTogether(holding(3, 1n)), true)
  assert.equal(belongTogether({ ...holding(3, 1n), activation: root.activation(4) }), false)
  const other = { ...root.descriptor, nonce: 1n }
  assert.equal(belongTogether({ ...holding(3, 1n), activation: { ...root.activation(3), descriptor: other } }), false)
})

test('every holding is in exactly one batch or skipped with its reason, and no batch is too large', () => {
  const channel = fc.record({ paid: fc.bigInt(0n, 1_200n), active: fc.boolean(), open: fc.boolean(), cumulative: fc.bigInt(0n, 1_200n) })
  fc.assert(
    fc.property(fc.array(channel, { maxLength: 600 }), (channels) => {
      const holdings = channels.map(({ cumulative }, i) => holding(i, cumulative))
      const paid = channels.map(({ paid, active }): ChannelPaid => (active ? { cap: 1_000n, paid, active } : { cap: 0n, paid: 0n, active }))
      const plan = planBatches(
        holdings,
        paid,
        channels.map(({ open }) => open),
      )
      const seen = [...plan.batches.flatMap(({ vouchers }) => vouchers), ...plan.skipped.map(({ holding }) => holding.voucher)]
      assert.deepEqual(
        seen.map(({ index }) => index).toSorted((a, b) => a - b),
        holdings.map((_, i) => i),
      )
      for (const batch of plan.batches) {
        assert.ok(batch.vouchers.length > 0 && batch.vouchers.length <= 100)
        const activated = new Set(batch.activations.map(({ index }) => index))
        let owed = 0n
        for (const { index, cumulative } of batch.vouchers) {
          const { active } = channels[index]!
          assert.ok(active || channels[index]!.open)
          assert.equal(activated.has(index), !active)
          assert.ok(cumulative > paid[index]!.paid && cumulative <= 1_000n)
          owed += cumulative - paid[index]!.paid
        }
        assert.equal(batch.owed, owed)
      }
      for (const {
        holding: { voucher },
        reason,
      } of plan.skipped) {
        const { active, open } = channels[voucher.index]!
        const because = {
          'nothing-owed': voucher.cumulative <= paid[voucher.index]!.paid,
          'above-cap': voucher.cumulative > 1_000n,
          'root-not-open': !active && !open,
        }
        assert.ok(because[reason], reason)
      }
    }),
    { numRuns: 60 },
  )
})
