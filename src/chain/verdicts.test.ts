/** What committees decide, from TypeScript on a real chain: audits, epoch roots, and what they pay. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { startEconomy, type TestEconomy } from './economy-testing.ts'
import { proofIn, type RewardLeaf, rewardRoot } from './rewards.ts'
import { followSaid } from './said.ts'
import { walletOf } from './testing.ts'
import type { Wallet } from './wallet.ts'

const WAY = 10n ** 18n
const EPOCH_S = 60
const BOND = 1_000n * WAY

describe('verdicts', () => {
  let world: TestEconomy
  let ann: Wallet
  let eve: Wallet

  before(async () => {
    world = await startEconomy(4)
    ann = await world.person('ann')
    eve = await world.person('eve')
    await world.join(ann, 'provider', 1_000n * WAY)
  })
  after(() => world.stop())

  test('a committee proves bandwidth, and a claim far above it is slashed', async () => {
    const { audits, registry } = world.economy
    const fat = await world.person('fat')
    await world.join(fat, 'provider', 1_000n * WAY, { mbps: 900 })
    const epoch = await audits.epoch()
    await world.act(eve, audits.summon(ann.address), audits.summon(fat.address))
    const honest = await world.answer(audits.question(ann.address, epoch, 95))
    const short = await world.answer(audits.question(fat.address, epoch, 10))
    const few = { signers: 1n, signatures: honest.signatures.slice(0, 1) }
    await assert.rejects(world.act(eve, audits.report(ann.address, epoch, 95, few)), { code: 'SIGNATURE_MISSING' })
    await world.act(eve, audits.report(ann.address, epoch, 95, honest), audits.report(fat.address, epoch, 10, short))
    assert.equal(await audits.provenMbps(ann.address), 95n)
    assert.equal((await registry.operator(ann.address)).own, 1_000n * WAY)
    assert.equal((await registry.operator(fat.address)).own, 950n * WAY)
  })

  test('a signed root pays each operator its leaf once, with its proof', async () => {
    const { capacityRewards: roots, registry } = world.economy
    await world.act(eve, world.economy.sendWay(roots.address, 1_000n * WAY))
    const leaves: RewardLeaf[] = [
      { operator: ann.address, cumulative: 300n * WAY },
      { operator: walletOf('other').address, cumulative: 100n * WAY },
    ]
    const [root, total] = [rewardRoot(leaves), 400n * WAY]
    await world.pass(EPOCH_S)
    const epoch = 0n
    await world.act(eve, roots.summon(epoch))
    const { attempt } = await roots.view()
    const verdict = await world.answer(roots.question(epoch, attempt, root, total))
    await assert.rejects(world.act(eve, roots.propose(epoch, root, total + 1n, verdict, BOND)), { code: 'SIGNATURE_MISSING' })
    await world.act(eve, roots.propose(epoch, root, total, verdict, BOND))
    assert.equal((await roots.view()).pending?.root, root)
    await assert.rejects(world.act(eve, roots.settle()), { code: 'TOO_EARLY' })
    await world.pass(EPOCH_S + 1)
    await world.act(eve, roots.settle(), roots.collect())

    const view = await roots.view()
    assert.deepEqual([view.root, view.epoch, view.total, view.pending], [root, epoch, total, undefined])
    assert.throws(() => proofIn([leaves[0]!], root, ann.address), { code: 'PROOF_INVALID' })
    assert.equal(proofIn(leaves, root, eve.address), undefined)
    const proof = proofIn(leaves, root, ann.address)!
    await assert.rejects(world.act(ann, roots.claim({ ...proof, cumulative: 301n * WAY })), { code: 'PROOF_INVALID' })
    await world.act(ann, roots.claim(proof), registry.claimRewards(ann.address))
    // Commission and the rest are both hers: nobody else stands behind her. Rounding may leave a smallest unit behind.
    assert.ok(300n * WAY - (await registry.creditOf(ann.address)) <= 1n)
    assert.equal(await roots.claimed(ann.address), 300n * WAY)
    await world.act(ann, roots.claim(proof))
    assert.equal(await roots.claimed(ann.address), 300n * WAY, 'a second time pays nothing')
  })

  test('an agreement that was not kept refunds itself, and one that was costs nothing', async () => {
    const { agreements } = world.economy
    const cid = await world.person('cid')
    const nowS = await world.economy.nowS()
    const terms = (nonce: bigint) => ({
      consumer: cid.address,
      provider: ann.address,
      payment: 20_000_000n,
      bond: 100_000_000n,
      objective: 9_900,
      metric: `0x${'22'.repeat(32)}` as const,
      start: nowS,
      end: nowS + 1_000,
      nonce,
      deadline: nowS + 500,
    })
    const [kept, broken] = [terms(1n), terms(2n)]
    await world.act(cid, agreements.allow(40_000_000n))
    await world.act(ann, agreements.allow(200_000_000n))
    assert.ok(agreements.signedBy(kept, agreements.sign(kept, cid), cid.address))
    const forged = agreements.open(kept, agreements.sign(kept, eve), agreements.sign(kept, ann))
    await assert.rejects(world.act(eve, forged), { code: 'SIGNATURE_MISSING' })
    for (const one of [kept, broken]) {
      await world.act(eve, agreements.open(one, agreements.sign(one, cid), agreements.sign(one, ann)))
    }
    const [keptId, brokenId] = [agreements.idOf(kept), agreements.idOf(broken)]
    assert.deepEqual(
      (await agreements.agreementsOf(ann.address)).map(({ id, state }) => [id, state]),
      [
        [keptId, 'open'],
        [brokenId, 'open'],
      ],
    )
    await world.act(eve, agreements.summon(keptId), agreements.summon(brokenId))
    const good = await world.answer(agreements.question('samples', keptId, 9_950))
    const bad = await world.answer(agreements.question('samples', brokenId, 9_000))
    const bond = await agreements.disputeBond()
    await assert.rejects(world.act(eve, agreements.report(keptId, 9_950, good, bond)), { code: 'TOO_EARLY' })
    await world.pass(1_000)
    await world.act(eve, agreements.report(keptId, 9_950, good, bond), agreements.report(brokenId, 9_000, bad, bond))
    await world.pass(2 * 3_600)
    await assert.rejects(world.act(cid, agreements.dispute(brokenId, bond)), { code: 'TOO_LATE' })
    await world.act(eve, agreements.settle(keptId), agreements.settle(brokenId))
    assert.deepEqual([(await agreements.agreement(keptId)).state, (await agreements.agreement(brokenId)).state], ['met', 'broken'])
    // 2 (9900 - 9000) / (9900 + 9000) of the bond, rounded down.
    const refund = (100_000_000n * 1_800n) / 18_900n
    assert.equal(await agreements.creditOf(cid.address), refund)
    assert.equal(await agreements.creditOf(ann.address), 240_000_000n - refund)
  })

  test('whoever follows what contracts say hears each thing once, in order, with the time of its block', async () => {
    const { audits, serviceAgreements } = world.economy.contracts
    const feed = followSaid(world.devnet.rpc, { audits, serviceAgreements })
    const facts = async () => {
      const said = await feed.events()
      const times = said.map(({ timeS }) => timeS)
      assert.deepEqual(
        times,
        times.toSorted((a, b) => a - b),
      )
      assert.ok(times.at(-1)! <= (await world.economy.nowS()) && times[0]! > 0)
      return said.map(({ contract, name, args }) => `${contract}.${name} ${typeof args.state === 'number' ? args.state : ''}`.trim())
    }
    const first = await facts()
    const audited = ['audits.Called', 'audits.Called', 'audits.Audited', 'audits.Audited']
    const words = ['Opened', 'Opened', 'Reported', 'Reported', 'Ended 4', 'Ended 5'].map((word) => `serviceAgreements.${word}`)
    assert.deepEqual(first, [...audited, ...words])
    // A second look adds what is new, and what was said before is there once.
    await world.act(eve, world.economy.audits.summon(ann.address))
    assert.deepEqual(await facts(), [...first, 'audits.Called'])
  })
})
