import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { decodeFunctionResult, encodeFunctionData } from 'viem/utils'
import { z } from 'zod'
import type { Hex } from '../protocol/bytes.ts'
import { emissionsAbi, parametersAbi, regionMultipliersAbi, registryAbi, timelockAbi } from './abi.ts'
import { addressesText, parseAddresses } from './addresses.ts'
import { type Anvil, startAnvil } from './anvil.ts'
import { absentContracts, type Deliver, deploy } from './deploy.ts'
import { devnetCall, ETHER } from './devnet.ts'
import { planOf } from './plan.ts'
import { readBack } from './readback.ts'
import { quantitySchema } from './schemas.ts'
import { DEV_ACCOUNT, devnetTerms, parseTerms } from './terms.ts'
import { type Devnet, startDevnet, walletOf } from './testing.ts'
import { createTransactions } from './transactions.ts'

describe('a deployment', () => {
  let devnet: Devnet
  before(async () => {
    devnet = await startDevnet()
  })
  after(() => devnet.anvil.stop())

  test('wires the contracts to each other', async () => {
    const { rpc, contracts } = devnet
    const { emissions, regionMultipliers, parameters, timelock, governance, capacityRewards, bootstrapRewards } = contracts
    const recipient = async (functionName: 'capacityRewards' | 'bootstrapRewards') => {
      const data = await devnetCall(rpc, emissions, encodeFunctionData({ abi: emissionsAbi, functionName }))
      return decodeFunctionResult({ abi: emissionsAbi, functionName, data }).toLowerCase()
    }
    assert.equal(await recipient('capacityRewards'), capacityRewards)
    assert.equal(await recipient('bootstrapRewards'), bootstrapRewards)
    const surcharges = await devnetCall(rpc, regionMultipliers, encodeFunctionData({ abi: regionMultipliersAbi, functionName: 'REWARDS' }))
    assert.equal(BigInt(surcharges), BigInt(capacityRewards))
    const changer = await devnetCall(rpc, parameters, encodeFunctionData({ abi: parametersAbi, functionName: 'timelock' }))
    assert.equal(BigInt(changer), BigInt(timelock))
    const role = await devnetCall(rpc, timelock, encodeFunctionData({ abi: timelockAbi, functionName: 'PROPOSER_ROLE' }))
    const may = async (account: Hex) => {
      const data = encodeFunctionData({ abi: timelockAbi, functionName: 'hasRole', args: [role, account] })
      return BigInt(await devnetCall(rpc, timelock, data)) === 1n
    }
    assert.equal(await may(governance), true, 'the governor proposes')
    assert.equal(await may(DEV_ACCOUNT), false, 'and not who deployed')
  })

  test('is sealed: verdicts of audits and roots slash, and nobody names another judge', async () => {
    const { rpc, contracts } = devnet
    const { registry, audits, capacityRewards, bootstrapRewards } = contracts
    const slash = encodeFunctionData({
      abi: registryAbi,
      functionName: 'slash',
      args: [DEV_ACCOUNT, 1n, DEV_ACCOUNT, `0x${'00'.repeat(32)}`],
    })
    const from = (account: Hex, data: Hex) => devnet.tell('eth_call', { from: account, to: registry, data }, 'latest')
    for (const judge of [audits, capacityRewards, bootstrapRewards]) await from(judge, slash)
    await assert.rejects(from(DEV_ACCOUNT, slash))
    await assert.rejects(from(DEV_ACCOUNT, planOf(devnetTerms()).seal.data))
    const { number } = (await devnet.tell('eth_getBlockByNumber', 'latest', false)) as { number: Hex }
    const nothing = () => Promise.reject(new Error('sent something'))
    assert.deepEqual(await deploy(rpc, planOf(devnetTerms()), nothing), contracts, 'all of it is found')
    assert.deepEqual(((await devnet.tell('eth_getBlockByNumber', 'latest', false)) as { number: Hex }).number, number)
  })

  test('has other addresses for other terms, and the same for the same', () => {
    const terms = devnetTerms()
    const { vaults, ...same } = planOf({ ...terms, vault: { ...terms.vault } }).contracts
    assert.deepEqual({ ...same, vaults }, devnet.contracts)
    const other = planOf({ ...terms, guardian: `0x${'11'.repeat(20)}` }).contracts
    assert.notEqual(other.parameters, devnet.contracts.parameters)
    assert.notEqual(other.emissions, devnet.contracts.emissions)
    assert.equal(other.dollar, devnet.contracts.dollar, 'but a contract without terms is the same')
  })

  test('refuses terms that cannot be', () => {
    const three = { deployer: DEV_ACCOUNT, guardian: DEV_ACCOUNT, holder: DEV_ACCOUNT, dollars: [] }
    assert.equal(parseTerms(three).epochS, 86_400, 'positive control: the rest has defaults')
    for (const wrong of [{ guardian: '0x1' }, { epochS: 0 }, { genesisWay: 10n ** 27n }, { regions: ['europe'] }, { unknown: 1 }]) {
      assert.throws(() => parseTerms({ ...three, ...wrong }), { code: 'SETTING_INVALID' })
    }
  })
})

describe('on a chain that is not ours', () => {
  const wallet = walletOf('a deployer')
  const somebody = walletOf('somebody').address
  let anvil: Anvil
  before(async () => {
    anvil = await startAnvil({ chainId: 4_242 })
    await anvil.rpc.request(z.unknown(), 'anvil_setBalance', [wallet.address, `0x${ETHER.toString(16)}`])
  })
  after(() => anvil.stop())

  test('a key of its own deploys, crashes on the way, and goes on where it was', async () => {
    const { rpc } = anvil
    const transactions = createTransactions({ rpc, confirmations: 1, pollMs: 10 })
    const plan = planOf(parseTerms({ deployer: wallet.address, guardian: somebody, holder: somebody, dollars: [], regions: ['de', 'fr'] }))
    let left = 0
    const deliver: Deliver = async (doing, to, data) => {
      if (left-- === 0) throw new Error('power cut')
      await transactions.send(wallet, doing, async () => ({ to, data }))
    }
    for (const steps of [0, 3, 7, 11]) {
      left = steps
      await assert.rejects(deploy(rpc, plan, deliver), /power cut/)
    }
    left = Number.POSITIVE_INFINITY
    assert.ok((await absentContracts(rpc, plan.contracts)).includes('governance'))
    assert.deepEqual(await deploy(rpc, plan, deliver), plan.contracts)
    assert.deepEqual(await absentContracts(rpc, plan.contracts), [])
    const sent = await rpc.request(quantitySchema, 'eth_getTransactionCount', [wallet.address, 'latest'])
    assert.equal(Number(sent), plan.deployments.length + 1, 'nothing was sent twice')

    const readings = await readBack(rpc, plan)
    assert.deepEqual(
      readings.filter(({ right }) => !right),
      [],
    )
    for (const { address, name } of plan.deployments) {
      assert.ok(
        name === 'Deployer' || name === 'TestDollar' || readings.some((reading) => reading.address === address),
        `${name} is read back`,
      )
    }
    // Control: other terms are noticed.
    const other = await readBack(rpc, { ...plan, terms: { ...plan.terms, graceS: 1, guardian: wallet.address } })
    assert.deepEqual(
      other.filter(({ right }) => !right).map(({ contract, what }) => `${contract}: ${what}`),
      ['Channels: grace', 'Channels of WAY: grace', 'Parameters: guardian'],
    )
  })

  test('several dollars have channels and an auction each', async () => {
    const { rpc } = anvil
    const transactions = createTransactions({ rpc, confirmations: 1, pollMs: 10 })
    const deliver: Deliver = async (doing, to, data) => {
      await transactions.send(wallet, doing, async () => ({ to, data }))
    }
    // Two tokens that are there already, deployed by the test before.
    const { contracts: there } = planOf(
      parseTerms({ deployer: wallet.address, guardian: somebody, holder: somebody, dollars: [], regions: ['de', 'fr'] }),
    )
    const plan = planOf(
      parseTerms({ deployer: wallet.address, guardian: somebody, holder: somebody, dollars: [there.dollar, there.way], epochS: 60 }),
    )
    const contracts = await deploy(rpc, plan, deliver)
    assert.equal(contracts.moreDollars[0]?.dollar, there.way)
    assert.deepEqual(
      (await readBack(rpc, plan)).filter(({ right }) => !right),
      [],
    )
    assert.deepEqual(parseAddresses(addressesText({ chainId: 4_242, contracts }), 'here'), { chainId: 4_242, contracts })
    const text = addressesText({ chainId: 1, contracts })
    for (const wrong of ['', '{}', addressesText({ chainId: 0, contracts }), text.replace(contracts.way, '0x1')]) {
      assert.throws(() => parseAddresses(wrong, 'here'), { code: 'SETTING_INVALID' })
    }
  })
})
