/** `byway delegate`: who can be stood behind, and putting WAY behind one of them or moving it from one to another. */
import type { Command } from 'commander'
import { sharesFor } from '../chain/index.ts'
import { formatWay } from '../protocol/way.ts'
import { type Owner, openOwner } from './economy.ts'
import { formatDuration, formatPercent, formatTime, shortHex } from './format.ts'
import type { Output } from './output.ts'
import type { Env } from './resolve.ts'
import { addSigning, carryOut } from './signing.ts'
import { putIn, requireKnown } from './stake.ts'
import { addressWord, wayWord } from './words.ts'

export function delegateShape(command: Command): void {
  command
    .argument('[operator]', 'Address of the operator; without it, lists all of them.')
    .argument('[way]', 'WAY to put behind it.')
    .option('--from <operator>', 'Moves stake from this operator instead of taking it from the wallet.')
    .addHelpText(
      'after',
      '\nExample:\n  byway delegate 0x52c4…  500                 from the wallet\n  byway delegate 0x52c4…  500 --from 0x9a01…  from one to another',
    )
  addSigning(command)
}

export async function delegate(command: Command, env: Env, output: Output): Promise<void> {
  const owner = await openOwner(command, env)
  const [operatorText, amount] = command.args
  if (operatorText === undefined) return showOperators(owner, output)
  const operator = addressWord('the operator', operatorText)
  const tokens = wayWord('the amount', amount)
  const { from } = command.opts<{ from?: string }>()
  if (from === undefined) return putIn(owner, command, output, operator, tokens, undefined)
  await move(owner, command, output, addressWord('--from', from), operator, tokens)
}

async function move(owner: Owner, command: Command, output: Output, from: `0x${string}`, to: `0x${string}`, tokens: bigint): Promise<void> {
  const { registry } = owner.economy
  const [holding, standing, unbondingS, nowS] = await Promise.all([
    registry.holding(from, owner.address),
    registry.operator(to),
    registry.unbondingS(),
    owner.economy.nowS(),
  ])
  requireKnown(standing)
  await carryOut(owner, command, output, {
    will: [`start to move ${formatWay(tokens)} of ${formatWay(holding.tokens)} from ${shortHex(from)} to ${shortHex(to)}`],
    notes: [
      `It arrives after ${formatDuration(unbondingS * 1000)}, at ${formatTime(nowS + unbondingS)}, with \`byway unstake --release\`.`,
      `Until then it earns nothing and answers for the faults of ${shortHex(from)}: a move is no way around a slash.`,
    ],
    actions: [registry.unbond(from, sharesFor(holding, tokens), to)],
    facts: { from, to, tokens, releaseAt: nowS + unbondingS },
  })
}

async function showOperators({ economy, address }: Owner, output: Output): Promise<void> {
  const { registry } = economy
  const operators = await Promise.all(
    (await registry.operators()).map(async (operator) => {
      const [standing, mine] = await Promise.all([registry.operator(operator), registry.holding(operator, address)])
      return { ...standing, mine: mine.tokens }
    }),
  )
  output.result({ wallet: address, operators }, () => {
    if (operators.length === 0) return output.line('Nobody is registered yet.')
    output.table(
      [
        { title: 'operator' },
        { title: 'role' },
        { title: 'region' },
        { title: 'Mbps', align: 'right' },
        { title: 'stake', align: 'right' },
        { title: 'own', align: 'right' },
        { title: 'commission', align: 'right' },
        { title: 'mine', align: 'right' },
        { title: 'standing' },
      ],
      operators.map(({ operator, profile, bonded, own, mine, active, struckOff }) => [
        operator,
        profile?.role ?? '',
        profile?.region ?? '',
        String(profile?.mbps ?? ''),
        formatWay(bonded),
        formatWay(own),
        profile === undefined ? '' : formatPercent(profile.commissionBps),
        formatWay(mine),
        struckOff ? 'struck off' : active ? 'active' : 'bond too small',
      ]),
    )
  })
}
