/** Flows whose link breaks before their answer came, between the two real ends. No sockets: links over pairs of streams, which can be held and cut. */
import assert from 'node:assert/strict'
import { type Duplex, duplexPair } from 'node:stream'
import { test } from 'node:test'
import { Flows } from '../../src/consumer/flows.ts'
import { systemClock } from '../../src/protocol/clock.ts'
import { silent } from '../../src/protocol/observe.ts'
import { newShared, Flows as ProviderFlows } from '../../src/provider/flows.ts'
import { Link, type Wire } from '../../src/tunnel/index.ts'
import { until } from '../attacks/rogue.ts'

const FIRST_WORDS = 'hello'
const WELCOME = 'x'.repeat(1_000)

type Totals = { up: bigint; down: bigint }

const linkOver = (stream: Duplex) => new Link(Object.assign(stream, { exportKeyingMaterial: () => Buffer.alloc(32) }) as Wire)

/** A provider that lets so many flows wait for a link, and gives up all others, and a consumer, to which nothing is told of these. */
function world(mostWaiting: number) {
  const carried = { up: 0, down: 0 }
  const counted = { sent: 0, unsent: 0, received: 0, discarded: 0 }
  const lost: [flowId: number, totals: Totals][] = []
  const settled: { sent: bigint; received: bigint; stated: Totals }[] = []
  const over: { sent: bigint; received: bigint; stated: Totals }[] = []
  const destinations: Duplex[] = []
  const provider = new ProviderFlows({
    shared: newShared({ mostWaiting }),
    outage: { limitMs: 60_000, againMs: 1 },
    observer: silent,
    gate: (direction, bytes) => {
      carried[direction] += bytes
      return true
    },
    giveBack: (direction, bytes) => {
      carried[direction] -= Number(bytes)
    },
    onQuiet() {},
    lost: (flowId, totals) => lost.push([flowId, totals]),
    dialler: {
      dial: async () => {
        const [near, far] = duplexPair()
        far.on('error', () => {})
        far.write(WELCOME)
        far.resume().once('end', () => far.end())
        destinations.push(near)
        return near
      },
      extend: () => Promise.reject(new Error('not here')),
      associate: () => duplexPair()[0],
    },
  })
  /** Of the last link: both wires, and whether anything passes. */
  let wires: Duplex[] = []
  let hears: 'both' | 'provider' | 'nobody' = 'both'
  let nextId = 1
  const flows = new Flows({
    nextId: () => nextId++,
    clock: systemClock,
    outage: { limitMs: 60_000, againMs: 1 },
    async take() {
      const [ours, here] = duplexPair()
      const [there, theirs] = duplexPair()
      wires = [ours, here, there, theirs]
      for (const wire of wires) wire.on('error', () => {})
      if (hears !== 'nobody') here.pipe(there)
      if (hears === 'both') there.pipe(here)
      provider.serve(linkOver(theirs))
      return linkOver(ours)
    },
    put() {},
    onHeard() {},
    onCount: (way, bytes) => {
      counted[way] += bytes
    },
    onOver: ({ sent, received }, stated) => over.push({ sent, received, stated }),
    onGivenUp() {},
    onSettled: ({ sent, received }, stated) => settled.push({ sent, received, stated }),
  })
  return {
    carried,
    counted,
    lost,
    settled,
    over,
    destinations,
    flows,
    /** Opens a flow at once, and says its first words; of what is said on its link only so much is heard. */
    async open(heard: typeof hears) {
      hears = heard
      const target = { destination: { host: 'a.test', port: 1 } }
      const flow = await flows.open(target as Parameters<Flows['open']>[0], { signal: new AbortController().signal, early: true })
      flow.write(FIRST_WORDS)
      hears = 'both'
      return flow
    },
    cut() {
      for (const wire of wires) wire.destroy()
    },
  }
}

const words = BigInt(FIRST_WORDS.length)
const welcome = BigInt(WELCOME.length)
const once = { sent: words, received: welcome, stated: { up: words, down: welcome } }

for (const when of ['while the second lives', 'after the second is over']) {
  test(`a flow that was opened, lost and opened anew is settled for both of its lives; the provider speaks of the first ${when}`, async () => {
    const { carried, counted, lost, settled, over, destinations, flows, open, cut } = world(0)
    const flow = await open('provider')
    await until(() => carried.up === FIRST_WORDS.length && carried.down === WELCOME.length, 'the provider carried it')
    assert.equal(flow.opening, true, 'control: nothing of that was heard')
    cut()
    await until(() => flow.received === welcome, 'the flow goes on')
    assert.equal(destinations.length, 2, 'control: it was opened anew')
    const [[flowId, totals]] = lost as [[number, Totals]]
    const end = async () => {
      flow.resume().end()
      await until(() => over.length === 1, 'it is over')
    }
    if (when.startsWith('after')) await end()
    flows.onLost(flowId, totals)
    assert.deepEqual(settled, [{ sent: words, received: 0n, stated: { up: words, down: welcome } }])
    if (over.length === 0) await end()
    assert.deepEqual(over, [once])
    // What was said twice was delivered twice, and counted so by both.
    assert.equal(counted.sent - counted.unsent, carried.up)
    assert.equal(BigInt(counted.received) + totals.down, BigInt(carried.down))
  })
}

test('a flow the provider never heard of is opened anew, and no more is counted there than was sent', async () => {
  const { carried, counted, lost, settled, over, destinations, open, cut } = world(0)
  const flow = await open('nobody')
  cut()
  await until(() => flow.received === welcome, 'the flow goes on')
  flow.resume().end()
  await until(() => over.length === 1, 'it is over')
  assert.deepEqual([over, destinations.length], [[once], 1])
  assert.deepEqual([lost, settled], [[], []])
  assert.deepEqual([carried.up, counted.sent], [FIRST_WORDS.length, 2 * FIRST_WORDS.length])
})

test('control: a flow that the provider kept goes on as itself, and its first words count once', async () => {
  const { carried, counted, lost, over, destinations, open, cut } = world(1)
  const flow = await open('provider')
  await until(() => carried.up === FIRST_WORDS.length && carried.down === WELCOME.length, 'the provider carried it')
  cut()
  await until(() => flow.received === welcome, 'the flow goes on')
  flow.resume().end()
  await until(() => over.length === 1, 'it is over')
  assert.deepEqual([over, destinations.length, lost.length], [[once], 1, 0])
  assert.deepEqual([counted.sent, counted.received], [carried.up, carried.down])
})
