/**
 * Reads a deployment back from the chain: every number and address a contract was built with, beside what the terms say, and every governed
 * number as it stands.
 *
 * Where a contract lies follows from its code and its terms, but for those that went through Deployer: what lies there is whatever the
 * deployer sent. So nothing is taken for granted here, and whoever is told an address can check it against the terms.
 */
import type { Abi } from 'viem'
import { decodeFunctionResult, encodeFunctionData, hexToString } from 'viem/utils'
import type { Hex } from '../protocol/bytes.ts'
import * as code from './abi.ts'
import { type Plan, regionBytes } from './plan.ts'
import { type Rpc, RpcRefusal } from './rpc.ts'
import { codeSchema } from './schemas.ts'

type Value = bigint | string | boolean

/** One thing a contract says of itself. */
export interface Reading {
  contract: string
  address: Hex
  what: string
  found: string
  /** What the terms say; undefined for a governed number, which has bounds instead. */
  expected: string | undefined
  right: boolean
}

export async function readBack(rpc: Rpc, plan: Plan, signal?: AbortSignal): Promise<Reading[]> {
  const ask = async (address: Hex, abi: Abi, functionName: string, args: readonly unknown[] = [], from?: Hex): Promise<unknown> => {
    const call = { to: address, data: encodeFunctionData({ abi, functionName, args }), ...(from === undefined ? {} : { from }) }
    const data = await rpc.request(codeSchema, 'eth_call', [call, 'latest'], signal)
    return data === '0x' ? undefined : decodeFunctionResult({ abi, functionName, data })
  }
  const readings: Reading[] = []
  for (const { contract, address, abi, says } of statements(plan)) {
    for (const [what, value] of Object.entries(says)) {
      const expected = textOf(value)
      const found = textOf((await ask(address, abi, what)) as Value | undefined)
      readings.push({ contract, address, what, found, expected, right: found === expected })
    }
  }
  readings.push(...(await lanes(plan, ask)), ...(await judges(plan, ask)), ...(await parameters(plan, ask)))
  return readings
}

type Ask = (address: Hex, abi: Abi, functionName: string, args?: readonly unknown[], from?: Hex) => Promise<unknown>

const textOf = (value: Value | undefined): string => (value === undefined ? 'no answer' : String(value).toLowerCase())

interface Statements {
  contract: string
  address: Hex
  abi: Abi
  /** By the name of the view that tells. */
  says: Readonly<Record<string, Value>>
}

/** What each contract should say of itself. Addresses in lower case, numbers as they are on chain. */
function statements({ terms, contracts }: Plan): Statements[] {
  const { dollar, channels, burnAuction, parameters, way, wayChannels, emissions, usageMint, registry, committee, audits } = contracts
  const { capacityRewards, bootstrapRewards, regionMultipliers, capacityMarket, serviceAgreements, subscription } = contracts
  const { governance, timelock } = contracts
  const epoch = { EPOCH: BigInt(terms.epochS) }
  const roots = { TOKEN: way, COMMITTEE: committee, PARAMETERS: parameters, REGISTRY: registry, ...epoch }
  const lane = { dollar, channels, burnAuction }
  const laneRows = [lane, ...contracts.moreDollars].flatMap((lane, i): Statements[] => {
    const which = i === 0 ? '' : ` of dollar ${i + 1}`
    const { halfLifeS, minLot } = terms.auction
    const sale = { DOLLAR: lane.dollar, WAY: way, SELLER: usageMint, HALF_LIFE: BigInt(halfLifeS), MIN_LOT: minLot, ...epoch }
    return [
      {
        contract: `Channels${which}`,
        address: lane.channels,
        abi: code.channelsAbi,
        says: { token: lane.dollar, grace: BigInt(terms.graceS) },
      },
      { contract: `BurnAuction${which}`, address: lane.burnAuction, abi: code.burnAuctionAbi, says: sale },
    ]
  })
  const vaultRows = Object.entries(contracts.vaults).map(([region, address]): Statements => {
    const { floor, periodS } = terms.vault
    const says = { asset: dollar, COMMITTEE: committee, REGION: regionBytes(region), FLOOR: floor, PERIOD: BigInt(periodS) }
    return { contract: `RegionVault of ${region}`, address, abi: code.regionVaultAbi, says }
  })
  const votes = {
    token: way,
    timelock,
    PARAMETERS: parameters,
    votingDelay: BigInt(terms.votes.delayS),
    votingPeriod: BigInt(terms.votes.periodS),
    proposalThreshold: terms.votes.threshold,
  }
  return [
    { contract: 'Way', address: way, abi: code.wayAbi, says: { emissions, usageMint, genesis: terms.genesisWay } },
    { contract: 'Parameters', address: parameters, abi: code.parametersAbi, says: { timelock } },
    ...laneRows,
    { contract: 'Channels of WAY', address: wayChannels, abi: code.channelsAbi, says: { token: way, grace: BigInt(terms.graceS) } },
    { contract: 'Emissions', address: emissions, abi: code.emissionsAbi, says: { WAY: way, capacityRewards, bootstrapRewards, ...epoch } },
    { contract: 'UsageMint', address: usageMint, abi: code.usageMintAbi, says: { WAY: way, PARAMETERS: parameters, ...epoch } },
    { contract: 'Registry', address: registry, abi: code.registryAbi, says: { token: way } },
    {
      contract: 'Committee',
      address: committee,
      abi: code.committeeAbi,
      says: { REGISTRY: registry, SIZE: BigInt(terms.committeeSize) },
    },
    {
      contract: 'Audits',
      address: audits,
      abi: code.auditsAbi,
      says: { COMMITTEE: committee, PARAMETERS: parameters, REGISTRY: registry, ...epoch },
    },
    { contract: 'EpochRoots of capacity', address: capacityRewards, abi: code.epochRootsAbi, says: roots },
    { contract: 'EpochRoots of bootstrap', address: bootstrapRewards, abi: code.epochRootsAbi, says: roots },
    {
      contract: 'RegionMultipliers',
      address: regionMultipliers,
      abi: code.regionMultipliersAbi,
      says: { TOKEN: way, COMMITTEE: committee, PARAMETERS: parameters, REWARDS: capacityRewards, ...epoch },
    },
    ...vaultRows,
    {
      contract: 'CapacityMarket',
      address: capacityMarket,
      abi: code.capacityMarketAbi,
      says: {
        DOLLAR: dollar,
        REGISTRY: registry,
        COMMITTEE: committee,
        AUDITS: audits,
        PARAMETERS: parameters,
        CEILING: terms.capacityCeiling,
      },
    },
    {
      contract: 'ServiceAgreements',
      address: serviceAgreements,
      abi: code.serviceAgreementsAbi,
      says: { DOLLAR: dollar, COMMITTEE: committee, PARAMETERS: parameters, SINK: burnAuction, DISPUTE_BOND: terms.disputeBond },
    },
    { contract: 'Subscription', address: subscription, abi: code.subscriptionAbi, says: { TOKEN: dollar } },
    { contract: 'Governance', address: governance, abi: code.governanceAbi, says: votes },
    {
      contract: 'Timelock',
      address: timelock,
      abi: code.timelockAbi,
      says: { LEAST: BigInt(terms.timelockS), getMinDelay: BigInt(terms.timelockS) },
    },
  ]
}

/** The mint knows exactly the lanes of the plan: nobody else's claims mint. */
async function lanes({ contracts }: Plan, ask: Ask): Promise<Reading[]> {
  const { usageMint, channels, burnAuction, wayChannels, moreDollars } = contracts
  const dollars = [{ channels, burnAuction }, { channels: wayChannels, burnAuction: NOBODY }, ...moreDollars]
  const expected = dollars.map((lane) => `${lane.channels} ${lane.burnAuction}`).join(', ')
  const count = (await ask(usageMint, code.usageMintAbi, 'lanes')) as bigint
  const all: string[] = []
  for (let lane = 0n; lane < count; lane++) {
    const is = (await ask(usageMint, code.usageMintAbi, 'laneOf', [lane])) as { channels: Hex; auction: Hex }
    all.push(`${is.channels} ${is.auction}`.toLowerCase())
  }
  const found = all.join(', ')
  return [{ contract: 'UsageMint', address: usageMint, what: 'lanes', found, expected, right: found === expected }]
}

const NOBODY: Hex = `0x${'00'.repeat(20)}`

/** Who may slash is asked by a trial that slashes nobody; and nobody can be named any more. */
async function judges({ terms, contracts, seal }: Plan, ask: Ask): Promise<Reading[]> {
  const { registry, audits, capacityRewards, bootstrapRewards } = contracts
  const may = async (from: Hex, data: { name: string; args: readonly unknown[] }): Promise<boolean> => {
    try {
      await ask(registry, code.registryAbi, data.name, data.args, from)
      return true
    } catch (error) {
      if (!(error instanceof RpcRefusal)) throw error
      return false
    }
  }
  const slash = { name: 'slash', args: [NOBODY, 0n, NOBODY, `0x${'00'.repeat(32)}`] }
  const says = async (what: string, expected: boolean, found: boolean): Promise<Reading> => ({
    contract: 'Registry',
    address: seal.to,
    what,
    found: String(found),
    expected: String(expected),
    right: found === expected,
  })
  return [
    await says('audits slash', true, await may(audits, slash)),
    await says('roots of capacity slash', true, await may(capacityRewards, slash)),
    await says('roots of bootstrap slash', true, await may(bootstrapRewards, slash)),
    await says('the deployer slashes', false, await may(terms.deployer, slash)),
    await says('the deployer can name judges', false, await may(terms.deployer, { name: 'seal', args: [[terms.deployer]] })),
  ]
}

/** Every governed number, within its bounds; and the guardian, who may be another by now. */
async function parameters({ terms, contracts }: Plan, ask: Ask): Promise<Reading[]> {
  const address = contracts.parameters
  const of = (what: string, found: string, right: boolean, expected?: string): Reading => ({
    contract: 'Parameters',
    address,
    what,
    found,
    expected,
    right,
  })
  const guardian = textOf((await ask(address, code.parametersAbi, 'guardian')) as Hex)
  const readings = [of('guardian', guardian, guardian === terms.guardian, terms.guardian)]
  for (const name of (await ask(address, code.parametersAbi, 'names')) as Hex[]) {
    const value = (await ask(address, code.parametersAbi, 'get', [name])) as bigint
    const { min, max } = (await ask(address, code.parametersAbi, 'parameter', [name])) as { min: bigint; max: bigint }
    readings.push(of(`${hexToString(name, { size: 32 })} (${min} to ${max})`, String(value), value >= min && value <= max))
  }
  return readings
}
