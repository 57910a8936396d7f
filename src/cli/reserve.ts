/**
 * `byway reserve`: bandwidth bought or sold ahead. A provider offers GB of an hour; a buyer says how probable it is to use them, pays a part at
 * once and the rest for what it uses. The truth is the cheapest answer.
 */
import type { Command } from 'commander'
import { endOf, type Line, type Right, startOf } from '../chain/index.ts'
import { type Owner, openOwner } from './economy.ts'
import { formatPercent, formatTime, formatUsd, shortHex } from './format.ts'
import type { Output } from './output.ts'
import { buy, type Choice, chosen } from './reserve-buy.ts'
import { offer, redeem, refund } from './reserve-hour.ts'
import { plan } from './reserve-plan.ts'
import type { Env } from './resolve.ts'
import { addSigning } from './signing.ts'
import { oneOfWords } from './words.ts'

const VERBS = ['list', 'quote', 'plan', 'buy', 'offer', 'redeem', 'refund'] as const

export function reserveShape(command: Command): void {
  command
    .argument('[verb]', 'list, quote, plan, buy, offer, redeem or refund. (list)')
    .argument('[gb]', 'How many GB.')
    .option('--hour <time>', 'The hour, by when it begins, such as 2026-12-01T18:00 (UTC).')
    .option('--region <name>', 'Where the exit is, such as de.')
    .option('--provider <address>', 'Only this provider. (the cheapest)')
    .option('--probability <percent>', 'How probable it is that you use them: the truth costs least. (100)')
    .option('--budget <dollars>', 'With plan: the most to be locked.')
    .option('--price <dollars>', 'With offer: dollars a GB.')
    .option('--tier <number>', 'With offer: quality tier. (1)')
    .addHelpText(
      'after',
      [
        '\nExample:',
        '  byway reserve quote 10 --region de --hour 2026-12-01T18:00 --probability 40',
        '  byway reserve plan --region de --budget 5    what is worth buying ahead, by what you used in past weeks',
        '  byway reserve buy 10 --region de --hour 2026-12-01T18:00 --probability 40',
        '  byway reserve redeem 4    in that hour and a day after: pays the provider for what was used',
        '  byway reserve refund      later: brings back what was not used',
      ].join('\n'),
    )
  addSigning(command)
}

export async function reserve(command: Command, env: Env, output: Output): Promise<void> {
  const owner = await openOwner(command, env)
  const [verb = 'list', gb] = command.args
  switch (oneOfWords('the verb', VERBS, verb)) {
    case 'list':
      return list(owner, output)
    case 'quote':
      return quote(owner, await chosen(owner, command, gb), output)
    case 'plan':
      return plan(owner, command, output)
    case 'buy':
      return buy(owner, command, await chosen(owner, command, gb), output)
    case 'offer':
      return offer(owner, command, gb, output)
    case 'redeem':
      return redeem(owner, command, gb, output)
    case 'refund':
      return refund(owner, command, output)
  }
}

async function list({ economy, address }: Owner, output: Output): Promise<void> {
  const nowS = await economy.nowS()
  const [lines, rights, credit] = await Promise.all([
    economy.market.lines(nowS),
    economy.market.rightsOf(address),
    economy.market.creditOf(address),
  ])
  output.result({ wallet: address, lines, rights, credit }, () => {
    const right = { align: 'right' } as const
    if (lines.length === 0) output.line('Nobody offers an hour to come.')
    else
      output.table(
        [
          { title: 'hour' },
          { title: 'region' },
          { title: 'tier' },
          { title: 'provider' },
          { title: 'a GB', ...right },
          { title: 'GB left', ...right },
          { title: 'bond a GB', ...right },
        ],
        lines.map((line) => [
          formatTime(startOf(line.line)),
          line.region,
          String(line.tier),
          line.provider,
          formatUsd(line.price),
          String(line.offered - line.sold),
          formatUsd(line.bond),
        ]),
      )
    if (rights.length > 0) {
      output.line()
      output.table(
        [
          { title: 'reserved' },
          { title: 'region' },
          { title: 'provider' },
          { title: 'GB', ...right },
          { title: 'declared', ...right },
          { title: 'comes back unused', ...right },
        ],
        rights.map(rightRow),
      )
    }
    if (credit > 0n) output.line(`${formatUsd(credit)} to collect: \`byway reserve refund\``)
  })
}

const rightRow = ({ id, region, provider, gb, percent, onUse }: Right): string[] => [
  formatTime(startOf(id)),
  region,
  shortHex(provider),
  gb.toString(),
  formatPercent(percent * 100),
  formatUsd(onUse * gb),
]

function quote({ address }: Owner, { line, percent, gb, upfront, onUse }: Choice, output: Output): void {
  output.result({ wallet: address, ...quoteFacts(line, percent, gb, upfront, onUse) }, () => {
    output.line(
      `${gb} GB of ${shortHex(line.provider)} in ${line.region}, ${formatTime(startOf(line.line))} to ${formatTime(endOf(line.line))}`,
    )
    output.table(
      [{ title: '' }, { title: 'a GB', align: 'right' }, { title: 'in all', align: 'right' }],
      [
        ['full price', formatUsd(line.price), formatUsd(line.price * BigInt(gb))],
        [`at once, declared ${percent} %`, formatUsd(upfront), formatUsd(upfront * BigInt(gb))],
        ['for what you use', formatUsd(onUse), formatUsd(onUse * BigInt(gb))],
        ['locked until then', formatUsd(upfront + onUse), formatUsd((upfront + onUse) * BigInt(gb))],
      ],
    )
  })
}

const quoteFacts = (line: Line, percent: number, gb: number, upfront: bigint, onUse: bigint) => ({
  line: line.line,
  provider: line.provider,
  region: line.region,
  tier: line.tier,
  start: startOf(line.line),
  end: endOf(line.line),
  percent,
  gb,
  price: line.price,
  upfront,
  onUse,
})
