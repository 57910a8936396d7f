/**
 * How long the directory takes to build and to answer, and what an offer weighs in it.
 *
 *     npm run bench:directory [-- --json] [--offers 1000,10000,100000,1000000] [--queries 4000]
 *
 * Offers are made up: sixty countries as unequal as real ones, some hundred networks in each, prices around half a dollar, a speed proved for
 * every third. Questions are a mix of what proxies are asked: by country, region, city, ASN, kind of line, price, speed, score, all of them, and
 * whole routes of three hops. Building is indexing: signatures are checked at the door, which is timed on its own. All questions
 * are asked in turn, five times over, and the least time of each counts: what other programs do on the machine is none of the directory's, and
 * between two times enough others are asked that nothing of the answer is at hand.
 */
import { parseArgs } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { tableLines } from '../src/cli/format.ts'
import { independent } from '../src/consumer/diversity.ts'
import { Directory, type Merits, type OfferQuery } from '../src/discovery/directory/index.ts'
import { OWNERS_FOLDER } from '../src/discovery/feed.ts'
import { type Hex, toHex } from '../src/protocol/bytes.ts'
import { silent } from '../src/protocol/observe.ts'
import { encodeOffer, LINES, readOffer, type SignedOffer } from '../src/protocol/offer.ts'
import { OFFERED_AT_S, offeringNode } from '../src/protocol/testing.ts'
import { seededRandom } from '../test/crash/random.ts'

interface Result {
  offers: number
  build_ms: number
  p50_ms: number
  p99_ms: number
  bytes_per_offer: number
}

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    offers: { type: 'string', default: '1000,10000,100000,1000000' },
    queries: { type: 'string', default: '4000' },
  },
})

/** What a proxy asks for: one to use, some to fall back on. */
const WANTED = 10
/** Of which the earlier hops of a route are chosen. */
const ENTRIES = 64
const BATCH = 1_000
const ROUNDS = 5
const COUNTRIES = Array.from({ length: 60 }, (_, at) => String.fromCharCode(97 + (at % 26), 97 + Math.floor(at / 26)))

setFlagsFromString('--expose-gc')
const gc = runInNewContext('gc') as () => void
const { next: random } = seededRandom(7)

const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)]!
/** Few have much and many little, as countries and networks do. */
const unequal = (count: number): number => Math.floor(count * random() ** 3)
const priceAround = (): bigint => BigInt(Math.round(500_000 * 2 ** (2 * (random() + random() + random() - 1.5))))

const template = offeringNode().offer()

function makeOffer(number: number): SignedOffer {
  const at = unequal(COUNTRIES.length)
  const bytes = (length: number): Hex => toHex(Uint8Array.from({ length }, () => random() * 256))
  const host = `${11 + unequal(100)}.${Math.floor(random() * 256)}.${Math.floor(random() * 256)}.${Math.floor(random() * 256)}`
  const body = {
    ...template.body,
    nodeKey: `0x${number.toString(16).padStart(8, '0')}${bytes(28).slice(2)}` as Hex,
    payee: bytes(20),
    country: COUNTRIES[at]!,
    region: `r${unequal(16)}`,
    city: `c${unequal(64)}`,
    asn: 1 + at * 1_000 + unequal(100),
    line: 1 + unequal(3),
    mbps: Math.round(10 * 2 ** (random() * 7)),
    transports: [{ kind: random() < 0.6 ? 'tls' : 'relay', host, port: 443, pin: bytes(32) }],
    pricePerGib: priceAround(),
  }
  return { body, signature: bytes(64) }
}

function makeQuery(): OfferQuery {
  const country = COUNTRIES[unequal(COUNTRIES.length)]!
  const mixes: (() => OfferQuery)[] = [
    () => ({}),
    () => ({ country }),
    () => ({ country, region: `r${unequal(16)}` }),
    () => ({ country, city: `c${unequal(64)}` }),
    () => ({ asn: 1 + unequal(60) * 1_000 + unequal(100) }),
    () => ({ line: pick(LINES.slice(1)), country }),
    () => ({ maxPricePerGib: priceAround() }),
    () => ({ country, leastMbps: 10 * 2 ** (random() * 6) }),
    () => ({ leastScore: random(), line: pick(LINES.slice(1)) }),
    () => ({ country, maxPricePerGib: priceAround(), leastMbps: 50, leastScore: 0.5, line: pick(LINES.slice(1)), dialled: true }),
  ]
  return pick(mixes)()
}

/** One question; every fourth is for a route of three hops. */
function ask(directory: Directory, query: OfferQuery, route: boolean): number {
  const [exit, ...others] = directory.find(query, WANTED)
  if (!route || exit === undefined) return others.length
  const hops = [exit.offer]
  for (const { offer } of directory.find({ dialled: true, maxPricePerGib: 1_000_000n }, ENTRIES)) {
    if (hops.every((hop) => independent(hop, offer))) hops.push(offer)
    if (hops.length === 3) break
  }
  return hops.length
}

/** How long it took to index so many offers, made beside the clock. */
function fill(directory: Directory, offers: number): number {
  let buildMs = 0
  for (let from = 0; from < offers; from += BATCH) {
    const batch = Array.from({ length: Math.min(BATCH, offers - from) }, (_, at) => makeOffer(from + at))
    const encoded = batch.map(encodeOffer)
    const startedMs = performance.now()
    for (const [at, offer] of batch.entries()) directory.keep(offer, OWNERS_FOLDER, encoded[at])
    buildMs += performance.now() - startedMs
  }
  return buildMs
}

function measure(offers: number, queries: number): Result {
  gc()
  const before = process.memoryUsage()
  const directory = new Directory({
    clock: { nowMs: () => OFFERED_AT_S * 1000 },
    observer: silent,
    random,
    isPublic: () => true,
    domain: { chainId: Number(template.body.chainId), channels: template.body.channels },
    // By the number in its key: a map of a million would be weighed with the directory.
    meritsOf: ({ nodeKey }) => meritsOf(Number.parseInt(nodeKey.slice(2, 10), 16)),
  })
  const buildMs = fill(directory, offers)
  if (directory.size !== offers) throw new Error(`${directory.size} of ${offers} offers were kept`)
  gc()
  const after = process.memoryUsage()
  const bytes = after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers
  const asked = Array.from({ length: queries }, (_, at) => ({ query: makeQuery(), route: at % 4 === 0, leastMs: Number.POSITIVE_INFINITY }))
  for (let round = 0; round < ROUNDS; round++) {
    for (const one of asked) {
      const startedMs = performance.now()
      ask(directory, one.query, one.route)
      one.leastMs = Math.min(one.leastMs, performance.now() - startedMs)
    }
  }
  const sorted = asked.map(({ leastMs }) => leastMs).sort((a, b) => a - b)
  const at = (part: number) => round4(sorted[Math.floor(part * (sorted.length - 1))]!)
  return { offers, build_ms: Math.round(buildMs), p50_ms: at(0.5), p99_ms: at(0.99), bytes_per_offer: Math.round(bytes / offers) }
}

/** A third is proved, half has a score: the same for the same number. */
function meritsOf(number: number): Merits {
  const mixed = Math.imul(number ^ 0x5bd1_e995, 0x9e37_79b1) >>> 0
  return { provenMbps: mixed % 3 === 0 ? 5 + (mixed % 500) : 0, score: mixed % 2 === 0 ? (mixed % 1000) / 1000 : 0, stake: 0 }
}

const round4 = (ms: number): number => Math.round(ms * 10_000) / 10_000

const results: Result[] = []
for (const offers of values.offers.split(',').map(Number)) {
  results.push(measure(offers, Number(values.queries)))
  if (!values.json) console.error(`${offers} done`)
}
if (values.json) console.log(JSON.stringify(results, null, 2))
else {
  const columns = ['offers', 'build_ms', 'p50_ms', 'p99_ms', 'bytes_per_offer'] as const
  const rows = results.map((row) => columns.map((name) => String(row[name])))
  for (const line of tableLines(
    columns.map((title) => ({ title, align: 'right' })),
    rows,
  ))
    console.log(line)
  const bytes = encodeOffer(template)
  const startedMs = performance.now()
  for (let read = 0; read < 2_000; read++) readOffer(bytes, OFFERED_AT_S)
  console.log(`\nreading and verifying an offer at the door: ${((performance.now() - startedMs) / 2).toFixed(0)} us`)
}
