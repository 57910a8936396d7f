/**
 * What must be true after every step, whatever the step was: no WAY and no dollar comes from nowhere or goes to nowhere.
 *
 *     WAY       supply = genesis + minted - burnt = everything that anybody holds
 *     stake     registry >= all stake + credits + rewards not claimed, and more only by dust
 *     dollars   minted by the faucet = wallets + channels + auction + agreements + vaults
 *     channels  balance = deposited - refunded - paid out - burnt, by the books of the nodes
 *     ledgers   earned = claimed + claimable + fees + burnt, deposited = spent + unspent + refunded
 */
import assert from 'node:assert/strict'
import type { Abi } from 'viem'
import { decodeFunctionResult, encodeFunctionData } from 'viem/utils'
import { z } from 'zod'
import { dollarAbi, wayAbi } from '../../src/chain/abi.ts'
import { formatUsd } from '../../src/cli/format.ts'
import type { Hex } from '../../src/protocol/bytes.ts'
import { formatWay } from '../../src/protocol/way.ts'
import type { World } from './world.ts'

/** Topic of Transfer(address,address,uint256). */
const TRANSFER = '0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef'
/** Of each owner of stake less than one smallest unit is left over: no world here has so many. */
const MOST_DUST = 1_000n

export async function identities(world: World): Promise<string[]> {
  return [await ofWay(world), await ofStake(world), await ofDollars(world), await ofBooks(world)]
}

async function ask({ rpc }: World, to: Hex, abi: Abi, functionName: string, args: readonly unknown[] = []): Promise<bigint> {
  const data = await rpc.request(z.string(), 'eth_call', [{ to, data: encodeFunctionData({ abi, functionName, args }) }, 'latest'])
  return decodeFunctionResult({ abi, functionName, data: data as Hex }) as bigint
}

/** Everybody who was ever sent some, with what is left there. */
async function holdersOf(world: World, token: Hex): Promise<Map<Hex, bigint>> {
  const logs = z.array(z.object({ topics: z.array(z.string()) }))
  const filter = { address: token, topics: [TRANSFER], fromBlock: '0x0', toBlock: 'latest' }
  const found = await world.rpc.request(logs, 'eth_getLogs', [filter])
  const holders = new Set(found.map(({ topics }) => `0x${topics[2]!.slice(26)}` as Hex))
  holders.delete(`0x${'00'.repeat(20)}`)
  return new Map(
    await Promise.all([...holders].map(async (holder) => [holder, await ask(world, token, dollarAbi, 'balanceOf', [holder])] as const)),
  )
}

const sum = (values: Iterable<bigint>): bigint => [...values].reduce((a, b) => a + b, 0n)

async function ofWay(world: World): Promise<string> {
  const { way } = world.contracts
  const [supply, genesis, minted, burned] = await Promise.all(
    ['totalSupply', 'genesis', 'minted', 'burned'].map((name) => ask(world, way, wayAbi, name)),
  )
  const holders = await holdersOf(world, way)
  assert.equal(supply, genesis! + minted! - burned!)
  assert.equal(supply, sum(holders.values()))
  return `WAY      supply ${formatWay(supply!)} = genesis ${formatWay(genesis!)} + minted ${formatWay(minted!)} - burnt ${formatWay(burned!)} = what ${holders.size} hold`
}

async function ofStake(world: World): Promise<string> {
  const { economy, contracts } = world
  const operators = await economy.registry.operators()
  const holders = [...(await holdersOf(world, contracts.way)).keys()]
  const [held, credits, rewards, stake] = await Promise.all([
    ask(world, contracts.way, wayAbi, 'balanceOf', [contracts.registry]),
    Promise.all(holders.map((holder) => economy.registry.creditOf(holder))),
    Promise.all(operators.map(async (operator) => (await economy.registry.holding(operator, operator)).rewards)),
    Promise.all(operators.map((operator) => economy.registry.operator(operator))),
  ])
  const all = sum(stake.map(({ bonded, thawing }) => bonded + thawing))
  const owed = all + sum(credits) + sum(rewards)
  assert.ok(held >= owed && held - owed < MOST_DUST, `${held} for ${owed}`)
  return `stake    registry ${formatWay(held)} = staked ${formatWay(all)} + credits ${formatWay(sum(credits))} + rewards ${formatWay(sum(rewards))} + ${held - owed} units of dust`
}

async function ofDollars(world: World): Promise<string> {
  const { dollar, channels, burnAuction, serviceAgreements, vaults } = world.contracts
  const minted = await ask(world, dollar, dollarAbi, 'totalSupply')
  const holders = await holdersOf(world, dollar)
  assert.equal(minted, sum(holders.values()))
  const at = (address: Hex) => holders.get(address) ?? 0n
  const places = {
    channels: at(channels),
    auction: at(burnAuction),
    agreements: at(serviceAgreements),
    vaults: sum(Object.values(vaults).map(at)),
  }
  const wallets = minted - sum(Object.values(places))
  return `dollars  minted ${formatUsd(minted)} = wallets ${formatUsd(wallets)} + ${Object.entries(places)
    .map(([name, units]) => `${name} ${formatUsd(units)}`)
    .join(' + ')}`
}

async function ofBooks(world: World): Promise<string> {
  const { economy, contracts, providers, consumer } = world
  const [bought, ...sold] = await Promise.all([consumer, ...providers].map((member) => world.ledger(member)))
  for (const { identityHolds } of [bought!, ...sold]) assert.ok(identityHolds)
  const waiting = sum(await Promise.all(providers.map(({ wallet }) => economy.usage.waiting(wallet.address))))
  const total = (column: 'earned' | 'claimed' | 'claimable' | 'fees' | 'burnt') => sum(sold.map(({ totals }) => totals[column]))
  const { deposited, spent, unspent, refunded } = bought!.totals
  const held = await ask(world, contracts.dollar, dollarAbi, 'balanceOf', [contracts.channels])
  assert.equal(held, deposited - refunded - total('claimed') - total('fees') - total('burnt') + waiting)
  const parts = (['claimed', 'claimable', 'fees', 'burnt'] as const).map((name) => `${name} ${formatUsd(total(name))}`).join(' + ')
  return `books    earned ${formatUsd(total('earned'))} = ${parts}; deposited ${formatUsd(deposited)} = spent ${formatUsd(spent)} + unspent ${formatUsd(unspent)} + refunded ${formatUsd(refunded)}`
}
