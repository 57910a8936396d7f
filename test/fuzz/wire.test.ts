import assert from 'node:assert/strict'
import { test } from 'node:test'
import { throughLink } from './frames.ts'
import { fuzz, type Target } from './run.ts'
import { TARGETS } from './wire.ts'

const INPUTS = 2_000
/** Room for what the runtime itself keeps; a leak of one small object an input would be twice this over a long run. */
const MAX_GROWTH_BYTES = 8 * 1024 * 1024

/** Chooses the last of every choice, which is to leave things as they are. */
const untouched = (below: number) => below - 1

for (const target of TARGETS) {
  test(`${INPUTS} malformed inputs: ${target.name}`, async () => {
    // Positive control: what was recorded is taken as it is. Else the recording is older than the wire: see record.ts.
    assert.equal(await target.take([target.corpus[0]!], untouched), 'accepted')
    const report = await fuzz(target, INPUTS, 1)
    assert.deepEqual(report.failures, [])
    assert.equal(report.crashes, 0)
    assert.equal(report.accepted + report.refused, INPUTS)
    assert.ok(report.refused > 0, 'malformed inputs were made')
    assert.ok(report.heapAfterBytes - report.heapBeforeBytes < MAX_GROWTH_BYTES, `${report.heapAfterBytes - report.heapBeforeBytes} bytes`)
    assert.ok(report.fdsAfter <= report.fdsBefore, `${report.fdsBefore} -> ${report.fdsAfter} descriptors`)
  })
}

test('the harness sees an owner of a link that crashes on what it hears', async () => {
  const [link] = TARGETS
  const fragile: Target = {
    ...link!,
    parallel: 1,
    take: (pieces, random) =>
      throughLink(pieces, random, (message) => {
        if (message.name === 'ping' && message.body.nonce > 255n) throw new TypeError('not a small number')
      }),
  }
  const [first, again] = [await fuzz(fragile, 1_000, 3), await fuzz(fragile, 1_000, 3)]
  assert.ok(first.crashes > 0)
  assert.deepEqual(first.failures.sort(), again.failures.sort())
  assert.equal((await fuzz(link!, 1_000, 3)).crashes, 0)
})
