/** For tests of the commands of the token economy: they run in this process as the program runs them, and what they print is checked. */
import { join } from 'node:path'
import { Command } from 'commander'
import { z } from 'zod'
import { addCommand } from './add-command.ts'
import { ECONOMY } from './economy-commands.ts'
import { createOutput } from './output.ts'
import type { ECONOMY_COMMANDS } from './settings.ts'

export interface Answer {
  code: number
  /** The last line under --json. */
  json: unknown
  out: string
  err: string
}

export interface Desk {
  /** `byway WORDS --home NAME --json`. */
  byway(name: string, ...words: string[]): Promise<Answer>
  /** The same, for people. */
  shown(name: string, ...words: string[]): Promise<Answer>
  home(name: string): string
}

/** Commands that speak to the chain at `rpc`, with homes below `folder`. */
export function createDesk(rpc: string, folder: string): Desk {
  const home = (name: string) => join(folder, name)
  const env = { BYWAY_RPC: rpc, HOME: folder }
  const run = async (words: readonly string[], json: boolean): Promise<Answer> => {
    const written = { out: '', err: '' }
    const stdout = { write: (text: string) => (written.out += text) }
    const stderr = { write: (text: string) => (written.err += text) }
    const output = createOutput({ stdout, stderr, env, json })
    const program = new Command('byway').exitOverride().configureOutput({ writeErr: () => {}, writeOut: (text) => (written.out += text) })
    for (const name of Object.keys(ECONOMY) as (typeof ECONOMY_COMMANDS)[number][])
      await addCommand(program, name, ECONOMY[name], words.includes(name), env, output)
    let code = 0
    try {
      await program.parseAsync(words, { from: 'user' })
    } catch (thrown) {
      code = output.fail(thrown)
    }
    const last = written.out.trim().split('\n').at(-1) ?? ''
    return { code, json: json && last !== '' ? JSON.parse(last) : undefined, ...written }
  }
  return {
    home,
    byway: (name, ...words) => run([...words, '--home', home(name), '--json'], true),
    shown: (name, ...words) => run([...words, '--home', home(name)], false),
  }
}

// --- What programs may rely on: every member is named here, and no other is printed. ---

const amount = z.string().regex(/^\d+$/)
const address = z.string().regex(/^0x[0-9a-f]{40}$/)
const word = z.string().regex(/^0x[0-9a-f]{64}$/)
const time = z.int().min(0)

/** What every command that signs prints, beside its own facts. */
const signed = {
  wallet: address,
  steps: z.array(z.strictObject({ doing: z.string(), to: address, gas: amount, costWei: amount })),
  gas: amount,
  costWei: amount,
  dryRun: z.boolean(),
  sent: z.array(z.strictObject({ doing: z.string(), tx: word, gas: amount, costWei: amount })),
}
const signing = <T extends z.ZodRawShape>(facts: T) => z.strictObject({ ...signed, ...facts })

const profile = z.strictObject({
  nodeKey: word,
  offerHash: word,
  payout: address,
  region: z.string(),
  mbps: z.int(),
  commissionBps: z.int(),
  role: z.enum(['provider', 'prober', 'both']),
})
const operator = {
  operator: address,
  profile: profile.optional(),
  bonded: amount,
  thawing: amount,
  own: amount,
  required: amount,
  active: z.boolean(),
  struckOff: z.boolean(),
}
const thaw = z.strictObject({ id: amount, operator: address, to: address.optional(), tokens: amount, releaseAt: time })
const lineName = { provider: address, region: z.string(), tier: z.int(), hour: z.int(), percent: z.int() }
const terms = z.strictObject({
  consumer: address,
  provider: address,
  payment: amount,
  bond: amount,
  objective: z.int(),
  metric: word,
  start: time,
  end: time,
  nonce: amount,
  deadline: time,
})
const vault = {
  address,
  region: z.string(),
  floor: amount,
  periodS: z.int(),
  noticeS: z.int(),
  nextPeriod: amount,
  nodes: amount,
  assets: amount,
  subsidised: amount,
  returned: amount,
}
const plan = { plan: word, terms: z.strictObject({ provider: address, price: amount, allowance: amount }) }
const hour = { line: amount, provider: address, region: z.string(), start: time, percent: z.int(), gb: z.int() }

export const SHAPES = {
  error: z.strictObject({
    event: z.literal('error'),
    code: z.string(),
    message: z.string(),
    facts: z.record(z.string(), z.unknown()),
    hint: z.string().optional(),
    retry: z.boolean(),
  }),
  funds: z.strictObject({
    name: z.string(),
    wallet: address,
    role: z.enum(['provider', 'consumer']).optional(),
    etherWei: amount,
    dollars: amount,
    way: amount,
    deposits: z.array(z.strictObject({ rootId: word, payer: address, deposit: amount, spent: amount, expiry: time })),
    tokens: z.strictObject({ dollar: address, way: address }),
  }),
  brought: signing({ to: address, dollars: amount, way: amount }),
  stake: z.strictObject({
    wallet: address,
    way: amount,
    operator: z.strictObject(operator),
    holdings: z.array(z.strictObject({ operator: address, shares: amount, tokens: amount, rewards: amount })),
    thaws: z.array(thaw),
    credit: amount,
    unbondingS: z.int(),
  }),
  staked: signing({ operator: address, tokens: amount, profile, unbondingS: z.int() }),
  thaws: z.strictObject({ wallet: address, thaws: z.array(thaw), credit: amount }),
  unstaked: signing({ operator: address, tokens: amount, releaseAt: time }),
  released: signing({ released: z.array(thaw), tokens: amount }),
  operators: z.strictObject({ wallet: address, operators: z.array(z.strictObject({ ...operator, mine: amount })) }),
  moved: signing({ from: address, to: address, tokens: amount, releaseAt: time }),
  rewards: z.strictObject({
    wallet: address,
    usage: z.strictObject({
      waiting: amount,
      epochs: z.array(z.strictObject({ epoch: amount, own: amount, all: amount, due: amount })),
    }),
    roots: z.array(
      z.strictObject({
        what: z.enum(['capacity', 'bootstrap']),
        epoch: amount.optional(),
        due: amount.optional(),
        claimed: amount,
        pendingUntil: time.optional(),
      }),
    ),
    stake: z.array(z.strictObject({ operator: address, rewards: amount })),
    credit: amount,
  }),
  rewarded: signing({
    usage: amount,
    collected: amount,
    roots: z.array(z.strictObject({ what: z.string(), due: amount })),
    stake: amount,
  }),
  pool: z.strictObject({
    wallet: address,
    vaults: z.array(
      z.strictObject({
        ...vault,
        holding: z.strictObject({
          shares: amount,
          worth: amount,
          credit: amount,
          exits: z.array(z.strictObject({ id: amount, shares: amount, worth: amount, readyAt: time })),
        }),
      }),
    ),
  }),
  pooled: signing({ region: z.string(), units: amount, shares: amount, noticeS: z.int() }),
  leaving: signing({ region: z.string(), units: amount, shares: amount, readyAt: time }),
  withdrawn: signing({ units: amount, served: z.array(z.strictObject({ id: amount, shares: amount })) }),
  reserve: z.strictObject({
    wallet: address,
    lines: z.array(
      z.strictObject({
        ...lineName,
        line: amount,
        price: amount,
        bond: amount,
        offered: z.int(),
        sold: z.int(),
        unused: z.int(),
        deviation: z.int().optional(),
        settled: z.boolean(),
      }),
    ),
    rights: z.array(
      z.strictObject({ ...lineName, id: amount, line: amount, gb: amount, upfront: amount, onUse: amount, settled: z.boolean() }),
    ),
    credit: amount,
  }),
  quote: z.strictObject({ wallet: address, ...hour, tier: z.int(), end: time, price: amount, upfront: amount, onUse: amount }),
  bought: signing({ ...hour, units: amount, upfront: amount, onUse: amount, settlesAt: time }),
  offered: signing({
    region: z.string(),
    tier: z.int(),
    hour: z.int(),
    gb: z.int(),
    price: amount,
    bond: amount,
    settlesAt: time,
  }),
  redeemed: signing({ id: amount, provider: address, gb: z.int(), units: amount }),
  refunded: signing({
    settled: z.array(amount),
    expired: z.array(z.strictObject({ id: amount, gb: amount })),
    units: amount,
  }),
  agreements: z.strictObject({
    wallet: address,
    agreements: z.array(
      z.strictObject({
        id: word,
        consumer: address,
        provider: address,
        payment: amount,
        bond: amount,
        objective: z.int(),
        indicator: z.int(),
        end: time,
        until: time,
        state: z.enum(['open', 'reported', 'disputed', 'met', 'broken', 'cancelled']),
        reporter: address,
        disputer: address,
      }),
    ),
    credit: amount,
  }),
  terms: z.strictObject({ file: z.string(), id: word, metric: z.string(), terms, signed: z.strictObject({}) }),
  termsSigned: signing({ id: word, side: z.enum(['consumer', 'provider']), units: amount, terms }),
  termsOpened: signing({ id: word, terms }),
  agreementSettled: signing({
    agreement: word,
    state: z.string(),
    outcome: z.enum(['met', 'broken', 'cancelled']),
    toConsumer: amount,
    toProvider: amount,
  }),
  agreementCollected: signing({ units: amount }),
  subscription: z.strictObject({
    wallet: address,
    ...plan,
    term: z.strictObject({ paid: amount, earned: amount, taken: amount, start: time, end: time }),
    runs: z.boolean(),
  }),
  subscribed: signing({ ...plan, units: amount, end: time }),
  subscriptionEnded: signing({ ...plan, refund: amount }),
  subscriptionTaken: signing({ ...plan, subscriber: address, units: amount }),
  votes: z.strictObject({
    wallet: address,
    power: z.strictObject({ held: amount, delegate: address.optional(), votes: amount }),
    rules: z.strictObject({ delayS: z.int(), periodS: z.int(), timelockS: z.int(), threshold: amount }),
    proposals: z.array(
      z.strictObject({
        id: word,
        proposer: address,
        why: z.string(),
        state: z.enum(['pending', 'active', 'canceled', 'defeated', 'succeeded', 'queued', 'expired', 'executed']),
        change: z.strictObject({ name: z.string(), from: amount, to: amount }).optional(),
        needsTwoThirds: z.boolean(),
        votes: z.strictObject({ for: amount, against: amount, abstain: amount }),
        quorum: amount,
        opensAt: time,
        closesAt: time,
        readyAt: time.optional(),
      }),
    ),
  }),
  parameters: z.strictObject({
    wallet: address,
    parameters: z.array(
      z.strictObject({
        name: z.string(),
        value: amount,
        unit: z.enum(['0.01 %', 'seconds', 'WAY']),
        min: amount,
        max: amount,
        issuance: z.enum(['unaffected', 'rises', 'falls']),
      }),
    ),
  }),
  proposed: signing({ parameter: z.string(), from: amount, to: amount, twoThirds: z.boolean(), opensAt: time, closesAt: time }),
  voted: signing({ proposal: word, vote: z.enum(['for', 'against', 'abstain']), votes: amount }),
  advanced: signing({ proposal: word, change: z.strictObject({ name: z.string(), from: amount, to: amount }) }),
  delegated: signing({ delegate: address, held: amount }),
} as const
