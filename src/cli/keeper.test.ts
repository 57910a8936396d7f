import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BywayError } from '../protocol/errors.ts'
import type { Child } from './child.ts'
import { keepNode, type Pause } from './keeper.ts'

/** Nodes that end when told to, and a record of what the keeper did. */
function world(startFails: (start: number) => boolean = () => false) {
  const said: string[] = []
  const ends: ((error: BywayError) => void)[] = []
  const start = async (before?: Child): Promise<Child> => {
    const number = ends.length + 1
    if (startFails(number)) {
      ends.push(() => {})
      throw new BywayError('PORT_BUSY', `start ${number} failed`)
    }
    const { promise: ended, resolve } = Promise.withResolvers<BywayError>()
    ends.push(resolve)
    said.push(`start ${number}${before === undefined ? '' : ` for ${before.pid}`}`)
    return { name: 'node', pid: number, ready: {} as Child['ready'], ended, stop: async () => void said.push(`stop ${number}`) }
  }
  const events = {
    ended: (error: BywayError, pauseMs: number) => said.push(`${error.message}, again in ${pauseMs}`),
    back: (child: Child) => said.push(`back ${child.pid}`),
  }
  /** Lets promises settle. */
  const settle = () => new Promise<void>((resolve) => setImmediate(resolve))
  const die = async (number: number) => {
    ends[number - 1]!(new BywayError('CHILD_FAILED', `${number} died`))
    await settle()
  }
  let over: (() => void) | undefined
  const pause: Pause = (_ms, signal) =>
    new Promise((resolve, reject) => {
      over = resolve
      signal.addEventListener('abort', () => reject(signal.reason as Error))
    })
  /** The pause ends. */
  const pass = async () => {
    over?.()
    await settle()
  }
  return { said, start, events, pause, die, pass }
}

test('a node that dies is started again, each time later, and given up when it dies too often', async () => {
  const { said, start, events, pause, die, pass } = world((number) => number === 3)
  const keeper = await keepNode(start, events, pause)
  await die(1)
  assert.deepEqual(said, ['start 1', '1 died, again in 500'])
  await pass()
  assert.deepEqual(said.splice(0), ['start 1', '1 died, again in 500', 'start 2 for 1', 'back 2'])
  assert.equal(keeper.child.pid, 2)
  // A start that fails counts as an end.
  await die(2)
  await pass()
  await pass()
  assert.deepEqual(said.splice(0), ['2 died, again in 1000', 'start 3 failed, again in 2000', 'start 4 for 2', 'back 4'])
  await die(4)
  await pass()
  await die(5)
  assert.equal((await keeper.failed).message, '5 died')
  assert.deepEqual(said, ['4 died, again in 4000', 'start 5 for 4', 'back 5'])
})

test('a node that is asked to stop is not started again, even in the pause before a start', async () => {
  for (const inPause of [false, true]) {
    const { said, start, events, pause, die, pass } = world()
    const keeper = await keepNode(start, events, pause)
    if (inPause) await die(1)
    await keeper.stop()
    await pass()
    assert.deepEqual(said, inPause ? ['start 1', '1 died, again in 500', 'stop 1'] : ['start 1', 'stop 1'])
  }
})
