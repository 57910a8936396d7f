/** Committees of probers, in our words: called for a question, drawn by the hash of a later block, and heard when 2f + 1 signed one answer. */
import type { Hex } from '../protocol/bytes.ts'
import { committeeAbi } from './abi.ts'
import type { Action } from './actions.ts'
import { contractAt, hashOf, lower } from './calls.ts'
import type { SignedStatement, Statement } from './registry.ts'
import type { Rpc } from './rpc.ts'
import { splitSignature } from './wallet.ts'

/** Who asks, under which label, and the statement that answers it. */
export interface Question {
  owner: Hex
  label: Hex
  statement: Statement
}

/** Signatures as contracts read them: bit i of `signers` is member i, and the signatures stand in the order of the members. */
export interface Verdict {
  signers: bigint
  signatures: readonly (readonly [Hex, Hex])[]
}

export interface CommitteeClient {
  readonly address: Hex
  topicOf(question: Pick<Question, 'owner' | 'label'>): Hex
  /** Empty before the draw. */
  membersOf(topic: Hex, signal?: AbortSignal): Promise<Hex[]>
  quorumOf(topic: Hex, signal?: AbortSignal): Promise<bigint>
  /** From the second block after the call on, for as long as the chain remembers that block. Anyone may. */
  draw(topic: Hex): Action
}

export function createCommitteeClient(rpc: Rpc, address: Hex): CommitteeClient {
  const at = contractAt(rpc, address, committeeAbi)
  return {
    address,
    topicOf: ({ owner, label }) => hashOf(['address', 'bytes32'], [owner, label]),
    membersOf: async (topic, signal) => (await at.read('membersOf', [topic], signal)).map(lower),
    quorumOf: (topic, signal) => at.read('quorumOf', [topic], signal),
    draw: (topic) => at.action('drawing the committee', 'draw', [topic]),
  }
}

/** What members signed, put in their order; members that signed nothing are left out. */
export function verdictOf(members: readonly Hex[], signed: ReadonlyMap<Hex, SignedStatement>): Verdict {
  let signers = 0n
  const signatures: [Hex, Hex][] = []
  for (const [i, member] of members.entries()) {
    const said = signed.get(member)
    if (said === undefined) continue
    const { r, vs } = splitSignature(said.signature)
    signers |= 1n << BigInt(i)
    signatures.push([r, vs])
  }
  return { signers, signatures }
}
