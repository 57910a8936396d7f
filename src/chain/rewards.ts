/**
 * Rewards, in our words: what use of the exchange mints for those whose claims burnt WAY, and what epoch roots pay for proven capacity.
 *
 * A root is a tree of cumulative rewards; the leaves are published by whoever proposed it. They are believed only as far as their hash is
 * the final root on chain.
 */
import { StandardMerkleTree } from '@openzeppelin/merkle-tree'
import { type Hex, keccak } from '../protocol/bytes.ts'
import { BywayError } from '../protocol/errors.ts'
import { channelsAbi, epochRootsAbi, usageMintAbi } from './abi.ts'
import type { Action } from './actions.ts'
import { contractAt, hashOf, lower } from './calls.ts'
import type { Question, Verdict } from './committee.ts'
import type { Rpc } from './rpc.ts'

/** The lane of dollars in UsageMint; lane 1 is WAY, which burns and mints at once. */
const DOLLARS = 0n

/** WAY that can be minted now for what a payee's claims left to burn in one epoch. */
export interface UsageReward {
  epoch: bigint
  /** Units of the payee's claims that went to be burnt, and of everybody's. */
  own: bigint
  all: bigint
  due: bigint
}

export interface UsageClient {
  /** Units that claims left to burn and that nobody has sent on its way yet: it counts from then on. */
  waiting(payee: Hex, signal?: AbortSignal): Promise<bigint>
  /** Every epoch in which the payee has a part, oldest first. */
  rewardsOf(payee: Hex, signal?: AbortSignal): Promise<UsageReward[]>
  epochS(signal?: AbortSignal): Promise<number>
  collect(payees: readonly Hex[]): Action
  mint(epoch: bigint, payees: readonly Hex[]): Action
}

export function createUsageClient(rpc: Rpc, contracts: { usageMint: Hex; channels: Hex }): UsageClient {
  const at = contractAt(rpc, contracts.usageMint, usageMintAbi)
  const channels = contractAt(rpc, contracts.channels, channelsAbi)
  return {
    async waiting(payee, signal) {
      const [waiting] = await channels.read('burnOf', [payee], signal)
      return waiting
    },
    async rewardsOf(payee, signal) {
      const collected = await at.events('Collected', { lane: DOLLARS, payee }, signal)
      const epochs = [...new Set(collected.map(({ vintage }) => vintage))]
      return Promise.all(
        epochs.map(async (epoch) => {
          const [[own, all], due] = await Promise.all([
            at.read('weightOf', [DOLLARS, epoch, payee], signal),
            at.read('mintable', [DOLLARS, epoch, payee], signal),
          ])
          return { epoch, own, all, due }
        }),
      )
    },
    epochS: async (signal) => Number(await at.read('EPOCH', [], signal)),
    collect: (payees) => at.action('sending what claims left on its way to be burnt', 'collect', [DOLLARS, payees]),
    mint: (epoch, payees) => at.action(`minting the rewards of epoch ${epoch}`, 'mint', [DOLLARS, epoch, payees]),
  }
}

/** What one operator was ever awarded. */
export interface RewardLeaf {
  operator: Hex
  cumulative: bigint
}

export interface RewardProof extends RewardLeaf {
  proof: Hex[]
}

export interface RootsView {
  /** The newest final root; undefined before the first. */
  root: Hex | undefined
  epoch: bigint
  total: bigint
  paid: bigint
  /** WAY that ever came to pay rewards. */
  funded: bigint
  /** How often the next root was dropped. */
  attempt: bigint
  /** The root that waits for its challenge window to end. */
  pending: { root: Hex; epoch: bigint; total: bigint; endsAt: number; challenged: boolean } | undefined
}

export interface RootsClient {
  readonly address: Hex
  view(signal?: AbortSignal): Promise<RootsView>
  claimed(operator: Hex, signal?: AbortSignal): Promise<bigint>
  creditOf(owner: Hex, signal?: AbortSignal): Promise<bigint>
  claim(proof: RewardProof): Action
  /** What the committee of an epoch is asked; `attempt` counts how often its root was dropped. */
  question(epoch: bigint, attempt: bigint, root: Hex, total: bigint): Question
  /** Calls the committee that may sign the root of an epoch that is over. */
  summon(epoch: bigint): Action
  /** Brings a signed root, with a bond in WAY. */
  propose(epoch: bigint, root: Hex, total: bigint, verdict: Verdict, bond: bigint): Action
  /** Doubts the pending root, with as large a bond. */
  challenge(bond: bigint): Action
  /** Ends the pending root by time. Anyone may. */
  settle(): Action
  collect(): Action
}

const NO_ROOT: Hex = `0x${'00'.repeat(32)}`
const NOBODY: Hex = `0x${'00'.repeat(20)}`

const ROOT = keccak(Buffer.from('root'))

export function createRootsClient(rpc: Rpc, way: Hex, address: Hex): RootsClient {
  const at = contractAt(rpc, address, epochRootsAbi)
  return {
    address,
    async view(signal) {
      const [root, epoch, total, paid, funded, attempt, pending] = await Promise.all([
        at.read('root', [], signal),
        at.read('epochOfRoot', [], signal),
        at.read('total', [], signal),
        at.read('paid', [], signal),
        at.read('funded', [], signal),
        at.read('attempt', [], signal),
        at.read('pending', [], signal),
      ])
      const waits = {
        root: pending.root,
        epoch: pending.epoch,
        total: pending.total,
        endsAt: Number(pending.endsAt),
        challenged: lower(pending.challenger) !== NOBODY,
      }
      return {
        root: root === NO_ROOT ? undefined : root,
        epoch,
        total,
        paid,
        funded,
        attempt,
        pending: lower(pending.proposer) === NOBODY ? undefined : waits,
      }
    },
    claimed: (operator, signal) => at.read('claimed', [operator], signal),
    creditOf: (owner, signal) => at.read('credits', [owner], signal),
    claim: ({ operator, cumulative, proof }) =>
      at.action('claiming the rewards of an epoch root', 'claim', [{ operator, cumulative, proof }]),
    question: (epoch, attempt, root, total) => ({
      owner: address,
      label: hashOf(['bytes32', 'uint256', 'uint256'], [ROOT, epoch, attempt]),
      statement: {
        kind: ROOT,
        stream: hashOf(['address', 'uint256'], [address, attempt]),
        counter: epoch,
        content: hashOf(['bytes32', 'uint256'], [root, total]),
      },
    }),
    summon: (epoch) => at.action('calling the committee of an epoch', 'summon', [epoch]),
    propose: (epoch, root, total, { signers, signatures }, bond) =>
      at.action('proposing an epoch root', 'propose', [epoch, root, total, signers, signatures], { token: way, amount: bond }),
    challenge: (bond) => at.action('challenging the root', 'challenge', [], { token: way, amount: bond }),
    settle: () => at.action('ending the window of a root', 'settle', []),
    collect: () => at.action('collecting bonds of roots', 'collect', []),
  }
}

/** The tree of a root: leaves hashed twice, as contracts/src/rewards/EpochRoots.sol checks them. */
const treeOf = (leaves: readonly RewardLeaf[]) =>
  StandardMerkleTree.of(
    leaves.map(({ operator, cumulative }) => [operator, cumulative]),
    ['address', 'uint256'],
  )

export const rewardRoot = (leaves: readonly RewardLeaf[]): Hex => treeOf(leaves).root as Hex

/** The operator's leaf and its way to the root; undefined when it has none. PROOF_INVALID when the leaves are not those of the root. */
export function proofIn(leaves: readonly RewardLeaf[], root: Hex, operator: Hex): RewardProof | undefined {
  const tree = leaves.length === 0 ? undefined : treeOf(leaves)
  if (tree?.root !== root) {
    throw new BywayError('PROOF_INVALID', 'these leaves are not those of the final root', {
      facts: { final: root, given: tree?.root ?? 'none' },
      hint: 'get the leaves of the epoch that is final from a prober or an explorer',
    })
  }
  const place = leaves.findIndex((leaf) => leaf.operator === operator)
  if (place < 0) return undefined
  return { ...leaves[place]!, proof: tree.getProof(place) as Hex[] }
}
