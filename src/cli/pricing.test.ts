/** A price that follows use: what readings make of it, and that they can be read from a chain. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { startEconomy, type TestEconomy } from '../chain/economy-testing.ts'
import { readUse, type UseReadings } from '../chain/index.ts'
import type { Hex } from '../protocol/bytes.ts'
import { systemClock } from '../protocol/clock.ts'
import { silent } from '../protocol/observe.ts'
import { FIRST_FEE, fixedPrice, followUse, quoteFrom } from './pricing.ts'

const ANN: Hex = `0x${'aa'.repeat(20)}`
const BOB: Hex = `0x${'bb'.repeat(20)}`
const FAR: Hex = `0x${'cc'.repeat(20)}`
const NOBODY = new Map<string, string>()

const readings = (changes: Partial<UseReadings>): UseReadings => ({
  epoch: 3n,
  epochS: 86_400n,
  claims: [],
  audits: [ANN, BOB, FAR].map((operator) => ({ operator, epoch: 0n, mbps: 100n })),
  goodFor: 14n,
  regions: new Map([
    [ANN, 'de'],
    [BOB, 'de'],
    [FAR, 'jp'],
  ]),
  step: 1_250n,
  target: 5_000n,
  region: 'de',
  multiplier: 10_000n,
  ...changes,
})
const sold = (payee: Hex, ...epochs: number[]) => epochs.map((epoch) => ({ payee, epoch: BigInt(epoch), units: 10n ** 12n }))

test('where everything is sold the price rises, where nothing is it falls, and only the same region and tier count', () => {
  const base = (changes: Partial<UseReadings>, tiers = NOBODY) => quoteFrom(readings(changes), { tier: 'basic' }, tiers).base
  assert.equal(base({}), 334_962n)
  assert.equal(base({ claims: [...sold(ANN, 0, 1, 2), ...sold(BOB, 0, 1, 2)] }), 711_913n)
  assert.equal(base({ claims: sold(ANN, 0, 1, 2) }), FIRST_FEE, 'half of the capacity, sold out, is on target')
  assert.equal(base({ claims: sold(FAR, 0, 1, 2) }), 334_962n)
  assert.equal(base({ claims: sold(ANN, 0, 1, 2) }, new Map([[BOB, 'open']])), 711_913n)
  assert.equal(base({ audits: [] }), FIRST_FEE, 'nothing proven, nothing known')
  assert.equal(base({ epoch: 200n }), FIRST_FEE, 'an audit of long ago proves nothing')
  assert.equal(base({ epoch: 60n, goodFor: 60n }), 100_000n, 'never below a tenth of a dollar')
})

test('a scarce region’s premium is a line of its own', () => {
  assert.deepEqual(quoteFrom(readings({ audits: [], multiplier: 15_000n }), { tier: 'basic' }, NOBODY), {
    base: 500_000n,
    latency: 0n,
    scarcity: 250_000n,
  })
})

test('who was found near asks for it in a line of its own, less the farther it is, and nothing when nobody measured it', () => {
  const lineAt = (latencyMs: bigint | undefined) => quoteFrom(readings({ audits: [] }), { tier: 'basic', latencyMs }, NOBODY).latency
  assert.deepEqual([0n, 30n, 99n, 100n, 400n, undefined].map(lineAt), [100_000n, 70_000n, 1_000n, 0n, 0n, 0n])
})

test('a price that rises is announced, and who has an older offer may still pay what that asked until it expires', async () => {
  let nowMs = 0
  const changes: bigint[] = []
  const { promise, resolve } = Promise.withResolvers<void>()
  const pricing = followUse({
    tier: 'basic',
    clock: { ...systemClock, nowMs: () => nowMs },
    observer: silent,
    read: async () => readings({ claims: [...sold(ANN, 0, 1, 2), ...sold(BOB, 0, 1, 2)] }),
    latency: async () => 50n,
    offers: async () => [],
    holdsForS: 100,
    onChanged() {
      changes.push(pricing.asked().base)
      resolve()
    },
  })
  assert.deepEqual([pricing.asked().base, pricing.least()], [FIRST_FEE, FIRST_FEE], 'before the chain was read')
  await promise
  assert.deepEqual([changes, pricing.asked().base, pricing.least()], [[711_913n], 711_913n, FIRST_FEE])
  nowMs = 100_001
  assert.equal(pricing.asked().latency, 71_191n, 'and how near it was found to be')
  assert.equal(pricing.least(), 711_913n + 71_191n)
  pricing.stop()
  assert.equal(fixedPrice(300_000n).least(), 300_000n)
})

describe('on a chain', () => {
  let world: TestEconomy
  before(async () => {
    world = await startEconomy(4)
  })
  after(() => world.stop())

  test('what a committee proved is read back, and an idle line becomes cheaper by it', async () => {
    const { economy, devnet } = world
    const ann = await world.person('ann')
    await world.join(ann, 'provider', 1_000n * 10n ** 18n, { region: 'de', mbps: 100 })
    const epoch = await economy.audits.epoch()
    await world.act(ann, economy.audits.summon(ann.address))
    const verdict = await world.answer(economy.audits.question(ann.address, epoch, 95))
    await world.act(ann, economy.audits.report(ann.address, epoch, 95, verdict))
    const read = () => readUse(devnet.rpc, devnet.contracts, ann.address, 'zz')
    const now = await read()
    assert.deepEqual(now.audits, [{ operator: ann.address, epoch, mbps: 95n }])
    assert.deepEqual([now.region, now.regions.get(ann.address), now.claims, now.multiplier], ['de', 'de', [], 10_000n])
    assert.deepEqual([now.step, now.target, now.goodFor], [1_250n, 5_000n, 14n])
    await world.pass(2 * Number(now.epochS))
    const later = await read()
    assert.ok(quoteFrom(later, { tier: 'basic' }, NOBODY).base < FIRST_FEE)
    assert.equal((await readUse(devnet.rpc, devnet.contracts, BOB, 'fr')).region, 'fr', 'who never registered is where he says')
  })
})
