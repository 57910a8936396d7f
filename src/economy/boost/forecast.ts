/**
 * The forecast: what was used in the same hour of past weeks, and in the hours beside it, is what may be used. The last weeks count more, and
 * all of it is scaled by how the last day compares with what was expected of it.
 *
 * It is a distribution, not a number: reserving needs to know how probable the eighth gigabyte is.
 */

const WEEK = 168
/** Weeks remembered, and how much each counts beside the one after it: habits change with the season. */
const WEEKS = 8
const WEEK_KEEP = 0.8
/** Hours to either side that tell something about this one, and how much. */
const BESIDE = 1
const BESIDE_WEIGHT = 0.5
/** Most that the last day changes the forecast of the next, either way. */
const MOST_LEVEL = 2

/** GB used in each hour, oldest first; the first of it in hour `begins` (Unix time in hours). */
export interface History {
  readonly begins: number
  readonly gb: readonly number[]
}

/** What an hour may use: possible amounts in rising order with their weights, which add up to 1. */
export interface Forecast {
  readonly amounts: readonly number[]
  readonly weights: readonly number[]
}

/** Of an hour that has not come yet, or as if it had not: only what lies at least `ahead` hours before it is looked at. */
export function forecastOf(history: History, hour: number, ahead = 1): Forecast {
  return scaled(shapeOf(history, hour, ahead), levelBefore(history, hour - ahead))
}

/** The smallest amount that is not exceeded with probability `part`; 0 without any history. */
export function useAtLeast({ amounts, weights }: Forecast, part: number): number {
  let below = 0
  for (let i = 0; i < amounts.length; i++) {
    below += weights[i]!
    if (below >= part - 1e-12) return amounts[i]!
  }
  return amounts.at(-1) ?? 0
}

/** How probable it is that `gb` or more are used. */
export function chanceOfUsing({ amounts, weights }: Forecast, gb: number): number {
  let chance = 0
  for (let i = amounts.length - 1; i >= 0 && amounts[i]! >= gb; i--) chance += weights[i]!
  return Math.min(1, chance)
}

function shapeOf(history: History, hour: number, ahead: number): Forecast {
  const seen: { amount: number; weight: number }[] = []
  for (let week = 1; week <= WEEKS; week++) {
    for (let beside = -BESIDE; beside <= BESIDE; beside++) {
      const at = hour - week * WEEK + beside
      const amount = history.gb[at - history.begins]
      if (amount === undefined || at > hour - ahead) continue
      seen.push({ amount, weight: WEEK_KEEP ** week * (beside === 0 ? 1 : BESIDE_WEIGHT) })
    }
  }
  seen.sort((a, b) => a.amount - b.amount)
  const sum = seen.reduce((total, { weight }) => total + weight, 0)
  return { amounts: seen.map(({ amount }) => amount), weights: seen.map(({ weight }) => weight / sum) }
}

/** How the day up to and with `hour` compares with the middle of what was to be expected: half of the difference is taken to last. */
function levelBefore(history: History, hour: number): number {
  let [used, expected] = [0, 0]
  for (let back = 0; back < 24; back++) {
    const actual = history.gb[hour - back - history.begins]
    if (actual === undefined) continue
    // A burst says nothing about the level; the largest of what was to be expected is the most that counts.
    const shape = shapeOf(history, hour - back, 24)
    used += Math.min(actual, useAtLeast(shape, 0.9))
    expected += useAtLeast(shape, 0.5)
  }
  return expected === 0 ? 1 : Math.sqrt(Math.min(MOST_LEVEL, Math.max(1 / MOST_LEVEL, used / expected)))
}

const scaled = ({ amounts, weights }: Forecast, level: number): Forecast => ({ amounts: amounts.map((amount) => amount * level), weights })

export interface Accuracy {
  /** Hours that were forecast. */
  readonly hours: number
  /** Mean absolute error of the median, over that of "as a week ago": below 1 is better. */
  readonly mase: number
  /** Mean pinball loss at 0.5 and 0.9, and that of "as a week ago". */
  readonly pinball: { readonly half: number; readonly nine: number; readonly naiveHalf: number; readonly naiveNine: number }
}

/** How good forecasts of the hours from `from` on would have been, each made a day before with what was known then. */
export function accuracyOf(history: History, from: number, ahead = 24): Accuracy {
  const sums = { error: 0, naive: 0, half: 0, nine: 0, naiveHalf: 0, naiveNine: 0 }
  let hours = 0
  for (let hour = Math.max(from, history.begins + WEEK); hour < history.begins + history.gb.length; hour++) {
    const actual = history.gb[hour - history.begins]!
    const weekAgo = history.gb[hour - WEEK - history.begins]!
    const forecast = forecastOf(history, hour, ahead)
    const [half, nine] = [useAtLeast(forecast, 0.5), useAtLeast(forecast, 0.9)]
    sums.error += Math.abs(actual - half)
    sums.naive += Math.abs(actual - weekAgo)
    sums.half += pinball(actual, half, 0.5)
    sums.nine += pinball(actual, nine, 0.9)
    sums.naiveHalf += pinball(actual, weekAgo, 0.5)
    sums.naiveNine += pinball(actual, weekAgo, 0.9)
    hours++
  }
  const mean = (sum: number) => (hours === 0 ? 0 : sum / hours)
  return {
    hours,
    // Where nothing ever changed, "as a week ago" is never wrong, and nothing beats it.
    mase: sums.naive === 0 ? 1 : sums.error / sums.naive,
    pinball: { half: mean(sums.half), nine: mean(sums.nine), naiveHalf: mean(sums.naiveHalf), naiveNine: mean(sums.naiveNine) },
  }
}

/** What a forecast of the `part` quantile costs when `actual` comes. */
export function pinball(actual: number, forecast: number, part: number): number {
  return actual >= forecast ? part * (actual - forecast) : (1 - part) * (forecast - actual)
}
