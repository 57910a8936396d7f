/**
 * Made-up use of a line, hour by hour, of the shape that public studies of households and of hosted accounts show: a curve of the day, another
 * at weekends, days that are heavier or lighter as a whole, rare bursts with a heavy tail, a slow trend, and weeks away.
 */
import { seededRandom } from '../crash/random.ts'

export type Shape = 'household' | 'account'

/** GB an hour on an ordinary day from midnight on, local time. */
const CURVES: Readonly<Record<Shape, { weekday: readonly number[]; weekend: readonly number[] }>> = {
  // Evening peak at nine, lowest at four; on weekends later up and busier by day.
  household: {
    weekday: [0.5, 0.3, 0.15, 0.1, 0.08, 0.1, 0.2, 0.4, 0.4, 0.35, 0.35, 0.4, 0.5, 0.5, 0.5, 0.6, 0.9, 1.3, 1.8, 2.3, 2.7, 2.8, 2.1, 1.1],
    weekend: [0.9, 0.6, 0.3, 0.15, 0.1, 0.1, 0.15, 0.3, 0.6, 1, 1.3, 1.4, 1.4, 1.4, 1.5, 1.6, 1.7, 1.9, 2.2, 2.5, 2.8, 2.9, 2.4, 1.6],
  },
  // Office hours, and a crawl each night at two.
  account: {
    weekday: [0.3, 0.3, 6, 5, 0.8, 0.3, 0.3, 0.5, 1.5, 3, 3.5, 3.5, 2.8, 3.2, 3.5, 3.4, 3, 2, 0.9, 0.5, 0.4, 0.3, 0.3, 0.3],
    weekend: [0.2, 0.2, 6, 5, 0.6, 0.2, 0.2, 0.2, 0.3, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.3, 0.3, 0.3, 0.2, 0.2, 0.2, 0.2, 0.2],
  },
}
/** Bursts an hour: games and updates here, campaigns there. Pareto with 1.5: a mean, but hardly a variance. */
const BURSTS: Readonly<Record<Shape, { rate: number; least: number; most: number }>> = {
  household: { rate: 0.012, least: 2, most: 60 },
  account: { rate: 0.008, least: 4, most: 120 },
}
const PARETO = 1.5
/** Ten percent more in a quarter of a year, as traffic everywhere. */
const TREND = 1.1 ** (1 / (91 * 24))
/** A household is away for a week about every 20; an account is not. */
const AWAY = { every: 20, part: 0.1 }

/** `weeks` of use from a Monday at midnight on. */
export function traceOf(shape: Shape, weeks: number, seed: number): number[] {
  const random = seededRandom(seed)
  /** By Box and Muller: mean 0, deviation 1. */
  const normal = () => Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next())
  const gb: number[] = []
  let [day, burst] = [0, 0]
  for (let hour = 0; hour < weeks * 168; hour++) {
    // Heavy days follow heavy days.
    if (hour % 24 === 0) day = 0.5 * day + 0.25 * normal()
    const { weekday, weekend } = CURVES[shape]
    const usual = (Math.floor(hour / 24) % 7 >= 5 ? weekend : weekday)[hour % 24]!
    const { rate, least, most } = BURSTS[shape]
    // A burst takes a few hours: two thirds of what is left of it in each.
    if (random.chance(rate)) burst += Math.min(most, least * (1 - random.next()) ** (-1 / PARETO))
    const away = shape === 'household' && Math.floor(hour / 168) % AWAY.every === AWAY.every - 1 ? AWAY.part : 1
    gb.push(away * (usual * TREND ** hour * Math.exp(day + 0.35 * normal() - 0.06) + (burst * 2) / 3))
    burst /= 3
  }
  return gb
}
