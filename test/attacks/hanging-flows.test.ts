/** Consumers that open flows and let them hang without a link: what they hold is bounded, and given back. No sockets: links over pairs of streams. */
import assert from 'node:assert/strict'
import { type Duplex, duplexPair } from 'node:stream'
import { test } from 'node:test'
import { silent } from '../../src/protocol/observe.ts'
import { Flows, newShared } from '../../src/provider/flows.ts'
import { Link, type Wire } from '../../src/tunnel/index.ts'
import { Talk, until } from './rogue.ts'

const MAX_FLOWS = 256

function world(mostWaiting: number, limitMs: number) {
  const shared = newShared({ mostWaiting, mostFlows: MAX_FLOWS })
  const lost: number[] = []
  const targets: Duplex[] = []
  const ends = new Map<Talk, Duplex>()
  const flows = new Flows({
    shared,
    outage: { limitMs, againMs: 10 },
    observer: silent,
    gate: () => true,
    giveBack: () => {},
    onQuiet() {},
    lost: (flowId) => lost.push(flowId),
    dialler: {
      dial: async () => {
        const [near, far] = duplexPair()
        far.on('error', () => {})
        targets.push(near)
        return near
      },
      extend: () => Promise.reject(new Error('not here')),
      associate: () => duplexPair()[0],
    },
  })
  const wire = (stream: Duplex) => new Link(Object.assign(stream, { exportKeyingMaterial: () => Buffer.alloc(32) }) as Wire)
  const attach = () => {
    const [near, far] = duplexPair()
    flows.serve(wire(near))
    const talk = new Talk(wire(far))
    ends.set(talk, near)
    return talk
  }
  const cut = (talk: Talk) => ends.get(talk)!.destroy()
  const open = async (flowId: number) => {
    const link = attach()
    link.send('open', { flowId, protocol: 0, host: 'a.test', port: 1 })
    await link.next('opened')
    return link
  }
  return { flows, shared, lost, targets, attach, open, cut }
}

test('so many flows may wait for a link, over all sessions; one more is given up at once', async () => {
  const { flows, shared, lost, targets, attach, open, cut } = world(2, 60_000)
  const links = [await open(1), await open(2), await open(3)]
  for (const [i, link] of links.entries()) {
    cut(link)
    await until(() => shared.waiting === Math.min(i + 1, 2) && lost.length === Math.max(0, i - 1), 'it waits, or is given up')
  }
  assert.deepEqual(lost, [3])
  assert.deepEqual(
    targets.map(({ destroyed }) => destroyed),
    [false, false, true],
  )
  const back = attach()
  back.send('resume', { flowId: 1, received: 0n, over: 0 })
  await back.next('resumed')
  assert.equal(shared.waiting, 1)
  flows.close()
  assert.equal(shared.waiting, 0)
  assert.equal(shared.budget.used, 0)
  await until(() => targets.every(({ destroyed }) => destroyed), 'all destinations are let go')
})

test('a flow that waits too long is given up, and one that was carried on in time is not', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { flows, shared, lost, attach, open, cut } = world(10, 60_000)
  const links = [await open(1), await open(2)]
  for (const link of links) cut(link)
  await until(() => shared.waiting === 2, 'both wait')
  t.mock.timers.tick(59_000)
  const back = attach()
  back.send('resume', { flowId: 2, received: 0n, over: 0 })
  await back.next('resumed')
  t.mock.timers.tick(2_000)
  assert.deepEqual(lost, [1])
  assert.deepEqual([shared.waiting, flows.live], [0, 1])
  flows.close()
})

test('a session has so many flows and no more, however few links it has', async () => {
  const { flows, attach, open, cut } = world(MAX_FLOWS, 60_000)
  for (let flowId = 1; flowId <= MAX_FLOWS; flowId++) cut(await open(flowId))
  await until(() => flows.links === 0, 'no link is left')
  assert.equal(flows.live, MAX_FLOWS)
  const link = attach()
  link.send('open', { flowId: 5_000, protocol: 0, host: 'a.test', port: 1 })
  assert.equal((await link.next('failed')).body.code, 'PROVIDER_BUSY')
  link.send('reset', {})
  // What it has it may go on with, and then there is room.
  link.send('resume', { flowId: 7, received: 0n, over: 0 })
  await link.next('resumed')
  link.send('reset', {})
  await link.next('done')
  link.send('open', { flowId: 5_001, protocol: 0, host: 'a.test', port: 1 })
  await link.next('opened')
  flows.close()
})
