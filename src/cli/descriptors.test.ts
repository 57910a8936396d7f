import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { watchDescriptors } from './descriptors.ts'

/** Warnings as they were set while the counts of `open` were seen, ten seconds apart. */
async function warnedOf(t: TestContext, limit: number | undefined, open: readonly number[]): Promise<unknown[]> {
  t.mock.timers.enable({ apis: ['setInterval'] })
  const said: unknown[] = []
  const counts = [...open]
  const stop = watchDescriptors(
    { warn: (code, facts) => said.push([code, facts]) },
    { limit: () => limit, open: async () => counts.shift() },
  )
  for (const _ of open) {
    t.mock.timers.tick(10_000)
    await new Promise((resolve) => setImmediate(resolve))
  }
  await stop()
  t.mock.timers.reset()
  return said
}

test('a limit that is too low is told of at once, and stays', async (t) => {
  assert.deepEqual(await warnedOf(t, 1_024, [10]), [['DESCRIPTORS_LOW', { limit: 1_024 }]])
  assert.deepEqual(await warnedOf(t, undefined, [10]), [], 'a system that does not say')
})

test('one that is nearly reached is told of until there is room again', async (t) => {
  assert.deepEqual(await warnedOf(t, 10_000, [100, 9_500, 8_500, 7_000]), [
    ['DESCRIPTORS_LOW', undefined],
    ['DESCRIPTORS_LOW', { limit: 10_000, open: 9_500 }],
    ['DESCRIPTORS_LOW', undefined],
  ])
})
