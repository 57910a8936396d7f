/**
 * Epochs on a devnet without any node: audits, budgets, regions, roots and vaults by committees that are drawn on chain, and leaves that are claimed.
 * What is measured is given here; `npm run test:economy` measures.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { z } from 'zod'
import {
  type Anvil,
  type Contracts,
  createEarnedReader,
  createEpochsClient,
  deployDevnet,
  ETHER,
  fundDevnet,
  type RewardLeaf,
  startAnvil,
  wakeDevnet,
} from '../../src/chain/index.ts'
import { walletOf } from '../../src/chain/testing.ts'
import { claimsDue, earningsOf, verifyEarnings } from '../../src/cli/earnings.ts'
import { economyOf, enrolProbers } from '../../src/cli/enrol.ts'
import {
  type Audited,
  auditProviders,
  conclude,
  concludeEpoch,
  type EpochNeeds,
  type Looks,
  mintBudgets,
  type ProviderSeen,
  proposeRoots,
  reportRegions,
  reportStatement,
  settleRoots,
  settleVaults,
} from '../../src/prober/index.ts'
import { WAY } from '../../src/protocol/way.ts'

let anvil: Anvil
let contracts: Contracts
before(async () => {
  anvil = await startAnvil()
  contracts = await deployDevnet(anvil.rpc)
})
after(() => anvil.stop())

const SHARE = 833_334n

test('epochs turn, and what their roots award is claimed to the unit', async () => {
  const { rpc } = anvil
  const needsOf = { rpc, contracts, env: {} }
  const economy = economyOf(needsOf)
  const epochs = createEpochsClient(rpc, contracts)
  // A block is a second, however long this machine takes for it.
  await rpc.request(z.unknown(), 'anvil_setBlockTimestampInterval', [1])
  const later = async (seconds: number) => {
    await rpc.request(z.unknown(), 'evm_setNextBlockTimestamp', [(await economy.nowS()) + seconds])
    await wakeDevnet(rpc)
  }
  const probers = await enrolProbers(needsOf, 4)
  const wallets = ['one', 'two', 'three'].map(walletOf)
  const regions = ['de', 'de', 'us']
  for (const [i, wallet] of wallets.entries()) {
    await fundDevnet(rpc, contracts, wallet.address, { ether: ETHER, way: 2_000n * WAY })
    const nothing = `0x${'00'.repeat(32)}` as const
    const profile = { nodeKey: nothing, offerHash: nothing, payout: wallet.address, commissionBps: 0, role: 'provider' } as const
    const actions = [
      economy.registry.setProfile({ ...profile, region: regions[i]!, mbps: 10 }),
      economy.registry.stake(wallet.address, 1_100n * WAY),
    ]
    await economy.actions.perform(wallet, await economy.actions.prepare(wallet.address, actions))
  }
  await later(1)
  const leaves = new Map<string, RewardLeaf[]>()
  const final: { capacity?: RewardLeaf[]; bootstrap?: RewardLeaf[] } = {}
  const needs: EpochNeeds = {
    economy,
    epochs,
    probers,
    sender: probers[0]!.wallet,
    async passBlocks(count) {
      for (let block = 0; block < count; block++) await wakeDevnet(rpc)
    },
    // The third is never there.
    measure: async ({ operator }, members) => {
      if (operator === wallets[2]!.address) throw new Error('nobody answers')
      return {
        counts: Array.from({ length: members }, () => SHARE),
        windowMs: 2_000n,
        latenciesMs: Array.from({ length: members }, () => 30n),
      }
    },
    leavesOf: async (_kind, root) => leaves.get(root),
    publish: async (kind, root, published, isFinal) => {
      leaves.set(root, [...published])
      if (isFinal) final[kind] = [...published]
    },
  }
  const seen = wallets.map(({ address }, i): ProviderSeen => {
    return { operator: address, region: regions[i]!, link: address, claimedMbps: 10n }
  })
  const audited: Audited[] = []
  for (let turn = 0; turn < 2; turn++) {
    const now = await auditProviders(needs, seen)
    assert.deepEqual(
      now.observations.map(({ guaranteedMbps }) => guaranteedMbps),
      [10n, 10n, 0n],
    )
    assert.deepEqual(
      now.observations.map(({ latencyMs }) => latencyMs),
      [30n, 30n, undefined],
    )
    // Whoever has the reports comes to the same, and sees that each is what its member signed.
    for (const { operator, guaranteedMbps } of now.observations) {
      const reports = now.evidence.filter((report) => report.operator === operator)
      const found = conclude(
        seen.find((one) => one.operator === operator)!,
        reports,
        reports.map(({ member }) => member),
      )
      assert.equal(found.guaranteedMbps, guaranteedMbps)
      for (const report of reports) assert.deepEqual(report.statement, reportStatement(report))
    }
    assert.equal(now.evidence.length, 2 * probers.length)
    // One of the two was away for a quarter of the epoch, as every member saw.
    const looks = probers.flatMap(({ operator: member }) =>
      wallets
        .slice(0, 2)
        .map(({ address: operator }, i): Looks => ({ member, operator, epoch: now.epoch, asked: 4n, answered: i === 0 ? 4n : 3n })),
    )
    const over = concludeEpoch(needs, now, looks)
    assert.deepEqual(
      over.observations.map(({ uptime }) => uptime),
      [10_000n, 7_500n, 0n],
    )
    assert.equal(over.looks.length, 2 * probers.length)
    audited.push(over)
    await later(60)
    await mintBudgets(needs)
    await reportRegions(needs, now, new Map())
    await settleRoots(needs)
    await proposeRoots(needs, audited)
    await settleVaults(needs, now.observations)
  }
  await later(60)
  await settleRoots(needs)
  const newest = (await economy.capacityRewards.view()).epoch
  assert.ok(audited.some(({ epoch }) => epoch === newest))

  // Both providers of the region that was there share all of each epoch's budget up to the newest root.
  const covered = audited.filter(({ epoch }) => epoch <= newest)
  const budgets = await Promise.all(covered.map(({ epoch }) => epochs.budget('capacity', epoch)))
  const total = budgets.reduce((sum, budget) => sum + budget, 0n)
  const awarded = final.capacity!.reduce((sum, { cumulative }) => sum + cumulative, 0n)
  assert.equal(awarded, total)
  assert.deepEqual(
    final.capacity!.map(({ operator }) => operator).sort(),
    wallets
      .slice(0, 2)
      .map(({ address }) => address)
      .sort(),
  )
  const source = { economy, earned: createEarnedReader(rpc, contracts) }
  for (const wallet of wallets.slice(0, 2)) {
    const held = async () => (await economy.balances(wallet.address)).way
    const before = await held()
    const due = await earningsOf(source, final, wallet.address)
    assert.ok(due.identityHolds && due.rewards.slice(1).every(({ claimable }) => claimable > 0n))
    await economy.actions.perform(wallet, await economy.actions.prepare(wallet.address, await claimsDue(economy, final, wallet.address)))
    const after = await earningsOf(source, final, wallet.address)
    assert.ok(after.rewards.every(({ claimable }) => claimable === 0n))
    const claimed = after.rewards.reduce((sum, row) => sum + row.claimed, 0n)
    assert.ok(claimed - ((await held()) - before) < 10n, 'all of it is in the wallet, but for dust')
    assert.equal(await verifyEarnings(source, wallet.address, after), undefined)
    // Control: a claim that never happened is noticed.
    const wrong = { ...after, rewards: after.rewards.map((row) => ({ ...row, claimed: row.claimed + 1n })) }
    assert.notEqual(await verifyEarnings(source, wallet.address, wrong), undefined)
    assert.deepEqual(await claimsDue(economy, final, wallet.address), [], 'and there is nothing left')
  }
})
