/** What the traffic of all clients comes to: exits as asked, exact bytes, ledgers of both sides equal, claimed and verified. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { freePort } from '../support/ports.ts'
import { type Check, MB, type World } from './check.ts'
import { byway, type Exchange } from './exchange.ts'
import { pattern, patternSha256 } from './origin.ts'
import { mustRun, run } from './programs.ts'

const FILE_BYTES = 100 * MB
const EXACT_UP_BYTES = 1_234_567
const EXACT_DOWN_BYTES = 7_654_321
/** The last bytes of a burst are counted, paid and on disk at both ends within a fraction of a second. */
const SETTLE_LIMIT_MS = 10_000
const POLL_MS = 200

const check = (what: string, needs: readonly string[], test: Check['run']): Check => ({ client: 'byway', what, needs, run: test })

export const moneyChecks: readonly Check[] = [
  check('three countries, three exits', ['curl'], async ({ exchange }) => {
    const exits = new Set<string>()
    for (const { country, nodeKey } of exchange.ready.providers) {
      const { out } = await mustRun('curl', ['-sS', '-x', `http://any-country-${country}@${exchange.proxy}`, exchange.ready.whoami])
      const who = JSON.parse(out) as { exit: string; country: string; hops: number }
      assert.deepEqual([who.exit, who.country, who.hops], [nodeKey.slice(2), country, 1])
      exits.add(who.exit)
    }
    assert.equal(exits.size, 3)
    return { result: exchange.ready.providers.map(({ country }) => country).join(', ') }
  }),

  check('a country nobody offers is refused', ['curl'], async ({ exchange, origin }) => {
    const asked = ['-sS', '--noproxy', '', '-o', '/dev/null', '-w', '%{http_code}', '-x', `http://any-country-fr@${exchange.proxy}`]
    const { out } = await run('curl', [...asked, `${origin.http}/hello`])
    assert.equal(out, '503')
    assert.equal(origin.seen.connections, 0)
    return { result: '503, nothing reached the origin' }
  }),

  check('a 100 MB file', ['curl'], async ({ exchange, origin }) => {
    const url = `${origin.http}/bytes/${FILE_BYTES}`
    const ran = await mustRun('curl', ['-sS', '--noproxy', '', '-x', `http://any-country-de@${exchange.proxy}`, url])
    assert.equal(ran.sha256, patternSha256(FILE_BYTES))
    return { result: 'sha256 equal', bytes: FILE_BYTES }
  }),

  check('the ledger counts exactly what a flow carried', [], async (world) => {
    const before = await settledLedgers(world.exchange)
    await exactFlow(world)
    const carried = (ledgers: Ledgers) => [sum(ledgers.consumer, 'up'), sum(ledgers.consumer, 'down')] as const
    const [upBefore, downBefore] = carried(before)
    const [up, down] = carried(
      await settledLedgers(world.exchange, (ledgers) => carried(ledgers)[1] >= downBefore + BigInt(EXACT_DOWN_BYTES)),
    )
    assert.deepEqual([up - upBefore, down - downBefore], [BigInt(EXACT_UP_BYTES), BigInt(EXACT_DOWN_BYTES)])
    return { result: `${EXACT_UP_BYTES} up, ${EXACT_DOWN_BYTES} down, to the byte` }
  }),

  check('ledger: both sides equal, session by session', [], async ({ exchange }) => {
    const { consumer, providers } = await settledLedgers(exchange)
    const bytes = sum(consumer, 'up') + sum(consumer, 'down')
    const spent = sum(consumer, 'spent')
    assert.equal(spent, sum(providers, 'earned'))
    return { result: `${consumer.length} sessions, ${bytes} bytes, ${spent} units on both sides` }
  }),

  check('claim', [], async ({ exchange }) => {
    const before = await settledLedgers(exchange)
    const { nodes } = await exchange.command<{ nodes: { name: string; claims: { amount: string }[] }[] }>('claim')
    const claimed = nodes.flatMap(({ claims }) => claims).reduce((total, { amount }) => total + BigInt(amount), 0n)
    const after = await settledLedgers(exchange)
    assert.equal(claimed, sum(before.providers, 'claimable'))
    assert.ok(claimed > 0n)
    const paid = (rows: Row[]) => sum(rows, 'claimed') + sum(rows, 'fees') + sum(rows, 'burnt')
    assert.equal(paid(after.providers), claimed + paid(before.providers))
    assert.equal(sum(after.providers, 'claimable'), 0n)
    return { result: `${claimed} units paid by the chain to ${nodes.length} providers` }
  }),

  check('verify: all equal', [], async ({ exchange }) => {
    const { nodes } = await exchange.command<{ nodes: { name: string; equal: boolean }[] }>('verify')
    assert.equal(nodes.length, exchange.ready.providers.length + 1)
    assert.ok(nodes.every(({ equal }) => equal))
    return { result: `${nodes.length} nodes` }
  }),

  check('Ctrl-C: ends in order, and every session closes equal on both sides', [], async ({ exchange }) => {
    const startedMs = performance.now()
    assert.equal(await exchange.stop(), 0)
    const ms = Math.round(performance.now() - startedMs)
    const { consumer, providers } = await settledLedgers(exchange)
    assert.ok([...consumer, ...providers].every(({ state }) => state === 'closed'))
    assert.deepEqual([sum(providers, 'unpaidBytes'), sum(consumer, 'disputedBytes')], [0n, 0n])
    return { result: `stopped in ${ms} ms, nothing unpaid, nothing disputed` }
  }),
]

interface Row {
  sessionId: string
  state: string
  pricePerGib: string
  up: string
  down: string
  spent: string
  earned: string
  claimed: string
  claimable: string
  fees: string
  burnt: string
  unpaidBytes: string
  disputedBytes: string
}

interface Ledgers {
  consumer: Row[]
  providers: Row[]
}

type Amount = Exclude<keyof Row, 'sessionId' | 'state' | 'pricePerGib'>
const sum = (rows: readonly Row[], field: Amount): bigint => rows.reduce((total, row) => total + BigInt(row[field]), 0n)

/** Ledgers of both sides once they agree on every session, and `when` holds. */
async function settledLedgers(exchange: Exchange, when: (ledgers: Ledgers) => boolean = () => true): Promise<Ledgers> {
  const deadline = performance.now() + SETTLE_LIMIT_MS
  for (;;) {
    const ledgers = await readLedgers(exchange.home)
    const [bought, sold] = [shared(ledgers.consumer, 'spent'), shared(ledgers.providers, 'earned')]
    if (performance.now() > deadline) assert.deepEqual(bought, sold)
    try {
      assert.deepEqual(bought, sold)
      if (when(ledgers)) return ledgers
    } catch {
      // A voucher may be on its way between the two journals: asked again until the deadline, and then said.
    }
    if (performance.now() > deadline) throw new Error('the ledgers agree but not on what should have been carried')
    await delay(POLL_MS)
  }
}

async function readLedgers(home: string): Promise<Ledgers> {
  const { code, out, err } = await byway(['ledger', '--json', '--home', home])
  assert.equal(code, 0, err)
  const { nodes } = JSON.parse(out) as { nodes: { role: string; rows: Row[]; identityHolds: boolean }[] }
  assert.ok(nodes.every(({ identityHolds }) => identityHolds))
  const rows = (role: string) => nodes.filter((node) => node.role === role).flatMap((node) => node.rows)
  return { consumer: rows('consumer'), providers: rows('provider') }
}

/** What both sides of a session must agree on. */
function shared(rows: readonly Row[], money: 'spent' | 'earned'): string[] {
  return rows.map((row) => [row.sessionId, row.up, row.down, row.pricePerGib, row[money]].join(' ')).sort()
}

/** One flow of known size in each direction, through SOCKS, with the bytes counted by the two ends themselves. */
async function exactFlow({ exchange }: World): Promise<void> {
  const port = await freePort()
  const server = createServer({ allowHalfOpen: true }, (socket: Socket) => {
    let got = 0
    socket.on('data', (chunk: Buffer) => {
      got += chunk.length
    })
    socket.once('end', () => {
      assert.equal(got, EXACT_UP_BYTES)
      pattern(EXACT_DOWN_BYTES).pipe(socket)
    })
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  assert.equal((server.address() as AddressInfo).port, port)
  const { host, port: proxyPort } = exchange.ready.proxy
  const pipe = [`${import.meta.dirname}/socks-pipe.ts`, host, `${proxyPort}`, '127.0.0.1', `${port}`]
  const ran = await mustRun(process.execPath, pipe, { input: pattern(EXACT_UP_BYTES) }).finally(() => server.close())
  assert.deepEqual([ran.bytes, ran.sha256], [EXACT_DOWN_BYTES, patternSha256(EXACT_DOWN_BYTES)])
}
