/** Each offer is listed with what it is made of, and with the one reason that costs it most. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Directory, type Merits, type Seen } from '../discovery/directory/index.ts'
import { OWNERS_FOLDER } from '../discovery/feed.ts'
import { silent } from '../protocol/observe.ts'
import { OFFERED_AT_S, offeringNode } from '../protocol/testing.ts'
import { offerViews } from './listings.ts'

const any = { account: 'any', sessionMinutes: 10, strict: false }

test('the list says what each asks, and why it is not the first', () => {
  const known = new Map<string, { merits: Merits; seen?: Seen }>()
  const directory = new Directory({
    clock: { nowMs: () => OFFERED_AT_S * 1000 },
    observer: silent,
    random: Math.random,
    isPublic: () => true,
    domain: { chainId: 31_337, channels: `0x${'22'.repeat(20)}` },
    meritsOf: ({ nodeKey }) => known.get(nodeKey)!.merits,
    seenOf: (nodeKey) => known.get(nodeKey)?.seen,
  })
  const add = (pricePerGib: bigint, provenMbps: number, score: number, latencyMs?: number) => {
    const node = offeringNode()
    known.set(node.nodeKey, { merits: { provenMbps, score, stake: 0 }, ...(latencyMs !== undefined && { seen: { latencyMs } }) })
    const offer = node.offer({ pricePerGib, premiums: [{ name: 'scarcity', perGib: 10_000n }] })
    assert.equal(directory.keep(offer, OWNERS_FOLDER), undefined)
    return node.nodeKey
  }
  const whys = new Map([
    [add(100_000n, 50, 1, 20), 'best'],
    [add(400_000n, 50, 1, 20), 'asks 0.40 a GiB'],
    [add(100_000n, 2, 1, 20), 'carries 2 Mbit/s'],
    [add(100_000n, 0, 1, 20), 'no speed was proved or seen'],
    [add(100_000n, 50, 0.25, 20), 'score 0.25'],
    [add(100_000n, 50, 1, 210), 'p95 latency 210 ms'],
    [add(100_000n, 50, 1), 'was never tried'],
    [add(100_000n, 50, 1, 20), 'as good as the best'],
  ])
  const views = offerViews(directory, any, { ceiling: 1_000_000n, most: 100 })
  assert.deepEqual(
    views.map(({ rank }) => rank),
    [1, 2, 3, 4, 5, 6, 7, 8],
  )
  for (const { provider, why, rank } of views.slice(2)) assert.equal(why, `${rank}${rank === 3 ? 'rd' : 'th'}: ${whys.get(provider)}`)
  assert.deepEqual(new Set(views.slice(0, 2).map(({ why }) => why)), new Set(['1st: best', '2nd: as good as the best']))
  assert.ok(views.every(({ utility }, at) => at === 0 || utility <= views[at - 1]!.utility))
  assert.deepEqual([views[0]!.basePerGib, views[0]!.premiums], [90_000n, [{ name: 'scarcity', perGib: 10_000n }]])
  assert.equal(offerViews(directory, any, { ceiling: 100_000n, most: 3 }).length, 3)
  assert.equal(offerViews(directory, { ...any, country: 'us' }, { ceiling: 1_000_000n, most: 3 }).length, 0)
})
