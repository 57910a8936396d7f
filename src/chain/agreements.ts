/** Service agreements, in our words: terms that consumer and provider sign, the money both put behind them, and how they end. */
import { hashTypedData } from 'viem/utils'
import { fromHex, type Hex, keccak } from '../protocol/bytes.ts'
import { recoverSigner } from '../protocol/voucher.ts'
import { dollarAbi, serviceAgreementsAbi } from './abi.ts'
import { type Action, allowance } from './actions.ts'
import { contractAt, hashOf, lower } from './calls.ts'
import type { Question, Verdict } from './committee.ts'
import type { Rpc } from './rpc.ts'
import { splitSignature, type Wallet } from './wallet.ts'

/** In the order of the contract's enum. The last three are final. */
export const AGREEMENT_STATES = ['none', 'open', 'reported', 'disputed', 'met', 'broken', 'cancelled'] as const
export type AgreementState = (typeof AGREEMENT_STATES)[number]

/** What both sign. Money in units, levels in hundredths of a percent, times in Unix seconds. */
export interface AgreementTerms {
  consumer: Hex
  provider: Hex
  payment: bigint
  bond: bigint
  objective: number
  metric: Hex
  start: number
  end: number
  nonce: bigint
  deadline: number
}

export interface Agreement {
  id: Hex
  consumer: Hex
  provider: Hex
  payment: bigint
  bond: bigint
  objective: number
  /** Level that was reported, or counts as such once it is over. */
  indicator: number
  end: number
  /** Open: last moment for a report. Reported: first second to settle. Disputed: first second at which it is cancelled. */
  until: number
  state: AgreementState
  reporter: Hex
  disputer: Hex
}

export interface AgreementsClient {
  readonly address: Hex
  idOf(terms: AgreementTerms): Hex
  /** r | vs over the terms. */
  sign(terms: AgreementTerms, party: Wallet): Hex
  /** Whether `party` signed these terms. */
  signedBy(terms: AgreementTerms, signature: Hex, party: Hex): boolean
  agreement(id: Hex, signal?: AbortSignal): Promise<Agreement>
  /** Every agreement somebody is a party of, oldest first. */
  agreementsOf(party: Hex, signal?: AbortSignal): Promise<Agreement[]>
  creditOf(owner: Hex, signal?: AbortSignal): Promise<bigint>
  /** What reporter and disputer put up. */
  disputeBond(signal?: AbortSignal): Promise<bigint>
  /** What the contract may take from this wallet, for agreements that are signed and not open yet. */
  allowed(owner: Hex, signal?: AbortSignal): Promise<bigint>
  /** What the committee of the samples, or of the appeal, is asked. */
  question(kind: 'samples' | 'appeal', id: Hex, indicator: number): Question

  /** Lets the contract take a party's part when somebody opens the agreement. */
  allow(units: bigint): Action
  open(terms: AgreementTerms, byConsumer: Hex, byProvider: Hex): Action
  summon(id: Hex): Action
  report(id: Hex, indicator: number, verdict: Verdict, bond: bigint): Action
  dispute(id: Hex, bond: bigint): Action
  rule(id: Hex, indicator: number, verdict: Verdict): Action
  settle(id: Hex): Action
  collect(to: Hex): Action
}

const TERMS = [
  { name: 'consumer', type: 'address' },
  { name: 'provider', type: 'address' },
  { name: 'payment', type: 'uint96' },
  { name: 'bond', type: 'uint96' },
  { name: 'objective', type: 'uint16' },
  { name: 'metric', type: 'bytes32' },
  { name: 'start', type: 'uint64' },
  { name: 'end', type: 'uint64' },
  { name: 'nonce', type: 'uint64' },
  { name: 'deadline', type: 'uint64' },
] as const

/** The metric of the terms is the hash of its text: parties keep the text. */
export const metricOf = (text: string): Hex => keccak(Buffer.from(text))

const SAMPLES = keccak(Buffer.from('samples'))
const APPEAL = keccak(Buffer.from('appeal'))

export function createAgreementsClient(rpc: Rpc, dollar: Hex, address: Hex): AgreementsClient {
  const at = contractAt(rpc, address, serviceAgreementsAbi)
  const domain = { name: 'Byway Agreements', version: '1', chainId: rpc.chainId, verifyingContract: address }

  const idOf = (terms: AgreementTerms): Hex =>
    hashTypedData({ domain, types: { Terms: TERMS }, primaryType: 'Terms', message: onChain(terms) })

  const agreement = async (id: Hex, signal?: AbortSignal): Promise<Agreement> => {
    const found = await at.read('agreementOf', [id], signal)
    const parties = { consumer: lower(found.consumer), provider: lower(found.provider) }
    const others = { reporter: lower(found.reporter), disputer: lower(found.disputer) }
    const times = { end: Number(found.end), until: Number(found.until) }
    return { ...found, id, ...parties, ...others, ...times, state: AGREEMENT_STATES[found.state] ?? 'none' }
  }

  return {
    address,
    idOf,
    agreement,
    sign: (terms, party) => party.sign(fromHex(idOf(terms), 32)),
    signedBy: (terms, signature, party) => recoverSigner(fromHex(idOf(terms), 32), signature) === party,

    async agreementsOf(party, signal) {
      const [asConsumer, asProvider] = await Promise.all([
        at.events('Opened', { consumer: party }, signal),
        at.events('Opened', { provider: party }, signal),
      ])
      return Promise.all([...new Set([...asConsumer, ...asProvider].map(({ id }) => id))].map((id) => agreement(id, signal)))
    },
    creditOf: (owner, signal) => at.read('credits', [owner], signal),
    disputeBond: (signal) => at.read('DISPUTE_BOND', [], signal),

    allowed: (owner, signal) => contractAt(rpc, dollar, dollarAbi).read('allowance', [owner, address], signal),

    question(kind, id, indicator) {
      const word = kind === 'samples' ? SAMPLES : APPEAL
      return {
        owner: address,
        label: hashOf(['bytes32', 'bytes32'], [word, id]),
        statement: {
          kind: word,
          stream: hashOf(['address', 'bytes32'], [address, id]),
          counter: 0n,
          content: hashOf(['uint16'], [indicator]),
        },
      }
    },

    allow: (units) => allowance(dollar, address, units),
    open(terms, byConsumer, byProvider) {
      const [a, b] = [splitSignature(byConsumer), splitSignature(byProvider)]
      return at.action('opening the agreement', 'open', [onChain(terms), [a.r, a.vs, b.r, b.vs]])
    },
    summon: (id) => at.action('calling the committee of the agreement', 'summon', [id]),
    report: (id, indicator, { signers, signatures }, bond) =>
      at.action('reporting the level', 'report', [id, indicator, signers, signatures], { token: dollar, amount: bond }),
    dispute: (id, bond) => at.action('disputing the report', 'dispute', [id], { token: dollar, amount: bond }),
    rule: (id, indicator, { signers, signatures }) => at.action('ruling on the dispute', 'rule', [id, indicator, signers, signatures]),
    settle: (id) => at.action('settling the agreement', 'settle', [id]),
    collect: (to) => at.action('collecting from agreements', 'collect', [to]),
  }
}

/** Numbers as the ABI wants them. */
const onChain = (terms: AgreementTerms) => ({
  ...terms,
  start: BigInt(terms.start),
  end: BigInt(terms.end),
  deadline: BigInt(terms.deadline),
})
