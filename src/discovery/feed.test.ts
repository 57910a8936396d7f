/** What sources list is in the directory, what they list no more is not, and one that is down or hangs takes nothing away. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryFolder } from '../../test/support/folders.ts'
import { silent } from '../protocol/observe.ts'
import type { SignedOffer } from '../protocol/offer.ts'
import { OFFERED_AT_S, offeringNode } from '../protocol/testing.ts'
import { offerCache } from './cache.ts'
import { Directory } from './directory/index.ts'
import { createFeed, type FedBy, OWNERS_FOLDER } from './feed.ts'

const clock = { nowMs: () => OFFERED_AT_S * 1000 }
const domain = { chainId: 31_337, channels: `0x${'22'.repeat(20)}` as const }
const STRANGERS = { name: 'network', burst: 100, perSecond: 1, privateAddresses: false }
const PUBLIC = { transports: [{ kind: 'tls', host: '45.1.0.2', port: 443, pin: `0x${'33'.repeat(32)}` as const }] }

const emptyDirectory = () => new Directory({ clock, observer: silent, random: Math.random, isPublic: (ip) => ip.startsWith('45.'), domain })
const keysOf = (directory: Directory) => new Set(directory.find({}, 100).map(({ offer }) => offer.body.nodeKey))
const keys = (...offers: SignedOffer[]) => new Set(offers.map(({ body }) => body.nodeKey))

function fedBy(sources: Record<string, () => Promise<SignedOffer[]>>, complete = false): FedBy[] {
  return Object.entries(sources).map(([name, offers]) => ({ source: { ...STRANGERS, name }, discovery: { offers }, complete }))
}

test('all that any source lists is known, and what none lists any more is forgotten', async () => {
  const [a, b, c] = [offeringNode().offer(PUBLIC), offeringNode().offer(PUBLIC), offeringNode().offer(PUBLIC)]
  const listed = { one: [a, b], two: [b, c] }
  const sources = fedBy({ one: async () => listed.one, two: async () => listed.two })
  const feed = createFeed({ directory: emptyDirectory(), sources, observer: silent, freshMs: 0 })
  assert.deepEqual(keysOf(await feed.fresh()), keys(a, b, c))
  listed.one = []
  assert.deepEqual(keysOf(await feed.fresh()), keys(b, c))
  listed.two = [c]
  assert.deepEqual(keysOf(await feed.fresh()), keys(c))
  await feed.close()
})

test('a source that fails or never answers takes nothing from the others, nor what it listed before', async () => {
  const [a, b] = [offeringNode().offer(PUBLIC), offeringNode().offer(PUBLIC)]
  const answers = [async () => [a], () => Promise.reject(new Error('down')), () => new Promise<SignedOffer[]>(() => {})]
  let at = 0
  const sources = fedBy({ shaky: () => answers[at]!(), well: async () => [b] })
  const feed = createFeed({ directory: emptyDirectory(), sources, observer: silent, freshMs: 0 })
  for (; at < answers.length; at++) assert.deepEqual(keysOf(await feed.fresh()), keys(a, b))
  await feed.close()
})

test('strangers cannot name private addresses, an owner’s folder can', async () => {
  const [home, away] = [offeringNode().offer(), offeringNode().offer(PUBLIC)]
  const offers = async () => [home, away]
  const strangers = createFeed({ directory: emptyDirectory(), sources: fedBy({ network: offers }), observer: silent })
  assert.deepEqual(keysOf(await strangers.fresh()), keys(away))
  const sources = [{ source: OWNERS_FOLDER, discovery: { offers }, complete: true }]
  const own = createFeed({ directory: emptyDirectory(), sources, observer: silent })
  assert.deepEqual(keysOf(await own.fresh()), keys(home, away))
  await Promise.all([strangers.close(), own.close()])
})

test('with every source down a start knows what the last one knew; what a complete source lacks is gone', async () => {
  const cache = offerCache(join(temporaryFolder(), 'cached-offers'), { clock, observer: silent })
  const [a, b] = [offeringNode().offer(PUBLIC), offeringNode().offer(PUBLIC)]
  const first = createFeed({ directory: emptyDirectory(), sources: fedBy({ network: async () => [a, b] }), cache, observer: silent })
  await first.fresh()
  await first.close()
  const down = fedBy({ network: () => Promise.reject(new Error('down')) })
  const second = createFeed({ directory: emptyDirectory(), sources: down, cache, observer: silent })
  assert.deepEqual(keysOf(await second.fresh()), keys(a, b))
  await second.close()
  const third = createFeed({ directory: emptyDirectory(), sources: fedBy({ folder: async () => [b] }, true), cache, observer: silent })
  assert.deepEqual(keysOf(await third.fresh()), keys(b))
  await third.close()
})
