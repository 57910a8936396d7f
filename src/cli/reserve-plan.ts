/** `byway reserve plan`: what is worth buying ahead, by what this node used in which hours of past weeks. It buys nothing. */
import type { Command } from 'commander'
import { planBoost, type Reservable } from '../economy/boost/index.ts'
import { GIB } from '../protocol/price.ts'
import type { JournalRecord } from '../wallet/records.ts'
import type { Owner } from './economy.ts'
import { formatTime, formatUsd } from './format.ts'
import type { Output } from './output.ts'
import { useByHour } from './use-by-hour.ts'
import { dollarsWord, regionWord } from './words.ts'

const HOUR_S = 3_600
const BYTES_PER_GB = 1_000_000_000n
/** What was paid in the last sessions is what the next are expected to cost. */
const PRICES_LOOKED_AT = 32

export async function plan({ economy, records, address }: Owner, command: Command, output: Output): Promise<void> {
  const options = command.opts<{ region?: string; budget?: string }>()
  const region = regionWord('--region', options.region)
  const budget = dollarsWord('--budget', options.budget)
  const nowS = await economy.nowS()
  const nowHour = Math.floor(nowS / HOUR_S)
  const spot = spotPerGb(records)
  const lines: Reservable[] = (await economy.market.lines(nowS))
    .filter((line) => line.region === region && line.offered > line.sold && line.hour > nowHour)
    .map((line) => ({ line: line.line, hour: line.hour, gb: line.offered - line.sold, price: line.price, spot: spot ?? 0n }))
  const history = useByHour(records, nowS * 1000)
  const { boosts, spotOnly } = planBoost(history, nowHour, lines, budget)
  const locks = boosts.reduce((sum, boost) => sum + boost.locks, 0n)
  output.result(
    { wallet: address, region, budget, hoursKnown: history.gb.length, offered: lines.length, spotPerGb: spot, spotOnly, boosts },
    () => {
      if (spotOnly !== undefined) output.line(`Nothing: buy when you need it. Of what this node used, ${spotOnly}.`)
      else if (boosts.length === 0)
        output.line(
          lines.length === 0
            ? `Nobody offers an hour to come in ${region}.`
            : 'Nothing on offer is expected to be cheaper than buying then.',
        )
      else {
        const right = { align: 'right' } as const
        output.table(
          [
            { title: 'hour' },
            { title: 'GB', ...right },
            { title: 'declare', ...right },
            { title: 'locks', ...right },
            { title: 'saves', ...right },
          ],
          boosts.map(({ hour, gb, percent, locks, saves }) => [
            formatTime(hour * HOUR_S),
            String(gb),
            `${percent} %`,
            formatUsd(locks),
            formatUsd(BigInt(Math.round(saves))),
          ]),
        )
        output.line(`${formatUsd(locks)} of ${formatUsd(budget)} would be locked; what is not used comes back in part. Buy a row with`)
        const { gb, hour, percent } = boosts[0]!
        const when = new Date(hour * HOUR_S * 1000).toISOString().slice(0, 16)
        output.line(`  byway reserve buy ${gb} --region ${region} --hour ${when} --probability ${percent}`)
      }
    },
  )
}

/** Units per GB that the last sessions paid, in the middle; undefined when there was none. */
export function spotPerGb(records: readonly JournalRecord[]): bigint | undefined {
  const prices = records.flatMap((record) => (record.kind === 'session-opened' ? [record.pricePerGib] : [])).slice(-PRICES_LOOKED_AT)
  const middle = prices.toSorted((a, b) => (a < b ? -1 : 1))[Math.floor(prices.length / 2)]
  return middle === undefined ? undefined : (middle * BYTES_PER_GB) / GIB
}
