/** Votes over the parameters, in our words: what can be changed within which bounds, and the way of a change through vote and timelock. */
import { decodeFunctionData, encodeFunctionData } from 'viem/utils'
import { type Hex, keccak } from '../protocol/bytes.ts'
import { BywayError } from '../protocol/errors.ts'
import { governanceAbi, parametersAbi, timelockAbi, wayAbi } from './abi.ts'
import type { Action } from './actions.ts'
import { contractAt, lower, textOf, wordOf } from './calls.ts'
import type { Rpc } from './rpc.ts'

/** In the order of OpenZeppelin's enum. */
export const PROPOSAL_STATES = ['pending', 'active', 'canceled', 'defeated', 'succeeded', 'queued', 'expired', 'executed'] as const
export type ProposalState = (typeof PROPOSAL_STATES)[number]
/** In the order of OpenZeppelin's votes. */
export const VOTES = ['against', 'for', 'abstain'] as const
export type VoteKind = (typeof VOTES)[number]
/** In the order of the contract's enum. */
const ISSUANCE = ['unaffected', 'rises', 'falls'] as const

/** What a parameter counts in, as contracts/src/governance/ParameterTable.sol says; what is not here, in hundredths of a percent. */
const UNITS: Readonly<Record<string, 'seconds' | 'WAY'>> = {
  multiplierNotice: 'seconds',
  unbonding: 'seconds',
  challengeWindow: 'seconds',
  stakeProvider: 'WAY',
  stakeProber: 'WAY',
  rootBond: 'WAY',
  stakePerMbps: 'WAY',
}

export interface GovernedParameter {
  name: string
  value: bigint
  unit: '0.01 %' | 'seconds' | 'WAY'
  min: bigint
  max: bigint
  /** What raising it does to the issuance of WAY: more of that takes two thirds. */
  issuance: (typeof ISSUANCE)[number]
}

export interface Proposal {
  id: bigint
  proposer: Hex
  why: string
  state: ProposalState
  /** What it changes; undefined when it does something else than set one parameter. */
  change: { name: string; from: bigint; to: bigint } | undefined
  needsTwoThirds: boolean
  votes: Record<VoteKind, bigint>
  quorum: bigint
  /** Unix seconds: voting opens after `opensAt` and closes at `closesAt`; `readyAt` is when a queued one can be executed. */
  opensAt: number
  closesAt: number
  readyAt: number | undefined
}

/** How long things take, in seconds, and the WAY it takes to propose. */
export interface VotingRules {
  delayS: number
  periodS: number
  timelockS: number
  threshold: bigint
}

export interface VotingPower {
  /** WAY held; it counts for nobody until it is delegated. */
  held: bigint
  delegate: Hex | undefined
  /** Votes delegated to this address now. */
  votes: bigint
}

export interface GovernanceClient {
  readonly address: Hex
  parameters(signal?: AbortSignal): Promise<GovernedParameter[]>
  rules(signal?: AbortSignal): Promise<VotingRules>
  /** Oldest first, as far back as the node tells. */
  proposals(signal?: AbortSignal): Promise<Proposal[]>
  power(account: Hex, signal?: AbortSignal): Promise<VotingPower>
  /** What this account voted with when voting on a proposal opened; undefined when it voted already. */
  votesOn(proposal: Proposal, account: Hex, signal?: AbortSignal): Promise<bigint | undefined>

  /** VALUE_OUT_OF_BOUNDS before the chain is asked: no vote can pass such a change. */
  propose(parameter: GovernedParameter, to: bigint, why: string): Action
  vote(id: bigint, kind: VoteKind): Action
  queue(proposal: Proposal): Action
  execute(proposal: Proposal): Action
  /** Gives the votes of the sender's WAY to somebody, or to itself. The WAY stays where it is. */
  delegate(to: Hex): Action
}

const ZERO: Hex = `0x${'00'.repeat(20)}`

export function createGovernanceClient(
  rpc: Rpc,
  contracts: { governance: Hex; timelock: Hex; parameters: Hex; way: Hex },
): GovernanceClient {
  const at = contractAt(rpc, contracts.governance, governanceAbi)
  const way = contractAt(rpc, contracts.way, wayAbi)
  const parameters = contractAt(rpc, contracts.parameters, parametersAbi)

  const setting = ({ name, from, to }: NonNullable<Proposal['change']>) =>
    encodeFunctionData({ abi: parametersAbi, functionName: 'set', args: [wordOf(name, 32), from, to] })
  /** A proposal as queue and execute want it again: the chain keeps only its hash. */
  const text = ({ change, why }: Proposal) => {
    if (change === undefined) {
      throw new BywayError('ARGUMENT_INVALID', 'this proposal does something else than change one parameter', {
        hint: 'queue and execute it with a tool of its author',
      })
    }
    return [[contracts.parameters], [0n], [setting(change)], keccak(Buffer.from(why))] as const
  }

  return {
    address: contracts.governance,

    async parameters(signal) {
      const names = await parameters.read('names', [], signal)
      return Promise.all(
        names.map(async (word) => {
          const [value, { min, max, issuance }] = await Promise.all([
            parameters.read('get', [word], signal),
            parameters.read('parameter', [word], signal),
          ])
          const name = textOf(word)
          return { name, value, unit: UNITS[name] ?? '0.01 %', min, max, issuance: ISSUANCE[issuance] ?? 'unaffected' }
        }),
      )
    },

    async rules(signal) {
      const timelock = contractAt(rpc, contracts.timelock, timelockAbi)
      const [delay, period, threshold, wait] = await Promise.all([
        at.read('votingDelay', [], signal),
        at.read('votingPeriod', [], signal),
        at.read('proposalThreshold', [], signal),
        timelock.read('getMinDelay', [], signal),
      ])
      return { delayS: Number(delay), periodS: Number(period), timelockS: Number(wait), threshold }
    },

    async proposals(signal) {
      const created = await at.events('ProposalCreated', {}, signal)
      return Promise.all(
        created.map(async ({ proposalId: id, proposer, targets, calldatas, description, voteStart, voteEnd }): Promise<Proposal> => {
          const [state, [against, inFavour, abstain], needsTwoThirds, eta, quorum] = await Promise.all([
            at.read('state', [id], signal),
            at.read('proposalVotes', [id], signal),
            at.read('needsTwoThirds', [id], signal),
            at.read('proposalEta', [id], signal),
            // Only a past moment has a supply.
            at.read('quorum', [voteStart], signal).catch(() => 0n),
          ])
          return {
            id,
            proposer: lower(proposer),
            why: description,
            state: PROPOSAL_STATES[state] ?? 'pending',
            change: changeIn(contracts.parameters, targets, calldatas),
            needsTwoThirds,
            votes: { against, for: inFavour, abstain },
            quorum,
            opensAt: Number(voteStart),
            closesAt: Number(voteEnd),
            readyAt: eta === 0n ? undefined : Number(eta),
          }
        }),
      )
    },

    async power(account, signal) {
      const [held, delegate, votes] = await Promise.all([
        way.read('balanceOf', [account], signal),
        way.read('delegates', [account], signal),
        way.read('getVotes', [account], signal),
      ])
      return { held, delegate: lower(delegate) === ZERO ? undefined : lower(delegate), votes }
    },

    async votesOn({ id, opensAt }, account, signal) {
      if (await at.read('hasVoted', [id, account], signal)) return undefined
      return way.read('getPastVotes', [account, BigInt(opensAt)], signal)
    },

    propose({ name, value, min, max }, to, why) {
      if (to < min || to > max) {
        throw new BywayError('VALUE_OUT_OF_BOUNDS', `no vote can set ${name} to ${to}`, {
          facts: { parameter: name, min, max, now: value },
          hint: 'the bounds are in the code of the contract',
        })
      }
      const change = setting({ name, from: value, to })
      return at.action('proposing the change', 'propose', [[contracts.parameters], [0n], [change], why])
    },
    vote: (id, kind) => at.action('voting', 'castVote', [id, VOTES.indexOf(kind)]),
    queue: (proposal) => at.action('queueing the change', 'queue', text(proposal)),
    execute: (proposal) => at.action('executing the change', 'execute', text(proposal)),
    delegate: (to) => way.action('delegating votes', 'delegate', [to]),
  }
}

/** The change of one parameter that a proposal makes, if that is all it does. */
function changeIn(parameters: Hex, targets: readonly Hex[], calls: readonly Hex[]): Proposal['change'] {
  if (targets.length !== 1 || lower(targets[0]!) !== parameters) return undefined
  try {
    const { functionName, args } = decodeFunctionData({ abi: parametersAbi, data: calls[0]! })
    if (functionName !== 'set') return undefined
    const [word, from, to] = args
    return { name: textOf(word), from, to }
  } catch {
    return undefined // a call of no function of Parameters: shown as something else
  }
}
