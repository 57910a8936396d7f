/** Applications that wait for an exit which fell silent: who was told nothing and said nothing asks another, in no time. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { descriptorOf } from '../../tunnel/fast/plane.ts'
import { native, twoSides } from '../../tunnel/fast/testing.ts'
import { Count } from '../proxy/count.ts'
import { createSocksParser } from '../proxy/socks5.ts'
import { parametersKey } from '../proxy/username.ts'
import { Doorkeeper } from './doorkeeper.ts'
import type { EntranceReport } from './orders.ts'

const GREETING = [5, 1, 0]
/** Who asks for a destination that answered before is answered at once. */
let ports = 1
const head = () => Buffer.from([...GREETING, 5, 1, 0, 1, 127, 0, 0, 1, 0, ports++])
/** What the greeting is answered with. */
const SAID_BYTES = 2
const SUCCEEDED = [5, 0, 0, 1, 0, 0, 0, 0, 0, 0]
/** Above what an answer may take before one doubts, and what a way may be dead before flows end. */
const LONG_MS = 300
const VERY_LONG_MS = 2_200

async function world(t: TestContext, { others = true } = {}) {
  const step = createSocksParser().push(head())
  assert.ok(step.kind === 'request')
  const sides = twoSides()
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const fd = native.duplicate(descriptorOf(server))
  server.close()
  const reports: EntranceReport[] = []
  const inside = {
    thread: sides.thread,
    say: (report: object) => void reports.push(report as EntranceReport),
    session: () => sides.consumer,
    sayLast: (at: number) => native.close(at),
  }
  const doorkeeper = new Doorkeeper(inside)
  const flows = Count.upTo(10)
  doorkeeper.obey({ enter: 'open', flows: flows.shared, connections: Count.upTo(10).shared, handshakeMs: 60_000 }, fd)
  const grant = { key: parametersKey(step.parameters), turns: [{ session: 1, exit: '0x00' as const, others }], goodMs: 600_000 }
  doorkeeper.obey({ enter: 'grant', grant }, -1)
  t.after(() => doorkeeper.close())
  const handed = () => reports.filter((report) => report.entered === 'hand')
  t.after(() => {
    for (const { fd: given } of handed()) native.close(given)
  })
  return {
    sides,
    handed,
    refused: () => reports.filter((report) => report.entered === 'refused').length,
    /** An application that asks for a flow through an exit: what it hears, and the exit. */
    async ask(words: Uint8Array = head()) {
      const peer = sides.raw('consumer')
      const socket = connect(port, '127.0.0.1').on('error', () => {})
      t.after(() => socket.destroy())
      const heard: number[] = []
      socket.on('data', (chunk: Buffer) => heard.push(...chunk))
      await once(socket, 'connect')
      socket.write(words)
      await delay(20)
      sides.turns()
      assert.equal(peer.messages[0]?.name, 'open')
      return { peer, socket, heard }
    },
    async wait(ms: number) {
      await delay(ms)
      sides.turns()
      // The application hears it.
      await delay(20)
    },
  }
}

test('who waits for an answer is handed over with all it said when the way is dead', async (t) => {
  const { sides, ask, handed, wait, refused } = await world(t)
  const answered = await ask()
  answered.peer.link.send('opened', {})
  sides.turns()
  const words = head()
  await ask(words)
  sides.consumer.away()
  await wait(0)
  assert.equal(handed().length, 1, 'the one that was answered stays')
  const { heard, said } = handed()[0]!
  assert.deepEqual(Buffer.from(heard), words)
  assert.equal(said, SAID_BYTES)
  assert.equal(refused(), 0)
  await wait(VERY_LONG_MS)
  assert.equal(sides.consumerSaid('given-up').length, 1)
  assert.deepEqual(answered.heard.slice(SAID_BYTES), SUCCEEDED)
  assert.equal(answered.socket.closed, false)
})

test('no flow begins over a way that is dead, and one does when it is back', async (t) => {
  const { sides, ask, handed } = await world(t)
  sides.consumer.away()
  await assert.rejects(ask())
  assert.equal(handed().length, 1)
  sides.consumer.back()
  await ask()
})

test('where nobody else could serve it waits, and is served when the answer comes', async (t) => {
  const { sides, ask, handed, wait, refused } = await world(t, { others: false })
  const { peer, heard } = await ask()
  await wait(LONG_MS)
  assert.equal(sides.consumerSaid('unanswered').length, 0)
  sides.consumer.away()
  await wait(VERY_LONG_MS)
  assert.deepEqual([handed().length, refused()], [0, 0])
  peer.link.send('opened', {})
  await wait(20)
  assert.deepEqual(heard.slice(SAID_BYTES), SUCCEEDED)
})

test('what an application said is never said twice: its flow ends when the way stays dead, and goes on when it was only slow', async (t) => {
  const { sides, ask, handed, wait, refused } = await world(t)
  const spoke = () => Buffer.concat([head(), Buffer.from('words')])
  const slow = await ask(spoke())
  sides.consumer.away()
  await wait(LONG_MS)
  sides.consumer.back()
  await wait(VERY_LONG_MS)
  assert.equal(refused(), 0)
  slow.peer.link.send('opened', {})
  await wait(20)
  assert.deepEqual(slow.heard.slice(SAID_BYTES), SUCCEEDED)
  await ask(spoke())
  sides.consumer.away()
  await wait(VERY_LONG_MS)
  assert.deepEqual([handed().length, refused()], [0, 1])
})

test('an answer that takes long is told of, one that comes is not', async (t) => {
  const { sides, ask, wait } = await world(t)
  const { peer } = await ask()
  peer.link.send('opened', {})
  await wait(0)
  await wait(LONG_MS)
  assert.equal(sides.consumerSaid('unanswered').length, 0)
  await ask()
  await wait(LONG_MS)
  await wait(LONG_MS)
  assert.equal(sides.consumerSaid('unanswered').length, 1)
  await ask()
  await wait(LONG_MS)
  assert.equal(sides.consumerSaid('unanswered').length, 2)
})

test('a link that breaks before the answer came: the application asks another', async (t) => {
  const { ask, handed, wait, refused } = await world(t)
  const { peer } = await ask()
  peer.link.destroy(undefined)
  await wait(20)
  assert.deepEqual([handed().length, refused()], [1, 0])
})
