import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { Loop } from './loop.ts'
import { ERRNO, loadNative } from './native.ts'
import { SealedLink } from './sealed-link.ts'
import { Thread } from './shared.ts'

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
