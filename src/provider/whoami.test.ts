import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connectWhoami, hopsAsked } from './whoami.ts'

test('the reserved name speaks of one hop, with a digit before it of two or three, and nothing else does', () => {
  assert.equal(hopsAsked('whoami.byway.internal'), 1)
  assert.equal(hopsAsked('2.whoami.byway.internal'), 2)
  assert.equal(hopsAsked('3.whoami.byway.internal'), 3)
  for (const host of [
    '1.whoami.byway.internal',
    '4.whoami.byway.internal',
    '33.whoami.byway.internal',
    'x.whoami.byway.internal',
    'example.com',
  ])
    assert.equal(hopsAsked(host), undefined, host)
})

test('it answers over and over with who it is', async () => {
  const who = { exit: 'ab', country: 'de', hops: 3, session: 'cd' }
  const stream = connectWhoami(who)
  let heard = ''
  stream.on('data', (part: Buffer) => {
    heard += part.toString()
  })
  stream.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n')
  stream.end('GET /again HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
  await new Promise((resolve) => stream.once('end', resolve))
  const bodies = heard.match(/\{.*\}/g) ?? []
  assert.deepEqual(
    bodies.map((body) => JSON.parse(body) as unknown),
    [who, who],
  )
})
