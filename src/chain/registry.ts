/** The Registry, in our words: who works for the exchange, the stake behind each, and the faults it answers for. */
import { hashTypedData } from 'viem/utils'
import { fromHex, type Hex } from '../protocol/bytes.ts'
import { BywayError } from '../protocol/errors.ts'
import { registryAbi } from './abi.ts'
import type { Action } from './actions.ts'
import { contractAt, lower, textOf, wordOf } from './calls.ts'
import type { Rpc } from './rpc.ts'
import { splitSignature, type Wallet } from './wallet.ts'

/** In the order of the contract's enum. */
export const ROLES = ['none', 'provider', 'prober', 'both'] as const
export type OperatorRole = (typeof ROLES)[number]

/** What an operator says about itself. */
export interface Profile {
  nodeKey: Hex
  offerHash: Hex
  payout: Hex
  /** At most six ASCII characters, such as `eu-w`. */
  region: string
  mbps: number
  commissionBps: number
  role: OperatorRole
}

export interface Operator {
  operator: Hex
  /** Undefined when it never registered. */
  profile: Profile | undefined
  bonded: bigint
  thawing: bigint
  /** Of the bonded stake, what is its own. */
  own: bigint
  /** What its own must reach before it is active. */
  required: bigint
  active: boolean
  struckOff: boolean
}

/** Stake of one owner behind one operator. */
export interface StakeHolding {
  operator: Hex
  shares: bigint
  tokens: bigint
  rewards: bigint
}

/** Stake on its way out, or over to another operator. */
export interface Thaw {
  id: bigint
  operator: Hex
  to: Hex | undefined
  tokens: bigint
  releaseAt: number
}

/** Something a key says at a numbered place. An honest key says one thing at one place. */
export interface Statement {
  kind: Hex
  stream: Hex
  counter: bigint
  content: Hex
}

export interface SignedStatement {
  statement: Statement
  /** r | vs. */
  signature: Hex
}

export interface RegistryClient {
  readonly address: Hex
  operator(operator: Hex, signal?: AbortSignal): Promise<Operator>
  /** Everybody who ever registered. */
  operators(signal?: AbortSignal): Promise<Hex[]>
  holding(operator: Hex, owner: Hex, signal?: AbortSignal): Promise<StakeHolding>
  /** Every operator with stake or rewards of this owner. */
  holdingsOf(owner: Hex, signal?: AbortSignal): Promise<StakeHolding[]>
  /** Stake of this owner that is on its way, the soonest first. */
  thawsOf(owner: Hex, signal?: AbortSignal): Promise<Thaw[]>
  /** What `collect` would pay. */
  creditOf(owner: Hex, signal?: AbortSignal): Promise<bigint>
  unbondingS(signal?: AbortSignal): Promise<number>
  /** Operator a session key answers for, if any. */
  operatorOf(key: Hex, signal?: AbortSignal): Promise<Hex | undefined>

  setProfile(profile: Profile): Action
  /** Where the operator serves its offer: `host:port`, or nothing. */
  setEndpoint(endpoint: string): Action
  /** The key signs that it belongs to the operator, so that nobody takes a key that is not his. */
  addKey(key: Wallet, operator: Hex): Action
  stake(operator: Hex, tokens: bigint): Action
  /** `to`: the operator it moves to; undefined for back to the owner. */
  unbond(operator: Hex, shares: bigint, to?: Hex): Action
  release(id: bigint): Action
  claimRewards(operator: Hex): Action
  collect(to: Hex): Action
  /** Two statements of one key at one place that say different things. */
  reportEquivocation(first: SignedStatement, second: SignedStatement): Action
  signStatement(statement: Statement, key: Wallet): SignedStatement
}

const ZERO: Hex = `0x${'00'.repeat(20)}`
const STATEMENT = [
  { name: 'kind', type: 'bytes32' },
  { name: 'stream', type: 'bytes32' },
  { name: 'counter', type: 'uint64' },
  { name: 'content', type: 'bytes32' },
] as const
const KEY_PROOF = [{ name: 'operator', type: 'address' }] as const

export function createRegistryClient(rpc: Rpc, way: Hex, address: Hex): RegistryClient {
  const at = contractAt(rpc, address, registryAbi)
  const domain = { name: 'Byway Registry', version: '1', chainId: rpc.chainId, verifyingContract: address }

  const holding = async (operator: Hex, owner: Hex, signal?: AbortSignal): Promise<StakeHolding> => {
    const [[shares, tokens], rewards] = await Promise.all([
      at.read('sharesOf', [operator, owner], signal),
      at.read('rewardOf', [operator, owner], signal),
    ])
    return { operator, shares, tokens, rewards }
  }

  const signStatement = (statement: Statement, key: Wallet): SignedStatement => {
    const digest = hashTypedData({ domain, types: { Statement: STATEMENT }, primaryType: 'Statement', message: statement })
    return { statement, signature: key.sign(fromHex(digest, 32)) }
  }

  return {
    address,
    holding,
    signStatement,

    async operator(operator, signal) {
      const [profile, [bonded, thawing], [, own], required, struckOff] = await Promise.all([
        at.read('profileOf', [operator], signal),
        at.read('stakeOf', [operator], signal),
        at.read('sharesOf', [operator, operator], signal),
        at.read('bondRequired', [operator], signal),
        at.read('struckOff', [operator], signal),
      ])
      const role = ROLES[profile.role] ?? 'none'
      const known = role !== 'none'
      return {
        operator,
        profile: known ? { ...profile, payout: lower(profile.payout), region: textOf(profile.region), role } : undefined,
        bonded,
        thawing,
        own,
        required,
        active: known && !struckOff && own >= required,
        struckOff,
      }
    },

    async operators(signal) {
      const events = await at.events('ProfileSet', {}, signal)
      return [...new Set(events.map(({ operator }) => lower(operator)))]
    },

    async holdingsOf(owner, signal) {
      const staked = await at.events('Staked', { owner }, signal)
      // Its own rewards are worth a look even where others hold all the stake.
      const operators = new Set([...staked.map(({ operator }) => lower(operator)), owner])
      const all = await Promise.all([...operators].map((operator) => holding(operator, owner, signal)))
      return all.filter(({ shares, rewards }) => shares > 0n || rewards > 0n)
    },

    async thawsOf(owner, signal) {
      const ids = (await at.events('Unbonding', { owner }, signal)).map(({ id }) => id)
      const all = await Promise.all(
        ids.map(async (id): Promise<Thaw | undefined> => {
          const [thaw, tokens] = await at.read('thawOf', [id], signal)
          if (thaw.owner === ZERO) return undefined // released
          const to = lower(thaw.to)
          return { id, operator: lower(thaw.operator), to: to === ZERO ? undefined : to, tokens, releaseAt: Number(thaw.releaseAt) }
        }),
      )
      return all.filter((thaw) => thaw !== undefined).sort((a, b) => a.releaseAt - b.releaseAt)
    },

    creditOf: (owner, signal) => at.read('creditOf', [owner], signal),
    unbondingS: async (signal) => Number(await at.read('unbondingSeconds', [], signal)),
    async operatorOf(key, signal) {
      const operator = lower(await at.read('operatorOf', [key], signal))
      return operator === ZERO ? undefined : operator
    },

    setProfile: (profile) =>
      at.action('registering the node', 'setProfile', [
        { ...profile, region: wordOf(profile.region, 6), role: ROLES.indexOf(profile.role) },
      ]),
    setEndpoint: (endpoint) => at.action('saying where the offer is served', 'setEndpoint', [endpoint]),
    addKey(key, operator) {
      const digest = hashTypedData({ domain, types: { KeyProof: KEY_PROOF }, primaryType: 'KeyProof', message: { operator } })
      const { r, vs } = splitSignature(key.sign(fromHex(digest, 32)))
      return at.action('adding a session key', 'addKey', [key.address, r, vs])
    },
    stake: (operator, tokens) => at.action('staking', 'stake', [operator, tokens], { token: way, amount: tokens }),
    unbond: (operator, shares, to) =>
      at.action(to === undefined ? 'starting to withdraw stake' : 'starting to move stake', 'unbond', [operator, shares, to ?? ZERO]),
    release: (id) => at.action('ending a thaw', 'release', [id]),
    claimRewards: (operator) => at.action('booking the rewards of stake', 'claimRewards', [operator]),
    collect: (to) => at.action('collecting what the registry owes', 'collect', [to]),
    reportEquivocation(first, second) {
      const [a, b] = [splitSignature(first.signature), splitSignature(second.signature)]
      return at.action('reporting an equivocation', 'reportEquivocation', [first.statement, second.statement, [a.r, a.vs, b.r, b.vs]])
    },
  }
}

/** Shares that are worth `tokens`, rounded down; all of them for all of it. */
export function sharesFor({ shares, tokens: worth }: Pick<StakeHolding, 'shares' | 'tokens'>, tokens: bigint): bigint {
  if (tokens > worth || tokens <= 0n) {
    throw new BywayError('AMOUNT_TOO_LARGE', 'there is not so much stake', { facts: { asked: tokens, staked: worth } })
  }
  return tokens === worth ? shares : (tokens * shares) / worth
}
