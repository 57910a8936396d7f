/**
 * The plan: which gigabytes of which hour to reserve, declared with which probability. Each gigabyte of an hour is looked at by itself: the first is
 * almost surely used, the tenth perhaps. One is reserved if that is expected to cost less than buying it when the hour comes.
 */
import { onUse, upfront } from '../reservation.ts'
import { accuracyOf, chanceOfUsing, forecastOf, type History } from './forecast.ts'

const WEEK = 168
/** Weeks of history without which nothing is reserved: half of what a forecast likes to see. */
const LEAST_WEEKS = 4
/** Weeks on which forecasts must have been better than "as a week ago". */
const JUDGED_WEEKS = 2

/** Capacity somebody offers in an hour to come. */
export interface Reservable {
  readonly line: bigint
  /** Unix time in hours. */
  readonly hour: number
  /** Whole GB that are left of it. */
  readonly gb: number
  /** Units a GB in full, and what a GB is expected to cost when it is bought in that hour. */
  readonly price: bigint
  readonly spot: bigint
}

/** One purchase. */
export interface Boost {
  readonly line: bigint
  readonly hour: number
  readonly percent: number
  readonly gb: number
  /** Units locked now, of which what is not used comes back in part; and units expected to be saved. */
  readonly locks: bigint
  readonly saves: number
}

export interface BoostPlan {
  readonly boosts: readonly Boost[]
  /** Why nothing is reserved and everything bought when it is needed; undefined when forecasts are good enough. */
  readonly spotOnly: string | undefined
}

/** What to reserve of `lines`, which are of one region and quality, with a budget of units to be locked. */
export function planBoost(history: History, nowHour: number, lines: readonly Reservable[], budget: bigint): BoostPlan {
  const known: History = { begins: history.begins, gb: history.gb.slice(0, Math.max(0, nowHour - history.begins)) }
  const spotOnly = whyNot(known, nowHour)
  return { spotOnly, boosts: spotOnly === undefined ? within(budget, wanted(known, nowHour, lines)) : [] }
}

function whyNot(history: History, nowHour: number): string | undefined {
  const weeks = history.gb.length / WEEK
  if (weeks < LEAST_WEEKS) return `only ${weeks.toFixed(1)} of ${LEAST_WEEKS} weeks are known`
  const { mase } = accuracyOf(history, nowHour - JUDGED_WEEKS * WEEK)
  return mase < 1
    ? undefined
    : `forecasts of the last ${JUDGED_WEEKS} weeks were no better than "as a week ago" (${mase.toFixed(2)} of its error)`
}

/** Every gigabyte that is worth reserving, alone. */
function wanted(history: History, nowHour: number, lines: readonly Reservable[]): Boost[] {
  const found: Boost[] = []
  for (const [hour, offered] of Map.groupBy(lines, (line) => line.hour)) {
    if (hour < nowHour) continue
    const forecast = forecastOf(history, hour, hour - nowHour + 1)
    let gb = 0
    for (const line of offered.toSorted((a, b) => (a.price < b.price ? -1 : 1))) {
      for (let left = line.gb; left > 0; left--) {
        const chance = chanceOfUsing(forecast, ++gb)
        const percent = Math.min(100, Math.round(100 * chance))
        const boost = percent === 0 ? undefined : one(line, percent, chance)
        if (boost === undefined) break
        found.push(boost)
      }
    }
  }
  return found
}

/** One gigabyte of a line; undefined when buying it later is expected to be cheaper. */
function one({ line, hour, price, spot }: Reservable, percent: number, chance: number): Boost | undefined {
  const [now, later] = [upfront(price, BigInt(percent)), onUse(price, BigInt(percent))]
  const saves = chance * Number(spot) - (Number(now) + chance * Number(later))
  return saves > 0 ? { line, hour, percent, gb: 1, locks: now + later, saves } : undefined
}

/** As many of them as the budget locks, those first that save most for what they lock; alike ones together. */
function within(budget: bigint, boosts: readonly Boost[]): Boost[] {
  const bought = new Map<string, Boost>()
  let left = budget
  for (const boost of boosts.toSorted((a, b) => b.saves / Number(b.locks) - a.saves / Number(a.locks))) {
    if (boost.locks > left) continue
    left -= boost.locks
    const key = `${boost.line}/${boost.percent}`
    const same = bought.get(key)
    bought.set(
      key,
      same === undefined ? boost : { ...same, gb: same.gb + 1, locks: same.locks + boost.locks, saves: same.saves + boost.saves },
    )
  }
  return [...bought.values()].sort((a, b) => a.hour - b.hour || b.percent - a.percent)
}
