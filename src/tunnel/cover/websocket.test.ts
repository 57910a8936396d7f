import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { duplexPair } from 'node:stream'
import { test } from 'node:test'
import { coverKey } from './proof.ts'
import { OuterTokens, outerToken } from './token.ts'
import { WebSocketCarrier } from './websocket.ts'

function pair() {
  const [near, far] = duplexPair()
  return { client: new WebSocketCarrier(near, 'client'), server: new WebSocketCarrier(far, 'server') }
}

test('bytes of any length come out as they went in, both ways', async () => {
  for (const bytes of [1, 125, 126, 16_384, 65_535, 65_536, 300_000].map((length) => randomBytes(length))) {
    const { client, server } = pair()
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      from.write(bytes)
      let got = Buffer.alloc(0)
      while (got.length < bytes.length) {
        const part = to.read() as Buffer | null
        if (part === null) await once(to, 'readable')
        else got = Buffer.concat([got, part])
      }
      assert.deepEqual(got, bytes)
    }
    client.end()
    server.resume()
    await once(server, 'end')
  }
})

test('pings are answered, in the middle of a message too; frames cut anywhere are read', async () => {
  const [near, far] = duplexPair()
  const carrier = new WebSocketCarrier(near, 'client')
  // A binary message in two frames with a ping between them: RFC 6455, section 5.7.
  const said = Buffer.from([0x02, 0x03, 1, 2, 3, 0x89, 0x02, 0xaa, 0xbb, 0x80, 0x02, 4, 5])
  for (const byte of said) far.write(Buffer.from([byte]))
  const heard: number[] = []
  carrier.on('data', (part: Buffer) => heard.push(...part))
  const [pong] = (await once(far, 'data')) as [Buffer]
  assert.deepEqual([pong[0], pong[1]! & 0x7f], [0x8a, 2])
  assert.deepEqual(
    [...pong.subarray(6)].map((byte, at) => byte ^ pong[2 + at]!),
    [0xaa, 0xbb],
  )
  while (heard.length < 5) await once(carrier, 'data')
  assert.deepEqual(heard, [1, 2, 3, 4, 5])
})

test('what breaks the rules of frames ends the carrier', async () => {
  const frames = {
    'an unmasked frame of a client': [0x82, 0x01, 7],
    'a reserved bit': [0xc2, 0x81, 0, 0, 0, 0, 7],
    'an unknown opcode': [0x83, 0x81, 0, 0, 0, 0, 7],
    'a ping in pieces': [0x09, 0x81, 0, 0, 0, 0, 7],
    'a ping that is too long': [0x89, 0xfe, 0, 126, 0, 0, 0, 0],
    'a message without end': [0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0],
  }
  for (const [what, frame] of Object.entries(frames)) {
    const [near, far] = duplexPair()
    const carrier = new WebSocketCarrier(near, 'server')
    const failed = once(carrier, 'error')
    carrier.resume()
    far.write(Buffer.from(frame))
    const [error] = (await failed) as [{ code: string }]
    assert.equal(error.code, 'MESSAGE_MALFORMED', what)
  }
  const [near, far] = duplexPair()
  const carrier = new WebSocketCarrier(near, 'server')
  far.write(Buffer.from([0x82, 0x81, 0, 0, 0, 0, 7]))
  const [fine] = (await once(carrier, 'data')) as [Buffer]
  assert.deepEqual([...fine], [7], 'the control: a right one is read')
})

test('a token is taken once, in its time, and never if it could be older than the node', () => {
  const key = coverKey(`0x${'4e'.repeat(32)}`)
  const startMs = 1_700_000_000_000
  const tokens = new OuterTokens(key, startMs)
  const nowMs = startMs + 100_000
  const made = (atMs: number) => outerToken(key, randomBytes(16), atMs)
  const good = made(nowMs)
  assert.equal(tokens.take(good, nowMs), true)
  assert.equal(tokens.take(good, nowMs), false, 'twice')
  assert.deepEqual(
    [-30_001, -30_000, 30_000, 30_001].map((off) => tokens.take(made(nowMs + off), nowMs)),
    [false, true, true, false],
  )
  assert.equal(tokens.take(outerToken(coverKey(`0x${'4f'.repeat(32)}`), randomBytes(16), nowMs), nowMs), false, 'of another node')
  assert.equal(tokens.take(undefined, nowMs), false)
  assert.equal(tokens.take(good.subarray(1), nowMs), false)
  // Started again: what was recorded before is worth nothing, even from a clock that is half a minute ahead.
  const again = new OuterTokens(key, nowMs)
  assert.deepEqual(
    [good, made(nowMs + 30_000), made(nowMs + 30_001)].map((token) => again.take(token, nowMs + 1_000)),
    [false, false, true],
  )
})
