/**
 * `node test/crash/kill.ts --kills 300`: kill -9 at random moments, provider and consumer in turn, under load, on a chain of its own.
 *
 *     --kills N       how many (300)
 *     --seed N        of the random moments (a new one each run; printed)
 *     --power-cut     unsynced writes die with the process
 *     --fsync off     acknowledge before the disk has it; with --power-cut this must lose vouchers: the positive control
 *     --expect-loss   succeed only if something was lost
 *     --keep          keep the folder of the run
 *     --json          the report as JSON
 *
 * Ends with 0 only if nothing was lost, no two signatures conflict, the ledgers of both sides are equal and both books verify.
 */
import { parseArgs } from 'node:util'
import { isRight, type Report, runCampaign } from './campaign.ts'

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '300' },
    seed: { type: 'string' },
    fsync: { type: 'string', default: 'on' },
    'power-cut': { type: 'boolean', default: false },
    'expect-loss': { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
})
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31))
const startedMs = performance.now()
const say = (line: string) => process.stderr.write(`${((performance.now() - startedMs) / 1000).toFixed(1).padStart(7)} s  ${line}\n`)
say(`seed ${seed}`)

const report = await runCampaign({
  kills: Number(values.kills),
  seed,
  fsync: values.fsync === 'off' ? 'off' : 'on',
  powerCut: values['power-cut'],
  keep: values.keep,
  say,
})
const right = values['expect-loss'] ? report.lost > 0 : isRight(report)
if (values.json)
  process.stdout.write(`${JSON.stringify({ seed, right, ...report }, (_key, value) => (typeof value === 'bigint' ? `${value}` : value))}\n`)
else show(report)
process.exitCode = right ? 0 : 1

function show(report: Report): void {
  const { moments, transfers } = report
  const rows: [string, string | number][] = [
    ['kills', `${report.kills} in ${report.seconds} s`],
    ...Object.entries(moments).map(([moment, count]): [string, number] => [`  while ${moment}`, count]),
    [
      'transfers',
      `${transfers.finished} whole, ${transfers.broken} broken, ${transfers.wrong} wrong; ${Math.round(report.bytes / 1e6)} MB`,
    ],
    ['sessions', report.sessions],
    ['vouchers sent', report.sent],
    ['vouchers acknowledged', report.acknowledged],
    ['earned', `${report.earned} units`],
    ['paid on the provider’s word', `${report.disputedBytes} bytes`],
    ['no traffic after a kill', report.stalls],
    ['false alarms of a restored folder', report.restoredWarnings],
    ['sent below an earlier voucher', report.rewound],
    ['ended by themselves', report.surprises.length],
    ['verify', report.verify],
  ]
  for (const [name, value] of rows) console.log(`${name.padEnd(36)}${value}`)
  for (const line of [...report.findings, ...report.ledgers, ...report.surprises].slice(0, 40)) console.log(`  ${line}`)
  const ledgers = report.ledgers.length === 0 ? 'ledgers equal' : `ledgers differ in ${report.ledgers.length} places`
  console.log(`lost ${report.lost}, conflicts ${report.conflicts}, ${ledgers}`)
}
