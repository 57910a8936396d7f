/** What committees proved ranks offers, as long as the proof is good, and a chain that is silent changes nothing. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Directory } from '../discovery/directory/index.ts'
import { OWNERS_FOLDER } from '../discovery/feed.ts'
import type { Hex } from '../protocol/bytes.ts'
import { silent } from '../protocol/observe.ts'
import type { SignedOffer } from '../protocol/offer.ts'
import { OFFERED_AT_S, offeringNode } from '../protocol/testing.ts'
import { chainMerits, meritsFrom } from './merits.ts'

const operator = (digit: string): Hex => `0x${digit.repeat(40)}`

test('the newest proof that is still good counts; who is only registered proved nothing', () => {
  const audits = [
    { operator: operator('a'), epoch: 9n, mbps: 50n },
    { operator: operator('a'), epoch: 4n, mbps: 900n },
    { operator: operator('b'), epoch: 7n, mbps: 70n },
    { operator: operator('c'), epoch: 8n, mbps: 80n },
  ]
  const regions = new Map([operator('b'), operator('d')].map((payee) => [payee, 'de']))
  const merits = meritsFrom({ audits, epoch: 10n, goodFor: 2n, regions })
  const proven = (digit: string) => merits.get(operator(digit))?.provenMbps
  assert.deepEqual(['a', 'b', 'c', 'd', 'e'].map(proven), [50, 0, 80, 0, undefined])
  const stakes = ['a', 'b', 'd'].map((digit) => merits.get(operator(digit))?.stake)
  assert.deepEqual(stakes, [2, 1, 1])
})

test('a directory is ranked anew when the chain says something new, and stays as it is while it says nothing', async () => {
  const read = Promise.withResolvers<Parameters<typeof meritsFrom>[0] & { epochS: bigint }>()
  const looked = Promise.withResolvers<void>()
  const merits = chainMerits({ read: () => read.promise, observer: silent })
  const directory = new Directory({
    clock: { nowMs: () => OFFERED_AT_S * 1000 },
    observer: silent,
    random: Math.random,
    isPublic: () => true,
    domain: { chainId: 31_337, channels: `0x${'22'.repeat(20)}` },
    meritsOf: merits.of,
  })
  const [cheap, proven] = [operator('c'), operator('a')].map((payee, at) =>
    offeringNode().offer({ payee, pricePerGib: 100_000n + BigInt(at) }),
  )
  for (const offer of [cheap!, proven!]) directory.keep(offer, OWNERS_FOLDER)
  const first = () => directory.find({}, 1)[0]!
  const keyOf = ({ body }: SignedOffer) => body.nodeKey
  merits.follow(directory)
  assert.equal(keyOf(first().offer), keyOf(cheap!))
  read.resolve({ audits: [{ operator: operator('a'), epoch: 1n, mbps: 40n }], epoch: 1n, epochS: 60n, goodFor: 1n, regions: new Map() })
  setImmediate(() => setImmediate(looked.resolve))
  await looked.promise
  assert.equal(keyOf(first().offer), keyOf(proven!))
  assert.equal(first().mbps, 40)
  merits.stop()
})
