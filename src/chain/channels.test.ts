import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Hex } from '../protocol/bytes.ts'
import type { BywayError } from '../protocol/errors.ts'
import { createChannelsClient } from './channels.ts'
import type { ClaimBatch, Holding } from './claims.ts'
import { DOLLAR, ETHER } from './devnet.ts'
import { parseNetwork } from './networks.ts'
import { createRpc, type Rpc, RpcRefusal } from './rpc.ts'
import { DEVNET_GRACE_S } from './terms.ts'
import { type Devnet, makeRoot, startDevnet, type TestRoot, walletOf } from './testing.ts'
import type { Wallet } from './wallet.ts'

const ANYONE: Hex = `0x${'00'.repeat(20)}`
const DAY_S = 86_400
/** Each test takes its own payer and nonce, so that they share one chain without meeting. */
let devnet: Devnet
let now: number
let names = 0
const fresh = (name: string) => `${name} ${names++}`

describe('a client of the Channels contract', () => {
  before(async () => {
    devnet = await startDevnet()
    now = await devnet.client.blockTime()
  })
  after(() => devnet.anvil.stop())

  const payer = (target?: { ether?: bigint; dollars?: bigint }) => devnet.funded(fresh('payer'), target)
  const open = async (wallet: Wallet, payees: readonly Hex[], cap?: bigint): Promise<TestRoot> => {
    const root = makeRoot(devnet.client, wallet.address, payees, now + DAY_S, cap)
    await devnet.client.openRoot(root.descriptor, wallet)
    return root
  }
  const holding = (root: TestRoot, index: number, cumulative: bigint): Holding => ({
    activation: root.activation(index),
    voucher: root.voucher(index, cumulative),
  })
  const batchOf = (...holdings: Holding[]): ClaimBatch => ({
    activations: holdings.map(({ activation }) => activation),
    vouchers: holdings.map(({ voucher }) => voucher),
    owed: 0n,
  })
  const dollarsOf = async (address: Hex) => (await devnet.client.balances(address)).dollars

  test('opens a root in one transaction from a wallet that approved nothing', async () => {
    const { client, tell } = devnet
    const wallet = await payer()
    const root = makeRoot(client, wallet.address, [walletOf('a').address, walletOf('b').address, walletOf('c').address], now + DAY_S)
    assert.deepEqual(await client.rootState(root.rootId), { state: 'none', remaining: 0n })
    const told: Hex[] = []
    const opened = await client.openRoot(root.descriptor, wallet, { beforeSend: (tx) => void told.push(tx) })
    assert.deepEqual(told, [opened.tx])
    assert.equal(opened.rootId, root.rootId)
    assert.deepEqual(await client.rootState(root.rootId), { state: 'open', remaining: 30n * DOLLAR })
    const { etherWei, dollars } = await client.balances(wallet.address)
    assert.equal(dollars, 970n * DOLLAR)
    assert.equal(etherWei, ETHER - opened.costWei)
    assert.equal(await tell('eth_getTransactionCount', wallet.address, 'latest'), '0x1')
  })

  test('a wallet that approved before needs no permit; a token without permits needs the approval', async () => {
    const { client, rpc, tell } = devnet
    const { dollar, channels } = client.network
    const noPermits: Rpc = {
      ...rpc,
      request: async (schema, method, params, signal) => {
        const asksDomain = JSON.stringify(params).includes('"0x84b0196e"')
        if (method === 'eth_call' && asksDomain) throw new RpcRefusal(3, 'execution reverted', '0x')
        return rpc.request(schema, method, params, signal)
      },
    }
    const plain = createChannelsClient({ rpc: noPermits, network: client.network })
    const wallet = await payer()
    const root = makeRoot(client, wallet.address, [walletOf('a').address], now + DAY_S)
    await assert.rejects(plain.openRoot(root.descriptor, wallet), { code: 'TRANSACTION_FAILED', message: /no permit/ })
    await tell('anvil_impersonateAccount', wallet.address)
    const approve = `0x095ea7b3${channels.slice(2).padStart(64, '0')}${'f'.repeat(64)}`
    await tell('eth_sendTransaction', { from: wallet.address, to: dollar, data: approve })
    const opened = await plain.openRoot(root.descriptor, wallet)
    assert.ok(opened.tx)
    assert.equal((await plain.rootState(root.rootId)).state, 'open')
  })

  test('opening again finds it open, and by which transaction', async () => {
    const { client } = devnet
    const wallet = await payer()
    const root = makeRoot(client, wallet.address, [walletOf('a').address], now + DAY_S)
    const first = await client.openRoot(root.descriptor, wallet)
    const again = await client.openRoot(root.descriptor, wallet, { beforeSend: () => assert.fail('nothing is sent') })
    assert.deepEqual(again, { rootId: root.rootId, tx: first.tx, costWei: 0n })
    assert.equal(await dollarsOf(wallet.address), 990n * DOLLAR)
  })

  test('finds the roots a payer opened, each with its descriptor, and nobody else’s', async () => {
    const { client } = devnet
    const [wallet, other] = [await payer(), await payer()]
    const first = await open(wallet, [walletOf('a').address])
    await open(other, [walletOf('a').address])
    const second = await open(wallet, [walletOf('a').address, walletOf('b').address])
    assert.deepEqual(await client.rootsOf(wallet.address), [first.descriptor, second.descriptor])
    assert.deepEqual(await client.rootsOf(ANYONE), [])
  })

  test('opening twice at once deposits once', async () => {
    const { client, rpc } = devnet
    const wallet = await payer()
    const root = makeRoot(client, wallet.address, [walletOf('a').address], now + DAY_S)
    const other = createChannelsClient({ rpc, network: client.network, patienceMs: 2_000 })
    const both = await Promise.all([client, client, other].map((one) => one.openRoot(root.descriptor, wallet)))
    assert.equal(new Set(both.map(({ tx }) => tx)).size, 1)
    assert.equal(await dollarsOf(wallet.address), 990n * DOLLAR)
  })

  test('two roots from one wallet at once: one after the other', async () => {
    const { client } = devnet
    const wallet = await payer()
    const roots = [0n, 1n, 2n, 3n].map((nonce) => makeRoot(client, wallet.address, [walletOf('a').address], now + DAY_S, DOLLAR, nonce))
    await Promise.all(roots.map(({ descriptor }) => client.openRoot(descriptor, wallet)))
    const states = await client.rootStates(roots.map(({ rootId }) => rootId))
    assert.deepEqual(
      states,
      Array.from({ length: 4 }, () => ({ state: 'open', remaining: DOLLAR })),
    )
  })

  test('says what a wallet lacks, dollars or ether, and opens once it has them', async () => {
    const { client, funded } = devnet
    const seed = fresh('poor')
    const wallet = await funded(seed, { ether: ETHER })
    const root = makeRoot(client, wallet.address, [walletOf('a').address], now + DAY_S)
    await assert.rejects(client.openRoot(root.descriptor, wallet), (error: BywayError) => {
      assert.equal(error.code, 'WALLET_EMPTY')
      assert.deepEqual(error.facts, { sender: wallet.address, balance: 0n, needed: 10n * DOLLAR, error: 'ERC20InsufficientBalance' })
      assert.match(error.hint ?? '', /dollars/)
      return true
    })
    const bare = await funded(fresh('bare'), { dollars: 10n * DOLLAR })
    const theirs = makeRoot(client, bare.address, [walletOf('a').address], now + DAY_S)
    await assert.rejects(client.openRoot(theirs.descriptor, bare), (error: BywayError) => {
      assert.equal(error.code, 'WALLET_EMPTY')
      assert.equal(error.facts.hasWei, 0n)
      assert.match(error.hint ?? '', /ether/)
      return true
    })
    await funded(seed, { dollars: 10n * DOLLAR })
    await client.openRoot(root.descriptor, wallet)
  })

  test('refuses to open for somebody else, in the past, or too far ahead', async () => {
    const { client } = devnet
    const wallet = await payer()
    const rootTo = (expiry: number) => makeRoot(client, wallet.address, [walletOf('a').address], expiry).descriptor
    await assert.rejects(client.openRoot(rootTo(now + DAY_S), walletOf('stranger')), { code: 'ARGUMENT_INVALID' })
    await assert.rejects(client.openRoot(rootTo(now - 1), wallet), { code: 'ROOT_EXPIRED', message: /ExpiryOutOfBounds/ })
    await assert.rejects(client.openRoot(rootTo(now + 400 * DAY_S), wallet), { code: 'ROOT_EXPIRED' })
    await client.openRoot(rootTo(now + DAY_S), wallet)
  })

  test('claims what is owed: proof with the first voucher, packed vouchers after', async () => {
    const { client } = devnet
    const payee = await payer()
    const [one, two] = [await payer(), await payer()]
    const roots = [await open(one, [walletOf('a').address, payee.address]), await open(two, [payee.address])]
    const holdings = [holding(roots[0]!, 1, 3n * DOLLAR), holding(roots[1]!, 0, 4n * DOLLAR)]

    const plan = await client.planClaims(holdings)
    assert.deepEqual(plan.skipped, [])
    assert.equal(plan.batches.length, 1)
    assert.equal(plan.batches[0]!.activations.length, 2)
    assert.equal(plan.batches[0]!.owed, 7n * DOLLAR)
    const told: Hex[] = []
    const claimed = await client.claim(payee.address, plan.batches[0]!, payee, { beforeSend: (tx) => void told.push(tx) })
    assert.deepEqual([claimed.amount, claimed.fee, claimed.burnt], [7n * DOLLAR, 0n, (7n * DOLLAR) / 10n])
    assert.equal(await dollarsOf(payee.address), 1_007n * DOLLAR - claimed.burnt)
    assert.equal(await client.burntOf(payee.address), claimed.burnt)
    assert.deepEqual(await client.claimedBy(told[0]!), { fate: 'mined', ...claimed })
    const ids = roots.map((root, i) => ({ rootId: root.rootId, index: 1 - i, payee: payee.address, signer: root.descriptor.signer }))
    assert.deepEqual(await client.channelsPaid(ids), [
      { cap: 10n * DOLLAR, paid: 3n * DOLLAR, active: true },
      { cap: 10n * DOLLAR, paid: 4n * DOLLAR, active: true },
    ])

    const later = await client.planClaims([
      holding(roots[0]!, 1, 5n * DOLLAR),
      holding(roots[0]!, 1, 4n * DOLLAR),
      holding(roots[1]!, 0, 4n * DOLLAR),
    ])
    assert.deepEqual(
      later.skipped.map(({ reason }) => reason),
      ['nothing-owed'],
    )
    assert.deepEqual(later.batches[0]!.activations, [])
    assert.equal((await client.claim(payee.address, later.batches[0]!, payee)).amount, 2n * DOLLAR)
    assert.deepEqual((await client.planClaims(holdings)).batches, [])
  })

  test('claiming a batch twice pays once', async () => {
    const { client } = devnet
    const payee = await payer()
    const root = await open(await payer(), [payee.address])
    const [batch] = (await client.planClaims([holding(root, 0, DOLLAR)])).batches
    const both = await Promise.all([client.claim(payee.address, batch!, payee), client.claim(payee.address, batch!, payee)])
    assert.deepEqual(
      both.map(({ amount }) => amount),
      [DOLLAR, 0n],
    )
    assert.equal(await dollarsOf(payee.address), 1_001n * DOLLAR - DOLLAR / 10n)
  })

  test('a payee without gas is paid by whoever submits, who keeps the fee', async () => {
    const { client } = devnet
    const payee = walletOf(fresh('payee without gas'))
    const submitter = await payer({ ether: ETHER })
    const root = await open(await payer(), [payee.address])
    const [batch] = (await client.planClaims([holding(root, 0, 5n * DOLLAR)])).batches
    await assert.rejects(client.claim(payee.address, batch!, payee), { code: 'WALLET_EMPTY' })

    const terms = { fee: DOLLAR, submitter: submitter.address, deadline: now + DAY_S }
    const order = client.signFeeOrder(batch!, terms, payee)
    const others = await payer({ ether: ETHER })
    const refused = async (code: string, name: string, work: Promise<unknown>) => {
      await assert.rejects(work, (error: BywayError) => error.code === code && error.facts.error === name)
    }
    await refused('TRANSACTION_FAILED', 'NotSubmitter', client.claimFor(order, batch!, others))
    await refused('TRANSACTION_FAILED', 'OrderSignatureInvalid', client.claimFor({ ...order, fee: 2n * DOLLAR }, batch!, submitter))
    await refused(
      'TOO_LATE',
      'OrderExpired',
      client.claimFor(client.signFeeOrder(batch!, { ...terms, deadline: now - 1 }, payee), batch!, submitter),
    )
    await refused(
      'CLAIM_FEE_TOO_HIGH',
      'FeeAboveAmount',
      client.claimFor(client.signFeeOrder(batch!, { ...terms, fee: 6n * DOLLAR }, payee), batch!, submitter),
    )

    const claimed = await client.claimFor(order, batch!, submitter)
    assert.deepEqual([claimed.amount, claimed.fee, claimed.burnt], [5n * DOLLAR, DOLLAR, DOLLAR / 2n])
    assert.deepEqual([await dollarsOf(payee.address), await dollarsOf(submitter.address)], [4n * DOLLAR - DOLLAR / 2n, DOLLAR])
    const open2 = client.signFeeOrder(batch!, { ...terms, fee: 0n, submitter: ANYONE }, payee)
    assert.equal((await client.claimFor(open2, batch!, others)).amount, 0n, 'nothing is owed twice')
  })

  test('names what is wrong with a claim by the code of our table', async () => {
    const { client } = devnet
    const payee = await payer()
    const root = await open(await payer(), [payee.address, walletOf('b').address])
    const good = holding(root, 0, DOLLAR)
    const unopened = holding(makeRoot(client, payee.address, [payee.address], now + DAY_S, DOLLAR, 99n), 0, DOLLAR)
    const refused = async (code: string, name: string, batch: ClaimBatch) => {
      await assert.rejects(client.claim(payee.address, batch, payee), (error: BywayError) => {
        assert.deepEqual([error.code, error.facts.error], [code, name])
        return true
      })
    }
    const change = (part: Partial<typeof good.activation>) => batchOf({ ...good, activation: { ...good.activation, ...part } })
    const alien = { ...good.voucher, cumulative: 2n * DOLLAR }
    await refused('ROOT_NOT_OPEN', 'RootNotOpen', batchOf(unopened))
    await refused('PROOF_INVALID', 'ProofInvalid', change({ cap: 11n * DOLLAR }))
    await refused('PROOF_INVALID', 'IndexOutOfTree', change({ index: 2 }))
    await refused('PROOF_INVALID', 'ProofLengthWrong', change({ siblings: [] }))
    await refused('VOUCHER_SIGNER', 'ChannelUnknown', batchOf({ ...good, voucher: alien }))
    await refused(
      'VOUCHER_SIGNER',
      'SignatureInvalid',
      batchOf({ ...good, voucher: { ...good.voucher, signature: `0x${'ff'.repeat(64)}` } }),
    )
    await refused('CAP_EXCEEDED', 'CumulativeAboveCap', batchOf(holding(root, 0, 10n * DOLLAR + 1n)))
    await assert.rejects(client.claim(payee.address, batchOf(), payee), { code: 'CLAIM_NOTHING' })
    await assert.rejects(client.planClaims([{ activation: good.activation, voucher: unopened.voucher }]), { code: 'PROOF_NOT_OURS' })

    const plan = await client.planClaims([good, unopened, holding(root, 1, 11n * DOLLAR)])
    assert.deepEqual(
      plan.skipped.map(({ reason }) => reason),
      ['root-not-open', 'above-cap'],
    )
    assert.equal((await client.claim(payee.address, plan.batches[0]!, payee)).amount, DOLLAR, 'the control: what is right is paid')
  })

  test('a batch of a hundred payers is one transaction, the rest goes into a second', async () => {
    const { client } = devnet
    const payee = await payer()
    const wallet = await payer()
    // One tree with 130 leaves of one payee serves as well as 130 payers: each leaf is a channel.
    const root = await open(
      wallet,
      Array.from({ length: 130 }, () => payee.address),
      DOLLAR,
    )
    const holdings = root.leaves.map((_, i) => holding(root, i, 1_000n + BigInt(i)))
    const first = await client.planClaims(holdings)
    for (const batch of first.batches) await client.claim(payee.address, batch, payee)
    const second = await client.planClaims(root.leaves.map((_, i) => holding(root, i, 2_000n + BigInt(i))))
    assert.deepEqual(
      second.batches.map(({ vouchers }) => vouchers.length),
      [100, 30],
    )
    let amount = 0n
    for (const batch of second.batches) amount += (await client.claim(payee.address, batch, payee)).amount
    assert.equal(amount, 130_000n)
    const ids = root.leaves.map((_, index) => ({ rootId: root.rootId, index, payee: payee.address, signer: root.descriptor.signer }))
    const paid = await client.channelsPaid(ids)
    assert.deepEqual(
      paid.map((channel) => channel.paid),
      root.leaves.map((_, i) => 2_000n + BigInt(i)),
    )
  })

  test('transfers dollars', async () => {
    const { client } = devnet
    const wallet = await payer()
    const to = walletOf(fresh('to')).address
    await client.transfer(to, 3n * DOLLAR, wallet)
    assert.deepEqual([await dollarsOf(wallet.address), await dollarsOf(to)], [997n * DOLLAR, 3n * DOLLAR])
    await assert.rejects(client.transfer(to, 998n * DOLLAR, wallet), { code: 'WALLET_EMPTY' })
  })

  test('a transaction that is not known has no fate yet', async () => {
    assert.deepEqual(await devnet.client.claimedBy(`0x${'ab'.repeat(32)}`), { fate: 'unknown' })
  })

  test('closes from expiry and grace on, once, and never opens again', async (t) => {
    const own = await startDevnet()
    t.after(() => own.anvil.stop())
    const { client, tell } = own
    assert.equal(await client.graceS(), DEVNET_GRACE_S)
    const wallet = await own.funded('payer')
    const payee = await own.funded('payee')
    const start = await client.blockTime()
    const root = makeRoot(client, wallet.address, [payee.address, walletOf('b').address], start + 600)
    await client.openRoot(root.descriptor, wallet)
    await client.claim(payee.address, batchOf(holding(root, 0, 4n * DOLLAR)), payee)
    const refs = [{ index: 0, payee: payee.address }]

    await assert.rejects(client.close(root.descriptor, refs, wallet), (error: BywayError) => {
      assert.deepEqual(
        [error.code, error.facts.error, error.facts.closableAt],
        ['TRANSACTION_FAILED', 'CloseTooEarly', BigInt(start + 600 + DEVNET_GRACE_S)],
      )
      return true
    })
    await tell('evm_increaseTime', 600 + DEVNET_GRACE_S + 1)
    await tell('evm_mine')
    // Claims stay valid until the close.
    assert.equal((await client.claim(payee.address, batchOf(holding(root, 0, 5n * DOLLAR)), payee)).amount, DOLLAR)
    assert.equal((await client.close(root.descriptor, refs, wallet)).refund, 15n * DOLLAR)
    assert.deepEqual(await client.rootState(root.rootId), { state: 'closed', remaining: 0n })
    assert.equal((await client.close(root.descriptor, refs, wallet)).refund, 0n)
    await assert.rejects(client.openRoot(root.descriptor, wallet), { code: 'ROOT_NOT_OPEN' })
    const plan = await client.planClaims([holding(root, 0, 6n * DOLLAR)])
    assert.deepEqual(
      plan.skipped.map(({ reason }) => reason),
      ['root-not-open'],
    )
  })

  test('names a missing contract, a wrong token, another chain', async () => {
    const { client, rpc, anvil } = devnet
    const { channels, dollar } = client.network
    const make = (part: object) => createChannelsClient({ rpc, network: parseNetwork({ ...client.network, ...part }) })
    const nowhere: Hex = `0x${'12'.repeat(20)}`
    await assert.rejects(make({ channels: nowhere }).check(), {
      code: 'CONTRACT_MISSING',
      facts: { contract: 'Channels', address: nowhere, host: new URL(anvil.url).host },
    })
    await assert.rejects(make({ dollar: nowhere }).check(), { code: 'CONTRACT_MISSING' })
    await assert.rejects(make({ channels: dollar }).check(), { code: 'CONTRACT_MISSING', message: /do not answer/ })
    await assert.rejects(make({ dollar: channels }).check(), { code: 'CONTRACT_MISMATCH' })
    assert.throws(() => make({ chainId: 5 }), { code: 'RPC_WRONG_CHAIN' })
    const other = createRpc({ urls: [anvil.url], chainId: 5 })
    await assert.rejects(createChannelsClient({ rpc: other, network: parseNetwork({ ...client.network, chainId: 5 }) }).check(), {
      code: 'RPC_WRONG_CHAIN',
    })
    await make({}).check()
  })
})
