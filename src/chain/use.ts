/**
 * Use, as the chain tells it: what providers claimed in which epoch, what committees proved of their bandwidth, and where they said they are.
 * Anybody reads the same, so anybody comes to the same prices.
 */
import type { Hex } from '../protocol/bytes.ts'
import { auditsAbi, parametersAbi, regionMultipliersAbi, registryAbi, usageMintAbi } from './abi.ts'
import { contractAt, lower, textOf, wordOf } from './calls.ts'
import type { Contracts } from './plan.ts'
import type { Rpc } from './rpc.ts'

const WHOLE = 10_000n
/** Of UsageMint; lane 1 is WAY. */
const DOLLARS = 0n

export interface UseReadings {
  /** Now, and seconds in one. */
  readonly epoch: bigint
  readonly epochS: bigint
  /** Units that a payee's claims came to, by the part of them that was burnt in that epoch. */
  readonly claims: readonly { payee: Hex; epoch: bigint; units: bigint }[]
  readonly audits: readonly { operator: Hex; epoch: bigint; mbps: bigint }[]
  /** Epochs for which an audit is good. */
  readonly goodFor: bigint
  readonly regions: ReadonlyMap<Hex, string>
  /** Governed: largest step of a base fee, and the use it steers to, in hundredths of a percent. */
  readonly step: bigint
  readonly target: bigint
  /** Of the provider asked for: where its profile says it is, and that region's multiplier in ten-thousandths. */
  readonly region: string
  readonly multiplier: bigint
}

type Read = Pick<Contracts, 'usageMint' | 'audits' | 'registry' | 'parameters' | 'regionMultipliers'>

/**
 * For `own`, which is in `country` as long as it has no profile. Claims are reckoned at the burn share of now: it changes by vote only, and
 * seldom.
 */
export async function readUse(rpc: Rpc, contracts: Read, own: Hex, country: string, signal?: AbortSignal): Promise<UseReadings> {
  const usage = contractAt(rpc, contracts.usageMint, usageMintAbi)
  const audits = contractAt(rpc, contracts.audits, auditsAbi)
  const registry = contractAt(rpc, contracts.registry, registryAbi)
  const multipliers = contractAt(rpc, contracts.regionMultipliers, regionMultipliersAbi)
  const parameter = (name: string) => contractAt(rpc, contracts.parameters, parametersAbi).read('get', [wordOf(name, 32)], signal)
  const [epoch, epochS, goodFor, burnShare, step, target] = await Promise.all([
    usage.read('epoch', [], signal),
    usage.read('EPOCH', [], signal),
    audits.read('GOOD_FOR', [], signal),
    parameter('burnShare'),
    parameter('feeStep'),
    parameter('feeTarget'),
  ])
  const [collected, audited, profiles] = await Promise.all([
    usage.events('Collected', { lane: DOLLARS }, signal),
    audits.events('Audited', {}, signal),
    registry.events('ProfileSet', {}, signal),
  ])
  // The newest of an operator counts.
  const regions = new Map(profiles.map(({ operator, profile }) => [lower(operator), textOf(profile.region)]))
  const region = regions.get(own) ?? country
  return {
    epoch,
    epochS,
    goodFor,
    step,
    target,
    claims: collected.map(({ payee, vintage, amount }) => ({ payee: lower(payee), epoch: vintage, units: (amount * WHOLE) / burnShare })),
    audits: audited.map(({ operator, epoch: number, proven }) => ({ operator: lower(operator), epoch: number, mbps: BigInt(proven) })),
    regions,
    region,
    multiplier: await multipliers.read('multiplierOf', [wordOf(region, 6)], signal),
  }
}
