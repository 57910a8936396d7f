import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { Attempts } from './attempts.ts'

/** More than run at once. */
const MANY = 50
const AT_ONCE = 16

function fifty() {
  const attempts = new Attempts()
  const running: (() => void)[] = []
  let begun = 0
  const work = () => {
    begun++
    return new Promise<void>((resolve) => running.push(resolve))
  }
  const all = Promise.all(Array.from({ length: MANY }, () => attempts.inTurn(work)))
  return {
    attempts,
    all,
    begun: () => begun,
    /** Ends those that run, and lets others begin. */
    endThese: async () => {
      for (const end of running.splice(0)) end()
      await turn()
    },
  }
}

test('a few run at once, and the others when those are over', async () => {
  const { all, begun, endThese } = fifty()
  await turn()
  for (const expected of [AT_ONCE, 2 * AT_ONCE, 3 * AT_ONCE, MANY]) {
    assert.equal(begun(), expected)
    await endThese()
  }
  await all
})

test('once they are held back none begins, and those that waited for a turn wait on', async () => {
  const { attempts, all, begun, endThese } = fifty()
  await turn()
  attempts.hold()
  await endThese()
  await endThese()
  assert.equal(begun(), AT_ONCE)
  attempts.hurry()
  await turn()
  assert.equal(begun(), 2 * AT_ONCE)
  for (let i = 0; i < 3; i++) await endThese()
  await all
})

test('when the session is over those that are held back begin, and find its signal aborted', async () => {
  const attempts = new Attempts()
  attempts.hold()
  const attempt = attempts.inTurn(async () => attempts.closed.aborted)
  attempts.close()
  assert.equal(await attempt, true)
})
