import assert from 'node:assert/strict'
import { test } from 'node:test'
import { keepThread } from './thread.ts'

test('a thread that takes too much memory dies alone, is started again, and is told again what it was told', async () => {
  const ends: string[] = []
  let greeted = Promise.withResolvers<void>()
  const thread = keepThread<{ do: string }, { greeting: string }>({
    program: new URL('../../../test/support/leaky-thread.ts', import.meta.url),
    setup: () => ({}),
    limits: { heapMib: 32, firstPauseMs: 10 },
    onReport: () => greeted.resolve(),
    onStart: () => thread.send({ do: 'greet' }),
    onEnd: (why) => void ends.push(why),
  })
  // A thread keeps nobody awake, as a daemon's libp2p must not.
  const awake = setInterval(() => {}, 1_000)
  await greeted.promise
  greeted = Promise.withResolvers<void>()
  thread.send({ do: 'leak' })
  await greeted.promise
  assert.deepEqual(ends, ['ERR_WORKER_OUT_OF_MEMORY'])
  await thread.close({ do: 'stop' })
  clearInterval(awake)
})
