/**
 * Failover: how long a new request waits when the exit of busy flows is killed, and whether anything ever leaves without an exit.
 *
 *     npm run test:failover -- [--kills 100] [--flows 50] [--json]
 *
 * Real processes: exits, a consumer and its proxy, on a chain of their own. Start reading at campaign.ts. Ends with 0 only if every request was
 * served by another exit and nobody dialled directly. Times are printed, not judged: they are those of this machine.
 */
import { parseArgs } from 'node:util'
import { isRight, quantile, quantiles, runCampaign } from './campaign.ts'

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '100' },
    flows: { type: 'string', default: '50' },
    json: { type: 'boolean', default: false },
  },
})

const startedMs = performance.now()
const say = (line: string) => process.stderr.write(`${((performance.now() - startedMs) / 1000).toFixed(1).padStart(7)} s  ${line}\n`)
const report = await runCampaign({ kills: Number(values.kills), flows: Number(values.flows), say })
const right = isRight(report)
const { firstByteMs, ...facts } = report
const times = { p50Ms: quantile(firstByteMs, 0.5), p99Ms: quantile(firstByteMs, 0.99), mostMs: quantile(firstByteMs, 1) }
if (values.json) console.log(JSON.stringify({ right, ...facts, ...times, firstByteMs: firstByteMs.map(Math.round) }))
else {
  console.log(`${report.kills} kills of an exit under ${values.flows} busy flows`)
  console.log(quantiles(firstByteMs))
  console.log(`requests refused and made again: ${report.refused}`)
  console.log(`connections to the destination from no exit: ${report.direct} (positive control, dialled on purpose: ${report.control})`)
  console.log(`most connections to a dead exit in 3 s: ${report.knocks}`)
  for (const surprise of report.surprises) console.log(surprise)
  console.log(right ? 'all right' : 'NOT RIGHT')
}
process.exitCode = right ? 0 : 1
