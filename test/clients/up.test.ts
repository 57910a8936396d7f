/** `byway up` as a person and a program meet it: what it says, what it survives, how it ends, and that the same world goes on. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { realDisk } from '../../src/wallet/disk.ts'
import { readJournal } from '../../src/wallet/journal.ts'
import { ledgerOf } from '../../src/wallet/ledger.ts'
import { homePaths } from '../../src/wallet/paths.ts'
import { ask, listens, processesOf, until } from './ask.ts'
import { byway, type Exchange, startExchange } from './exchange.ts'

const NODES = ['consumer', 'provider-1', 'provider-2', 'provider-3']
const ALLOW = ['--allow-private', '127.0.0.0/8']

describe('the local exchange', () => {
  let folder: string
  let home: string
  let exchange: Exchange
  let origin: Server
  let connections = 0
  let url: string

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'byway-up-'))
    home = join(folder, 'world')
    origin = createServer((_request, response) => response.end('hello'))
    origin.on('connection', () => connections++)
    origin.listen(0, '127.0.0.1')
    await once(origin, 'listening')
    url = `http://127.0.0.1:${(origin.address() as AddressInfo).port}/`
    exchange = await startExchange({ home, args: ALLOW })
  })

  after(async () => {
    origin.close()
    origin.closeAllConnections()
    await exchange.stop()
    await rm(folder, { recursive: true, force: true })
  })

  const { signal } = new AbortController()
  const pidOf = async (node: string): Promise<number> =>
    (JSON.parse(await readFile(join(home, node, 'pid'), 'utf8')) as { pid: number }).pid
  const ledger = async (node: string) => ledgerOf((await readJournal(realDisk(), homePaths(join(home, node)).journal))!.records)
  const earned = async (node: string): Promise<bigint> => (await ledger(node)).totals.earned
  const whoami = async (country: string): Promise<{ exit: string; country: string; session: string }> => {
    const { status, body } = await ask(exchange.ready.proxy, exchange.ready.whoami, `any-country-${country}`)
    assert.equal(status, 200, body)
    return JSON.parse(body) as { exit: string; country: string; session: string }
  }
  const rpc = async (method: string, ...params: unknown[]): Promise<unknown> => {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params })
    const response = await fetch(exchange.ready.rpc, { method: 'POST', headers: { 'content-type': 'application/json' }, body, signal })
    return ((await response.json()) as { result: unknown }).result
  }

  test('says what it does as JSON, an event a line, and last that it is ready', () => {
    const { events, ready } = exchange
    assert.equal(events.at(-1)?.event, 'ready')
    assert.ok(events.slice(0, -1).every(({ event }) => event === 'step'))
    assert.deepEqual(Object.keys(ready), ['event', 'proxy', 'whoami', 'rpc', 'contracts', 'providers', 'consumer', 'state'])
    assert.equal(ready.state, home)
    assert.deepEqual(
      ready.providers.map(({ name, country }) => [name, country]),
      [
        ['provider-1', 'de'],
        ['provider-2', 'us'],
        ['provider-3', 'jp'],
      ],
    )
  })

  test('the exit that answers is the one of the asked country', async () => {
    for (const { country, nodeKey } of exchange.ready.providers) {
      const who = await whoami(country)
      assert.deepEqual([who.country, `0x${who.exit}`], [country, nodeKey])
    }
  })

  test('a second one on a busy port says which port and how to change it', async () => {
    const { port } = exchange.ready.proxy
    const { code, out, err } = await byway(['up', '--port', `${port}`, '--home', join(folder, 'other')])
    assert.equal(code, 1)
    assert.equal(out, '')
    assert.match(err, new RegExp(`PORT_BUSY: .*${port}`))
    assert.match(err, /hint: .*--port/)
    const json = await byway(['up', '--json', '--port', `${port}`, '--home', join(folder, 'other')])
    assert.deepEqual([json.code, (JSON.parse(json.out) as { code: string }).code, json.err], [1, 'PORT_BUSY', ''])
  })

  test('a second one on the same folder says who has it', async () => {
    const { code, err } = await byway(['up', '--port', '0', '--home', home])
    assert.equal(code, 1)
    assert.match(err, /STATE_LOCKED: process \d+ uses the state folder/)
    assert.match(err, /hint: .*--home/)
  })

  test('owners stake and lock deposits with the wallets of running daemons', async () => {
    const owner = async (node: string, ...words: string[]) => {
      const { code, out, err } = await byway([...words, '--json', '--home', join(home, node)])
      assert.equal(code, 0, out + err)
      return JSON.parse(out.trim().split('\n').at(-1)!) as Record<string, unknown>
    }
    await owner('provider-2', 'fund', '1', '--way', '2000')
    const staked = await owner('provider-2', 'stake', '1000', '--region', 'us', '--mbps', '10', '--yes')
    assert.equal(staked.tokens, (1_000n * 10n ** 18n).toString())
    const { totals } = await ledger('consumer')
    const before = 'deposited' in totals ? totals.deposited : 0n
    const { opened } = (await owner('consumer', 'fund', 'deposit', '3', '--yes')) as { opened: { deposit: string; providers: number } }
    assert.deepEqual([opened.deposit, opened.providers], ['3000000', 3])
    const after = await ledger('consumer')
    assert.ok(after.identityHolds && 'deposited' in after.totals)
    assert.equal(after.totals.deposited - before, 3_000_000n)
    const beyond = await byway(['fund', 'deposit', '1000000', '--yes', '--json', '--home', join(home, 'consumer')])
    assert.equal((JSON.parse(beyond.out.trim().split('\n').at(-1)!) as { code: string }).code, 'WALLET_EMPTY')
  })

  test('a provider that is killed comes back with its key and its money', async () => {
    const [provider] = exchange.ready.providers
    const before = await earned('provider-1')
    process.kill(await pidOf('provider-1'), 'SIGKILL')
    const ended = await exchange.event(({ event, name, state }) => event === 'node' && name === 'provider-1' && state === 'ended')
    assert.match(String(ended.why), /provider-1 ended \(SIGKILL\)/)
    const back = await exchange.event(({ event, name, state }) => event === 'node' && name === 'provider-1' && state === 'ready')
    assert.deepEqual([back.nodeKey, back.wallet], [provider!.nodeKey, provider!.wallet])
    // The consumer leaves a provider that failed alone for a moment, and says so.
    await until(
      'the exit answers again',
      async () => (await ask(exchange.ready.proxy, exchange.ready.whoami, 'any-country-de')).status === 200,
    )
    assert.equal(`0x${(await whoami('de')).exit}`, provider!.nodeKey)
    assert.ok((await earned('provider-1')) >= before)
  })

  test('the consumer that is killed comes back on the same port', async () => {
    process.kill(await pidOf('consumer'), 'SIGKILL')
    const back = await exchange.event(({ event, name, state }) => event === 'node' && name === 'consumer' && state === 'ready')
    assert.deepEqual(back.proxy, exchange.ready.proxy)
    assert.equal((await whoami('us')).country, 'us')
  })

  test('without any provider the proxy answers with an error and nothing reaches the destination', async () => {
    assert.equal((await ask(exchange.ready.proxy, url)).body, 'hello')
    // The exchange itself is held, so that it cannot start them again.
    process.kill(exchange.process.pid!, 'SIGSTOP')
    try {
      for (const { name } of exchange.ready.providers) process.kill(await pidOf(name), 'SIGKILL')
      connections = 0
      for (let i = 0; i < 5; i++) {
        const { status, headers } = await ask(exchange.ready.proxy, url)
        assert.ok(status === 502 || status === 503, `${status}`)
        assert.match(String(headers['proxy-status']), /^byway; error=/)
      }
      assert.equal(connections, 0)
      // Positive control: the destination is there for anyone who goes to it directly.
      assert.equal(await (await fetch(url)).text(), 'hello')
      assert.equal(connections, 1)
    } finally {
      process.kill(exchange.process.pid!, 'SIGCONT')
    }
    await until('the exchange heals', async () => (await ask(exchange.ready.proxy, url)).status === 200)
  })

  /** Dollars in each wallet, as the chain has them. */
  const balances = (): Promise<unknown[]> => {
    const wallets = [exchange.ready.consumer.wallet, ...exchange.ready.providers.map(({ wallet }) => wallet)]
    const balanceOf = (wallet: string) => ({ to: exchange.ready.contracts.dollar, data: `0x70a08231${wallet.slice(2).padStart(64, '0')}` })
    return Promise.all(wallets.map((wallet) => rpc('eth_call', balanceOf(wallet), 'latest')))
  }
  let held: unknown[]
  let block: { number: string; hash: string }

  test('Ctrl-C ends it in order: no process and no port is left', async () => {
    const { proxy, rpc: address, providers } = exchange.ready
    held = await balances()
    block = (await rpc('eth_getBlockByNumber', 'latest', false)) as typeof block
    assert.ok(processesOf(home).length >= 5)
    assert.equal(await listens(proxy.host, proxy.port), true)
    assert.equal(await exchange.stop(), 0)
    assert.deepEqual(processesOf(home), [])
    const ports = [proxy.port, Number(new URL(address).port), ...providers.map(({ port }) => port)]
    assert.deepEqual(
      await Promise.all(ports.map((port) => listens('127.0.0.1', port))),
      ports.map(() => false),
    )
  })

  test('the next start continues the same world', async () => {
    const before = exchange.ready
    const rows = await Promise.all(NODES.map((node) => ledger(node)))
    exchange = await startExchange({ home, args: ALLOW })
    const identity = ({ contracts, providers, consumer }: typeof before) => [
      contracts,
      providers.map(({ nodeKey, wallet }) => [nodeKey, wallet]),
      consumer,
    ]
    assert.deepEqual(identity(exchange.ready), identity(before))
    assert.ok(rows.every((ledger) => ledger.rows.length > 0))
    assert.deepEqual(await Promise.all(NODES.map((node) => ledger(node))), rows)
    assert.deepEqual(await balances(), held)
    assert.equal(((await rpc('eth_getBlockByNumber', block.number, false)) as typeof block).hash, block.hash)
    assert.equal((await whoami('jp')).country, 'jp')
    const { nodes } = await exchange.command<{ nodes: { equal: boolean }[] }>('verify')
    assert.ok(nodes.every(({ equal }) => equal))
  })

  test('killed outright, it takes everything it started with it', async () => {
    process.kill(exchange.process.pid!, 'SIGKILL')
    await until('its processes end', () => processesOf(home).length === 0)
    assert.equal(await listens(exchange.ready.proxy.host, exchange.ready.proxy.port), false)
  })
})
