/**
 * What epochs do, in our words: budgets are minted, committees say what they saw, roots are proposed. Each thing a committee says is a
 * {@link Question} with a way to call the committee and a way to bring its verdict.
 */
import type { Hex } from '../protocol/bytes.ts'
import { auditsAbi, emissionsAbi, epochRootsAbi, parametersAbi, regionMultipliersAbi, regionVaultAbi } from './abi.ts'
import type { Action } from './actions.ts'
import { contractAt, hashOf, wordOf } from './calls.ts'
import type { Question, Verdict } from './committee.ts'
import type { Contracts } from './plan.ts'
import type { Rpc } from './rpc.ts'

/** Parameters about stake are in whole WAY. */
const WAY = 10n ** 18n

/** The two budgets of an epoch: for proven capacity, and for the first years. */
export const BUDGETS = ['capacity', 'bootstrap'] as const
export type BudgetKind = (typeof BUDGETS)[number]

/** A question for a committee, how it is called, and what is sent when it has spoken. */
export interface Asked {
  readonly question: Question
  readonly summon: Action
  readonly bring: (verdict: Verdict) => Action
}

/** What a committee saw of a region in one epoch. */
export interface RegionReport {
  region: string
  /** Bytes paid for, and bytes that the proven capacity could have carried. */
  demand: bigint
  supply: bigint
  nodes: number
  /** Hundredths of a percent. */
  progress: number
}

export interface RegionStanding {
  multiplier: bigint
  nodes: bigint
  progress: bigint
}

export interface EpochsClient {
  epoch(signal?: AbortSignal): Promise<bigint>
  epochS(signal?: AbortSignal): Promise<number>
  /** First epoch whose budgets are not minted. */
  nextEpoch(signal?: AbortSignal): Promise<bigint>
  turn(): Action
  budget(kind: BudgetKind, epoch: bigint, signal?: AbortSignal): Promise<bigint>

  /** The root of an epoch that is over; `total` is the sum of its leaves. */
  askRoot(kind: BudgetKind, epoch: bigint, root: Hex, total: bigint, signal?: AbortSignal): Promise<Asked>
  /** What was measured of an operator. Called within the epoch, before it is measured. */
  askAudit(operator: Hex, epoch: bigint, mbps: number, signal?: AbortSignal): Promise<Asked>
  /** Regions of an epoch that is over; undefined when they were reported. */
  askRegions(epoch: bigint, reports: readonly RegionReport[], signal?: AbortSignal): Promise<Asked | undefined>
  /** Providers that came to and left a region's vault in its next period; undefined before it is over. */
  askVault(region: string, proven: readonly Hex[], known: readonly Hex[], nowS: number, signal?: AbortSignal): Promise<Asked | undefined>
  region(region: string, signal?: AbortSignal): Promise<RegionStanding>
}

export function createEpochsClient(rpc: Rpc, contracts: Contracts): EpochsClient {
  const { way, capacityRewards, bootstrapRewards } = contracts
  const emissions = contractAt(rpc, contracts.emissions, emissionsAbi)
  const parameters = contractAt(rpc, contracts.parameters, parametersAbi)
  const audits = contractAt(rpc, contracts.audits, auditsAbi)
  const multipliers = contractAt(rpc, contracts.regionMultipliers, regionMultipliersAbi)
  const roots = {
    capacity: contractAt(rpc, capacityRewards, epochRootsAbi),
    bootstrap: contractAt(rpc, bootstrapRewards, epochRootsAbi),
  }
  return {
    epoch: (signal) => emissions.read('epoch', [], signal),
    epochS: async (signal) => Number(await emissions.read('EPOCH', [], signal)),
    nextEpoch: (signal) => emissions.read('nextEpoch', [], signal),
    turn: () => emissions.action('turning the epoch', 'turn', []),
    budget: async (kind, epoch, signal) => (await emissions.read('budgetOf', [epoch], signal))[kind],

    async askRoot(kind, epoch, root, total, signal) {
      const at = roots[kind]
      const [word, bond] = await Promise.all([at.read('ROOT', [], signal), parameters.read('get', [wordOf('rootBond', 32)], signal)])
      const [label, statement] = await Promise.all([
        at.read('labelOf', [word, epoch], signal),
        at.read('statementOf', [word, epoch, root, total], signal),
      ])
      return {
        question: { owner: at.address, label, statement },
        summon: at.action(`calling the committee of the ${kind} root`, 'summon', [epoch]),
        bring: ({ signers, signatures }) =>
          at.action(`proposing the ${kind} root of epoch ${epoch}`, 'propose', [epoch, root, total, signers, signatures], {
            token: way,
            amount: bond * WAY,
          }),
      }
    },

    async askAudit(operator, epoch, mbps, signal) {
      const [label, statement] = await Promise.all([
        audits.read('labelOf', [operator, epoch], signal),
        audits.read('statementOf', [operator, epoch, mbps], signal),
      ])
      return {
        question: { owner: audits.address, label, statement },
        summon: audits.action('calling an audit', 'summon', [operator]),
        bring: ({ signers, signatures }) => audits.action('reporting an audit', 'report', [operator, epoch, mbps, signers, signatures]),
      }
    },

    async askRegions(epoch, reports, signal) {
      if (epoch < (await multipliers.read('nextEpoch', [], signal))) return undefined
      // Each region once, in rising order.
      const rows = reports.map((report) => ({ ...report, region: wordOf(report.region, 6) })).sort((a, b) => (a.region < b.region ? -1 : 1))
      const [word, statement] = await Promise.all([
        multipliers.read('REGIONS', [], signal),
        multipliers.read('statementOf', [epoch, rows], signal),
      ])
      return {
        question: { owner: multipliers.address, label: hashOf(['bytes32', 'uint256'], [word, epoch]), statement },
        summon: multipliers.action('calling the committee of the regions', 'summon', [epoch]),
        bring: ({ signers, signatures }) => multipliers.action('reporting the regions', 'report', [epoch, rows, signers, signatures]),
      }
    },

    async askVault(region, proven, known, nowS, signal) {
      const address = contracts.vaults[region]
      if (address === undefined) return undefined
      const at = contractAt(rpc, address, regionVaultAbi)
      const [period, start, length] = await Promise.all([
        at.read('nextPeriod', [], signal),
        at.read('START', [], signal),
        at.read('PERIOD', [], signal),
      ])
      if (BigInt(nowS) < start + (period + 1n) * length) return undefined
      const there = await Promise.all(known.map((node) => at.read('isNode', [node], signal)))
      const came = known.filter((node, i) => !there[i] && proven.includes(node))
      const left = known.filter((node, i) => there[i] && !proven.includes(node))
      const [label, statement] = await Promise.all([
        at.read('labelOf', [period], signal),
        at.read('statementOf', [period, came, left], signal),
      ])
      return {
        question: { owner: address, label, statement },
        summon: at.action(`calling the committee of the vault of ${region}`, 'summon', []),
        bring: ({ signers, signatures }) =>
          at.action(`settling a period of the vault of ${region}`, 'settle', [period, came, left, signers, signatures]),
      }
    },

    async region(region, signal) {
      const word = wordOf(region, 6)
      const [multiplier, { nodes, progress }] = await Promise.all([
        multipliers.read('multiplierOf', [word], signal),
        multipliers.read('regionOf', [word], signal),
      ])
      return { multiplier, nodes: BigInt(nodes), progress: BigInt(progress) }
    },
  }
}
