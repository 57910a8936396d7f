/**
 * Clients: programs nobody here wrote, sent through the local exchange, with what arrives compared at both ends.
 *
 *     node test/clients/run.ts [--json] [--only curl,git] [--keep FOLDER]
 *
 * The rule it keeps: an exit code proves nothing. Each check compares content, and the last ones compare the money. A program that is not
 * there is installed when that is possible; else its rows say so and nothing fails. Prints a table and ends with 1 when a row failed.
 *
 * Start reading here, then check.ts and exchange.ts; one file for each client; the quick tests of the command itself are up.test.ts and
 * others beside it, which `npm test` runs.
 */
import assert from 'node:assert/strict'
import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { formatDuration, tableLines } from '../../src/cli/format.ts'
import { browserChecks } from './browser.ts'
import { type Check, MB, type World } from './check.ts'
import { curlChecks } from './curl.ts'
import { startExchange } from './exchange.ts'
import { gitChecks } from './git.ts'
import { iperfChecks } from './iperf.ts'
import { loadChecks } from './load.ts'
import { moneyChecks } from './money.ts'
import { startOrigin } from './origin.ts'
import { available } from './programs.ts'
import { sshChecks } from './ssh.ts'

// Money last: it counts what all the others carried.
const CHECKS: readonly Check[] = [
  ...curlChecks,
  ...browserChecks,
  ...gitChecks,
  ...loadChecks,
  ...sshChecks,
  ...iperfChecks,
  ...moneyChecks,
]

/** The provider states its count within a few milliseconds, on a busy machine within a second. */
const COUNT_LIMIT_MS = 2_000

interface Row {
  client: string
  what: string
  state: 'ok' | 'FAILED' | 'skipped'
  result: string
  ms: number
  megabytesPerSecond?: number
}

const { values } = parseArgs({
  options: { json: { type: 'boolean', default: false }, only: { type: 'string' }, keep: { type: 'string' } },
})
const clients = [...new Set(CHECKS.map(({ client }) => client))]
const wanted = values.only?.split(',') ?? clients
const unknown = wanted.filter((name) => !clients.includes(name))
if (unknown.length > 0) {
  console.error(`no such client: ${unknown.join(', ')}\nclients: ${clients.join(', ')}`)
  process.exit(2)
}

const say = (text: string) => process.stderr.write(`${text}\n`)

async function runCheck(check: Check, world: World): Promise<Row> {
  const { client, what } = check
  const missing = check.needs.filter((program) => !available(program, say))
  if (missing.length > 0) return { client, what, state: 'skipped', result: `not installed: ${missing.join(', ')}`, ms: 0 }
  world.origin.forget()
  const startedMs = performance.now()
  try {
    const before = await world.exchange.carried()
    const outcome = await check.run(world)
    const ms = performance.now() - startedMs
    const { result, bytes } = outcome
    if (bytes === undefined) return { client, what, state: 'ok', result, ms }
    // A client that found another way would pass every other test.
    const carried = await carriedSince(before, BigInt(bytes), world)
    assert.ok(carried >= bytes, `only ${carried} of ${bytes} bytes went through the exchange`)
    if (bytes < MB) return { client, what, state: 'ok', result, ms }
    return { client, what, state: 'ok', result, ms, megabytesPerSecond: bytes / MB / ((outcome.ms ?? ms) / 1000) }
  } catch (thrown) {
    return {
      client,
      what,
      state: 'FAILED',
      result: thrown instanceof Error ? thrown.message : String(thrown),
      ms: performance.now() - startedMs,
    }
  }
}

/** What the exchange carried since; waits a little for the provider's count of an upload, which comes after its last byte. */
async function carriedSince(before: bigint, wanted: bigint, { exchange }: World): Promise<bigint> {
  for (const deadline = performance.now() + COUNT_LIMIT_MS; ; await delay(COUNT_LIMIT_MS / 20)) {
    const carried = (await exchange.carried()) - before
    if (carried >= wanted || performance.now() > deadline) return carried
  }
}

const folder = await mkdtemp(join(tmpdir(), 'byway-clients-'))
const home = join(folder, 'exchange')
say('starting the local exchange ...')
const exchange = await startExchange({ home, args: ['--allow-private', '127.0.0.0/8,::1/128'] })
const origin = await startOrigin(folder)
const rows: Row[] = []
try {
  for (const check of CHECKS.filter(({ client }) => wanted.includes(client))) {
    say(`${check.client}: ${check.what} ...`)
    const row = await runCheck(check, { exchange, origin, folder })
    rows.push(row)
    if (row.state === 'FAILED') say(`FAILED: ${row.result}`)
  }
} finally {
  await exchange.stop()
  await origin.close()
  if (values.keep !== undefined) {
    await mkdir(values.keep, { recursive: true })
    await cp(folder, values.keep, { recursive: true, filter: (path) => !path.endsWith('.sock') })
  }
  await rm(folder, { recursive: true, force: true })
}

const failed = rows.filter(({ state }) => state === 'FAILED').length
const skipped = rows.filter(({ state }) => state === 'skipped').length
if (values.json) console.log(JSON.stringify({ failed, skipped, rows }))
else {
  const columns = ['client', 'checked', '', 'result'].map((title) => ({ title }))
  const cells = rows.map(({ client, what, state, result, ms, megabytesPerSecond: rate }) => {
    const [first = ''] = result.split('\n')
    return [client, what, state, first, formatDuration(ms), rate === undefined ? '' : rate.toFixed(1)]
  })
  const right = { align: 'right' } as const
  console.log(tableLines([...columns, { title: 'time', ...right }, { title: 'MB/s', ...right }], cells).join('\n'))
  const words = [
    `${rows.length - failed - skipped} ok`,
    ...(skipped > 0 ? [`${skipped} skipped`] : []),
    ...(failed > 0 ? [`${failed} FAILED`] : []),
  ]
  console.log(`\n${words.join(', ')}`)
}
process.exitCode = failed > 0 ? 1 : 0
