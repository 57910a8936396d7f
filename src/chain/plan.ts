/**
 * What a deployment consists of: every contract of the economy with its address and its creation code, in the order in which they can be
 * deployed, and the one call that ends it.
 *
 * Most go through the CREATE2 factory that nearly every chain has: their addresses are a function of their code. Those that name each other in
 * circles (the token its minters, the mint its channels, the channels the mint), or that begin to count at a second which is known only then,
 * go through Deployer, whose addresses are a function of who deploys and a salt; the salt has the hash of all sources and all terms in it.
 * Either way addresses are known before anything is sent, and other code or other terms mean other addresses: an old world never answers
 * with old code under a new name.
 */
import { type Abi, zeroAddress } from 'viem'
import {
  encodeAbiParameters,
  encodeDeployData,
  encodeFunctionData,
  getCreate2Address,
  getCreateAddress,
  keccak256,
  stringToHex,
  toHex,
} from 'viem/utils'
import type { Hex } from '../protocol/bytes.ts'
import * as code from './abi.ts'
import type { Terms } from './terms.ts'

/** Arachnid's deterministic deployment proxy, at this address on nearly every chain; anvil has it from the first block. */
export const CREATE2_FACTORY: Hex = '0x4e59b44847b379578588920cA78FbF26c0B4956C'
const SALT: Hex = `0x${'00'.repeat(32)}`
/** Deployer.MAKER: what it deploys first, with CREATE2, and what deploys the rest. */
const MAKER: Hex = '0x67363d3d37363d34f03d5260086018f3'

/** What payments in one token need: its channels, and the auction in which its burn share is sold. */
export interface DollarLane {
  dollar: Hex
  channels: Hex
  burnAuction: Hex
}

/** Where everything is. The first dollar's lane is spelled out; whatever names "the dollar" means that one. */
export interface Contracts extends DollarLane {
  parameters: Hex
  way: Hex
  /** Channels for payments in WAY. */
  wayChannels: Hex
  /** Further dollars that can be paid with. */
  moreDollars: DollarLane[]
  emissions: Hex
  usageMint: Hex
  registry: Hex
  committee: Hex
  audits: Hex
  /** EpochRoots: one pays the schedule of capacity, one that of the first years. */
  capacityRewards: Hex
  bootstrapRewards: Hex
  regionMultipliers: Hex
  /** RegionVault by region. */
  vaults: Readonly<Record<string, Hex>>
  capacityMarket: Hex
  serviceAgreements: Hex
  subscription: Hex
  governance: Hex
  timelock: Hex
}

/** One deployment: send `data` to `to`, and `address` has code. `data` needs the first second of epoch 0 for what counts in epochs. */
export interface Deployment {
  name: string
  address: Hex
  to: Hex
  data: (startS: bigint) => Hex
}

export interface Plan {
  terms: Terms
  contracts: Contracts
  /** In this order; the first is Deployer. The last of them, or all, may be there already. */
  deployments: Deployment[]
  /** Ends the deployment: names the contracts whose verdicts slash, once and for all. Refused when it was done. */
  seal: { to: Hex; data: Hex }
}

const initOf = (abi: Abi, bytecode: Hex, args: unknown[] = []): Hex => encodeDeployData({ abi, bytecode, args })
const create2 = (from: Hex, salt: Hex, bytecode: Hex): Hex => getCreate2Address({ from, salt, bytecode }).toLowerCase() as Hex
/** A region as contracts name it. */
export const regionBytes = (region: string): Hex => stringToHex(region, { size: 6 })

export function planOf(terms: Terms): Plan {
  const deployments: Deployment[] = []
  const plain = (name: string, initCode: Hex): Hex => {
    const address = create2(CREATE2_FACTORY, SALT, initCode)
    deployments.push({ name, address, to: CREATE2_FACTORY, data: () => `${SALT}${initCode.slice(2)}` as Hex })
    return address
  }
  const deployer = plain('Deployer', initOf(code.deployerAbi, code.deployerBytecode))
  const saltOf = (name: string) => keccak256(toHex(`${name}/${termsText(terms)}/${code.contractsSourceHash}`))
  const predicted = (name: string): Hex => {
    const own = keccak256(encodeAbiParameters([{ type: 'address' }, { type: 'bytes32' }], [terms.deployer, saltOf(name)]))
    return getCreateAddress({ from: create2(deployer, own, MAKER), nonce: 1n }).toLowerCase() as Hex
  }
  /** For what is named before it is there, or begins to count at `startS`. */
  const circular = (name: string, initCode: (startS: bigint) => Hex): Hex => {
    const address = predicted(name)
    const args = (startS: bigint) => [saltOf(name), initCode(startS)] as const
    const data = (startS: bigint) => encodeFunctionData({ abi: code.deployerAbi, functionName: 'deploy', args: args(startS) })
    deployments.push({ name, address, to: deployer, data })
    return address
  }

  // Parameters and the token: what everything else names.
  const timelock = plain('Timelock', initOf(code.timelockAbi, code.timelockBytecode, [BigInt(terms.timelockS), predicted('Governance')]))
  const parameters = plain('Parameters', initOf(code.parametersAbi, code.parametersBytecode, [timelock, terms.guardian]))
  const [emissions, usageMint] = [predicted('Emissions'), predicted('UsageMint')]
  const way = plain('Way', initOf(code.wayAbi, code.wayBytecode, [emissions, usageMint, terms.holder, terms.genesisWay]))

  // Payments, and what their burn share does. Emissions comes first of those that count in epochs: the others ask it when epoch 0 began.
  const channelsOf = (name: string, token: Hex) =>
    plain(name, initOf(code.channelsAbi, code.channelsBytecode, [token, BigInt(terms.graceS), parameters, usageMint]))
  const length = BigInt(terms.epochS)
  const rewards = [predicted('EpochRoots of capacity'), predicted('EpochRoots of bootstrap')]
  circular('Emissions', (start) => initOf(code.emissionsAbi, code.emissionsBytecode, [way, start, length, ...rewards]))
  const dollars = terms.dollars.length > 0 ? terms.dollars : [plain('TestDollar', initOf(code.dollarAbi, code.dollarBytecode))]
  const { halfLifeS, minLot, firstPrice } = terms.auction
  const laneOf = (dollar: Hex, i: number): DollarLane => {
    const which = i === 0 ? '' : ` of dollar ${i + 1}`
    const sale = [usageMint, length, BigInt(halfLifeS), minLot, firstPrice] as const
    const initCode = (start: bigint) =>
      initOf(code.burnAuctionAbi, code.burnAuctionBytecode, [dollar, way, sale[0], start, ...sale.slice(1)])
    return { dollar, channels: channelsOf(`Channels${which}`, dollar), burnAuction: circular(`BurnAuction${which}`, initCode) }
  }
  const [first, ...moreDollars] = dollars.map(laneOf) as [DollarLane, ...DollarLane[]]
  const { dollar, burnAuction } = first
  const wayChannels = channelsOf('Channels of WAY', way)
  const lanes = [
    { channels: first.channels, auction: burnAuction },
    // Paid in WAY, the share burns directly.
    { channels: wayChannels, auction: zeroAddress },
    ...moreDollars.map((lane) => ({ channels: lane.channels, auction: lane.burnAuction })),
  ]
  circular('UsageMint', (start) => initOf(code.usageMintAbi, code.usageMintBytecode, [way, parameters, start, length, lanes]))
  const subscription = plain('Subscription', initOf(code.subscriptionAbi, code.subscriptionBytecode, [dollar]))

  // Who works here, and what committees of them decide.
  const registry = plain('Registry', initOf(code.registryAbi, code.registryBytecode, [way, parameters, terms.deployer]))
  const committee = plain('Committee', initOf(code.committeeAbi, code.committeeBytecode, [registry, BigInt(terms.committeeSize)]))
  const audits = circular('Audits', (start) => initOf(code.auditsAbi, code.auditsBytecode, [committee, parameters, start, length]))
  const rootsOf = (name: string) =>
    circular(`EpochRoots of ${name}`, (start) =>
      initOf(code.epochRootsAbi, code.epochRootsBytecode, [way, committee, parameters, start, length]),
    )
  const [capacityRewards, bootstrapRewards] = [rootsOf('capacity'), rootsOf('bootstrap')]
  const regionMultipliers = circular('RegionMultipliers', (start) =>
    initOf(code.regionMultipliersAbi, code.regionMultipliersBytecode, [way, committee, parameters, capacityRewards, start, length]),
  )
  const vaultOf = (region: string) =>
    circular(`RegionVault of ${region}`, (start) => {
      const { floor, periodS } = terms.vault
      return initOf(code.regionVaultAbi, code.regionVaultBytecode, [dollar, committee, regionBytes(region), floor, start, BigInt(periodS)])
    })
  const vaults = Object.fromEntries(terms.regions.map((region) => [region, vaultOf(region)]))
  const capacityMarket = plain(
    'CapacityMarket',
    initOf(code.capacityMarketAbi, code.capacityMarketBytecode, [dollar, audits, parameters, terms.capacityCeiling]),
  )
  const serviceAgreements = plain(
    'ServiceAgreements',
    initOf(code.serviceAgreementsAbi, code.serviceAgreementsBytecode, [dollar, committee, parameters, terms.disputeBond, burnAuction]),
  )

  // Who changes the parameters.
  const { delayS, periodS, threshold } = terms.votes
  const governance = circular('Governance', () =>
    initOf(code.governanceAbi, code.governanceBytecode, [way, timelock, parameters, BigInt(delayS), BigInt(periodS), threshold]),
  )

  const judges = [audits, capacityRewards, bootstrapRewards]
  const seal = { to: registry, data: encodeFunctionData({ abi: code.registryAbi, functionName: 'seal', args: [judges] }) }
  const economy = { emissions, usageMint, registry, committee, audits, capacityRewards, bootstrapRewards, regionMultipliers, vaults }
  const trade = { subscription, capacityMarket, serviceAgreements }
  const contracts = { ...first, moreDollars, parameters, way, wayChannels, ...economy, ...trade, governance, timelock }
  return { terms, contracts, deployments, seal }
}

/** The same text for the same terms, whatever the order of their keys. */
function termsText(terms: Terms): string {
  return JSON.stringify(terms, (_key, value: unknown) => {
    if (typeof value === 'bigint') return `${value}`
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
    return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
  })
}
