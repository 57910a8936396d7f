/** Invariants I1 to I5 of economics 7.1, and its golden numbers. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { guaranteedBytes, mostCorrupt, provenBandwidth, shareOf } from './bandwidth.ts'
import { capacityRewards } from './multiplier.ts'

const count = fc.bigInt({ min: 0n, max: 10n ** 12n })
const counts = fc.array(count, { minLength: 1, maxLength: 31 })
const sum = (values: readonly bigint[]) => values.reduce((a, b) => a + b, 0n)

test('never above what honest members verified, whatever the others say', () => {
  fc.assert(
    fc.property(counts, fc.array(count, { maxLength: 12 }), (honest, lies) => {
      assert.ok(guaranteedBytes([...honest, ...lies], lies.length) <= sum(honest))
    }),
  )
  // Control: trimming one too few lets a liar in.
  assert.ok(guaranteedBytes([10n, 10n, 10n, 999n], 0) > 30n)
})

test('a count that rises never lowers it, and the order does not matter', () => {
  fc.assert(
    fc.property(counts, fc.nat(), count, fc.nat(10), (all, which, more, corrupt) => {
      const at = which % all.length
      const raised = all.map((value, i) => (i === at ? value + more : value))
      assert.ok(guaranteedBytes(raised, corrupt) >= guaranteedBytes(all, corrupt))
      assert.equal(guaranteedBytes(all.toReversed(), corrupt), guaranteedBytes(all, corrupt))
      assert.equal(guaranteedBytes(all, 0), sum(all))
    }),
  )
})

test('identities on one line are together never proven to have more than the line', () => {
  const several = fc.integer({ min: 1, max: 16 }).chain((members) => {
    const row = fc.array(count, { minLength: members, maxLength: members })
    return fc.array(row, { minLength: 1, maxLength: 6 })
  })
  fc.assert(
    fc.property(several, (identities) => {
      const members = identities[0]!.length
      const corrupt = mostCorrupt(members)
      const line = Array.from({ length: members }, (_, i) => sum(identities.map((row) => row[i]!)))
      assert.ok(sum(identities.map((row) => guaranteedBytes(row, corrupt))) <= guaranteedBytes(line, corrupt))
    }),
  )
})

test('and one line is paid as one, in however many identities', () => {
  const line = { link: 'a', guaranteedMbps: 80n, uptime: 10_000n, regionWeight: 10_000n }
  const other = { ...line, link: 'b' }
  assert.deepEqual(capacityRewards(1_000n, [line, other]), [500n, 500n])
  const split = capacityRewards(1_000n, [line, line, line, other])
  assert.equal(sum(split.slice(0, 3)), 500n)
  assert.equal(split[3], 500n)
})

test('golden: 25 members of which 5 are corrupt; honest 80 of 100, withheld 75', () => {
  const honest = Array.from({ length: 25 }, () => 4_000_000n)
  assert.deepEqual(provenBandwidth(honest, 8n * 1_000n, 5), { rawMbps: 100n, guaranteedMbps: 80n, members: 25, corrupt: 5 })
  // Five withhold everything, and the others are given what is left of the line.
  const withheld = [...Array.from({ length: 5 }, () => 0n), ...Array.from({ length: 20 }, () => 5_000_000n)]
  assert.deepEqual(provenBandwidth(withheld, 8n * 1_000n, 5), { rawMbps: 100n, guaranteedMbps: 75n, members: 25, corrupt: 5 })
  assert.deepEqual([1, 3, 4, 7, 10, 25, 31].map(mostCorrupt), [0, 0, 1, 2, 3, 8, 10])
  assert.equal(provenBandwidth([1n], 0n).rawMbps, 0n, 'no window proves nothing')
})

test('whoever delivers every share has proven the claim, and whoever is a little short of each has not', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 1n, max: 10_000n }), fc.integer({ min: 1, max: 31 }), (mbps, members) => {
      const share = shareOf(mbps, 2_000n, members)
      const delivered = Array.from({ length: members }, () => share)
      assert.equal(provenBandwidth(delivered, 2_000n).guaranteedMbps, mbps)
      const short = delivered.map((bytes) => bytes - 2n)
      assert.ok(provenBandwidth(short, 2_000n).guaranteedMbps < mbps)
    }),
  )
})
