/** Stake from TypeScript on a real chain: in, over to another, out again, and lost. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { keccak } from '../protocol/bytes.ts'
import { startEconomy, type TestEconomy } from './economy-testing.ts'
import { type RegistryClient, type Statement, sharesFor } from './registry.ts'
import { followRegistry } from './registry-feed.ts'
import { walletOf } from './testing.ts'
import type { Wallet } from './wallet.ts'

const WAY = 10n ** 18n
const DAY_S = 86_400

describe('stake', () => {
  let world: TestEconomy
  let registry: RegistryClient
  let ann: Wallet
  let bob: Wallet

  before(async () => {
    world = await startEconomy()
    registry = world.economy.registry
    ann = await world.person('ann')
    bob = await world.person('bob')
    await world.join(ann, 'provider', 1_000n * WAY)
  })
  after(() => world.stop())

  test('a bond makes a provider active, and the profile reads as it was written', async () => {
    const { profile, own, required, active } = await registry.operator(ann.address)
    assert.deepEqual([own, required, active], [1_000n * WAY, 1_000n * WAY, true])
    assert.deepEqual([profile?.region, profile?.role, profile?.payout, profile?.mbps], ['de', 'provider', ann.address, 100])
    assert.deepEqual(await registry.operators(), [ann.address])
    assert.equal((await registry.operator(bob.address)).profile, undefined)
  })

  test('whoever follows the registry learns of nodes, hashes and endpoints as they are said, and of nothing twice', async () => {
    const feed = followRegistry(world.devnet.rpc, world.economy.contracts.registry)
    const [known] = await feed.providers()
    assert.deepEqual([known?.operator, known?.offerHash, known?.endpoint], [ann.address, `0x${'00'.repeat(32)}`, undefined])
    const { profile } = await registry.operator(ann.address)
    const offerHash = keccak(Buffer.from('an offer'))
    await world.act(ann, registry.setProfile({ ...profile!, offerHash }), registry.setEndpoint('node.example:4433'))
    assert.deepEqual(await feed.providers(), [
      { operator: ann.address, nodeKey: profile!.nodeKey, offerHash, endpoint: 'node.example:4433' },
    ])
    await assert.rejects(world.act(bob, registry.setEndpoint('node.example:4433')), { code: 'UNKNOWN_ON_CHAIN' })
  })

  test('who delegates has a part, and nobody can stand behind somebody unknown', async () => {
    await world.act(bob, registry.stake(ann.address, 500n * WAY))
    assert.deepEqual(await registry.holdingsOf(bob.address), [
      { operator: ann.address, shares: 500n * WAY, tokens: 500n * WAY, rewards: 0n },
    ])
    await assert.rejects(world.act(bob, registry.stake(walletOf('nobody').address, WAY)), { code: 'UNKNOWN_ON_CHAIN' })
    await assert.rejects(world.act(bob, registry.stake(ann.address, 1_000_000n * WAY)), { code: 'WALLET_EMPTY' })
  })

  test('stake comes back after the unbonding time and not before', async () => {
    const holding = await registry.holding(ann.address, bob.address)
    assert.throws(() => sharesFor(holding, 501n * WAY), { code: 'AMOUNT_TOO_LARGE' })
    await world.act(bob, registry.unbond(ann.address, sharesFor(holding, 200n * WAY)))
    const [thaw] = await registry.thawsOf(bob.address)
    assert.deepEqual([thaw?.tokens, thaw?.to, thaw?.operator], [200n * WAY, undefined, ann.address])
    await assert.rejects(world.act(bob, registry.release(thaw!.id)), { code: 'TOO_EARLY' })

    await world.pass((await registry.unbondingS()) + 1)
    const before = (await world.economy.balances(bob.address)).way
    await world.act(bob, registry.release(thaw!.id), registry.collect(bob.address))
    assert.equal((await world.economy.balances(bob.address)).way - before, 200n * WAY)
    assert.deepEqual(await registry.thawsOf(bob.address), [])
  })

  test('stake moves to another operator, by the same wait', async () => {
    const cid = await world.person('cid')
    await world.join(cid, 'provider', 1_000n * WAY)
    await world.act(bob, registry.unbond(ann.address, sharesFor(await registry.holding(ann.address, bob.address), 100n * WAY), cid.address))
    const [thaw] = await registry.thawsOf(bob.address)
    assert.equal(thaw?.to, cid.address)
    await world.pass(22 * DAY_S)
    await world.act(bob, registry.release(thaw!.id))
    assert.equal((await registry.holding(cid.address, bob.address)).tokens, 100n * WAY)
  })

  test('two statements at one place cost all stake; one statement twice costs nothing', async () => {
    const key = walletOf('key of ann')
    await world.act(ann, registry.addKey(key, ann.address))
    assert.equal(await registry.operatorOf(key.address), ann.address)
    const said = (what: string): Statement => ({
      kind: keccak(Buffer.from('receipt')),
      stream: keccak(Buffer.from('session 1')),
      counter: 7n,
      content: keccak(Buffer.from(what)),
    })
    const one = registry.signStatement(said('100 bytes'), key)
    const other = registry.signStatement(said('200 bytes'), key)
    await assert.rejects(world.act(bob, registry.reportEquivocation(one, one)), { code: 'TRANSACTION_FAILED' })
    await world.act(bob, registry.reportEquivocation(one, other))
    const operator = await registry.operator(ann.address)
    assert.deepEqual([operator.struckOff, operator.active, operator.bonded], [true, false, 0n])
    // Half of ann's 1,000 and of bob's own last 200: who reports what he stands behind loses all the same.
    assert.equal(await registry.creditOf(bob.address), 600n * WAY)
    await assert.rejects(world.act(bob, registry.stake(ann.address, WAY)), { code: 'STRUCK_OFF' })
  })
})
