/** A small part of table.ts: the pairs that need each way, and a relay that is lost in the middle of a download. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startExchange } from './exchange.ts'
import { decided, loseRelay, tryPair } from './pairs.ts'
import { whyNot } from './world.ts'

const skip = whyNot(['nft', 'miniupnpd', 'bash', 'curl'])
const BYTES = 300_000

test('a consumer behind two NATs reaches providers directly, at a mapped port and over relays, one of which may die', {
  skip,
}, async (t) => {
  const exchange = await startExchange()
  t.after(() => exchange.close())
  const relays = await Promise.all(['A', 'B'].map((name) => exchange.addRelay(name)))
  const places = ['none', 'mapped', 'symmetric'] as const
  const providers = await Promise.all(places.map(async (place) => ({ node: await exchange.addProvider(`p-${place}`, place), place })))
  await Promise.all(providers.map(({ node, place }) => decided(node, place)))
  const consumer = await exchange.addConsumer('c-double', 'double')
  const hows: string[] = []
  for (const provider of providers) {
    const pair = await tryPair(consumer, 'double', provider, { relays, bytes: BYTES })
    assert.ok(pair.ok, pair.how)
    hows.push(pair.how.replace(/ .*/, ''))
  }
  assert.deepEqual(hows, ['direct', 'mapped', 'relay'])
  const loss = await loseRelay(exchange, consumer, providers[2]!.node, { relays, bytes: 10 * BYTES })
  assert.ok(loss.ok, 'the bytes of a download whose relay died are right')
  assert.match(loss.after, /^relay /)
  assert.notEqual(loss.after, loss.before)
})
