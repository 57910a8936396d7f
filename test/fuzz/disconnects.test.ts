import assert from 'node:assert/strict'
import { test } from 'node:test'
import { disconnect } from './disconnects.ts'

const CUTS = 150
/** Room for what the runtime itself keeps; a leak of a link with its buffers would be several times this. */
const MAX_GROWTH_BYTES = 8 * 1024 * 1024

test(`${CUTS} links cut at random moments: bytes are right, both books agree, nothing is left`, async (t) => {
  const report = await disconnect(CUTS, 1, (line) => t.diagnostic(line))
  const { wrong, crashes, differences } = report
  assert.deepEqual({ wrong, crashes, differences }, { wrong: [], crashes: [], differences: [] })
  assert.ok(report.whole > 0 && report.cuts >= CUTS)
  assert.ok(
    report.heapAfterBytes - report.heapBeforeBytes < MAX_GROWTH_BYTES,
    `${report.heapBeforeBytes} -> ${report.heapAfterBytes} bytes`,
  )
  assert.ok(report.fdsAfter <= report.fdsBefore, `${report.fdsBefore} -> ${report.fdsAfter} descriptors`)
})
