/** Vaults, capacity sold ahead, votes and subscriptions from TypeScript on a real chain. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { idOf, nameOf, startOf } from './capacity.ts'
import { startEconomy, type TestEconomy } from './economy-testing.ts'
import type { Wallet } from './wallet.ts'

const WAY = 10n ** 18n
const DOLLAR = 1_000_000n
const HOUR_S = 3_600
const DAY_S = 86_400

describe('trade', () => {
  let world: TestEconomy
  let ann: Wallet
  let cid: Wallet

  before(async () => {
    world = await startEconomy(4)
    ann = await world.person('ann')
    cid = await world.person('cid')
  })
  after(() => world.stop())

  const dollarsOf = async ({ address }: Wallet) => (await world.economy.balances(address)).dollars

  test('who leaves a vault waits for its notice and is then paid', async () => {
    const vault = world.economy.vaults.get('de')!
    const before = await dollarsOf(cid)
    await world.act(cid, vault.deposit(100n * DOLLAR, cid.address))
    const { shares, worth } = await vault.holding(cid.address)
    assert.equal(worth, 100n * DOLLAR)
    await world.act(cid, vault.requestExit(shares))
    const [exit] = (await vault.holding(cid.address)).exits
    await assert.rejects(world.act(cid, vault.serve(exit!.id)), { code: 'TOO_EARLY' })
    await world.pass((await vault.vault()).noticeS + 1)
    await world.act(cid, vault.serve(exit!.id), vault.collect())
    assert.equal(await dollarsOf(cid), before)
    assert.deepEqual(await vault.holding(cid.address), { shares: 0n, worth: 0n, credit: 0n, exits: [] })
  })

  test('the name of a line says everything about it, both ways', () => {
    const name = { provider: ann.address, region: 'eu-w', tier: 3, hour: 500_000, percent: 40 }
    assert.deepEqual(nameOf(idOf(name)), name)
  })

  test('capacity is sold up to what was proved, paid as it is used, and refunded where it is not', async () => {
    const { audits, market } = world.economy
    await world.join(ann, 'provider', 1_000n * WAY)
    const hour = Math.floor((await world.economy.nowS()) / HOUR_S) + 2
    const line = { region: 'de', tier: 1, hour }
    const price = DOLLAR / 10n
    const bond = market.bondFor(price, 1_000n)
    await assert.rejects(world.act(ann, market.offer(line, 10, price, bond)), { code: 'AMOUNT_TOO_LARGE' })

    const epoch = await audits.epoch()
    await world.act(cid, audits.summon(ann.address))
    await world.act(cid, audits.report(ann.address, epoch, 100, await world.answer(audits.question(ann.address, epoch, 100))))
    await world.act(ann, market.offer(line, 10, price, bond))
    const [offered] = await market.lines(await world.economy.nowS())
    assert.deepEqual([offered?.provider, offered?.price, offered?.bond, offered?.offered], [ann.address, price, DOLLAR / 100n, 10])

    const before = await dollarsOf(cid)
    const id = idOf({ ...line, provider: ann.address, percent: 40 })
    // f(0.4) = 0.12 and g(0.4) = 1.15 of the price.
    const [upfront, onUse] = [12_000n, 115_000n]
    await world.act(cid, market.buy(offered!.line, 40, 5, 5n * (upfront + onUse)))
    const [right] = await market.rightsOf(cid.address)
    assert.deepEqual([right?.id, right?.gb, right?.upfront, right?.onUse], [id, 5n, upfront, onUse])
    await assert.rejects(world.act(cid, market.redeem(id, 2)), { code: 'TOO_EARLY' })

    await world.pass(startOf(id) - (await world.economy.nowS()) + 1)
    await world.act(cid, market.redeem(id, 2))
    // More than it has: an underflow in the contract, which has no name of its own.
    await assert.rejects(world.act(cid, market.redeem(id, 4)), { code: 'TRANSACTION_FAILED' })
    const receipt = market.signReceipt(id, 3n, cid)
    await assert.rejects(world.act(ann, market.redeemReceipt(id, cid.address, 4n, receipt)), { code: 'SIGNATURE_MISSING' })
    await world.act(ann, market.redeemReceipt(id, cid.address, 3n, receipt))

    await world.pass(HOUR_S + DAY_S)
    await world.act(cid, market.settle(offered!.line), market.expire(id, cid.address), market.collect())
    assert.equal(before - (await dollarsOf(cid)), 5n * upfront + 3n * onUse)
    assert.equal(await market.creditOf(ann.address), 5n * upfront + 3n * onUse + 10n * bond)
  })

  test('a change of a parameter passes through votes and timelock, and none leaves its bounds', async () => {
    const { governance } = world.economy
    const whale = await world.devnet.funded('whale', { ether: 10n ** 19n, way: 100_000_000n * WAY })
    await world.act(whale, governance.delegate(whale.address))
    await world.pass(1)
    const burnShare = (await governance.parameters()).find(({ name }) => name === 'burnShare')!
    assert.deepEqual([burnShare.value, burnShare.min, burnShare.max, burnShare.issuance], [1_000n, 500n, 10_000n, 'falls'])
    assert.throws(() => governance.propose(burnShare, 499n, 'no'), { code: 'VALUE_OUT_OF_BOUNDS' })
    await assert.rejects(world.act(cid, governance.propose(burnShare, 1_500n, 'no votes')), { code: 'VOTES_TOO_FEW' })
    await world.act(whale, governance.propose(burnShare, 1_500n, 'burn more'))

    const newest = async () => (await governance.proposals()).at(-1)!
    const { id, change, state, needsTwoThirds } = await newest()
    assert.deepEqual([change, state, needsTwoThirds], [{ name: 'burnShare', from: 1_000n, to: 1_500n }, 'pending', false])
    const rules = await governance.rules()
    await world.pass(rules.delayS + 1)
    assert.equal(await governance.votesOn(await newest(), whale.address), 100_000_000n * WAY)
    await world.act(whale, governance.vote(id, 'for'))
    await assert.rejects(world.act(whale, governance.vote(id, 'against')), { code: 'STATE_WRONG' })
    await assert.rejects(world.act(whale, governance.queue(await newest())), { code: 'STATE_WRONG' })
    await world.pass(rules.periodS + 1)
    await world.act(whale, governance.queue(await newest()))
    await assert.rejects(world.act(whale, governance.execute(await newest())), { code: 'STATE_WRONG' })
    await world.pass(rules.timelockS + 1)
    await world.act(whale, governance.execute(await newest()))
    assert.equal((await governance.parameters()).find(({ name }) => name === 'burnShare')!.value, 1_500n)
    assert.equal((await newest()).state, 'executed')
  })

  test('who has votes sends WAY every second, to somebody who has some too', async () => {
    const { governance, sendWay } = world.economy
    const [dan, fay] = [await world.person('dan'), await world.person('fay')]
    for (const wallet of [dan, fay]) await world.act(wallet, governance.delegate(wallet.address))
    await world.devnet.tell('anvil_setBlockTimestampInterval', 1)
    try {
      for (let second = 0; second < 3; second++) await world.act(dan, sendWay(fay.address, WAY))
    } finally {
      await world.devnet.tell('anvil_removeBlockTimestampInterval')
    }
  })

  test('a subscription gives back what is not used', async () => {
    const { subscription } = world.economy
    const plan = { provider: ann.address, price: 5n * DOLLAR, allowance: 10n ** 11n }
    const before = await dollarsOf(cid)
    await world.act(cid, subscription.subscribe(plan, 2))
    await assert.rejects(world.act(cid, subscription.subscribe(plan, 1)), { code: 'STATE_WRONG' })
    await world.pass(15 * DAY_S)
    const { paid, earned } = await subscription.term(plan, cid.address)
    assert.equal(paid, 10n * DOLLAR)
    await world.act(cid, subscription.cancel(plan))
    await world.act(ann, subscription.take(plan, cid.address))
    const spent = before - (await dollarsOf(cid))
    // Time went on by some seconds between the question and the end of it.
    assert.ok(spent >= earned && spent - earned < DOLLAR / 100n, `${spent} of ${earned}`)
  })
})
