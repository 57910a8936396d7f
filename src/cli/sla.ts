/**
 * `byway sla`: service agreements. One side writes the terms, both sign the same file, anyone opens it; a committee's samples decide, and what
 * was not delivered refunds itself.
 *
 *     offer --> sign --> open --> (committee reports) --> dispute? --> settle --> collect
 */
import type { Command } from 'commander'
import type { Agreement } from '../chain/index.ts'
import { deviationRefund } from '../economy/agreement.ts'
import type { Hex } from '../protocol/bytes.ts'
import { BywayError } from '../protocol/errors.ts'
import { type Owner, openOwner } from './economy.ts'
import { formatPercent, formatTime, formatUntil, formatUsd, shortHex } from './format.ts'
import type { Output } from './output.ts'
import type { Env } from './resolve.ts'
import { addSigning, carryOut } from './signing.ts'
import { offerTerms, openTerms, signTerms } from './sla-terms.ts'
import { oneOfWords } from './words.ts'

const VERBS = ['list', 'offer', 'sign', 'open', 'summon', 'dispute', 'settle', 'collect'] as const
const SHORT_ID = 10
const FINAL = ['met', 'broken', 'cancelled']

export function slaShape(command: Command): void {
  command
    .argument('[verb]', 'list, offer, sign, open, summon, dispute, settle or collect. (list)')
    .argument('[what]', 'A file of terms (offer, sign, open), or an agreement by the first digits of its name.')
    .option('--as <side>', 'With offer: consumer or provider. (what this node is)')
    .option('--with <address>', 'With offer: the other side.')
    .option('--payment <dollars>', 'With offer: what the consumer pays for the whole time.')
    .option('--bond <dollars>', 'With offer: what the provider puts up; at most a quarter of it is lost.')
    .option('--objective <percent>', 'With offer: the promised level, such as 99.5.')
    .option('--metric <text>', 'With offer: what is measured and how.')
    .option('--start <time>', 'With offer: when it begins. (now)')
    .option('--days <days>', 'With offer: how long it holds; fractions too. (30)')
    .addHelpText(
      'after',
      [
        '\nExample:',
        '  byway sla offer terms.json --with 0x52c4… --payment 20 --bond 50 --objective 99 --metric uptime',
        '  byway sla sign terms.json      on both sides, each with its own wallet',
        '  byway sla open terms.json      takes payment and bond, and it holds',
        '  byway sla settle 0x8a31f2c0    when its time is over',
      ].join('\n'),
    )
  addSigning(command)
}

export async function sla(command: Command, env: Env, output: Output): Promise<void> {
  const owner = await openOwner(command, env)
  const [verb = 'list', what] = command.args
  const chosen = oneOfWords('the verb', VERBS, verb)
  switch (chosen) {
    case 'list':
      return list(owner, output)
    case 'offer':
      return offerTerms(owner, command, what, output)
    case 'sign':
      return signTerms(owner, command, what, output)
    case 'open':
      return openTerms(owner, command, what, output)
    case 'collect':
      return collect(owner, command, output)
    default:
      return act(owner, command, chosen, await agreementNamed(owner, what), output)
  }
}

async function list({ economy, address }: Owner, output: Output): Promise<void> {
  const [agreements, credit, nowS] = await Promise.all([
    economy.agreements.agreementsOf(address),
    economy.agreements.creditOf(address),
    economy.nowS(),
  ])
  output.result({ wallet: address, agreements, credit }, () => {
    const right = { align: 'right' } as const
    if (agreements.length === 0) output.line('This wallet has no agreement. `byway sla offer` writes terms.')
    else
      output.table(
        [
          { title: 'agreement' },
          { title: 'as' },
          { title: 'with' },
          { title: 'payment', ...right },
          { title: 'bond', ...right },
          { title: 'promised', ...right },
          { title: 'reported', ...right },
          { title: 'state' },
          { title: 'next' },
        ],
        agreements.map((one) => [
          one.id.slice(0, SHORT_ID),
          one.consumer === address ? 'consumer' : 'provider',
          one.consumer === address ? one.provider : one.consumer,
          formatUsd(one.payment),
          formatUsd(one.bond),
          formatPercent(one.objective),
          one.indicator === 0 ? '' : formatPercent(one.indicator),
          one.state,
          nextOf(one, nowS),
        ]),
      )
    if (credit > 0n) output.line(`${formatUsd(credit)} to collect: \`byway sla collect\``)
  })
}

function nextOf({ state, end, until }: Agreement, nowS: number): string {
  if (state === 'open') return nowS < end ? `holds until ${formatTime(end)}` : `counts as met ${formatUntil(until, nowS)}`
  if (state === 'reported') return `settle ${formatUntil(until, nowS)}`
  if (state === 'disputed') return `a committee rules, or cancelled ${formatUntil(until, nowS)}`
  return ''
}

async function agreementNamed({ economy, address }: Owner, text: string | undefined): Promise<Agreement> {
  const found =
    text === undefined || !/^0x[0-9a-f]{1,64}$/i.test(text)
      ? []
      : (await economy.agreements.agreementsOf(address)).filter(({ id }) => id.startsWith(text.toLowerCase()))
  if (found.length === 1) return found[0]!
  throw new BywayError(
    'UNKNOWN_ON_CHAIN',
    `${text ?? 'nothing'} names ${found.length === 0 ? 'no agreement' : 'several agreements'} of this wallet`,
    {
      hint: 'name one by the first digits, as `byway sla` lists it',
    },
  )
}

async function act(
  owner: Owner,
  command: Command,
  verb: 'summon' | 'dispute' | 'settle',
  agreement: Agreement,
  output: Output,
): Promise<void> {
  const { agreements } = owner.economy
  const { id, state, until, end } = agreement
  const nowS = await owner.economy.nowS()
  const facts = { agreement: id, state }
  if (verb === 'summon') {
    requireState(agreement, ['open'], verb)
    return void (await carryOut(owner, command, output, {
      will: ['call the committee that samples this agreement'],
      notes: ['It is drawn two blocks later, by `byway probe` of its members or anybody.'],
      actions: [agreements.summon(id)],
      facts,
    }))
  }
  if (verb === 'dispute') {
    requireState(agreement, ['reported'], verb)
    const bond = await agreements.disputeBond()
    return void (await carryOut(owner, command, output, {
      will: [`dispute the report of ${formatPercent(agreement.indicator)}, with a bond of ${formatUsd(bond)}`],
      notes: ['Another committee decides. If it confirms the report the bond is lost, else a half of the reporter’s is yours as well.'],
      actions: [agreements.dispute(id, bond)],
      facts: { ...facts, bond },
    }))
  }
  requireState(agreement, ['open', 'reported', 'disputed'], verb)
  if (nowS < until) {
    throw new BywayError('TOO_EARLY', 'the agreement cannot be settled yet', {
      facts: { ends: formatTime(end), settles: formatTime(until) },
      hint: state === 'open' ? 'a report of a committee may come until then' : 'a dispute may come, or be ruled on, until then',
    })
  }
  const outcome = await outcomeOf(owner, agreement)
  await carryOut(owner, command, output, {
    will: [`settle the agreement: ${outcome.text}`],
    notes: ['Each side collects its part: `byway sla collect`.'],
    actions: [agreements.settle(id)],
    facts: { ...facts, outcome: outcome.state, toConsumer: outcome.toConsumer, toProvider: outcome.toProvider },
  })
}

/** What settling will do, by the state and the arithmetic of the contract. */
async function outcomeOf({ economy }: Owner, { state, payment, bond, objective, indicator }: Agreement) {
  if (state === 'disputed') {
    return { state: 'cancelled', text: 'nobody ruled in time, everybody gets his own back', toConsumer: payment, toProvider: bond }
  }
  const cap = (await economy.governance.parameters()).find(({ name }) => name === 'slaDeviation')?.value ?? 0n
  const level = state === 'open' ? objective : indicator
  const refund = deviationRefund(bond, BigInt(objective), BigInt(level), cap)
  const met = level >= objective
  const why = state === 'open' ? 'nobody reported, so it counts as met' : `${formatPercent(level)} of ${formatPercent(objective)}`
  return {
    state: met ? 'met' : 'broken',
    text: `${met ? 'met' : 'broken'} (${why}): ${formatUsd(payment + bond - refund)} to the provider, ${formatUsd(refund)} to the consumer`,
    toConsumer: refund,
    toProvider: payment + bond - refund,
  }
}

function requireState({ id, state }: { id: Hex; state: Agreement['state'] }, wanted: readonly Agreement['state'][], verb: string): void {
  if (wanted.includes(state)) return
  throw new BywayError('STATE_WRONG', `the agreement ${shortHex(id)} is ${state}: there is nothing to ${verb}`, {
    hint: FINAL.includes(state) ? 'it is over; `byway sla collect` brings what it owes' : '`byway sla` shows what comes next',
  })
}

async function collect(owner: Owner, command: Command, output: Output): Promise<void> {
  const credit = await owner.economy.agreements.creditOf(owner.address)
  if (credit === 0n)
    throw new BywayError('NOTHING_DUE', 'no agreement owes this wallet anything', { hint: '`byway sla` shows what comes next' })
  await carryOut(owner, command, output, {
    will: [`bring ${formatUsd(credit)} into the wallet`],
    notes: [],
    actions: [owner.economy.agreements.collect(owner.address)],
    facts: { units: credit },
  })
}
