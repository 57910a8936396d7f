/**
 * `byway subscribe`: flat dollars a month for a byte allowance. Paid ahead, earned second by second, ended whenever the subscriber likes.
 *
 * A plan is its terms: provider, price and allowance, as the provider tells them. Whoever types others means another plan, and nobody can
 * change the one that was subscribed to.
 */
import type { Command } from 'commander'
import type { SubscriptionPlan, SubscriptionTerm } from '../chain/index.ts'
import { BywayError } from '../protocol/errors.ts'
import { type Owner, openOwner } from './economy.ts'
import { counted, formatTime, formatUntil, formatUsd, shortHex } from './format.ts'
import type { Output } from './output.ts'
import type { Env } from './resolve.ts'
import { addSigning, carryOut } from './signing.ts'
import { addressWord, countWord, dollarsWord, oneOfWords } from './words.ts'

const VERBS = ['show', 'start', 'cancel', 'take'] as const
/** Fixed in the contract. */
const MOST_MONTHS = 24
const GB = 1_000_000_000n
const MOST_GB = 1_000_000

export function subscribeShape(command: Command): void {
  command
    .argument('<verb>', 'show, start, cancel or take.')
    .argument('<who>', 'Address of the provider; with `take`, of the subscriber.')
    .argument('<dollars>', 'What the plan costs a month.')
    .argument('<gb>', 'What it allows a month.')
    .option('--months <months>', `Months to pay ahead, at most ${MOST_MONTHS}. (1)`)
    .addHelpText(
      'after',
      [
        '\nExample:',
        '  byway subscribe start 0x52c4… 5 100 --months 3  five dollars a month for 100 GB of this provider, three months ahead',
        '  byway subscribe show 0x52c4… 5 100              until when, and what would come back',
        '  byway subscribe cancel 0x52c4… 5 100            unused days come back at once',
        '  byway subscribe take 0x9a01… 5 100              the provider: what this subscriber has used up so far',
      ].join('\n'),
    )
  addSigning(command)
}

export async function subscribe(command: Command, env: Env, output: Output): Promise<void> {
  const [verbText, whoText, dollars, gb] = command.args
  const verb = oneOfWords('the verb', VERBS, verbText!)
  const who = addressWord(verb === 'take' ? 'the subscriber' : 'the provider', whoText)
  const price = dollarsWord('the price', dollars)
  const allowance = BigInt(countWord('the allowance in GB', gb, MOST_GB)) * GB
  const months = countWord('--months', command.opts<{ months?: string }>().months ?? '1', MOST_MONTHS)
  const owner = await openOwner(command, env)
  const plan = { provider: verb === 'take' ? owner.address : who, price, allowance }
  const subscriber = verb === 'take' ? who : owner.address
  const term = await owner.economy.subscription.term(plan, subscriber)
  const nowS = await owner.economy.nowS()
  switch (verb) {
    case 'show':
      return show(owner, plan, term, nowS, output)
    case 'start':
      return start(owner, command, plan, months, nowS, output)
    case 'cancel':
      return cancel(owner, command, plan, term, output)
    case 'take':
      return take(owner, command, plan, subscriber, term, output)
  }
}

const nameOf = ({ provider, price, allowance }: SubscriptionPlan): string =>
  `${formatUsd(price)} a month for ${allowance / GB} GB of ${shortHex(provider)}`

function show({ address, economy }: Owner, plan: SubscriptionPlan, term: SubscriptionTerm, nowS: number, output: Output): void {
  const runs = term.end > nowS
  output.result({ wallet: address, plan: economy.subscription.planOf(plan), terms: plan, term, runs }, () => {
    output.line(nameOf(plan))
    if (!runs) return output.line('There is no subscription to it that runs.')
    output.line(
      `paid ${formatUsd(term.paid)}, ends ${formatUntil(term.end, nowS)}; cancelled now, ${formatUsd(term.paid - term.earned)} come back`,
    )
  })
}

async function start(owner: Owner, command: Command, plan: SubscriptionPlan, months: number, nowS: number, output: Output): Promise<void> {
  const { subscription } = owner.economy
  const units = plan.price * BigInt(months)
  const end = nowS + months * subscription.monthS
  await carryOut(owner, command, output, {
    will: [`pay ${formatUsd(units)} for ${counted(months, 'month')} ahead: ${nameOf(plan)}`],
    notes: [
      `It ends at ${formatTime(end)} by itself. \`byway subscribe cancel\` ends it before, and days not used come back at once.`,
      'Bytes are counted by the two who see them. A provider that does not serve loses the days after you cancel, and no more.',
    ],
    actions: [subscription.subscribe(plan, months)],
    facts: { plan: subscription.planOf(plan), terms: plan, units, end },
  })
}

async function cancel(owner: Owner, command: Command, plan: SubscriptionPlan, term: SubscriptionTerm, output: Output): Promise<void> {
  const refund = term.paid - term.earned
  await carryOut(owner, command, output, {
    will: [`end the subscription now: ${nameOf(plan)}`],
    notes: [`About ${formatUsd(refund)} of ${formatUsd(term.paid)} come back: what is not used at the second it is mined.`],
    actions: [owner.economy.subscription.cancel(plan)],
    facts: { plan: owner.economy.subscription.planOf(plan), terms: plan, refund },
  })
}

async function take(
  owner: Owner,
  command: Command,
  plan: SubscriptionPlan,
  subscriber: `0x${string}`,
  { earned, taken }: SubscriptionTerm,
  output: Output,
): Promise<void> {
  const units = earned - taken
  if (units === 0n) {
    throw new BywayError('NOTHING_DUE', 'this subscription owes this wallet nothing', {
      facts: { subscriber, plan: owner.economy.subscription.planOf(plan) },
      hint: 'the plan is named by its terms: price and allowance must be those that were subscribed to',
    })
  }
  await carryOut(owner, command, output, {
    will: [`bring about ${formatUsd(units)} that ${shortHex(subscriber)} has used up into the wallet: ${nameOf(plan)}`],
    notes: [],
    actions: [owner.economy.subscription.take(plan, subscriber)],
    facts: { plan: owner.economy.subscription.planOf(plan), terms: plan, subscriber, units },
  })
}
