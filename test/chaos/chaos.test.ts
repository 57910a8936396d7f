/** A short campaign, and its positive control: a line that loses the last bytes and ends in order must be seen. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Report } from './campaign.ts'

const TRANSFERS = 40
const CONTROL_TRANSFERS = 20
const CHAOS = join(import.meta.dirname, 'chaos.ts')

/** In a process of its own, which may enter a network of its own. */
async function chaos(t: TestContext, ...args: string[]): Promise<Report & { right: boolean }> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  execFile(process.execPath, [CHAOS, '--json', ...args], (_, stdout, stderr) => {
    t.diagnostic(stderr)
    if (stdout === '') reject(new Error(stderr))
    else resolve(stdout)
  })
  return JSON.parse(await promise) as Report & { right: boolean }
}

test(`${TRANSFERS} transfers under mishaps arrive whole, or both ends know that they did not`, async (t) => {
  const report = await chaos(t, '--transfers', `${TRANSFERS}`)
  const { right, findings, surprises, left, verdicts, mishaps } = report
  assert.deepEqual({ findings, surprises, left, right }, { findings: [], surprises: [], left: 0, right: true })
  assert.ok(verdicts.whole > 0)
  assert.ok(
    Object.values(mishaps).some((count) => count > 0),
    'nothing went wrong on purpose',
  )
})

test('control: bytes that go missing before an orderly end are seen', async (t) => {
  const { right, verdicts } = await chaos(t, '--transfers', `${CONTROL_TRANSFERS}`, '--swallow')
  assert.equal(right, false)
  assert.ok(verdicts.truncated > 0)
})
