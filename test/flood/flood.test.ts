/** A short flood: twenty times as many fresh identities as there is room for. `npm run test:flood` sends a million. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'

test('fresh identities without end fill a directory, and neither the memory nor the place of those with something at stake', async (t) => {
  const { promise, resolve } = Promise.withResolvers<string>()
  const args = [join(import.meta.dirname, 'flood.ts'), '--json', '--records', '10000', '--room', '500']
  execFile(process.execPath, args, (_, stdout, stderr) => resolve(stdout === '' ? stderr : stdout))
  const said = await promise
  t.diagnostic(said)
  const { right, held, evicted, stakedLost } = JSON.parse(said) as Record<string, unknown>
  assert.deepEqual({ right, held, stakedLost }, { right: true, held: 500, stakedLost: 0 })
  assert.equal(evicted, 9_500, 'positive control: all of them were taken in turn')
})
