import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Task } from './loop.ts'
import { Meter } from './meter.ts'
import { Waiters } from './waiters.ts'

/** Flows that want to move bytes of a meter, and a loop that runs them in the order they were asked for. */
function world() {
  const meter = new Meter()
  const tasks = new Set<Task>()
  const waiters = new Waiters(meter, { again: (task) => void tasks.add(task) })
  const ran: string[] = []
  const flow = (name: string, wanted: number) => {
    const self = {
      progress: 0,
      run() {
        ran.push(name)
        const taken = meter.take('down', wanted)
        self.progress += taken
        waiters.wait(self, 1)
      },
    }
    return self
  }
  /** Everything the loop has to do; returns who ran. */
  const settle = (): string => {
    for (const task of tasks) {
      tasks.delete(task)
      task.run()
    }
    return ran.splice(0).join('')
  }
  return { meter, waiters, tasks, flow, settle }
}

test('whoever waits is woken in order, in the loop and not at once, and the meter says whether anybody waits', () => {
  const { meter, waiters, tasks, flow, settle } = world()
  for (const name of ['a', 'b', 'c']) waiters.wait(flow(name, 10), 1)
  assert.equal(tasks.size, 0)
  assert.equal(meter.waiting, true)
  meter.give(10n)
  waiters.wake()
  assert.equal(meter.waiting, false)
  assert.deepEqual([tasks.size, settle()], [3, 'abc'])
  assert.equal(meter.waiting, true)
})

test('whoever moved something goes behind those that found nothing left', () => {
  const { meter, waiters, flow, settle } = world()
  const flows = ['a', 'b', 'c'].map((name) => flow(name, 10))
  for (const each of flows) waiters.wait(each, 1)
  const first = []
  for (let i = 0; i < 6; i++) {
    meter.give(10n)
    waiters.wake()
    first.push(settle())
  }
  // Room for one each time: it is another each time.
  assert.deepEqual(
    flows.map(({ progress }) => progress),
    [20, 20, 20],
  )
  assert.deepEqual(first, ['abc', 'bca', 'cab', 'abc', 'bca', 'cab'])
})

test('room that comes in this moment is not missed, and who is gone is not woken', () => {
  const { meter, waiters, tasks, flow } = world()
  meter.give(5n)
  const [here, gone] = [flow('here', 1), flow('gone', 1)]
  waiters.wait(here, 5)
  assert.equal(meter.waiting, false)
  assert.deepEqual([...tasks], [here])
  waiters.wait(gone, 6)
  waiters.delete(gone)
  assert.equal(meter.waiting, false)
  waiters.wake()
  assert.deepEqual([...tasks], [here])
})

test('one that waits for both directions runs when room for one of them came in this moment: the other would never be tried', () => {
  const { meter, waiters, tasks, flow } = world()
  const both = flow('both', 1)
  waiters.wait(both, 10)
  // What came is for the other direction, and whoever gave it looked before anybody waited.
  meter.give(5n)
  waiters.wait(both, 1)
  assert.deepEqual([...tasks], [both])
})
