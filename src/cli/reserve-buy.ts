/** Buying ahead: which line answers a wish, what it costs for the declared probability, and the purchase. */
import type { Command } from 'commander'
import { endOf, type Line, startOf } from '../chain/index.ts'
import { upfront as dueAtOnce, onUse as dueOnUse } from '../economy/reservation.ts'
import { BywayError } from '../protocol/errors.ts'
import type { Owner } from './economy.ts'
import { formatTime, formatUsd, shortHex } from './format.ts'
import type { Output } from './output.ts'
import { carryOut } from './signing.ts'
import { addressWord, countWord, regionWord, timeWord } from './words.ts'

const HOUR_S = 3_600
const MAX_GB = 4_294_967_295

export interface Choice {
  line: Line
  percent: number
  gb: number
  /** Units a GB. */
  upfront: bigint
  onUse: bigint
}

/** The cheapest line that has so many GB left, of those that fit the flags. */
export async function chosen({ economy }: Owner, command: Command, gbText: string | undefined): Promise<Choice> {
  const options = command.opts<{ hour?: string; region?: string; provider?: string; probability?: string }>()
  const gb = countWord('the GB', gbText, MAX_GB)
  const hour = Math.floor(timeWord('--hour', options.hour) / HOUR_S)
  const region = regionWord('--region', options.region)
  const provider = options.provider === undefined ? undefined : addressWord('--provider', options.provider)
  const percent = options.probability === undefined ? 100 : countWord('--probability', options.probability, 100)
  const lines = (await economy.market.lines(await economy.nowS())).filter(
    (line) => line.hour === hour && line.region === region && (provider === undefined || line.provider === provider),
  )
  const [line] = lines.filter(({ offered, sold }) => offered - sold >= gb).sort((a, b) => Number(a.price - b.price))
  if (line === undefined) {
    const most = Math.max(0, ...lines.map(({ offered, sold }) => offered - sold))
    throw new BywayError('AMOUNT_TOO_LARGE', `nobody offers ${gb} GB in ${region} in that hour`, {
      facts: { hour: formatTime(hour * HOUR_S), most },
      hint: most > 0 ? `there are ${most} GB of one provider` : '`byway reserve` lists what is offered',
    })
  }
  return { line, percent, gb, upfront: dueAtOnce(line.price, BigInt(percent)), onUse: dueOnUse(line.price, BigInt(percent)) }
}

export async function buy(owner: Owner, command: Command, { line, percent, gb, upfront, onUse }: Choice, output: Output): Promise<void> {
  const { market } = owner.economy
  const [all, count] = [(upfront + onUse) * BigInt(gb), BigInt(gb)]
  const settlesAt = endOf(line.line) + (await market.windowS())
  await carryOut(owner, command, output, {
    will: [
      `move ${formatUsd(all)} from the wallet for ${gb} GB of ${shortHex(line.provider)} in ${line.region}, from ${formatTime(startOf(line.line))}`,
      `of which ${formatUsd(upfront * count)} is paid, and ${formatUsd(onUse * count)} is due for what you use`,
    ],
    notes: [
      `What you do not use comes back from ${formatTime(settlesAt)} on: \`byway reserve refund\`.`,
      `If a committee finds that it was not delivered, you get that part of the first ${formatUsd(upfront * count)} and of the bond as well.`,
    ],
    actions: [market.buy(line.line, percent, gb, all)],
    facts: {
      line: line.line,
      provider: line.provider,
      region: line.region,
      start: startOf(line.line),
      percent,
      gb,
      units: all,
      upfront: upfront * count,
      onUse: onUse * count,
      settlesAt,
    },
  })
}
