/** The steps of the economy's journey. Each says what happened in one line, and throws when it is not what should have. */
import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import {
  createEarnedReader,
  DOLLAR,
  ETHER,
  fundDevnet,
  makeMarket,
  metricOf,
  type RewardLeaf,
  verdictOf,
  type Wallet,
  walletFromKey,
} from '../../src/chain/index.ts'
import { type DevnetProber, economyOf, enrolProbers, enrolProvider } from '../../src/cli/enrol.ts'
import { formatUsd } from '../../src/cli/format.ts'
import { writeLeaves } from '../../src/cli/leaves.ts'
import { openNode } from '../../src/cli/node.ts'
import { refundExpired } from '../../src/consumer/index.ts'
import { deviationRefund } from '../../src/economy/agreement.ts'
import {
  type Audited,
  auditProviders,
  mintBudgets,
  type ProviderSeen,
  proposeRoots,
  reportRegions,
  settleRoots,
  settleVaults,
} from '../../src/prober/index.ts'
import { fromHex, type Hex, keccak } from '../../src/protocol/bytes.ts'
import { silent } from '../../src/protocol/observe.ts'
import { formatWay, WAY } from '../../src/protocol/way.ts'
import { homePaths } from '../../src/wallet/paths.ts'
import { byway } from '../crash/main.ts'
import { act, fetchThrough, type Member, type World } from './world.ts'

export interface Journey {
  world: World
  probers: DevnetProber[]
  /** Leaves that were published, by their root. */
  leaves: Map<string, RewardLeaf[]>
  audited: Audited[]
  /** Holds enough WAY to decide a vote. */
  voter: Pick<Member, 'wallet' | 'economy'>
}

const HOUR_S = 3_600
/** Longer than the last vouchers of a flow take to be on disk. */
const SETTLE_LIMIT_MS = 30_000
/** Beyond a third of all WAY there is by then, which a vote needs. */
const VOTES = 80_000_000n * WAY

export async function fund(world: World): Promise<Journey> {
  const { rpc, contracts, consumer, providers } = world
  await fundDevnet(rpc, contracts, consumer.wallet.address, { ether: 10n * ETHER, dollars: 1_000n * DOLLAR })
  for (const { wallet } of providers) await fundDevnet(rpc, contracts, wallet.address, { ether: ETHER, dollars: 50n * DOLLAR })
  const wallet = walletFromKey(fromHex(keccak(Buffer.from('a voter')), 32))
  await fundDevnet(rpc, contracts, wallet.address, { ether: ETHER, way: VOTES })
  return { world, probers: [], leaves: new Map(), audited: [], voter: { wallet, economy: economyOf({ rpc, contracts, env: {} }) } }
}

export async function enrol(journey: Journey): Promise<string> {
  const { world } = journey
  const needs = { rpc: world.rpc, contracts: world.contracts, env: {} }
  journey.probers = await enrolProbers(needs, 4)
  for (const { node, country } of world.providers) await enrolProvider(needs, { ready: { home: node.home, country } })
  await world.later(1)
  const active = await Promise.all(world.providers.map(({ wallet }) => world.economy.registry.operator(wallet.address)))
  assert.ok(active.every((operator) => operator.active))
  return `${active.length} providers and ${journey.probers.length} probers have bonds`
}

/** `bytes` over all providers together, in equal parts at the same time. */
export async function carry({ world }: Journey, bytes: number): Promise<string> {
  const part = Math.ceil(bytes / world.providers.length)
  const done = await Promise.all(world.providers.map((provider) => fetchThrough(world, provider, `${world.origin}/${part}`)))
  assert.ok(done.every((answer) => answer.status === 200 && answer.bytes === part))
  const books = await agreed(world)
  const roots = new Set(books.bought.rows.map(({ rootId }) => rootId))
  assert.equal(roots.size, 1, 'one root paid for all of it')
  const regions = new Set(world.providers.map(({ country }) => country))
  return `${part * done.length} bytes over ${done.length} providers in ${regions.size} regions, ${formatUsd(books.bought.totals.spent)} from one root`
}

/** Both sides of every session say the same: the last vouchers take a moment. */
async function agreed(world: World) {
  for (const deadline = performance.now() + SETTLE_LIMIT_MS; ; await delay(100)) {
    const [bought, ...sold] = await Promise.all([world.consumer, ...world.providers].map((member) => world.ledger(member)))
    const earned = sold.reduce((sum, { totals }) => sum + totals.earned, 0n)
    if (earned === bought!.totals.spent) return { bought: bought!, sold }
    if (performance.now() > deadline) throw new Error(`earned ${earned}, spent ${bought!.totals.spent}`)
  }
}

export async function claim({ world }: Journey): Promise<string> {
  let claimed = 0n
  for (const { node } of world.providers) {
    const { status, stdout, stderr } = await byway(['claim', '--json', '--home', node.home])
    assert.equal(status, 0, stdout + stderr)
    const { nodes } = JSON.parse(stdout.trim().split('\n').at(-1)!) as { nodes: { claims: { amount: string; burnt: string }[] }[] }
    for (const { amount, burnt } of nodes.flatMap(({ claims }) => claims)) {
      // A burn share of a tenth, rounded down for each channel.
      assert.ok(BigInt(burnt) * 10n <= BigInt(amount) && BigInt(burnt) * 10n > BigInt(amount) - 10n)
      claimed += BigInt(amount)
    }
  }
  const books = await Promise.all(world.providers.map((provider) => world.ledger(provider)))
  assert.ok(books.every(({ totals }) => totals.claimable === 0n && totals.claimed > 0n))
  return `${formatUsd(claimed)} claimed, a tenth of it to be burnt`
}

/** One epoch: audited while it lasts; turned, reported and proposed when it is over. The market sells what earlier ones left to burn. */
export async function turn(journey: Journey): Promise<string> {
  const { world, probers, leaves } = journey
  const { economy, epochs } = world
  const needs = world.epochNeeds(probers, leaves)
  const seen = await Promise.all(
    world.providers.map(async ({ wallet: { address } }): Promise<ProviderSeen> => {
      const { profile } = await economy.registry.operator(address)
      return { operator: address, region: profile!.region, link: address, claimedMbps: BigInt(profile!.mbps) }
    }),
  )
  const carried = async () =>
    new Map(await Promise.all(world.providers.map(async (one) => [one.wallet.address, await bytesOf(world, one)] as const)))
  const before = await carried()
  const audited = await auditProviders(needs, seen)
  assert.ok(audited.observations.every(({ guaranteedMbps }) => guaranteedMbps > 0n))
  await sell(journey)
  await world.later(await epochs.epochS())
  await sell(journey)
  journey.audited.push(audited)
  await mintBudgets(needs)
  const after = await carried()
  await reportRegions(needs, audited, new Map([...after].map(([who, bytes]) => [who, bytes - before.get(who)!])))
  const settled = await settleRoots(needs)
  const proposed = await proposeRoots(needs, journey.audited)
  const vaults = await settleVaults(needs, audited.observations)
  const mbps = audited.observations.map(({ guaranteedMbps }) => guaranteedMbps).join(', ')
  return `epoch ${audited.epoch}: ${mbps} Mbps proven; settled ${settled.join(', ') || 'no root'}, proposed ${proposed.join(', ') || 'none'}, vaults ${vaults.join(', ') || 'none'}`
}

async function bytesOf(world: World, member: Member): Promise<bigint> {
  const { up, down } = (await world.ledger(member)).totals
  return up + down
}

/** As the market maker does every third of an epoch, until the price was right for all of it or the epoch's time is used up. */
async function sell({ world }: Journey): Promise<void> {
  const payees = world.providers.map(({ wallet }) => wallet.address)
  for (let round = 0; round < 4; round++) {
    await makeMarket(world.rpc, world.contracts, payees)
    await world.later(5)
  }
}

export async function receive(journey: Journey): Promise<string> {
  const { world, probers, leaves } = journey
  // The window of the last root.
  await world.later(await world.epochs.epochS())
  await settleRoots(world.epochNeeds(probers, leaves))
  const [capacity, bootstrap] = await Promise.all([world.economy.capacityRewards.view(), world.economy.bootstrapRewards.view()])
  assert.equal(capacity.epoch, journey.audited.at(-1)!.epoch, 'the newest epoch is covered')
  const published = { capacity: leaves.get(capacity.root!)!, bootstrap: leaves.get(bootstrap.root!)! }
  const file = `${world.folder}/leaves.json`
  await writeLeaves(file, published)
  const parts: string[] = []
  for (const { node, wallet, economy } of world.providers) {
    const before = (await economy.balances(wallet.address)).way
    const minted = (await economy.usage.rewardsOf(wallet.address)).reduce((sum, { due }) => sum + due, 0n)
    const { status, stdout } = await byway(['rewards', '--claim', '--yes', '--json', '--leaves', file, '--home', node.home])
    assert.equal(status, 0, stdout)
    const after = (await economy.balances(wallet.address)).way
    const awarded = [published.capacity, published.bootstrap].map(
      (all) => all.find(({ operator }) => operator === wallet.address)!.cumulative,
    )
    // Rounded against whoever has stake, by less than a unit each.
    const due = minted + awarded[0]! + awarded[1]!
    assert.ok(after - before <= due && after - before > due - 10n, `${after - before} of ${due}`)
    assert.ok((await usageOf(journey, wallet.address)) > 0n && awarded.every((amount) => amount > 0n))
    parts.push(
      `${formatWay(await usageOf(journey, wallet.address))} usage, ${formatWay(awarded[0]!)} capacity, ${formatWay(awarded[1]!)} bootstrap`,
    )
  }
  return parts.join('; ')
}

/** All that was ever minted for a payee's dollars. */
async function usageOf({ world }: Journey, payee: Hex): Promise<bigint> {
  const epochs = await createEarnedReader(world.rpc, world.contracts).usage(payee)
  return epochs.reduce((sum, { minted }) => sum + minted, 0n)
}

/** An agreement whose level is measured by requests through the provider: five, and the part that is answered. */
export async function agree(journey: Journey, provider: Member, outcome: 'met' | 'broken'): Promise<string> {
  const { world, probers } = journey
  const { consumer } = world
  const { agreements } = consumer.economy
  const [payment, bond, objective] = [10n * DOLLAR, 20n * DOLLAR, 9_900]
  const nowS = await world.economy.nowS()
  const terms = {
    consumer: consumer.wallet.address,
    provider: provider.wallet.address,
    payment,
    bond,
    objective,
    metric: metricOf('requests answered of five'),
    start: nowS,
    end: nowS + HOUR_S,
    nonce: BigInt(journey.audited.length),
    deadline: nowS + HOUR_S,
  }
  await act(consumer, agreements.allow(payment))
  await act(provider, agreements.allow(bond))
  await act(consumer, agreements.open(terms, agreements.sign(terms, consumer.wallet), agreements.sign(terms, provider.wallet)))
  const id = agreements.idOf(terms)

  if (outcome === 'broken') await provider.node.stop()
  await act({ economy: world.economy, wallet: probers[0]!.wallet }, agreements.summon(id))
  // The committee is drawn by a block that nobody knew when it was called.
  for (let block = 0; block < 3; block++) await world.later(1)
  const topic = world.economy.committee.topicOf(agreements.question('samples', id, 0))
  await act({ economy: world.economy, wallet: probers[0]!.wallet }, world.economy.committee.draw(topic))
  const members = await world.economy.committee.membersOf(topic)
  let answered = 0
  for (let sample = 0; sample < 5; sample++) {
    const { status } = await fetchThrough(world, provider, 'http://whoami.byway.internal/').catch(() => ({ status: 0 }))
    if (status === 200) answered++
  }
  const indicator = (answered * 10_000) / 5

  await world.later(HOUR_S)
  const { statement } = agreements.question('samples', id, indicator)
  const signed = new Map(probers.map(({ operator, key }) => [operator, world.economy.registry.signStatement(statement, key)]))
  await act(consumer, agreements.report(id, indicator, verdictOf(members, signed), await agreements.disputeBond()))
  // Nobody disputes for two hours.
  await world.later(2 * HOUR_S + 1)
  await act(consumer, agreements.settle(id))
  assert.equal((await agreements.agreement(id)).state, outcome)
  const refund = deviationRefund(bond, BigInt(objective), BigInt(indicator), 2_500n)
  assert.equal(refund > 0n, outcome === 'broken')
  assert.equal(await agreements.creditOf(provider.wallet.address), payment + bond - refund)
  await act(consumer, agreements.collect(consumer.wallet.address))
  await act(provider, agreements.collect(provider.wallet.address))
  return `${answered} of 5 answered of ${objective / 100} % promised: ${outcome}, ${formatUsd(refund)} of the bond back to the consumer`
}

export async function slash({ voter }: Journey, provider: Member): Promise<string> {
  const { registry } = provider.economy
  const key = walletFromKey(fromHex(keccak(Buffer.from('a key that says two things')), 32))
  await act(provider, registry.addKey(key, provider.wallet.address))
  const place = { kind: keccak(Buffer.from('receipt')), stream: keccak(Buffer.from('a session')), counter: 1n }
  const say = (content: string) => registry.signStatement({ ...place, content: keccak(Buffer.from(content)) }, key)
  // Said twice is not said differently.
  await assert.rejects(act(voter, registry.reportEquivocation(say('one thing'), say('one thing'))))
  const { bonded } = await registry.operator(provider.wallet.address)
  await act(voter, registry.reportEquivocation(say('one thing'), say('another')))
  const after = await registry.operator(provider.wallet.address)
  assert.deepEqual([after.struckOff, after.bonded, after.active], [true, 0n, false])
  const reward = await registry.creditOf(voter.wallet.address)
  assert.equal(reward, bonded / 2n)
  await act(voter, registry.collect(voter.wallet.address))
  return `${formatWay(bonded)} of stake gone: ${formatWay(reward)} to whoever showed it, the rest burnt; struck off for ever`
}

export async function vote({ world, voter }: Journey): Promise<string> {
  const { governance } = voter.economy
  const { delayS, periodS, timelockS } = await governance.rules()
  await act(voter, governance.delegate(voter.wallet.address))
  await world.later(1)
  const share = async () => (await governance.parameters()).find(({ name }) => name === 'burnShare')!
  const before = await share()
  await act(voter, governance.propose(before, 2_000n, 'burn a fifth of each claim'))
  const proposal = async () => (await governance.proposals()).at(-1)!
  await world.later(delayS + 1)
  await act(voter, governance.vote((await proposal()).id, 'for'))
  await world.later(periodS + 1)
  await act(voter, governance.queue(await proposal()))
  // Whoever disagrees has this time to leave.
  await assert.rejects(act(voter, governance.execute(await proposal())))
  await world.later(timelockS + 1)
  await act(voter, governance.execute(await proposal()))
  const after = await share()
  assert.deepEqual([before.value, after.value], [1_000n, 2_000n])
  return `burn share ${before.value} to ${after.value} by ${formatWay((await proposal()).votes.for)} for, through ${timelockS} s of timelock`
}

/** Stake, rewards, dollars, deposit: whoever wants out is out. */
export async function leave({ world, probers }: Journey): Promise<string> {
  const { economy, providers, consumer } = world
  const people = [...providers, ...probers.map(({ wallet }): Pick<Member, 'wallet' | 'economy'> => ({ wallet, economy }))]
  for (const person of people) {
    const { shares } = await economy.registry.holding(person.wallet.address, person.wallet.address)
    if (shares > 0n) await act(person, economy.registry.unbond(person.wallet.address, shares))
  }
  await world.later((await economy.registry.unbondingS()) + 1)
  let back = 0n
  for (const person of people) {
    const { registry } = economy
    const { address } = person.wallet
    const before = (await economy.balances(address)).way
    const thaws = await registry.thawsOf(address)
    await act(person, ...thaws.map(({ id }) => registry.release(id)), registry.claimRewards(address), registry.collect(address))
    back += (await economy.balances(address)).way - before
  }
  const proposer = { wallet: probers[0]!.wallet, economy }
  await act(proposer, economy.capacityRewards.collect(), economy.bootstrapRewards.collect())
  const staked = await Promise.all((await economy.registry.operators()).map((operator) => economy.registry.operator(operator)))
  assert.ok(staked.every(({ bonded, thawing }) => bonded === 0n && thawing === 0n))

  await claimLast(world)
  const refund = await closeRoots(world, consumer)
  const held = await consumer.economy.balances(consumer.wallet.address)
  return `${formatWay(back)} of stake and rewards and ${formatUsd(refund)} of deposit are back; the consumer holds ${formatUsd(held.dollars)}`
}

/** What the samples of the agreements earned. */
async function claimLast({ providers }: World): Promise<void> {
  for (const { node } of providers) {
    const { stdout } = await byway(['claim', '--json', '--home', node.home])
    const { code } = JSON.parse(stdout.trim().split('\n').at(-1)!) as { code?: string }
    assert.ok(code === undefined || code === 'CLAIM_NOTHING', stdout)
  }
}

/** By the consumer's own program, when the time of its root has come. */
async function closeRoots(world: World, { node }: Member): Promise<bigint> {
  await node.stop()
  const { rpc, contracts } = world
  const settings = {
    rpc: [`http://${rpc.hosts[0]!}`],
    chainId: rpc.chainId,
    channels: contracts.channels,
    token: contracts.dollar,
    contracts: undefined,
  }
  const opened = await openNode({ role: 'consumer', paths: homePaths(node.home), settings: { ...settings, logLevel: 'error' }, env: {} })
  try {
    const { client, vault, wallet } = opened
    const expiry = Math.max(...[...vault.book.roots.values()].map(({ descriptor }) => descriptor.expiry))
    await world.later(Math.max(1, expiry - (await client.blockTime()) + (await client.graceS()) + 1))
    const nowMs = (await client.blockTime()) * 1000
    return await refundExpired({
      vault,
      clock: { nowMs: () => nowMs } as Parameters<typeof refundExpired>[0]['clock'],
      observer: silent,
      chain: {
        graceS: () => client.graceS(),
        blockTime: () => client.blockTime(),
        channelsPaid: client.channelsPaid,
        close: (descriptor, channels) => client.close(descriptor, channels, wallet as Wallet),
      },
    })
  } finally {
    await opened.close()
  }
}

/** Everything again, from vouchers, events and the chain alone. */
export async function verify({ world }: Journey): Promise<string> {
  const { status, stdout } = await byway(['verify', '--json', '--leaves', `${world.folder}/leaves.json`, '--home', world.folder])
  assert.equal(status, 0, stdout)
  const { nodes } = JSON.parse(stdout.trim().split('\n').at(-1)!) as { nodes: { equal: boolean; checked: { rewards?: number } }[] }
  assert.ok(nodes.every(({ equal }) => equal))
  return `${nodes.length} nodes recomputed from vouchers and chain, all equal`
}
