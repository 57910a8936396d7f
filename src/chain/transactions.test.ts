import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { z } from 'zod'
import type { Hex } from '../protocol/bytes.ts'
import type { BywayError } from '../protocol/errors.ts'
import { createChannelsClient } from './channels.ts'
import { DOLLAR, ETHER } from './devnet.ts'
import { type Rpc, RpcRefusal } from './rpc.ts'
import { quantitySchema } from './schemas.ts'
import { type Devnet, makeRoot, startDevnet, walletOf } from './testing.ts'
import { createTransactions } from './transactions.ts'

const TO = walletOf('to').address

async function devnetOf(t: TestContext, patienceMs?: number): Promise<Devnet> {
  const devnet = await startDevnet(patienceMs)
  t.after(() => devnet.anvil.stop())
  return devnet
}

/** A devnet that mines only when told. */
async function stalled(t: TestContext, patienceMs?: number): Promise<Devnet> {
  const devnet = await devnetOf(t, patienceMs)
  await devnet.funded('payer')
  await devnet.funded('other')
  await devnet.tell('evm_setAutomine', false)
  return devnet
}

const received = async ({ client }: Devnet) => (await client.balances(TO)).dollars
const pool = z.object({ pending: z.record(z.string(), z.record(z.string(), z.object({ hash: z.string(), maxFeePerGas: quantitySchema }))) })
const pending = async ({ rpc }: Devnet) =>
  Object.values((await rpc.request(pool, 'txpool_content', [])).pending).flatMap((byNonce) => Object.values(byNonce))

/** `rpc` with some answers replaced: a function that returns undefined lets the question through. */
function lying(rpc: Rpc, lie: (method: string) => unknown): Rpc {
  return {
    ...rpc,
    request: async (schema, method, params, signal) => {
      const answer = lie(method)
      if (answer === undefined) return rpc.request(schema, method, params, signal)
      if (answer instanceof Error) throw answer
      return schema.parse(answer)
    },
  }
}

test('what is not mined in time is sent again with more fee, and only one copy counts', async (t) => {
  const devnet = await stalled(t, 300)
  const told: Hex[] = []
  const fees: bigint[] = []
  const third = Promise.withResolvers<void>()
  const transfer = devnet.client.transfer(TO, DOLLAR, walletOf('payer'), {
    async beforeSend(tx) {
      const [waiting] = await pending(devnet)
      if (waiting) fees.push(waiting.maxFeePerGas)
      told.push(tx)
      if (told.length === 3) third.resolve()
    },
  })
  await third.promise
  await devnet.tell('evm_setAutomine', true)
  await devnet.tell('evm_mine')
  const { tx } = await transfer
  assert.ok(told.includes(tx))
  assert.equal(new Set(told).size, told.length)
  assert.ok(fees[1]! * 100n >= fees[0]! * 125n, fees.join(' '))
  assert.equal(await received(devnet), DOLLAR)
})

test('gives up after some copies, and the next transaction takes their place', async (t) => {
  const devnet = await stalled(t, 20)
  const told: Hex[] = []
  await assert.rejects(
    devnet.client.transfer(TO, DOLLAR, walletOf('payer'), { beforeSend: (tx) => void told.push(tx) }),
    (error: BywayError) => {
      assert.deepEqual([error.code, error.facts.tx, error.facts.nonce], ['TRANSACTION_FAILED', told.at(-1), 0])
      return true
    },
  )
  const patient = createChannelsClient({ rpc: devnet.rpc, network: devnet.client.network })
  const next = patient.transfer(TO, 2n * DOLLAR, walletOf('payer'))
  // Its first copies are refused as underpriced; the one that is accepted takes the place of what waits.
  while ((await pending(devnet)).every(({ hash }) => told.includes(hash as Hex)));
  assert.equal((await pending(devnet)).length, 1)
  await devnet.tell('evm_mine')
  await next
  assert.equal(await received(devnet), 2n * DOLLAR)
})

test('a signal ends the waiting; the hash is known and its fate can be asked', async (t) => {
  const devnet = await stalled(t)
  const stop = new AbortController()
  const sent = Promise.withResolvers<Hex>()
  const transfer = devnet.client.transfer(TO, DOLLAR, walletOf('payer'), { beforeSend: (tx) => sent.resolve(tx) }, stop.signal)
  const tx = await sent.promise
  while ((await pending(devnet)).length === 0);
  stop.abort(new Error('enough'))
  await assert.rejects(transfer, { message: 'enough' })
  assert.deepEqual(await devnet.client.claimedBy(tx), { fate: 'unknown' })
  await devnet.tell('evm_mine')
  assert.equal((await devnet.client.claimedBy(tx)).fate, 'mined')
})

test('a refusal that comes only with the block is named with its transaction', async (t) => {
  const devnet = await devnetOf(t)
  const { client } = devnet
  const [payer, one, two] = [await devnet.funded('payer'), await devnet.funded('one'), await devnet.funded('two')]
  const payee = walletOf('payee')
  const root = makeRoot(client, payer.address, [payee.address], (await client.blockTime()) + 86_400)
  await client.openRoot(root.descriptor, payer)
  const batch = { activations: [root.activation(0)], vouchers: [root.voucher(0, DOLLAR)], owed: DOLLAR }
  const order = client.signFeeOrder(
    batch,
    { fee: 1_000n, submitter: `0x${'00'.repeat(20)}`, deadline: (await client.blockTime()) + 3_600 },
    payee,
  )

  await devnet.tell('evm_setAutomine', false)
  const both = Promise.allSettled([one, two].map((wallet) => client.claimFor(order, batch, wallet)))
  while ((await pending(devnet)).length < 2);
  await devnet.tell('evm_mine')
  const [won, lost] = (await both).toSorted((a, b) => (a.status < b.status ? -1 : 1))
  assert.ok(won?.status === 'fulfilled' && won.value.amount === DOLLAR)
  assert.ok(lost?.status === 'rejected')
  assert.deepEqual([lost.reason.code, lost.reason.facts.error], ['CLAIM_FEE_TOO_HIGH', 'FeeAboveAmount'])
  assert.deepEqual(await client.claimedBy(lost.reason.facts.tx), { fate: 'reverted' })
})

test('counts a receipt only when it is deep enough', async (t) => {
  const devnet = await devnetOf(t)
  const payer = await devnet.funded('payer')
  const deep = createChannelsClient({ rpc: devnet.rpc, network: { ...devnet.client.network, confirmations: 3 }, patienceMs: 50 })
  let done = false
  const transfer = deep.transfer(TO, DOLLAR, payer).finally(() => {
    done = true
  })
  while ((await received(devnet)) === 0n);
  await devnet.tell('evm_mine')
  // Another wallet's whole transfer takes longer than several looks.
  await Promise.all([devnet.client.rootStates([`0x${'01'.repeat(32)}`]), devnet.client.blockTime()])
  assert.equal(done, false)
  await devnet.tell('evm_mine')
  await transfer
  assert.equal(await received(devnet), DOLLAR)
})

test('recovers from a node that is behind with the nonce', async (t) => {
  const devnet = await devnetOf(t)
  const payer = await devnet.funded('payer')
  await devnet.client.transfer(TO, DOLLAR, payer)
  let lies = 2
  const rpc = lying(devnet.rpc, (method) => (method === 'eth_getTransactionCount' && lies-- > 0 ? '0x0' : undefined))
  await createChannelsClient({ rpc, network: devnet.client.network }).transfer(TO, DOLLAR, payer)
  assert.ok(lies < 0)
  assert.equal(await received(devnet), 2n * DOLLAR)
})

test('says so when another program uses the wallet at the same moment', async (t) => {
  const devnet = await stalled(t, 100)
  const { address } = walletOf('payer')
  let copies = 0
  const ours = devnet.client.transfer(TO, DOLLAR, walletOf('payer'), {
    async beforeSend() {
      if (++copies !== 2) return
      // Between our first and second copy: a dearer transaction with the same nonce, and it is mined.
      await devnet.tell('anvil_impersonateAccount', address)
      await devnet.tell('eth_sendTransaction', {
        from: address,
        to: TO,
        value: '0x1',
        nonce: '0x0',
        maxFeePerGas: '0x2540be4000',
        maxPriorityFeePerGas: '0x2540be4000',
      })
      await devnet.tell('evm_mine')
    },
  })
  await assert.rejects(ours, { code: 'TRANSACTION_FAILED', message: /replaced by another transaction/ })
  assert.equal(copies, 2)
  assert.equal(await received(devnet), 0n)
  await devnet.tell('evm_setAutomine', true)
  await devnet.client.transfer(TO, DOLLAR, walletOf('payer'))
  assert.equal(await received(devnet), DOLLAR, 'the control: alone it is mined')
})

test('works with a node that suggests no tip', async (t) => {
  const devnet = await devnetOf(t)
  const payer = await devnet.funded('payer')
  const rpc = lying(devnet.rpc, (method) =>
    method === 'eth_maxPriorityFeePerGas' ? new RpcRefusal(-32601, 'no such method', undefined) : undefined,
  )
  await createChannelsClient({ rpc, network: devnet.client.network }).transfer(TO, DOLLAR, payer)
  assert.equal(await received(devnet), DOLLAR)
})

test('a request that arrived twice counts as sent; an empty wallet and other refusals are named', async (t) => {
  const devnet = await devnetOf(t)
  const payer = await devnet.funded('payer', { ether: ETHER, dollars: 10n * DOLLAR })
  const answering = (message: string) =>
    lying(devnet.rpc, (method) => (method === 'eth_sendRawTransaction' ? new RpcRefusal(-32000, message, undefined) : undefined))
  const send = (rpc: Rpc) =>
    createTransactions({ rpc, confirmations: 1, pollMs: 5, patienceMs: 10 }).send(payer, 'a test', async () => ({ to: TO, data: '0x' }))
  await assert.rejects(send(answering('already known')), { code: 'TRANSACTION_FAILED', message: /not mined/ })
  await assert.rejects(send(answering('replacement transaction underpriced')), {
    code: 'TRANSACTION_FAILED',
    facts: { tx: 'none accepted', nonce: 0, copies: 0 },
  })
  await assert.rejects(send(answering('insufficient funds for gas * price + value')), { code: 'WALLET_EMPTY' })
  await assert.rejects(send(answering('transaction type not supported')), { code: 'TRANSACTION_FAILED', message: /not supported/ })
  assert.equal((await send(devnet.rpc)).status, true)
})
