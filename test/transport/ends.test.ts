import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import { booksAgree, contentOf, endOf, originOf, startPair, until } from './pair.ts'

const MEGABYTE = randomBytes(1_000_000)

test('the application ends first, the origin goes on for a megabyte', async (t) => {
  const pair = await startPair(t)
  const source = await originOf(t, (socket) => {
    // Nothing is said before the end was heard.
    socket.resume().once('end', () => socket.end(MEGABYTE))
  })
  const flow = await pair.dial(source.port)
  flow.end()
  assert.ok((await contentOf(flow)).equals(MEGABYTE))
  await pair.rest()
  await pair.close()
  assert.equal(booksAgree(pair).bytes, 1_000_000n)
})

test('the origin ends first, the application goes on for a megabyte', async (t) => {
  const pair = await startPair(t)
  const arrived = Promise.withResolvers<Buffer>()
  const source = await originOf(t, (socket) => {
    socket.end('that is all')
    contentOf(socket).then(arrived.resolve, arrived.reject)
  })
  const flow = await pair.dial(source.port)
  assert.equal(String(await contentOf(flow)), 'that is all')
  flow.end(MEGABYTE)
  assert.ok((await arrived.promise).equals(MEGABYTE))
  await pair.rest()
  await pair.close()
  assert.equal(booksAgree(pair).bytes, 1_000_011n)
})

test('a reset of the origin is ECONNRESET for the application, an end is an end', async (t) => {
  const pair = await startPair(t)
  const answers = [(socket: Socket) => socket.resetAndDestroy(), (socket: Socket) => socket.end()]
  const source = await originOf(t, (socket) => {
    socket.once('data', () => answers.shift()!(socket))
  })
  for (const expected of ['ECONNRESET', 'end']) {
    const flow = await pair.dial(source.port)
    const end = endOf(flow.resume())
    flow.write('question')
    assert.equal(await end, expected)
    flow.end()
    await pair.rest()
  }
  assert.equal(pair.connections.length, 2, 'the link outlived the reset')
  await pair.close()
  booksAgree(pair)
})

test('an application that gives up is a reset for the origin, one that ends is an end', async (t) => {
  const pair = await startPair(t)
  let heard: Promise<string> | undefined
  const source = await originOf(t, (socket) => {
    heard = endOf(socket.resume())
    socket.write('welcome')
  })
  for (const [expected, leave] of [
    ['ECONNRESET', 'destroy'],
    ['end', 'end'],
  ] as const) {
    const flow = await pair.dial(source.port)
    await once(flow, 'data')
    flow[leave]()
    assert.equal(await heard, expected)
    for (const socket of source.sockets) socket.end()
    await pair.rest()
  }
  assert.equal(pair.connections.length, 2, 'the link outlived the reset')
  await pair.close()
  booksAgree(pair)
})

test('a flow without a byte costs nothing and leaves its link free', async (t) => {
  const pair = await startPair(t)
  const closed: string[] = []
  const source = await originOf(t, (socket) => {
    void endOf(socket.resume()).then((how) => {
      closed.push(how)
      socket.end()
    })
  })
  const given = await pair.dial(source.port)
  given.destroy()
  await until(() => closed.length === 1, 'origins that heard nothing')
  await pair.rest()
  const ended = await pair.dial(source.port)
  ended.end()
  assert.equal((await contentOf(ended)).length, 0)
  await pair.rest()
  // A download of nothing.
  const silentOne = await originOf(t, (socket) => socket.resume().end())
  const nothing = await pair.dial(silentOne.port)
  assert.equal((await contentOf(nothing)).length, 0)
  nothing.end()
  await pair.rest()
  assert.deepEqual(closed, ['ECONNRESET', 'end'])
  assert.equal(pair.connections.length, 2)
  await pair.close()
  const { bytes } = booksAgree(pair)
  assert.equal(bytes, 0n)
  assert.equal(pair.seller.claims.claimable(), 0n)
})

test('the exit answers whoami itself, on a link that then carries something else', async (t) => {
  const pair = await startPair(t)
  const flow = await pair.dial(80, 'whoami.byway.internal')
  flow.end('GET / HTTP/1.1\r\nHost: whoami.byway.internal\r\nConnection: close\r\n\r\n')
  const answer = String(await contentOf(flow))
  const said = JSON.parse(answer.slice(answer.indexOf('\r\n\r\n')))
  const [session] = pair.buyer.consumer.sessions()
  assert.deepEqual(said, { exit: pair.seller.offer.body.nodeKey.slice(2), country: 'de', hops: 1, session: session!.id.slice(2) })
  await pair.rest()
  const echo = await originOf(t, (socket) => socket.pipe(socket))
  const next = await pair.dial(echo.port)
  next.end('hello')
  assert.equal(String(await contentOf(next)), 'hello')
  await pair.rest()
  assert.equal(pair.connections.length, 2)
  await pair.close()
  booksAgree(pair)
})
