/**
 * `npm run test:wash`: an adversary searches plans of trading with itself against our rule and against others, and this prints what it found.
 * Exits 1 when it finds a gain under the shipped parameters, or none where there is one to find.
 *
 *     npm run test:wash -- --steps 300 --starts 12 --seed 1
 */
import { parseArgs } from 'node:util'
import { seededRandom } from '../crash/random.ts'
import { bestRegionGain } from './region.ts'
import { search } from './search.ts'
import { burntBy } from './world.ts'

const { values } = parseArgs({
  options: { steps: { type: 'string', default: '300' }, starts: { type: 'string', default: '12' }, seed: { type: 'string', default: '1' } },
})
const [starts, steps, seed] = [Number(values.starts), Number(values.steps), Number(values.seed)]
if (![starts, steps, seed].every((value) => Number.isSafeInteger(value) && value > 0)) {
  console.error('--steps, --starts and --seed are whole numbers above 0')
  process.exit(2)
}

const DOLLAR = 1e6
const RULES = [
  { name: 'shipped: 0.90 of what burnt', remint: 9_000n, schedule: 0, gains: false },
  { name: '0.95 of what burnt', remint: 9_500n, schedule: 0, gains: false },
  { name: 'all of what burnt', remint: 10_000n, schedule: 0, gains: undefined },
  { name: '1.05 of what burnt', remint: 10_500n, schedule: 0, gains: true },
  { name: '1.10 of what burnt', remint: 11_000n, schedule: 0, gains: true },
  { name: 'schedule of 90,000 $ by use', remint: 0n, schedule: 90_000 * DOLLAR, gains: undefined },
  { name: 'schedule of 130,000 $ by use', remint: 0n, schedule: 130_000 * DOLLAR, gains: true },
] as const

const format = (units: number) => (units / DOLLAR).toLocaleString('en', { maximumFractionDigits: 2 })
let wrong = 0
console.log(`${starts} starts of ${steps} steps each, seed ${seed}; honest providers burn 100,000 dollars an epoch`)
console.log('| rule | plans tried | best return on his burn | his burn, $ | payees | held back | bids up to |')
console.log('| --- | ---: | ---: | ---: | ---: | ---: | ---: |')
for (const { name, remint, schedule, gains } of RULES) {
  const { rate, plan, tried } = search({ remint, schedule }, starts, steps, seededRandom(seed).next)
  const part = (millionths: bigint) => `${(Number(millionths) / 1e4).toFixed(0)} %`
  const cells = [tried, `${(100 * rate).toFixed(2)} %`, format(Number(burntBy(plan))), plan.payees, part(plan.later), part(plan.limit)]
  console.log(`| ${name} | ${cells.join(' | ')} |`)
  if (gains !== undefined && rate > 0 !== gains) wrong++
}
console.log(`
In a calm market he loses a tenth. He loses less where WAY falls overnight, bids from the day before still stand, and he is the first to
see it: then he buys dollars back, his own among them, for less WAY than they would have burnt. Others' dollars anybody could buy so.`)
console.log('\n| faked demand for a region’s multiplier | best gain in 90 days, $ | TB a day | days |')
console.log('| --- | ---: | ---: | ---: |')
for (const capped of [true, false]) {
  for (const share of [10n, 50n, 100n]) {
    const { gain, perDay, days } = bestRegionGain(share, capped)
    console.log(
      `| owns ${share} % of it, demand counted ${capped ? 'up to capacity' : 'without limit'} | ${format(gain * DOLLAR)} | ${perDay} | ${days} |`,
    )
    if (capped && gain > 0) wrong++
  }
}
console.log(
  wrong === 0
    ? '\nnobody gains under the shipped rule; the search finds what other rules give away'
    : `\n${wrong} rows are not as they should be`,
)
process.exitCode = wrong === 0 ? 0 : 1
