/** `byway unstake`: starts to take stake back, shows what is on its way, and ends what has thawed. */
import type { Command } from 'commander'
import { sharesFor } from '../chain/index.ts'
import { BywayError } from '../protocol/errors.ts'
import { formatWay } from '../protocol/way.ts'
import { type Owner, openOwner } from './economy.ts'
import { formatDuration, formatTime, formatUntil, shortHex } from './format.ts'
import type { Output } from './output.ts'
import type { Env } from './resolve.ts'
import { addSigning, carryOut } from './signing.ts'
import { addressWord, wayWord } from './words.ts'

export function unstakeShape(command: Command): void {
  command
    .argument('[way]', 'WAY to take back, or `all`; without it, shows what is on its way.')
    .option('--operator <address>', 'From whom; without it, from this node itself.')
    .option('--release', 'Brings everything that has thawed into the wallet.')
    .addHelpText(
      'after',
      '\nExample:\n  byway unstake all            starts the thaw\n  byway unstake --release      after it: brings the WAY back',
    )
  addSigning(command)
}

export async function unstake(command: Command, env: Env, output: Output): Promise<void> {
  const owner = await openOwner(command, env)
  const { operator: given, release = false } = command.opts<{ operator?: string; release?: boolean }>()
  const [amount] = command.args
  if (release && amount !== undefined) {
    throw new BywayError('ARGUMENT_INVALID', '--release takes no amount: it brings back all that has thawed')
  }
  if (release) return releaseAll(owner, command, output)
  if (amount === undefined) return showThaws(owner, output)
  await start(owner, command, output, given === undefined ? owner.address : addressWord('--operator', given), amount)
}

async function start(owner: Owner, command: Command, output: Output, operator: `0x${string}`, amount: string): Promise<void> {
  const { registry } = owner.economy
  const [holding, standing, unbondingS, nowS] = await Promise.all([
    registry.holding(operator, owner.address),
    registry.operator(operator),
    registry.unbondingS(),
    owner.economy.nowS(),
  ])
  if (holding.shares === 0n) {
    throw new BywayError('AMOUNT_TOO_LARGE', 'this wallet has no stake there', {
      facts: { operator },
      hint: '`byway stake` shows where it has',
    })
  }
  const tokens = amount === 'all' ? holding.tokens : wayWord('the amount', amount)
  const ends = operator === owner.address && standing.active && standing.own - tokens < standing.required
  const whom = operator === owner.address ? 'this node' : `operator ${shortHex(operator)}`
  await carryOut(owner, command, output, {
    will: [`start to take ${formatWay(tokens)} of ${formatWay(holding.tokens)} back from ${whom}`],
    notes: [
      `It is free after ${formatDuration(unbondingS * 1000)}, at ${formatTime(nowS + unbondingS)}; until then it earns nothing and can be slashed.`,
      'Then: `byway unstake --release`.',
      ...(ends ? [`This node stops being active: its bond must be ${formatWay(standing.required)}.`] : []),
    ],
    actions: [registry.unbond(operator, sharesFor(holding, tokens))],
    facts: { operator, tokens, releaseAt: nowS + unbondingS },
  })
}

async function releaseAll(owner: Owner, command: Command, output: Output): Promise<void> {
  const { registry } = owner.economy
  const [thaws, credit, nowS] = await Promise.all([registry.thawsOf(owner.address), registry.creditOf(owner.address), owner.economy.nowS()])
  const due = thaws.filter(({ releaseAt }) => releaseAt <= nowS)
  const home = due.filter(({ to }) => to === undefined).reduce((sum, { tokens }) => sum + tokens, credit)
  if (due.length === 0 && credit === 0n) {
    const next = thaws[0]
    if (next === undefined)
      throw new BywayError('NOTHING_DUE', 'no stake of this wallet is on its way', { hint: 'start with `byway unstake`' })
    throw new BywayError('TOO_EARLY', 'no stake has thawed yet', {
      facts: { next: formatTime(next.releaseAt), way: formatWay(next.tokens) },
      hint: 'try again then',
    })
  }
  await carryOut(owner, command, output, {
    will: [
      ...due.map(({ tokens, operator, to }) =>
        to === undefined
          ? `end the thaw of ${formatWay(tokens)} from ${shortHex(operator)}`
          : `move ${formatWay(tokens)} on from ${shortHex(operator)} to ${shortHex(to)}`,
      ),
      ...(home > 0n ? [`bring ${formatWay(home)} into the wallet`] : []),
    ],
    notes: [],
    actions: [...due.map(({ id }) => registry.release(id)), ...(home > 0n ? [registry.collect(owner.address)] : [])],
    facts: { released: due, tokens: home },
  })
}

async function showThaws({ economy, address }: Owner, output: Output): Promise<void> {
  const [thaws, credit, nowS] = await Promise.all([economy.registry.thawsOf(address), economy.registry.creditOf(address), economy.nowS()])
  output.result({ wallet: address, thaws, credit }, () => {
    if (thaws.length === 0) output.line('No stake is on its way. `byway stake` shows what is staked.')
    else {
      output.table(
        [{ title: 'from' }, { title: 'to' }, { title: 'WAY', align: 'right' }, { title: 'free' }],
        thaws.map(({ operator, to, tokens, releaseAt }) => [operator, to ?? 'the wallet', formatWay(tokens), formatUntil(releaseAt, nowS)]),
      )
    }
    if (credit > 0n) output.line(`${formatWay(credit)} to collect: \`byway unstake --release\``)
  })
}
