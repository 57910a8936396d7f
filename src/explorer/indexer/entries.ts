/**
 * What an event amounts to, as entries: so much, of what, whose.
 *
 * One table by contract and event; a contract that is added gets its rows here, and an event without a row is still kept and shown, it only
 * counts for nothing. Every total the explorer shows is a sum over entries, so that anybody can add it up again from the events themselves.
 */
import type { ChainEvent, EventArgs } from '../../chain/index.ts'

/** What is measured, and what it means. The unit of an amount is the token's smallest: a millionth of a dollar, 10^-18 of a WAY. */
export const MEASURES = {
  deposited: 'Locked in roots, by payer',
  refunded: 'Came back to payers from closed roots',
  claimed: 'Paid for traffic, by payee; fees and what was withheld included',
  fees: 'Kept by those who submitted claims',
  withheld: 'The part of claims that burns WAY, by payee',
  sold: 'Dollars the burn auction sold, by buyer',
  minted: 'WAY that came into being, by receiver',
  burnt: 'WAY that was burnt, by whoever held it',
  rewarded_usage: 'WAY minted again to payees for what they left to burn',
  rewarded_capacity: 'WAY paid to operators for proven capacity',
  rewarded_bootstrap: 'WAY paid to operators from the schedule of the first years',
  rewarded_stake: 'WAY shared between operators and those who back them',
  issued_capacity: 'WAY of the schedule for capacity',
  issued_bootstrap: 'WAY of the schedule for the beginning',
  reentered: 'Burnt WAY that was issued again',
  staked: 'WAY behind operators, what is on its way out included',
  slashed: 'WAY taken from operators and those who back them',
  vaulted: 'Dollars investors have in vaults',
  subsidised: 'Dollars vaults paid to providers',
  surcharged: 'Offered for more capacity in a region',
  reserved: 'Dollars paid for capacity in advance',
  reserved_gb: 'Gigabytes bought in advance',
  agreed: 'Dollars held by service agreements: payment and bond',
  returned: 'Dollars agreements gave back to consumers',
  subscribed: 'Paid for flat-rate plans, by subscriber',
  voted: 'WAY that votes weighed, by voter',
} as const
export type Measure = keyof typeof MEASURES
export type Unit = 'dollar' | 'way' | 'gb'

export interface Entry {
  readonly measure: Measure
  readonly unit: Unit
  readonly owner: string
  readonly amount: bigint
  readonly region?: string
}

/** Arguments of the earlier event of the same contract with this name and id. */
export type Earlier = (name: string, id: string) => Promise<EventArgs | undefined>
type Rule = (args: EventArgs, earlier: Earlier) => readonly Entry[] | Promise<readonly Entry[]>

const text = (value: unknown): string => String(value)
const units = (value: unknown): bigint => BigInt(value as string | number)
const entry = (measure: Measure, unit: Unit, owner: unknown, amount: unknown, region?: string): Entry => ({
  measure,
  unit,
  owner: text(owner),
  amount: units(amount),
  ...(region === undefined ? {} : { region }),
})

/** A region as contracts have it, six bytes, in letters: `0x646500000000` is `de`. */
export function regionText(bytes: unknown): string {
  const letters = Buffer.from(text(bytes).slice(2), 'hex').toString('latin1').replace(/\0+$/, '')
  return /^[\x21-\x7e]*$/.test(letters) ? letters : text(bytes)
}

const channels = (unit: Unit): Record<string, Rule> => ({
  RootOpened: (a) => [entry('deposited', unit, a.payer, a.sum)],
  RootClosed: (a) => [entry('refunded', unit, a.payer, a.refund)],
  ChannelsSwept: (a) => [entry('refunded', unit, a.payer, a.refund)],
  Claimed: (a) => [
    entry('claimed', unit, a.payee, a.amount),
    entry('fees', unit, a.submitter, a.fee),
    entry('withheld', unit, a.payee, a.burnt),
  ],
})

const ZERO = `0x${'00'.repeat(20)}`

export const RULES: Readonly<Record<string, Readonly<Record<string, Rule>>>> = {
  channels: channels('dollar'),
  wayChannels: channels('way'),
  way: {
    Transfer: (a) => [
      ...(a.from === ZERO ? [entry('minted', 'way', a.to, a.value)] : []),
      ...(a.to === ZERO ? [entry('burnt', 'way', a.from, a.value)] : []),
    ],
  },
  burnAuction: { Sold: (a) => [entry('sold', 'dollar', a.buyer, a.dollars)] },
  usageMint: { Minted: (a) => [entry('rewarded_usage', 'way', a.payee, a.amount)] },
  emissions: {
    Turned: (a) => [
      entry('issued_capacity', 'way', '', a.capacity),
      entry('issued_bootstrap', 'way', '', a.bootstrap),
      entry('reentered', 'way', '', a.reentered),
    ],
  },
  capacityRewards: { Claimed: (a) => [entry('rewarded_capacity', 'way', a.operator, a.amount)] },
  bootstrapRewards: { Claimed: (a) => [entry('rewarded_bootstrap', 'way', a.operator, a.amount)] },
  registry: {
    Staked: (a) => [entry('staked', 'way', a.operator, a.tokens)],
    // What leaves names only its thaw; whose it was stands where the thaw began. Stake that moves on is staked again by an event of its own.
    Released: async (a, earlier) => [entry('staked', 'way', (await earlier('Unbonding', text(a.id)))?.operator ?? '', -units(a.tokens))],
    Slashed: (a) => [entry('slashed', 'way', a.operator, a.tokens), entry('staked', 'way', a.operator, -units(a.tokens))],
    Rewarded: (a) => [entry('rewarded_stake', 'way', a.operator, a.amount)],
  },
  regionMultipliers: { Asked: (a) => [entry('surcharged', 'way', a.asker, a.amount, regionText(a.region))] },
  vaults: {
    Deposit: (a) => [entry('vaulted', 'dollar', a.owner, a.assets)],
    ExitServed: (a) => [entry('vaulted', 'dollar', a.owner, -units(a.assets))],
    Settled: (a) => [entry('subsidised', 'dollar', '', a.subsidy)],
  },
  capacityMarket: {
    Bought: (a) => [entry('reserved', 'dollar', a.buyer, a.paid), entry('reserved_gb', 'gb', a.buyer, a.gb)],
  },
  serviceAgreements: {
    Opened: (a) => {
      const terms = a.terms as Readonly<Record<string, string>>
      return [entry('agreed', 'dollar', a.provider, units(terms.payment) + units(terms.bond))]
    },
    Ended: (a) => [entry('returned', 'dollar', '', a.toConsumer)],
  },
  subscription: { Subscribed: (a) => [entry('subscribed', 'dollar', a.subscriber, a.paid)] },
  governance: {
    VoteCast: (a) => [entry('voted', 'way', a.voter, a.weight)],
    VoteCastWithParams: (a) => [entry('voted', 'way', a.voter, a.weight)],
  },
}

/** Entries of an event; none that amounts to nothing. */
export async function entriesOf(event: ChainEvent, earlier: Earlier): Promise<readonly Entry[]> {
  const [kind = '', part] = event.contract.split(':')
  const entries = (await RULES[kind]?.[event.name]?.(event.args, earlier)) ?? []
  const region = kind === 'vaults' && part !== undefined ? { region: part } : {}
  return entries.filter(({ amount }) => amount !== 0n).map((each) => ({ ...region, ...each }))
}
