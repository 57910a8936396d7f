import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DATA_TYPE, encodeMessage, FRAME_HEADER_BYTES, frameHeader, PADDING_TYPE } from '../../protocol/messages.ts'
import { FrameReader } from './frames.ts'
import type { Memory } from './native.ts'

/** What a reader makes of these bytes, read in pieces of `size`. */
function heard(bytes: Buffer, size: number) {
  const memory: Memory = { bytes, address: 0n }
  const [data, messages]: [Buffer[], string[]] = [[], []]
  const reader = new FrameReader({
    onData: ({ bytes }, at, length) => data.push(Buffer.from(bytes.subarray(at, at + length))),
    onMessage: ({ name }) => messages.push(`${name} after ${data.reduce((sum, { length }) => sum + length, 0)}`),
    isOver: () => false,
  })
  for (let at = 0; at < bytes.length; at += size) reader.read(memory, at, Math.min(size, bytes.length - at))
  return { data: Buffer.concat(data).toString(), messages }
}

test('frames cut anywhere are the same: payload in order, messages where they stood, padding gone', () => {
  const data = (text: string) => Buffer.concat([frameHeader(DATA_TYPE, text.length), Buffer.from(text)])
  const padding = Buffer.concat([frameHeader(PADDING_TYPE, 30), Buffer.alloc(30)])
  const bytes = Buffer.concat([
    data('one'),
    padding,
    encodeMessage('ack', { received: 3n }),
    data(''),
    data(' and two'),
    encodeMessage('end', {}),
  ])
  for (let size = 1; size <= bytes.length; size++) {
    assert.deepEqual(heard(bytes, size), { data: 'one and two', messages: ['ack after 3', 'end after 11'] })
  }
})

test('a frame larger than its type allows is refused at its header', () => {
  const header = encodeMessage('end', {}).subarray(0, FRAME_HEADER_BYTES)
  const large = Buffer.concat([frameHeader(header[0]!, 0xffffff), Buffer.alloc(4)])
  assert.throws(() => heard(large, large.length), { code: 'MESSAGE_TOO_LARGE' })
})
