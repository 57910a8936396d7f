/** The steps of the economy's journey that are about a region's vault. */
import assert from 'node:assert/strict'
import { DOLLAR } from '../../src/chain/index.ts'
import { formatUsd } from '../../src/cli/format.ts'
import { settleVaults } from '../../src/prober/index.ts'
import { byway } from '../crash/main.ts'
import type { Journey } from './steps.ts'
import { act, type World } from './world.ts'

const INVESTED = 200n * DOLLAR

/** The vault of the first provider's region, and who is there. */
function regionOf({ economy, providers }: World) {
  const { country } = providers[0]!
  return { country, vault: economy.vaults.get(country)!, here: providers.filter((provider) => provider.country === country) }
}

/** The consumer is the investor: whoever has dollars can be. */
async function pool({ consumer }: World, ...words: string[]): Promise<void> {
  const { status, stdout } = await byway(['pool', ...words, '--yes', '--json', '--home', consumer.node.home])
  assert.equal(status, 0, stdout)
}

export async function invest({ world }: Journey): Promise<string> {
  const { country, vault } = regionOf(world)
  await pool(world, 'deposit', country, String(INVESTED / DOLLAR))
  const { assets } = await vault.vault()
  assert.equal(assets, INVESTED)
  return `${formatUsd(assets)} in the vault of ${country}`
}

/** A period ends in which nobody brought fees: each proven provider is paid the floor. Then the investor leaves with the rest. */
export async function settleVault({ world, probers, leaves, audited }: Journey): Promise<string> {
  const { country, vault, here } = regionOf(world)
  const { floor, periodS, noticeS } = await vault.vault()
  await world.later(periodS)
  const settled = await settleVaults(world.epochNeeds(probers, leaves), audited.at(-1)!.observations)
  assert.ok(settled.includes(country))
  const { subsidised } = await vault.vault()
  const each = subsidised / BigInt(here.length)
  // An epoch before may have settled a period too.
  assert.ok(each > 0n && each % floor === 0n && each * BigInt(here.length) === subsidised, `${subsidised} for ${here.length}`)
  const dollarsOf = async (address: `0x${string}`) => (await world.economy.balances(address)).dollars
  for (const provider of here) {
    const before = await dollarsOf(provider.wallet.address)
    await act(provider, provider.economy.vaults.get(country)!.collect())
    assert.equal((await dollarsOf(provider.wallet.address)) - before, each)
  }

  const investor = world.consumer.wallet.address
  const before = await dollarsOf(investor)
  await pool(world, 'exit', country, 'all')
  await world.later(noticeS + 1)
  await pool(world, 'withdraw', country)
  const back = (await dollarsOf(investor)) - before
  // Shares are worth whole units, rounded down.
  const left = INVESTED - subsidised
  assert.ok(back <= left && left - back <= 1n, `${back} of ${left}`)
  return `${formatUsd(each)} to each of ${here.length} proven providers of ${country}, ${formatUsd(back)} of ${formatUsd(INVESTED)} back to the investor`
}
