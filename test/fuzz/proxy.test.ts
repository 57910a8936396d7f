import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TARGETS } from './proxy.ts'
import { fuzz, type Target } from './run.ts'

const INPUTS = 2_000
/** Room for what the runtime itself keeps; a leak of one small object an input would be twice this over a long run. */
const MAX_GROWTH_BYTES = 8 * 1024 * 1024

for (const target of TARGETS) {
  test(`${INPUTS} malformed inputs: ${target.name}`, async () => {
    const report = await fuzz(target, INPUTS, 1)
    assert.deepEqual(report.failures, [])
    assert.equal(report.crashes, 0)
    assert.equal(report.accepted + report.refused, INPUTS)
    assert.ok(report.accepted > 0 && report.refused > 0, 'inputs of both kinds were made')
    assert.ok(report.heapAfterBytes - report.heapBeforeBytes < MAX_GROWTH_BYTES, `${report.heapAfterBytes - report.heapBeforeBytes} bytes`)
    assert.ok(report.fdsAfter <= report.fdsBefore, `${report.fdsBefore} -> ${report.fdsAfter} descriptors`)
  })
}

test('the harness sees a crash, and names the input that makes it again', async () => {
  const fragile: Target = {
    name: 'fragile',
    corpus: [Buffer.from('hello')],
    take: (pieces) => {
      if (Buffer.concat(pieces).length > 50) throw new Error('too long for me')
      return 'accepted'
    },
  }
  const [first, again] = [await fuzz(fragile, 200, 3), await fuzz(fragile, 200, 3)]
  assert.ok(first.crashes > 0)
  assert.equal(first.failures[0], again.failures[0])
})
