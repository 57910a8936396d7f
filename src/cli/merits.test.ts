/** What committees proved and what a node's past says rank offers, as long as the proof is good, and a chain that is silent changes nothing. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { offerViews, parseUsername } from '../consumer/index.ts'
import { Directory } from '../discovery/directory/index.ts'
import { OWNERS_FOLDER } from '../discovery/feed.ts'
import type { SaidEvent } from '../economy/reputation/index.ts'
import type { Hex } from '../protocol/bytes.ts'
import { silent } from '../protocol/observe.ts'
import type { SignedOffer } from '../protocol/offer.ts'
import { OFFERED_AT_S, offeringNode } from '../protocol/testing.ts'
import { chainMerits, meritsFrom } from './merits.ts'

const clock = { nowMs: () => OFFERED_AT_S * 1000 }
const operator = (digit: string): Hex => `0x${digit.repeat(40)}`

test('the newest proof that is still good counts; who is only registered proved nothing', () => {
  const audits = [
    { operator: operator('a'), epoch: 9n, mbps: 50n },
    { operator: operator('a'), epoch: 4n, mbps: 900n },
    { operator: operator('b'), epoch: 7n, mbps: 70n },
    { operator: operator('c'), epoch: 8n, mbps: 80n },
  ]
  const regions = new Map([operator('b'), operator('d')].map((payee) => [payee, 'de']))
  const merits = meritsFrom({ audits, epoch: 10n, goodFor: 2n, regions, said: [] }, OFFERED_AT_S)
  const proven = (digit: string) => merits.get(operator(digit))?.provenMbps
  assert.deepEqual(['a', 'b', 'c', 'd', 'e'].map(proven), [50, 0, 80, 0, undefined])
  const stakes = ['a', 'b', 'd'].map((digit) => merits.get(operator(digit))?.stake)
  assert.deepEqual(stakes, [2, 1, 1])
})

test('a directory is ranked anew when the chain says something new, and stays as it is while it says nothing', async () => {
  const read = Promise.withResolvers<Parameters<typeof meritsFrom>[0] & { epochS: bigint }>()
  const looked = Promise.withResolvers<void>()
  const merits = chainMerits({ read: () => read.promise, clock, observer: silent, random: () => 0 })
  const directory = new Directory({
    clock,
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
  read.resolve({
    audits: [{ operator: operator('a'), epoch: 1n, mbps: 40n }],
    epoch: 1n,
    epochS: 60n,
    goodFor: 1n,
    regions: new Map(),
    said: [],
  })
  setImmediate(() => setImmediate(looked.resolve))
  await looked.promise
  assert.equal(keyOf(first().offer), keyOf(proven!))
  assert.equal(first().mbps, 40)
  merits.stop()
})

const DAY_S = 86_400
/** What a chain says of an operator whose bandwidth is audited once a day: so many Mbit/s of the 100 it claims, on so many days. */
function audited(who: Hex, days: number, proven: number): SaidEvent[] {
  return Array.from({ length: days }, (_, day) => {
    const at = { contract: 'audits', tx: `0x${day}`, timeS: OFFERED_AT_S - (days - day) * DAY_S }
    return [
      { ...at, name: 'Called', args: { operator: who, epoch: `${day}`, claimed: 100 } },
      { ...at, name: 'Audited', args: { operator: who, epoch: `${day}`, claimed: 100, proven } },
    ]
  }).flat()
}

test('a score puts a dearer offer before a cheaper one, and a past of failures behind it again', async () => {
  const [cheap, tried] = [operator('c'), operator('a')].map((payee, at) =>
    offeringNode().offer({ payee, pricePerGib: 100_000n + 50_000n * BigInt(at) }),
  )
  const ranked = async (said: readonly SaidEvent[]) => {
    const merits = chainMerits({
      read: async () => ({ audits: [], epoch: 1n, epochS: 60n, goodFor: 1n, regions: new Map(), said }),
      ...{ clock, observer: silent, random: () => 0 },
    })
    const directory = new Directory({
      ...{ clock, observer: silent, random: Math.random, isPublic: () => true, meritsOf: merits.of },
      domain: { chainId: 31_337, channels: `0x${'22'.repeat(20)}` },
    })
    for (const offer of [cheap!, tried!]) directory.keep(offer, OWNERS_FOLDER)
    merits.follow(directory)
    await new Promise((resolve) => setTimeout(resolve, 20))
    merits.stop()
    return {
      first: directory.find({}, 1)[0]!.offer.body.nodeKey,
      views: offerViews(directory, parseUsername(''), { ceiling: 10n ** 9n, most: 2 }),
    }
  }
  const strangers = await ranked([])
  assert.equal(strangers.first, cheap!.body.nodeKey, 'control: of two strangers the cheaper one')
  const honest = await ranked(audited(operator('a'), 100, 90))
  assert.equal(honest.first, tried!.body.nodeKey, 'a hundred audits passed are worth more than half the price')
  assert.deepEqual(
    honest.views.map(({ provider, why }) => [provider, why]),
    [
      [tried!.body.nodeKey, '1st: best'],
      [cheap!.body.nodeKey, '2nd: score 0.25'],
    ],
  )
  const failed = await ranked(audited(operator('a'), 100, 10))
  assert.equal(failed.first, cheap!.body.nodeKey, 'control: a hundred failed ones are worth nothing')
})
