/** A short campaign of kills, and its positive control: the same without fsync must lose vouchers, or a loss could not be seen at all. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { isRight, runCampaign } from './campaign.ts'

const KILLS = 12
const CONTROL_KILLS = 20

const sayTo = (t: TestContext) => (line: string) => t.diagnostic(line)
const newSeed = () => Math.floor(Math.random() * 2 ** 31)

test(`${KILLS} kills at random moments lose no voucher, and the ledgers are equal`, async (t) => {
  const report = await runCampaign({ kills: KILLS, seed: newSeed(), fsync: 'on', powerCut: true, say: sayTo(t) })
  const { findings, ledgers, surprises, verify, ...counts } = report
  assert.deepEqual({ findings, ledgers, surprises, verify }, { findings: [], ledgers: [], surprises: [], verify: 'all equal' })
  assert.ok(counts.sent > 0 && counts.acknowledged > 0)
  assert.ok(
    isRight(report),
    JSON.stringify(counts, (_key, value: unknown) => (typeof value === 'bigint' ? `${value}` : value)),
  )
})

test('control: without fsync a power cut loses vouchers that were sent or acknowledged, and it shows', async (t) => {
  const report = await runCampaign({ kills: CONTROL_KILLS, seed: newSeed(), fsync: 'off', powerCut: true, stopAtLoss: true, say: sayTo(t) })
  assert.ok(report.lost > 0)
})
