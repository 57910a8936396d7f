/** What is shown before a signature: tried in the node, with nothing sent, and as far as an older node can tell. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { dollarAbi } from './abi.ts'
import { createActions } from './actions.ts'
import { contractAt } from './calls.ts'
import { DOLLAR, ETHER } from './devnet.ts'
import { type Rpc, RpcRefusal } from './rpc.ts'
import { type Devnet, startDevnet, walletOf } from './testing.ts'
import { createTransactions } from './transactions.ts'
import type { Wallet } from './wallet.ts'

describe('actions', () => {
  let devnet: Devnet
  let ann: Wallet

  before(async () => {
    devnet = await startDevnet()
    ann = await devnet.funded('ann', { ether: ETHER, dollars: 10n * DOLLAR })
  })
  after(() => devnet.anvil.stop())

  const actionsOver = (rpc: Rpc) => createActions(rpc, createTransactions({ rpc, confirmations: 1, pollMs: 10 }))
  const send = (units: bigint) =>
    contractAt(devnet.rpc, devnet.contracts.dollar, dollarAbi).action('sending dollars', 'transfer', [walletOf('bob').address, units])
  const sentBy = async (wallet: Wallet) => BigInt((await devnet.tell('eth_getTransactionCount', wallet.address, 'latest')) as string)

  test('each step is tried on what the steps before it leave', async () => {
    const actions = actionsOver(devnet.rpc)
    const prepared = await actions.prepare(ann.address, [send(6n * DOLLAR), send(4n * DOLLAR)])
    assert.equal(
      prepared.gas,
      prepared.steps.reduce((sum, { gas }) => sum + gas!, 0n),
    )
    assert.ok(prepared.costWei > 0n)
    // Either alone would pass; the second has nothing left after the first.
    await assert.rejects(actions.prepare(ann.address, [send(6n * DOLLAR), send(5n * DOLLAR)]), { code: 'WALLET_EMPTY' })
    assert.equal(await sentBy(ann), 0n)
    const done = await actions.perform(ann, prepared)
    assert.deepEqual([done.length, await sentBy(ann)], [2, 2n])
  })

  test('a contract is allowed exactly what it takes, and not again while that suffices', async () => {
    const actions = actionsOver(devnet.rpc)
    const vault = devnet.contracts.vaults.de!
    await devnet.funded('ann', { dollars: 10n * DOLLAR })
    const spends = { token: devnet.contracts.dollar, amount: 3n * DOLLAR }
    const [allowing] = (await actions.prepare(ann.address, [{ ...send(1n), spends: { ...spends, amount: 0n } }])).steps
    assert.equal(allowing?.doing, 'sending dollars', 'nothing is allowed where nothing is taken')
    const { steps } = await actions.prepare(ann.address, [{ doing: 'looking', to: vault, data: '0x01e1d114', spends }])
    assert.deepEqual(
      steps.map(({ doing, to }) => [doing, to]),
      [
        ['allowing the contract to take it', devnet.contracts.dollar],
        ['looking', vault],
      ],
    )
    await actions.perform(ann, { from: ann.address, steps, gas: 0n, costWei: 0n })
    const again = await actions.prepare(ann.address, [{ doing: 'looking', to: vault, data: '0x01e1d114', spends }])
    assert.deepEqual(
      again.steps.map(({ doing }) => doing),
      ['looking'],
    )
  })

  test('a node that cannot simulate still tells what the first step costs, or why it is refused', async () => {
    const older: Rpc = {
      ...devnet.rpc,
      request: (schema, method, params, signal) =>
        method === 'eth_simulateV1'
          ? Promise.reject(new RpcRefusal(-32_601, 'the method does not exist', undefined))
          : devnet.rpc.request(schema, method, params, signal),
    }
    const actions = actionsOver(older)
    const { steps } = await actions.prepare(ann.address, [send(1n), send(1n)])
    assert.ok(steps[0]!.gas! > 21_000n)
    assert.equal(steps[1]!.gas, undefined)
    await assert.rejects(actions.prepare(ann.address, [send(1_000n * DOLLAR)]), { code: 'WALLET_EMPTY' })
  })
})
