import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { DATA_TYPE } from '../../protocol/messages.ts'
import { Loop } from './loop.ts'
import { ERRNO, loadNative, type Memory } from './native.ts'
import { SealedLink } from './sealed-link.ts'
import { Thread } from './shared.ts'
import { standings } from './testing.ts'

const native = loadNative()

test('a link that was handed over in the middle of a record longer than any may be ends, and the thread goes on', () => {
  const loop = new Loop(native)
  const thread = new Thread(native, loop)
  const traffic = () => ({ suite: 'TLS_AES_128_GCM_SHA256', secret: randomBytes(32), sequence: 0 })
  const partial = Buffer.concat([Buffer.from([23, 3, 3, 0xff, 0xff]), randomBytes(50_000)])
  let reads = 0
  const carrier = {
    read: () => (reads++ === 0 ? 1 : -ERRNO.EAGAIN),
    send: (_m: unknown, _at: number, bytes: number) => bytes,
    close: () => {},
  }
  const link = new SealedLink(thread, carrier, { send: traffic(), receive: traffic(), unread: Buffer.alloc(0), partial })
  const ended: (string | undefined)[] = []
  link.listen({
    onData: () => assert.fail('payload'),
    onMessage: () => assert.fail('a message'),
    onBatch: () => false,
    onRoom: () => {},
    onClosed: (error) => void ended.push(error?.code),
  })
  loop.turn(0)
  assert.deepEqual(ended, ['MESSAGE_MALFORMED'])
  assert.deepEqual([thread.partials.out, thread.input.out, thread.output.out], [0, 0, 0], 'all memory is back')
  loop.end()
})

test('a link that ends in the middle of a record gives its memory back', () => {
  const loop = new Loop(native)
  const thread = new Thread(native, loop)
  const traffic = () => ({ suite: 'TLS_AES_128_GCM_SHA256', secret: randomBytes(32), sequence: 0 })
  const carrier = { read: () => -ERRNO.EAGAIN, send: (_m: unknown, _at: number, bytes: number) => bytes, close: () => {} }
  const partial = Buffer.from([23, 3, 3, 0, 100, 1, 2, 3])
  const link = new SealedLink(thread, carrier, { send: traffic(), receive: traffic(), unread: Buffer.alloc(0), partial })
  assert.equal(thread.partials.out, 1)
  link.destroy(undefined)
  assert.equal(thread.partials.out, 0)
  loop.end()
})

test('a link ends in order though what carries it has something of its own to say first', () => {
  const loop = new Loop(native)
  const thread = new Thread(native, loop)
  const wire: Buffer[] = []
  const send = (memory: Memory, at: number, bytes: number) => {
    // As an outer link does, which seals small messages in the same place.
    thread.small.bytes.fill(0xff)
    return say(wire)(memory, at, bytes)
  }
  const [one, other] = standings()
  const speaker = new SealedLink(thread, { read: () => -ERRNO.EAGAIN, send, close: () => {} }, one)
  const hearer = new SealedLink(thread, { read: hear(wire), send: say([]), close: () => {} }, other)
  const ended: string[] = []
  hearer.listen({ ...QUIET, onData: () => assert.fail('payload'), onClosed: (error) => void ended.push(error?.code ?? 'in order') })
  speaker.close()
  loop.turn(0)
  assert.deepEqual({ ended, out: thread.output.out }, { ended: ['in order'], out: 0 })
  loop.end()
})

test('links that owe an answer hold no memory for it, and each answers in its time', async () => {
  const answerMs = 20
  const { loop, thread, answered, links, allHeard } = manyHear(answerMs)
  const turn = () => {
    loop.turn(0)
    assert.equal(thread.output.out, 0, 'what is sealed has left')
  }
  while (!allHeard()) turn()
  await delay(2 * answerMs)
  turn()
  assert.ok(answered() > links.length / 20, `${answered()} of ${links.length} answered`)
  for (const { answers } of links) assert.ok(answers.every((answer) => answer[0] === APPLICATION_DATA))
  for (const { link } of links) link.destroy(undefined)
  assert.equal(thread.output.out, 0)
  loop.end()
})

test('a link that breaks while it owes an answer says nothing more', () => {
  const control = manyHear(0)
  while (!control.allHeard()) control.loop.turn(0)
  assert.ok(control.answered() > control.links.length / 20, 'the control: whole ones answer')
  control.loop.end()

  const { loop, thread, answered, links, allHeard, onHeard } = manyHear(0)
  // After what was read, and before anything is said.
  onHeard((link) => void loop.after(0, () => link.broke(ERRNO.ECONNRESET)))
  while (!allHeard()) loop.turn(0)
  loop.turn(0)
  assert.deepEqual({ answered: answered(), whole: links.filter(({ link }) => !link.closed).length }, { answered: 0, whole: 0 })
  assert.equal(thread.output.out, 0)
  loop.end()
})

const APPLICATION_DATA = 23
const QUIET = { onMessage: () => assert.fail('a message'), onBatch: () => false, onRoom: () => {}, onClosed: () => {} }

/** Two hundred links, each of which is about to hear a byte, and half of which will answer. */
function manyHear(answerMs: number) {
  const loop = new Loop(native)
  const thread = new Thread(native, loop)
  let heard = 0
  let then = (_link: SealedLink) => {}
  const links = Array.from({ length: 200 }, () => {
    const [one, other] = standings()
    const [wire, answers]: [Buffer[], Buffer[]] = [[], []]
    const speaker = new SealedLink(thread, { read: () => -ERRNO.EAGAIN, send: say(wire), close: () => {} }, one)
    const link = new SealedLink(thread, { read: hear(wire), send: say(answers), close: () => {} }, other, answerMs)
    link.listen({
      ...QUIET,
      onData: () => {},
      onBatch: () => {
        heard++
        then(link)
        return false
      },
    })
    link.begin()
    speaker.sendFrame(Buffer.from([DATA_TYPE, 0, 0, 1, 7]))
    speaker.flush()
    return { link, answers }
  })
  return {
    loop,
    thread,
    links,
    answered: () => links.filter(({ answers }) => answers.length > 0).length,
    allHeard: () => heard === links.length,
    onHeard: (act: (link: SealedLink) => void) => {
      then = act
    },
  }
}

const say = (wire: Buffer[]) => (memory: Memory, at: number, bytes: number) => {
  wire.push(Buffer.from(memory.bytes.subarray(at, at + bytes)))
  return bytes
}

const hear = (wire: Buffer[]) => (memory: Memory, at: number) => wire.shift()?.copy(memory.bytes, at) ?? -ERRNO.EAGAIN
