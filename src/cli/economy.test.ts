/** The token economy through the commands, on a real chain: what they do, what they refuse before it costs anything, and what programs read. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { z } from 'zod'
import { jsonText } from '../api/json.ts'
import { startEconomy, type TestEconomy } from '../chain/economy-testing.ts'
import { makeMarket } from '../chain/market-maker.ts'
import { rewardRoot } from '../chain/rewards.ts'
import { makeRoot } from '../chain/testing.ts'
import type { Wallet } from '../chain/wallet.ts'
import type { Hex } from '../protocol/bytes.ts'
import { realDisk } from '../wallet/disk.ts'
import { openKeys } from '../wallet/keys.ts'
import { homePaths } from '../wallet/paths.ts'
import { ECONOMY } from './economy-commands.ts'
import { type Answer, createDesk, type Desk, SHAPES } from './economy-testing.ts'
import { formatTime } from './format.ts'

const CHEAP = { n: 2, r: 8, p: 1 }
const WAY = 10n ** 18n
const DOLLAR = 1_000_000n
const HOUR_S = 3_600
const DAY_S = 86_400

describe('the token economy from the command line', () => {
  let folder: string
  let world: TestEconomy
  let desk: Desk
  let eve: Wallet
  const wallets: Record<string, Hex> = {}

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'byway-economy-'))
    world = await startEconomy(4)
    eve = await world.person('eve')
    desk = createDesk(world.devnet.anvil.url, folder)
    for (const name of ['ann', 'bob']) {
      // Opening keys takes half a second each time by design; not here, where they open a hundred times.
      await openKeys({ disk: realDisk(), paths: homePaths(desk.home(name)), env: {}, cost: CHEAP })
      wallets[name] = read('funds', await desk.byway(name, 'fund', '1000', '--way', '5000')).wallet as Hex
    }
  })
  after(async () => {
    await world.stop()
    await rm(folder, { recursive: true, force: true })
  })

  /** The JSON of an answer, which has exactly the members programs were promised. */
  function read<N extends keyof typeof SHAPES>(shape: N, { code, json, out, err }: Answer): z.output<(typeof SHAPES)[N]> {
    assert.equal(code, 0, `${out}${err}`)
    return SHAPES[shape].parse(json) as z.output<(typeof SHAPES)[N]>
  }
  function refused({ code, json }: Answer, error: string, exit: number): void {
    const { code: found, hint } = SHAPES.error.parse(json)
    assert.deepEqual([found, code], [error, exit])
    assert.notEqual(hint, '', 'a hint that is there says something')
  }
  const signedBy = async (name: string) => BigInt((await world.devnet.tell('eth_getTransactionCount', wallets[name], 'latest')) as string)

  test('every command has an example in its help', async () => {
    for (const name of Object.keys(ECONOMY)) {
      const { out } = await desk.shown('ann', name, '--help')
      assert.match(out, new RegExp(`Example:\n {2}byway ${name}`), name)
    }
  })

  test('a faucet fills a wallet on the local chain, and one wallet fills another', async () => {
    const { dollars, way, etherWei } = read('funds', await desk.byway('ann', 'fund'))
    assert.deepEqual([dollars, way, etherWei], [(1_000n * DOLLAR).toString(), (5_000n * WAY).toString(), WAY.toString()])
    refused(await desk.byway('ann', 'fund', '0'), 'ARGUMENT_INVALID', 2)
    refused(await desk.byway('ann', 'fund', '5', '--from', desk.home('bob')), 'CONFIRMATION_NEEDED', 2)
    read('brought', await desk.byway('ann', 'fund', '5', '--way', '10', '--from', desk.home('bob'), '--yes'))
    assert.equal(read('funds', await desk.byway('ann', 'fund')).dollars, (1_005n * DOLLAR).toString())
    refused(await desk.byway('ann', 'fund', 'deposit', '5', '--yes'), 'DAEMON_UNREACHABLE', 1)
  })

  test('nothing is signed unseen: without yes it is refused, and a dry run only shows', async () => {
    const words = ['stake', '1000', '--region', 'de', '--mbps', '100']
    const before = await signedBy('ann')
    refused(await desk.byway('ann', 'stake', '1000'), 'ARGUMENT_INVALID', 2)
    refused(await desk.byway('ann', ...words), 'CONFIRMATION_NEEDED', 2)
    const { sent, steps, gas } = read('staked', await desk.byway('ann', ...words, '--dry-run'))
    assert.deepEqual([sent, steps.length], [[], 3])
    const { out } = await desk.shown('ann', ...words, '--dry-run')
    assert.match(
      out,
      /This will\n {2}register this node[\s\S]*move 1000 WAY[\s\S]*for \d+ gas, about 0\.\d+ ether[\s\S]*comes back 21 d after/,
    )
    assert.equal(await signedBy('ann'), before)

    const done = read('staked', await desk.byway('ann', ...words, '--yes'))
    assert.equal(await signedBy('ann'), before + 3n)
    // What was shown is what it took, within what storage that was warm in the trial costs.
    const took = done.sent.reduce((sum, step) => sum + BigInt(step.gas), 0n)
    assert.ok(took < (BigInt(gas) * 12n) / 10n && took > (BigInt(gas) * 8n) / 10n, `${took} of ${gas}`)
    assert.equal(read('stake', await desk.byway('ann', 'stake')).operator.active, true)
  })

  test('stake goes in, over and out, each at its time', async () => {
    read('staked', await desk.byway('bob', 'delegate', wallets.ann!, '500', '--yes'))
    refused(await desk.byway('bob', 'delegate', wallets.bob!, '1', '--yes', '--from', wallets.ann!), 'UNKNOWN_ON_CHAIN', 2)
    read('staked', await desk.byway('bob', 'stake', '1000', '--region', 'us', '--mbps', '50', '--yes'))
    read('moved', await desk.byway('bob', 'delegate', wallets.bob!, '200', '--from', wallets.ann!, '--yes'))
    refused(await desk.byway('bob', 'unstake', '400', '--operator', wallets.ann!, '--yes'), 'AMOUNT_TOO_LARGE', 4)
    const { tokens } = read('unstaked', await desk.byway('bob', 'unstake', 'all', '--operator', wallets.ann!, '--yes'))
    assert.equal(tokens, (300n * WAY).toString())
    refused(await desk.byway('bob', 'unstake', '--release', '--yes'), 'TOO_EARLY', 4)
    assert.equal(read('thaws', await desk.byway('bob', 'unstake')).thaws.length, 2)

    await world.pass(21 * DAY_S + 60)
    const released = read('released', await desk.byway('bob', 'unstake', '--release', '--yes'))
    assert.equal(released.released.length, 2)
    refused(await desk.byway('bob', 'unstake', '--release', '--yes'), 'NOTHING_DUE', 4)
    const { operators } = read('operators', await desk.byway('bob', 'delegate'))
    assert.equal(operators.find(({ operator }) => operator === wallets.bob)?.bonded, (1_200n * WAY).toString())
  })

  test('a vault takes dollars, and gives them back after its notice', async () => {
    refused(await desk.byway('bob', 'pool', 'deposit', 'xx', '5'), 'ARGUMENT_INVALID', 2)
    refused(await desk.byway('bob', 'pool', 'deposit', 'de', '100000', '--yes'), 'WALLET_EMPTY', 4)
    read('pooled', await desk.byway('bob', 'pool', 'deposit', 'de', '100', '--yes'))
    refused(await desk.byway('bob', 'pool', 'exit', 'de', '101', '--yes'), 'AMOUNT_TOO_LARGE', 4)
    read('leaving', await desk.byway('bob', 'pool', 'exit', 'de', 'all', '--yes'))
    refused(await desk.byway('bob', 'pool', 'withdraw', '--yes'), 'TOO_EARLY', 4)
    await world.pass(601)
    assert.equal(read('withdrawn', await desk.byway('bob', 'pool', 'withdraw', '--yes')).units, (100n * DOLLAR).toString())
    refused(await desk.byway('bob', 'pool', 'withdraw', '--yes'), 'NOTHING_DUE', 4)
    const { vaults } = read('pool', await desk.byway('bob', 'pool'))
    assert.deepEqual(vaults.map(({ region }) => region).sort(), ['de', 'jp', 'us'])
  })

  test('bandwidth is sold ahead up to what was proved, used, and refunded', async () => {
    const { audits, economy } = { audits: world.economy.audits, economy: world.economy }
    const start = (Math.floor((await economy.nowS()) / HOUR_S) + 2) * HOUR_S
    const when = ['--region', 'de', '--hour', formatTime(start).replace(' UTC', '').replace(' ', 'T')]
    refused(await desk.byway('ann', 'reserve', 'offer', '10', ...when, '--price', '0.10', '--yes'), 'AMOUNT_TOO_LARGE', 4)
    const epoch = await audits.epoch()
    await world.act(eve, audits.summon(wallets.ann!))
    await world.act(eve, audits.report(wallets.ann!, epoch, 100, await world.answer(audits.question(wallets.ann!, epoch, 100))))
    read('offered', await desk.byway('ann', 'reserve', 'offer', '10', ...when, '--price', '0.10', '--yes'))

    refused(await desk.byway('bob', 'reserve', 'buy', '11', ...when, '--yes'), 'AMOUNT_TOO_LARGE', 4)
    const quote = read('quote', await desk.byway('bob', 'reserve', 'quote', '5', ...when, '--probability', '40'))
    assert.deepEqual([quote.upfront, quote.onUse], ['12000', '115000'])
    const bought = read('bought', await desk.byway('bob', 'reserve', 'buy', '5', ...when, '--probability', '40', '--yes'))
    assert.equal(bought.units, '635000')
    refused(await desk.byway('bob', 'reserve', 'redeem', '2', '--yes'), 'TOO_EARLY', 4)
    assert.equal(read('reserve', await desk.byway('bob', 'reserve')).rights[0]?.gb, '5')

    await world.pass(start - (await economy.nowS()) + 1)
    read('redeemed', await desk.byway('bob', 'reserve', 'redeem', '2', '--yes'))
    refused(await desk.byway('bob', 'reserve', 'redeem', '4', '--yes'), 'AMOUNT_TOO_LARGE', 4)
    refused(await desk.byway('bob', 'reserve', 'refund', '--yes'), 'TOO_EARLY', 4)
    await world.pass(HOUR_S + DAY_S)
    assert.equal(read('refunded', await desk.byway('bob', 'reserve', 'refund', '--yes')).units, '345000')
    read('refunded', await desk.byway('ann', 'reserve', 'refund', '--yes'))
    refused(await desk.byway('bob', 'reserve', 'refund', '--yes'), 'NOTHING_DUE', 4)
  })

  test('an agreement is signed by both, opened, and settles itself', async () => {
    const file = join(folder, 'terms.json')
    const offer = ['sla', 'offer', file, '--as', 'consumer', '--with', wallets.ann!, '--payment', '20', '--bond', '50', '--days', '1']
    refused(await desk.byway('bob', ...offer, '--objective', '101', '--metric', 'uptime'), 'ARGUMENT_INVALID', 2)
    read('terms', await desk.byway('bob', ...offer, '--objective', '99', '--metric', 'uptime'))
    read('termsSigned', await desk.byway('bob', 'sla', 'sign', file, '--yes'))
    refused(await desk.byway('bob', 'sla', 'open', file, '--yes'), 'SIGNATURE_MISSING', 4)
    read('termsSigned', await desk.byway('ann', 'sla', 'sign', file, '--yes'))

    const whole = await readFile(file, 'utf8')
    await writeFile(file, whole.replace('"payment":"20000000"', '"payment":"10000000"'))
    refused(await desk.byway('bob', 'sla', 'open', file, '--yes'), 'SIGNATURE_MISSING', 4)
    await writeFile(file, whole.replace('"uptime"', '"downtime"'))
    refused(await desk.byway('bob', 'sla', 'open', file, '--yes'), 'ARGUMENT_INVALID', 2)
    await writeFile(file, whole)
    const { id } = read('termsOpened', await desk.byway('bob', 'sla', 'open', file, '--yes'))

    refused(await desk.byway('bob', 'sla', 'settle', id.slice(0, 10), '--yes'), 'TOO_EARLY', 4)
    refused(await desk.byway('bob', 'sla', 'dispute', id.slice(0, 10), '--yes'), 'STATE_WRONG', 4)
    refused(await desk.byway('bob', 'sla', 'settle', '0xdead', '--yes'), 'UNKNOWN_ON_CHAIN', 2)
    await world.pass(4 * DAY_S + 1)
    const { outcome, toProvider } = read('agreementSettled', await desk.byway('bob', 'sla', 'settle', id.slice(0, 10), '--yes'))
    assert.deepEqual([outcome, toProvider], ['met', '70000000'])
    assert.equal(read('agreements', await desk.byway('ann', 'sla')).agreements[0]?.state, 'met')
    assert.equal(read('agreementCollected', await desk.byway('ann', 'sla', 'collect', '--yes')).units, '70000000')
    refused(await desk.byway('bob', 'sla', 'collect', '--yes'), 'NOTHING_DUE', 4)
  })

  test('a subscription is paid ahead, earned by the second, and ended with what is not used', async () => {
    const plan = (who: string) => [wallets[who]!, '6', '100'] as const
    const dollars = async (name: string) => BigInt(read('funds', await desk.byway(name, 'fund')).dollars)
    refused(await desk.byway('bob', 'subscribe', 'start', ...plan('ann'), '--months', '25', '--yes'), 'ARGUMENT_INVALID', 2)
    refused(await desk.byway('bob', 'subscribe', 'cancel', ...plan('ann'), '--yes'), 'STATE_WRONG', 4)
    refused(await desk.byway('ann', 'subscribe', 'take', ...plan('bob'), '--yes'), 'NOTHING_DUE', 4)
    const [bob, ann] = [await dollars('bob'), await dollars('ann')]
    assert.equal(
      read('subscribed', await desk.byway('bob', 'subscribe', 'start', ...plan('ann'), '--months', '2', '--yes')).units,
      '12000000',
    )
    refused(await desk.byway('bob', 'subscribe', 'start', ...plan('ann'), '--yes'), 'STATE_WRONG', 4)
    // Other terms are another plan.
    assert.equal(read('subscription', await desk.byway('bob', 'subscribe', 'show', wallets.ann!, '6', '101')).runs, false)

    await world.pass(15 * DAY_S)
    const { runs, term } = read('subscription', await desk.byway('bob', 'subscribe', 'show', ...plan('ann')))
    assert.deepEqual([runs, term.paid, BigInt(term.earned) / 10_000n], [true, '12000000', 300n])
    read('subscriptionTaken', await desk.byway('ann', 'subscribe', 'take', ...plan('bob'), '--yes'))
    await world.pass(60)
    read('subscriptionEnded', await desk.byway('bob', 'subscribe', 'cancel', ...plan('ann'), '--yes'))
    assert.equal(read('subscription', await desk.byway('bob', 'subscribe', 'show', ...plan('ann'))).runs, false)
    read('subscriptionTaken', await desk.byway('ann', 'subscribe', 'take', ...plan('bob'), '--yes'))
    const [spent, gained] = [bob - (await dollars('bob')), (await dollars('ann')) - ann]
    assert.equal(spent, gained)
    // A quarter of twelve dollars, and the seconds that the commands took.
    assert.ok(gained >= 3n * DOLLAR && gained < 3n * DOLLAR + DOLLAR / 100n, `${gained}`)
  })

  test('a parameter is changed by vote, within its bounds and by who has votes', async () => {
    const change = ['vote', 'propose', 'burnShare', '1500', '--why', 'burn more']
    assert.equal(read('parameters', await desk.byway('ann', 'vote', 'parameters')).parameters.length, 19)
    refused(await desk.byway('ann', 'vote', 'propose', 'burnShare', '20000', '--why', 'no'), 'VALUE_OUT_OF_BOUNDS', 2)
    refused(await desk.byway('ann', 'vote', 'propose', 'burnshare', '1500', '--why', 'no'), 'ARGUMENT_INVALID', 2)
    refused(await desk.byway('ann', ...change, '--yes'), 'VOTES_TOO_FEW', 4)
    read('funds', await desk.byway('ann', 'fund', '--way', '100000000'))
    read('delegated', await desk.byway('ann', 'vote', 'delegate', '--yes'))
    await world.pass(2)
    const { twoThirds } = read('proposed', await desk.byway('ann', ...change, '--yes'))
    assert.equal(twoThirds, false)
    const proposal = read('votes', await desk.byway('ann', 'vote'))
      .proposals.at(-1)!
      .id.slice(0, 10)

    refused(await desk.byway('ann', 'vote', 'for', proposal, '--yes'), 'TOO_EARLY', 4)
    await world.pass(11)
    refused(await desk.byway('bob', 'vote', 'for', proposal, '--yes'), 'VOTES_TOO_FEW', 4)
    read('voted', await desk.byway('ann', 'vote', 'for', proposal, '--yes'))
    refused(await desk.byway('ann', 'vote', 'against', proposal, '--yes'), 'STATE_WRONG', 4)
    refused(await desk.byway('ann', 'vote', 'queue', proposal, '--yes'), 'STATE_WRONG', 4)
    await world.pass(61)
    read('advanced', await desk.byway('bob', 'vote', 'queue', proposal, '--yes'))
    refused(await desk.byway('bob', 'vote', 'execute', proposal, '--yes'), 'TOO_EARLY', 4)
    await world.pass(31)
    read('advanced', await desk.byway('bob', 'vote', 'execute', proposal, '--yes'))
    const { parameters } = read('parameters', await desk.byway('bob', 'vote', 'parameters'))
    assert.equal(parameters.find(({ name }) => name === 'burnShare')?.value, '1500')
  })

  test('rewards of use and of capacity are shown, proved and claimed', async () => {
    const { devnet } = world
    const { client, rpc, contracts } = devnet
    refused(await desk.byway('ann', 'rewards', '--claim', '--yes'), 'NOTHING_DUE', 4)
    // A consumer pays ann ten dollars, and she claims them: a part is left to burn.
    const root = makeRoot(client, eve.address, [wallets.ann!], (await client.blockTime()) + DAY_S)
    await client.openRoot(root.descriptor, eve)
    const { batches } = await client.planClaims([{ activation: root.activation(0), voucher: root.voucher(0, 10n * DOLLAR) }])
    await client.claim(wallets.ann!, batches[0]!, eve)
    assert.equal(read('rewards', await desk.byway('ann', 'rewards')).usage.waiting, DOLLAR.toString())
    read('rewarded', await desk.byway('ann', 'rewards', '--claim', '--yes'))
    // The epoch ends, and somebody buys its dollars for WAY that burns.
    for (let i = 0; i < 4; i++) {
      await world.pass(60)
      await makeMarket(rpc, contracts, [])
    }

    const { capacityRewards: roots } = world.economy
    const leaves = [
      { operator: wallets.ann!, cumulative: 300n * WAY },
      { operator: wallets.bob!, cumulative: 100n * WAY },
    ]
    await world.act(eve, world.economy.sendWay(roots.address, 1_000n * WAY), roots.summon(0n))
    const verdict = await world.answer(roots.question(0n, 0n, rewardRoot(leaves), 400n * WAY))
    await world.act(eve, roots.propose(0n, rewardRoot(leaves), 400n * WAY, verdict, 1_000n * WAY))
    await world.pass(61)
    await world.act(eve, roots.settle())

    const files = { right: join(folder, 'leaves.json'), wrong: join(folder, 'wrong.json') }
    await writeFile(files.right, jsonText({ capacity: leaves }))
    await writeFile(files.wrong, jsonText({ capacity: leaves.map((leaf) => ({ ...leaf, cumulative: 400n * WAY })) }))
    refused(await desk.byway('ann', 'rewards', '--leaves', files.wrong), 'PROOF_INVALID', 4)
    const due = read('rewards', await desk.byway('ann', 'rewards', '--leaves', files.right))
    const minted = due.usage.epochs.reduce((sum, epoch) => sum + BigInt(epoch.due), 0n)
    assert.ok(minted > 0n)
    assert.deepEqual(
      due.roots.map(({ what, due: units }) => [what, units]),
      [
        ['capacity', (300n * WAY).toString()],
        ['bootstrap', '0'],
      ],
    )
    const before = BigInt(read('funds', await desk.byway('ann', 'fund')).way)
    read('rewarded', await desk.byway('ann', 'rewards', '--claim', '--leaves', files.right, '--yes'))
    // Ann keeps her commission and, with nobody else behind her, the rest; a smallest unit may stay behind.
    const gained = BigInt(read('funds', await desk.byway('ann', 'fund')).way) - before
    assert.ok(minted + 300n * WAY - gained <= 1n, `${gained} of ${minted + 300n * WAY}`)
  })

  test('which wallet is meant must be clear, and what is mistyped is told', async () => {
    const both = createDesk(world.devnet.anvil.url, folder)
    const [ambiguous, missing] = await Promise.all([both.byway('.', 'stake'), both.byway('nobody', 'stake')])
    refused(ambiguous, 'ARGUMENT_INVALID', 2)
    refused(missing, 'STATE_MISSING', 2)
    const { err } = await desk.shown('ann', 'pool', 'depositt', 'de', '5')
    assert.match(err, /did you mean deposit\?/)
  })
})
