/** What holds for every pool, line and vault, whatever happens to them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { capacityRewards, clampMultiplier, type Line } from './multiplier.ts'
import { cut, EMPTY_POOL, enter, exit, worth } from './stake.ts'
import { vaultFlow } from './vault.ts'

test('a share is never worth more than a token, and owners never take more than there is', () => {
  const amount = fc.bigInt({ min: 1n, max: 10n ** 24n })
  const operation = fc.record({ kind: fc.integer({ min: 0, max: 2 }), owner: fc.integer({ min: 0, max: 2 }), amount })
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 60 }), (operations) => {
      let pool = EMPTY_POOL
      let held = [0n, 0n, 0n]
      for (const { kind, owner, amount } of operations) {
        const mine = held[owner] ?? 0n
        if (kind === 0) {
          const entered = enter(pool, amount)
          assert.ok(entered.shares >= amount)
          pool = entered.pool
          held[owner] = mine + entered.shares
        } else if (kind === 1 && mine > 0n) {
          const taken = 1n + (amount % mine)
          pool = exit(pool, taken).pool
          held[owner] = mine - taken
        } else if (kind === 2) {
          const { generation } = pool
          pool = cut(pool, pool.tokens === 0n ? 0n : amount % (pool.tokens + 1n)).pool
          if (pool.generation !== generation) held = [0n, 0n, 0n]
        }
        assert.ok(pool.shares >= pool.tokens)
        assert.ok(pool.tokens > 0n || pool.shares === 0n)
        assert.equal(
          held.reduce((a, b) => a + b, 0n),
          pool.shares,
        )
        assert.ok(held.reduce((sum, shares) => sum + worth(pool, shares), 0n) <= pool.tokens)
      }
    }),
  )
})

test('k identities on one line earn what one would', () => {
  const line = fc.record({
    link: fc.constantFrom('a', 'b', 'c'),
    guaranteedMbps: fc.constant(0n),
    uptime: fc.constant(10_000n),
    regionWeight: fc.constant(10_000n),
  })
  const speed = { a: 100n, b: 250n, c: 1_000n } as const
  fc.assert(
    fc.property(
      fc.bigInt({ min: 0n, max: 10n ** 24n }),
      fc.integer({ min: 1, max: 20 }),
      fc.array(line, { maxLength: 10 }),
      (budget, k, others) => {
        const measured = (each: Line): Line => ({ ...each, guaranteedMbps: speed[each.link as 'a'] })
        const rest = others.filter(({ link }) => link !== 'a').map(measured)
        const mine = measured({ link: 'a', guaranteedMbps: 0n, uptime: 10_000n, regionWeight: 10_000n })
        const sum = (rewards: bigint[], count: number) => rewards.slice(0, count).reduce((a, b) => a + b, 0n)
        const one = capacityRewards(budget, [mine, ...rest])
        const many = capacityRewards(budget, [...Array.from({ length: k }, () => mine), ...rest])
        assert.equal(sum(many, k), sum(one, 1))
        assert.equal(sum(many, many.length), budget)
      },
    ),
  )
})

test('a vault never takes more than one and a half times what it paid, and only what is beyond the floor', () => {
  const money = fc.bigInt({ min: 0n, max: 10n ** 12n })
  fc.assert(
    fc.property(fc.array(fc.tuple(money, fc.bigInt({ min: 0n, max: 60n })), { maxLength: 40 }), money, (months, floor) => {
      let books = { subsidised: 0n, returned: 0n }
      for (const [fees, nodes] of months) {
        const { subsidy, taken } = vaultFlow(fees, nodes, floor, books)
        assert.ok(subsidy === 0n || taken === 0n)
        assert.ok(fees + subsidy - taken >= floor * nodes || taken === 0n)
        books = { subsidised: books.subsidised + subsidy, returned: books.returned + taken }
        assert.ok(2n * books.returned <= 3n * books.subsidised)
      }
    }),
  )
  assert.equal(clampMultiplier(7n, 10n, 50n), 10n)
  assert.equal(clampMultiplier(70n, 10n, 50n), 50n)
})
