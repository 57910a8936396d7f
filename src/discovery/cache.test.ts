/** What is saved is there after a restart, what somebody wrote into the file is not believed. */
import assert from 'node:assert/strict'
import { appendFile, readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { temporaryFolder } from '../../test/support/folders.ts'
import { silent } from '../protocol/observe.ts'
import { offerText, type SignedOffer } from '../protocol/offer.ts'
import { OFFERED_AT_S, offeringNode } from '../protocol/testing.ts'
import { offerCache } from './cache.ts'

function world() {
  const path = join(temporaryFolder(), 'cached-offers')
  const refused: string[] = []
  let nowMs = OFFERED_AT_S * 1000
  const clock = { nowMs: () => nowMs }
  const observer = { ...silent, count: (name: string) => void refused.push(name) }
  const later = (ms: number) => {
    nowMs += ms
  }
  return { path, refused, cache: offerCache(path, { clock, observer }), later }
}

const keysOf = (offers: readonly SignedOffer[]) => offers.map(({ body }) => body.nodeKey)

test('offers come back in the order they were saved, without those that expired meanwhile', async () => {
  const { cache, later, path, refused } = world()
  assert.deepEqual(await cache.load(), [])
  const [a, b] = [offeringNode(), offeringNode()]
  await cache.save([a.offer(), b.offer({ expiresAt: BigInt(OFFERED_AT_S + 60) })])
  assert.deepEqual(keysOf(await cache.load()), [a.nodeKey, b.nodeKey])
  later(60_000)
  assert.deepEqual(keysOf(await cache.load()), [a.nodeKey])
  await cache.save([b.offer()])
  assert.deepEqual(keysOf(await cache.load()), [b.nodeKey])
  assert.deepEqual(await readdir(dirname(path)), ['cached-offers'])
  assert.deepEqual(refused, [])
})

test('lines that do not verify are counted and left out, the others are used', async () => {
  const { cache, path, refused } = world()
  const [a, b] = [offeringNode(), offeringNode()]
  await cache.save([a.offer()])
  const forged = { ...b.offer(), body: { ...b.offer().body, pricePerGib: 1n } }
  await appendFile(path, `junk\n${offerText(forged)}\n${offerText(b.offer()).slice(0, 80)}`)
  assert.deepEqual(keysOf(await cache.load()), [a.nodeKey])
  assert.deepEqual(refused, ['malformed', 'malformed', 'malformed'])
  await writeFile(path, Buffer.alloc(9 * 1024 * 1024, 65))
  assert.deepEqual(await cache.load(), [])
})

test('of more offers than a start needs the best are kept', async () => {
  const { cache, path } = world()
  const offer = offeringNode().offer()
  await cache.save(Array.from({ length: 5_000 }, () => offer))
  assert.equal((await readFile(path, 'utf8')).trim().split('\n').length, 4_096)
})
