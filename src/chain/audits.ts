/** Audits, in our words: what committees proved of a provider's bandwidth. */
import { type Hex, keccak } from '../protocol/bytes.ts'
import { auditsAbi } from './abi.ts'
import type { Action } from './actions.ts'
import { contractAt, hashOf } from './calls.ts'
import type { Question, Verdict } from './committee.ts'
import type { Rpc } from './rpc.ts'

export interface AuditsClient {
  readonly address: Hex
  epoch(signal?: AbortSignal): Promise<bigint>
  /** Mbps proved lately; 0 if never, or too long ago. */
  provenMbps(operator: Hex, signal?: AbortSignal): Promise<bigint>
  /** What the committee of an audit is asked. */
  question(operator: Hex, epoch: bigint, mbps: number): Question
  /** Calls the audit of an operator in this epoch. Anyone may. */
  summon(operator: Hex): Action
  report(operator: Hex, epoch: bigint, mbps: number, verdict: Verdict): Action
}

const AUDIT = keccak(Buffer.from('audit'))

export function createAuditsClient(rpc: Rpc, address: Hex): AuditsClient {
  const at = contractAt(rpc, address, auditsAbi)
  return {
    address,
    epoch: (signal) => at.read('epoch', [], signal),
    provenMbps: (operator, signal) => at.read('provenMbps', [operator], signal),
    question: (operator, epoch, mbps) => ({
      owner: address,
      label: hashOf(['bytes32', 'address', 'uint256'], [AUDIT, operator, epoch]),
      statement: {
        kind: AUDIT,
        stream: hashOf(['address', 'address'], [address, operator]),
        counter: epoch,
        content: hashOf(['uint32'], [mbps]),
      },
    }),
    summon: (operator) => at.action('calling an audit', 'summon', [operator]),
    report: (operator, epoch, mbps, { signers, signatures }) =>
      at.action('reporting an audit', 'report', [operator, epoch, mbps, signers, signatures]),
  }
}
