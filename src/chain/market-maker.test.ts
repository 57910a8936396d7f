/** A devnet on which claims burn, the burnt is bought, and providers are minted their part: dollars and supply add up after each step. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { decodeFunctionResult, encodeFunctionData } from 'viem'
import type { Hex } from '../protocol/bytes.ts'
import { channelsAbi, dollarAbi, wayAbi } from './abi.ts'
import { DOLLAR, devnetCall, devnetContracts } from './devnet.ts'
import { makeMarket } from './market-maker.ts'
import { DEV_ACCOUNT, DEVNET_EPOCH_S } from './terms.ts'
import { type Devnet, makeRoot, startDevnet } from './testing.ts'

suite('a market maker on a devnet', () => {
  let devnet: Devnet
  before(async () => {
    devnet = await startDevnet()
  })
  after(() => devnet.anvil.stop())

  const contracts = devnetContracts()
  const number = async (to: Hex, functionName: 'totalSupply' | 'genesis' | 'minted' | 'burned'): Promise<bigint> => {
    const data = await devnetCall(devnet.rpc, to, encodeFunctionData({ abi: wayAbi, functionName }))
    return decodeFunctionResult({ abi: wayAbi, functionName, data }) as bigint
  }
  const balance = async (token: Hex, who: Hex): Promise<bigint> => {
    const call = { abi: dollarAbi, functionName: 'balanceOf' } as const
    return decodeFunctionResult({ ...call, data: await devnetCall(devnet.rpc, token, encodeFunctionData({ ...call, args: [who] })) })
  }
  const waiting = async (payee: Hex): Promise<bigint> => {
    const call = { abi: channelsAbi, functionName: 'burnOf' } as const
    const data = await devnetCall(devnet.rpc, contracts.channels, encodeFunctionData({ ...call, args: [payee] }))
    return decodeFunctionResult({ ...call, data })[0]
  }
  const supplyHolds = async () => {
    const [supply, genesis, minted, burned] = await Promise.all(
      (['totalSupply', 'genesis', 'minted', 'burned'] as const).map((name) => number(contracts.way, name)),
    )
    assert.equal(supply, genesis! + minted! - burned!)
  }

  test('claims burn, epochs turn, providers are minted nine tenths of what burnt', async () => {
    const { client, funded, rpc, tell } = devnet
    const payer = await funded('payer of a market')
    const payee = await funded('payee of a market')
    const root = makeRoot(client, payer.address, [payee.address], (await client.blockTime()) + 86_400)
    await client.openRoot(root.descriptor, payer)
    const { batches } = await client.planClaims([{ activation: root.activation(0), voucher: root.voucher(0, 10n * DOLLAR) }])
    const { burnt } = await client.claim(payee.address, batches[0]!, payee)
    assert.equal(burnt, DOLLAR)
    assert.equal(await waiting(payee.address), DOLLAR)
    await supplyHolds()

    const first = await makeMarket(rpc, contracts, [payee.address])
    assert.deepEqual(first, { collected: DOLLAR, sold: 0n, burnt: 0n, minted: 0n })
    assert.equal(await balance(contracts.dollar, contracts.burnAuction), DOLLAR)

    let [sold, burntWay, minted] = [0n, 0n, 0n]
    for (let look = 0; look < 200 && sold < DOLLAR; look++) {
      await tell('evm_increaseTime', DEVNET_EPOCH_S / 6)
      const round = await makeMarket(rpc, contracts, [payee.address])
      sold += round.sold
      burntWay += round.burnt
      minted += round.minted
    }
    assert.equal(sold, DOLLAR, 'all of it is sold')
    assert.equal(await balance(contracts.dollar, DEV_ACCOUNT), DOLLAR)
    assert.equal(await number(contracts.way, 'burned'), burntWay)
    // Rounded down at every round, never up.
    assert.ok(minted <= (burntWay * 9n) / 10n && minted > (burntWay * 9n) / 10n - 100n, `${minted} of ${burntWay}`)
    assert.equal(await balance(contracts.way, payee.address), minted)
    await supplyHolds()
  })
})
