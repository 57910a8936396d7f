/**
 * `npm run bench:boost`: how good forecasts of use are out of sample, beside "as a week ago", and what reserving by them saves. On traces of
 * test/boost/trace.ts; `--weeks` and `--seeds` make it longer, `--json` prints rows.
 */
import { parseArgs } from 'node:util'
import { accuracyOf } from '../src/economy/boost/index.ts'
import { backtest } from '../test/boost/backtest.ts'
import { traceOf } from '../test/boost/trace.ts'

const { values } = parseArgs({
  options: { weeks: { type: 'string', default: '26' }, seeds: { type: 'string', default: '5' }, json: { type: 'boolean', default: false } },
})
const [weeks, seeds] = [Number(values.weeks), Number(values.seeds)]
const LEARNED_WEEKS = 8
if (!Number.isSafeInteger(weeks) || weeks <= LEARNED_WEEKS || !Number.isSafeInteger(seeds) || seeds < 1) {
  console.error(`--weeks is a whole number above ${LEARNED_WEEKS}, --seeds one above 0`)
  process.exit(2)
}
/** Ten dollars a day. */
const BUDGET = 10_000_000n

const rows = (['household', 'account'] as const).flatMap((shape) =>
  Array.from({ length: seeds }, (_, i) => {
    const gb = traceOf(shape, weeks, i + 1)
    const from = LEARNED_WEEKS * 168
    const { hours, mase, pinball } = accuracyOf({ begins: 0, gb }, from)
    const { boosted, spot } = backtest(gb, from, BUDGET)
    return { shape, seed: i + 1, hours, mase, ...pinball, saved: 1 - boosted / spot }
  }),
)
if (values.json) console.log(JSON.stringify(rows, null, 2))
else {
  console.log('| trace | hours | MASE | pinball 0.5 | as a week ago | pinball 0.9 | as a week ago | saved of the bill |')
  console.log('| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |')
  for (const { shape, seed, hours, mase, half, naiveHalf, nine, naiveNine, saved } of rows) {
    const cells = [mase, half, naiveHalf, nine, naiveNine].map((value) => value.toFixed(3))
    console.log(`| ${shape} ${seed} | ${hours} | ${cells.join(' | ')} | ${(100 * saved).toFixed(1)} % |`)
  }
}
process.exitCode = rows.every(({ mase }) => mase < 1) ? 0 : 1
