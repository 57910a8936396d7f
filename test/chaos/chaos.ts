/**
 * Chaos: whatever happens to nodes and network, a flow arrives whole or both ends learn that it did not.
 *
 * The rule of these tests: both ends of every transfer write down what they sent, what they heard and how it ended, and a judge that knows
 * only that decides. Nothing is truncated in silence. Start reading here; then judge.ts (what is right), plan.ts (what is transferred),
 * mishaps.ts (what goes wrong).
 *
 *     node test/chaos/chaos.ts [--transfers 500] [--seed N] [--hops 1|2|3] [--json] [--keep] [--swallow]
 *
 * As root, or where users may have network namespaces, packets are lost and connections reset too; elsewhere nodes are only killed.
 * --swallow is the positive control: a line that loses a few bytes and ends in order, which the judge must see. Ends with 0 only if all is right.
 */
import { parseArgs } from 'node:util'
import { tableLines } from '../../src/cli/format.ts'
import { enter, isInside } from '../support/own-network.ts'
import { isRight, type Report, runCampaign } from './campaign.ts'
import { VERDICTS } from './judge.ts'
import { MISHAPS } from './mishaps.ts'
import { canFail, setUp } from './network.ts'

const { values } = parseArgs({
  options: {
    transfers: { type: 'string', default: '500' },
    seed: { type: 'string' },
    hops: { type: 'string', default: '1' },
    swallow: { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
})

if (!isInside() && canFail()) process.exitCode = await enter([import.meta.filename, ...process.argv.slice(2)])
else process.exitCode = await main()

async function main(): Promise<number> {
  if (isInside()) setUp()
  const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31))
  const hops = Number(values.hops)
  if (hops !== 1 && hops !== 2 && hops !== 3) throw new Error('--hops is 1, 2 or 3')
  const startedMs = performance.now()
  const say = (line: string) => process.stderr.write(`${((performance.now() - startedMs) / 1000).toFixed(1).padStart(7)} s  ${line}\n`)
  say(`seed ${seed}`)
  const { swallow, keep } = values
  const report = await runCampaign({ transfers: Number(values.transfers), seed, hops, swallow, keep, say })
  const right = isRight(report)
  if (values.json) console.log(JSON.stringify({ seed, hops, right, ...report }))
  else show(report)
  return right ? 0 : 1
}

function show(report: Report): void {
  const right = { align: 'right' } as const
  const rows = (about: Readonly<Record<string, string>>, counts: Readonly<Record<string, number>>) =>
    Object.entries(about).map(([name, text]) => [name, `${counts[name]}`, text])
  for (const line of tableLines([{ title: 'transfers' }, { title: '', ...right }, { title: '' }], rows(VERDICTS, report.verdicts))) {
    console.log(line)
  }
  console.log()
  for (const line of tableLines([{ title: 'mishaps' }, { title: '', ...right }, { title: '' }], rows(MISHAPS, report.mishaps))) {
    console.log(line)
  }
  const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`
  const { up, down, largest, refused, speechless, left, seconds } = report
  console.log(`\n${megabytes(up)} up, ${megabytes(down)} down, at most ${megabytes(largest)} in one direction of a transfer; ${seconds} s`)
  console.log(
    `${refused} attempts to open a flow failed and were made again; ${speechless.reset + speechless.ended} connections ended unused`,
  )
  if (!report.network) console.log('no network namespace could be had: packets were not lost and connections not reset')
  for (const line of [...report.findings, ...report.surprises].slice(0, 20)) console.log(`  ${line}`)
  const wrong = report.findings.length
  console.log(`${wrong} wrong, ${report.surprises.length} ended by themselves, ${left} left open`)
}
