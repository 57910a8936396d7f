/** A short campaign (run.ts has the long one). How fast it goes is measured there, not judged here. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { quantiles, runCampaign } from './campaign.ts'

const KILLS = 2
/** Each flow tries once before its session says that the exit is gone; then the session alone looks for it, less and less often. */
const MOST_KNOCKS = 20

test('when the exit of busy flows is killed another serves what is new, and nothing ever leaves without one', async (t) => {
  const report = await runCampaign({ kills: KILLS, flows: 10, say: (line) => t.diagnostic(line) })
  const { firstByteMs, direct, control, surprises, knocks } = report
  t.diagnostic(quantiles(firstByteMs))
  assert.deepEqual({ served: firstByteMs.length, direct, surprises }, { served: KILLS, direct: 0, surprises: [] })
  assert.equal(control, 1, 'positive control: the observer sees who dials directly')
  assert.ok(knocks <= MOST_KNOCKS, `${knocks} attempts to reach a dead exit in three seconds`)
})
