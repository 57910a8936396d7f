/**
 * Evidence from what contracts said, and the score anybody computes from it. The explorer reads the events from its index, a consumer from the chain;
 * what they make of them is this one function.
 *
 * Signs of life are signed by probers and are not on a chain: of uptime nothing is known here, so a public score is given without that factor.
 */
import type { Evidence } from './evidence.ts'
import { type Score, scoreOf } from './score.ts'

/** An event as an index of the chain has it: small integers as numbers, large ones as decimal strings, addresses in lower case. */
export interface SaidEvent {
  readonly contract: string
  readonly name: string
  readonly args: Readonly<Record<string, unknown>>
  readonly tx: string
  /** Of its block, Unix seconds. */
  readonly timeS: number
}

/** A year of weekly audits and a few agreements a day; older evidence hardly counts. */
const MOST_EVIDENCE = 2_000
/** Of the enum State in contracts/src/agreements/ServiceAgreements.sol; a cancelled one says nothing of anybody. */
const MET = 4
const BROKEN = 5

/** By operator, oldest first. Events come in the order of the chain; others than those of audits and agreements are passed over. */
export function evidenceFrom(events: readonly SaidEvent[]): Map<string, Evidence[]> {
  const found = new Map<string, Evidence[]>()
  const add = (operator: string, evidence: Evidence) => {
    const of = found.get(operator)
    if (of === undefined) found.set(operator, [evidence])
    else of.push(evidence)
  }
  /** Calls that no report has answered yet. */
  const called = new Map<string, { epoch: string; proof: string }>()
  const agreements = new Map<string, { provider: string; measured: boolean }>()
  for (const { contract, name, args, tx: proof, timeS: atS } of events) {
    const operator = String(args.operator)
    const id = String(args.id)
    switch (`${contract}.${name}`) {
      case 'audits.Called': {
        // Called again, and the last call has brought no report.
        const before = called.get(operator)
        if (before !== undefined) add(operator, { kind: 'silence', atS, proof: before.proof })
        called.set(operator, { epoch: String(args.epoch), proof })
        break
      }
      case 'audits.Audited':
        if (called.get(operator)?.epoch === String(args.epoch)) called.delete(operator)
        add(operator, { kind: 'audit', atS, proof, claimedMbps: Number(args.claimed), provenMbps: Number(args.proven) })
        break
      case 'serviceAgreements.Opened':
        agreements.set(id, { provider: String(args.provider), measured: false })
        break
      case 'serviceAgreements.Reported': {
        const agreement = agreements.get(id)
        if (agreement !== undefined) agreement.measured = true
        break
      }
      case 'serviceAgreements.Ended': {
        const agreement = agreements.get(id)
        if (agreement === undefined || (args.state !== MET && args.state !== BROKEN)) break
        const { provider, measured } = agreement
        add(provider, { kind: 'agreement', atS, proof, kept: args.state === MET, measured })
        break
      }
    }
  }
  for (const [operator, evidence] of found) found.set(operator, evidence.slice(-MOST_EVIDENCE))
  return found
}

export const PUBLIC_FACTORS = ['audits', 'answers', 'agreements', 'vetting'] as const

/** What evidence from a chain comes to. A node nothing is known of stands where everybody began. */
export const publicScore = (evidence: readonly Evidence[], nowS: number): Score => scoreOf(evidence, nowS, new Set(), PUBLIC_FACTORS)
