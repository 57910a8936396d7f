/**
 * An adversary that searches: random plans, then small and large changes of the best one, kept when they gain more. It knows nothing of the rule
 * it plays against, so that what it does not find was not left out by whoever wrote it.
 */
import { burntBy, PLAN_LENGTH, type Plan, planOf, type Rule, returnOf } from './world.ts'

export interface Found {
  /** Gain for each dollar he burns: what decides whether he burns any. */
  readonly rate: number
  readonly plan: Plan
  readonly tried: number
}

export function search(rule: Rule, starts: number, steps: number, random: () => number): Found {
  let best: Found = { rate: Number.NEGATIVE_INFINITY, plan: planOf([]), tried: 0 }
  let tried = 0
  const weigh = (numbers: readonly number[]) => {
    tried++
    const plan = planOf(numbers)
    // A plan without trade gains nothing and loses nothing; it is not what is searched for.
    return { plan, rate: burntBy(plan) === 0n ? Number.NEGATIVE_INFINITY : returnOf(plan, rule) }
  }
  for (let start = 0; start < starts; start++) {
    let here = Array.from({ length: PLAN_LENGTH }, random)
    let found = weigh(here)
    for (let step = 0; step < steps; step++) {
      const reach = step % 3 === 0 ? 1 : 0.2
      // A few numbers at a time: changing all of them at once seldom helps.
      const there = here.map((value) => (random() < 0.25 ? Math.min(0.999_999, Math.max(0, value + (random() - 0.5) * reach)) : value))
      const other = weigh(there)
      if (other.rate >= found.rate) [here, found] = [there, other]
    }
    if (found.rate > best.rate) best = { ...found, tried }
  }
  return { ...best, tried }
}
