/** What boosting would have cost: each day reserves for the next by what was known then; the next day says what was used. */
import { planBoost } from '../../src/economy/boost/index.ts'
import { onUse } from '../../src/economy/reservation.ts'

const BASE = 500_000n
/** A busy region's price in the evening, and what its providers take for the same hour a day ahead. */
const PEAK = [18, 19, 20, 21, 22]
const SURGE = 1.6
const AHEAD = 1.1
/** More than anybody uses. */
const OFFERED = 200

export const spotAt = (hour: number): bigint => (PEAK.includes(hour % 24) ? BigInt(Math.round(Number(BASE) * SURGE)) : BASE)

/** Units that hours from `from` on cost with a daily budget, and without boost. */
export function backtest(gb: readonly number[], from: number, budget: bigint): { boosted: number; spot: number; mostLocked: bigint } {
  const price = BigInt(Math.round(Number(BASE) * AHEAD))
  let [boosted, spot, mostLocked] = [0, 0, 0n]
  for (let day = from; day + 24 <= gb.length; day += 24) {
    const lines = Array.from({ length: 24 }, (_, i) => ({
      line: BigInt(day + i),
      hour: day + i,
      gb: OFFERED,
      price,
      spot: spotAt(day + i),
    }))
    const { boosts } = planBoost({ begins: 0, gb }, day, lines, budget)
    const locked = boosts.reduce((sum, { locks }) => sum + locks, 0n)
    if (locked > mostLocked) mostLocked = locked
    for (let hour = day; hour < day + 24; hour++) {
      const used = gb[hour]!
      spot += used * Number(spotAt(hour))
      // Those are used first that cost least on use: the ones declared most probable.
      let left = used
      for (const { percent, gb: reserved, locks } of boosts.filter((boost) => boost.hour === hour)) {
        const later = Number(onUse(price, BigInt(percent)))
        const taken = Math.min(left, reserved)
        boosted += Number(locks) - later * reserved + taken * later
        left -= taken
      }
      boosted += left * Number(spotAt(hour))
    }
  }
  return { boosted, spot, mostLocked }
}
