/**
 * A flood of offers: valid records of fresh identities, each signed by a key of its own, sent to a directory that is far too small for them.
 *
 *     npm run test:flood -- [--records 1000000] [--room 20000] [--json]
 *
 * The directory runs in this process, the identities are made in another, so that what is weighed is the directory. Ends with 0 only if it never
 * held more than its room, kept all that had something at stake, and the process grew by less than 50 MB beyond a full directory.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Directory } from '../../src/discovery/directory/index.ts'
import type { Hex } from '../../src/protocol/bytes.ts'
import { silent } from '../../src/protocol/observe.ts'
import { DOMAIN, NOW_S } from './identities.ts'

const { values } = parseArgs({
  options: {
    records: { type: 'string', default: '1000000' },
    room: { type: 'string', default: '20000' },
    json: { type: 'boolean', default: false },
  },
})
const records = Number(values.records)
const room = Number(values.room)

/** What a process may grow by beyond a directory that is full. */
const MOST_GROWTH_BYTES = 50_000_000
const SOURCE = { name: 'flood', burst: Number.POSITIVE_INFINITY, perSecond: Number.POSITIVE_INFINITY, privateAddresses: false }
/** Of those that fill it: these have something at stake, and must outlive the flood. */
const STAKED = 100

setFlagsFromString('--expose-gc')
const gc = runInNewContext('gc') as () => void
const rss = () => {
  gc()
  return process.memoryUsage().rss
}

const staked = new Set<Hex>()
let [evicted, refused] = [0, 0]
const directory = new Directory({
  clock: { nowMs: () => NOW_S * 1000 },
  observer: {
    ...silent,
    count(name) {
      if (name === 'offers_evicted') evicted++
      if (name === 'offers_refused') refused++
    },
  },
  random: Math.random,
  isPublic: () => true,
  domain: DOMAIN,
  limits: { offers: room, bytes: room * 600 },
  meritsOf: ({ nodeKey }) => ({ provenMbps: 0, score: 0, stake: staked.has(nodeKey) ? 1 : 0 }),
})

const startedMs = performance.now()
const maker = spawn(process.execPath, [join(import.meta.dirname, 'identities.ts'), `${records}`], { stdio: ['ignore', 'pipe', 'inherit'] })
let heard = 0
let fullBytes = 0
let mostBytes = 0
let rest = Buffer.alloc(0)
for await (const part of maker.stdout as AsyncIterable<Buffer>) {
  rest = Buffer.concat([rest, part])
  let at = 0
  // Each record after its length in two bytes.
  for (; rest.length - at >= 2 && rest.length - at - 2 >= rest.readUInt16BE(at); at += 2 + rest.readUInt16BE(at)) {
    const record = rest.subarray(at + 2, at + 2 + rest.readUInt16BE(at))
    if (heard < STAKED) staked.add(`0x${record.toString('hex', 2, 34)}`)
    directory.hear(record, SOURCE)
    heard++
    if (heard === room) fullBytes = rss()
    if (heard > room && heard % 10_000 === 0) mostBytes = Math.max(mostBytes, rss())
    if (directory.size > room) throw new Error(`${directory.size} offers are held in room for ${room}`)
    if (heard % 100_000 === 0) process.stderr.write(`${heard} records, ${directory.size} held, ${(mostBytes / 1e6).toFixed(0)} MB\n`)
  }
  rest = rest.subarray(at)
}
if (maker.exitCode === null) await once(maker, 'exit')
mostBytes = Math.max(mostBytes, rss())
const lost = [...staked].filter((nodeKey) => directory.get(nodeKey) === undefined).length
const seconds = Math.round((performance.now() - startedMs) / 1000)
const growthMb = Math.round((mostBytes - fullBytes) / 100_000) / 10
const right = heard === records && directory.size === room && lost === 0 && refused === 0 && mostBytes - fullBytes < MOST_GROWTH_BYTES
const report = {
  records: heard,
  room,
  held: directory.size,
  evicted,
  stakedLost: lost,
  fullMb: Math.round(fullBytes / 1e6),
  growthMb,
  seconds,
  right,
}
if (values.json) console.log(JSON.stringify(report))
else for (const [name, value] of Object.entries(report)) console.log(`${name.padEnd(10)}  ${value}`)
process.exitCode = right ? 0 : 1
