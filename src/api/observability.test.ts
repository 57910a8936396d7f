import assert from 'node:assert/strict'
import { test } from 'node:test'
import { COUNTERS, WARNINGS } from '../protocol/observe.ts'
import { createLog, LOG_LEVELS, type LogLevel } from './log.ts'
import { createMetrics, GAUGES, type GaugeReaders } from './metrics.ts'
import { createObserver } from './observer.ts'
import { createWarnings } from './warnings.ts'

function parts(options: { level?: LogLevel; human?: boolean; gauges?: GaugeReaders } = {}) {
  const clock = { ms: Date.UTC(2026, 0, 2, 3, 4, 5) }
  const now = () => clock.ms
  const lines: string[] = []
  const warnings = createWarnings(now)
  const metrics = createMetrics({ version: '1.2.3', warnings, gauges: options.gauges ?? {} })
  const log = createLog({ level: options.level ?? 'debug', human: options.human ?? false, write: (line) => lines.push(line), now })
  return { clock, lines, warnings, metrics, log, observer: createObserver({ metrics, warnings, log }) }
}
/** The number of one series on the page, or undefined when it is not there. */
async function value(metrics: { text(): Promise<string> }, series: string): Promise<number | undefined> {
  const line = (await metrics.text()).split('\n').find((candidate) => candidate.startsWith(`${series} `))
  return line === undefined ? undefined : Number(line.split(' ').at(-1))
}

test('what a room counts appears under byway_<name>_total with its labels', async () => {
  const { observer, metrics } = parts()
  observer.count('vouchers')
  observer.count('bytes', 1_000, { direction: 'down' })
  observer.count('bytes', 24, { direction: 'down' })
  assert.equal(await value(metrics, 'byway_vouchers_total'), 1)
  assert.equal(await value(metrics, 'byway_bytes_total{direction="down"}'), 1_024)
  const page = await metrics.text()
  for (const [name, { help }] of Object.entries(COUNTERS)) assert.ok(page.includes(`# HELP byway_${name}_total ${help}`), name)
})

test('a label that takes too many values is folded into one, so a leak of ids cannot grow the page', async () => {
  const { metrics } = parts()
  for (let i = 0; i < 1_000; i++) metrics.count('flows', 1, { result: `id-${i}` })
  metrics.count('flows', 1, { result: 'id-0' })
  const series = (await metrics.text()).split('\n').filter((line) => line.startsWith('byway_flows_total{'))
  assert.equal(series.length, 201)
  assert.equal(await value(metrics, 'byway_flows_total{result="other"}'), 800)
  assert.equal(await value(metrics, 'byway_flows_total{result="id-0"}'), 2)
})

test('a gauge is read when the page is asked for, and left out while there is nothing to say', async () => {
  let left: number | undefined = 5
  const { metrics } = parts({ gauges: { deposit_left_dollars: () => left } })
  assert.equal(await value(metrics, 'byway_deposit_left_dollars'), 5)
  left = undefined
  assert.equal(await value(metrics, 'byway_deposit_left_dollars'), undefined)
  left = 4.5
  assert.equal(await value(metrics, 'byway_deposit_left_dollars'), 4.5)
  assert.equal(await value(metrics, 'byway_unpaid_bytes'), undefined)
  assert.ok('unpaid_bytes' in GAUGES)
})

test('the page tells the version, the process, and each warning as 0 or 1', async () => {
  const { observer, metrics } = parts()
  observer.warn('DEPOSIT_LOW', { left: 1 })
  assert.equal(await value(metrics, 'byway_build_info{version="1.2.3"}'), 1)
  assert.equal(await value(metrics, 'byway_warning{code="DEPOSIT_LOW"}'), 1)
  assert.equal(await value(metrics, 'byway_warning{code="STATE_RESTORED"}'), 0)
  observer.warn('DEPOSIT_LOW', undefined)
  assert.equal(await value(metrics, 'byway_warning{code="DEPOSIT_LOW"}'), 0)
  assert.ok((await value(metrics, 'process_resident_memory_bytes'))! > 0)
  assert.equal(metrics.contentType, 'text/plain; version=0.0.4; charset=utf-8')
})

test('a warning keeps the moment it began while its facts change, and the severe ones come first', () => {
  const { observer, warnings, clock } = parts()
  observer.warn('DEPOSIT_LOW', { left: 2 })
  clock.ms += 1_000
  observer.warn('STATE_RESTORED', {})
  observer.warn('DEPOSIT_LOW', { left: 1 })
  const [first, second] = warnings.list()
  assert.equal(first?.code, 'STATE_RESTORED')
  assert.deepEqual(second, { code: 'DEPOSIT_LOW', ...WARNINGS.DEPOSIT_LOW, sinceMs: clock.ms - 1_000, facts: { left: 1 } })
  observer.warn('DEPOSIT_LOW', undefined)
  assert.equal(warnings.list().length, 1)
  assert.equal(warnings.set('DEPOSIT_LOW', undefined), 'unchanged')
})

test('the log tells when a warning begins and ends, not each time it is repeated', () => {
  const { observer, lines } = parts()
  for (let i = 0; i < 3; i++) observer.warn('DEPOSIT_LOW', { left: i })
  observer.warn('DEPOSIT_LOW', undefined)
  observer.warn('DEPOSIT_LOW', undefined)
  assert.deepEqual(
    lines.map((line) => JSON.parse(line).event),
    ['warning-raised', 'warning-cleared'],
  )
})

test('a log line is one JSON object with time, level, event and facts, and a fact cannot replace these', () => {
  const { log, lines } = parts()
  log.info('session-opened', { country: 'de', price: 500_000n, level: 'error', event: 'x' })
  assert.equal(lines[0], '{"country":"de","price":"500000","level":"info","event":"session-opened","time":"2026-01-02T03:04:05.000Z"}')
})

test('for people a log line is plain text that a peer cannot break', () => {
  const { log, lines } = parts({ human: true })
  log.warn('peer-said', { why: 'a\n\u001b[2Kb' })
  assert.equal(lines[0], '03:04:05 warn  peer-said why=a [2Kb')
})

test('the log masks secrets, destinations and the paths of addresses, whoever passed them', () => {
  const { log, lines } = parts()
  log.info('slip', {
    passphrase: 'p1',
    privateKey: 'p2',
    voucherSignature: 'p3',
    destination: 'p4',
    url: 'p5',
    why: 'POST https://rpc.example/v3/p6 failed',
    peer: 'shown',
  })
  assert.doesNotMatch(lines[0]!, /p[1-6]/)
  assert.ok(lines[0]!.includes('shown'))
})

test('a level hides what is below it', () => {
  for (const level of LOG_LEVELS) {
    const { log, lines } = parts({ level })
    log.debug('a')
    log.info('a')
    log.warn('a')
    log.error('a')
    assert.equal(lines.length, 4 - LOG_LEVELS.indexOf(level), level)
  }
})

test('each hop has its own gauges, and one that is gone leaves none behind', async () => {
  const reading = { hop_sessions: 1, hop_away: 0, hop_round_trip_seconds: 0.25 }
  const hops = new Map([['1/2', reading]])
  const metrics = createMetrics({ version: '1', warnings: createWarnings(() => 0), gauges: {}, hops: () => hops })
  assert.equal(await value(metrics, 'byway_hop_round_trip_seconds{hop="1/2"}'), 0.25)
  hops.clear()
  hops.set('1/1', reading)
  assert.equal(await value(metrics, 'byway_hop_sessions{hop="1/2"}'), undefined)
  assert.equal(await value(metrics, 'byway_hop_sessions{hop="1/1"}'), 1)
})
