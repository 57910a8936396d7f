import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, watch, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type TestContext, test } from 'node:test'
import { z } from 'zod'
import type { Hex } from '../protocol/bytes.ts'
import { type Anvil, type AnvilOptions, startAnvil } from './anvil.ts'
import { DOLLAR, deployDevnet, devnetContracts, ETHER, fundDevnet } from './devnet.ts'
import { createRpc, type Rpc, RpcRefusal } from './rpc.ts'
import { blockSchema, codeSchema, quantitySchema } from './schemas.ts'

const SOMEBODY: Hex = '0x00000000000000000000000000000000000b0b0b'

async function start(t: TestContext, options: AnvilOptions): Promise<Anvil> {
  const anvil = await startAnvil(options)
  t.after(() => anvil.stop())
  return anvil
}

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'byway-anvil-'))
  t.after(() => rm(path, { recursive: true, force: true, maxRetries: 3 }))
  return path
}

const balance = (rpc: Rpc) => rpc.request(quantitySchema, 'eth_getBalance', [SOMEBODY, 'latest'])
const latest = (rpc: Rpc) => rpc.request(blockSchema, 'eth_getBlockByNumber', ['latest', false])
const mine = (rpc: Rpc) => rpc.request(z.unknown(), 'evm_mine', [])
/** A busy machine may take this long between two lines; a pause of a week is far beyond it. */
const NEAR_S = 60
const nowS = () => Math.floor(Date.now() / 1000)

test('the same world continues after a stop', async (t) => {
  const worldFile = join(await folder(t), 'deep', 'world.json')
  const first = await start(t, { worldFile })
  const contracts = await deployDevnet(first.rpc)
  const { channels } = contracts
  await fundDevnet(first.rpc, contracts, SOMEBODY, { ether: ETHER, dollars: 25_000n * DOLLAR })
  const before = await latest(first.rpc)
  await first.stop()
  assert.equal(await first.ended, undefined)
  await assert.rejects(latest(first.rpc), { code: 'RPC_UNREACHABLE' })

  const second = await start(t, { worldFile })
  assert.equal(await balance(second.rpc), ETHER)
  assert.equal((await latest(second.rpc)).number, before.number + 1n, 'one empty block brings the time to now')
  assert.notEqual(await second.rpc.request(codeSchema, 'eth_getCode', [channels, 'latest']), '0x')
  await second.stop()

  const other = await start(t, { worldFile: join(await folder(t), 'world.json') })
  assert.equal(await balance(other.rpc), 0n, 'the control: another file is another world')
})

test('a killed chain is reported, and its last save continues', async (t) => {
  const path = await folder(t)
  const worldFile = join(path, 'world.json')
  const first = await start(t, { worldFile })
  const watching = new AbortController()
  const saves = watch(path, { signal: watching.signal })
  await fundDevnet(first.rpc, await deployDevnet(first.rpc), SOMEBODY, { ether: ETHER, dollars: 1n })
  const { number } = await latest(first.rpc)
  for await (const { filename } of saves) {
    if (filename === 'world.json' && JSON.parse(await readFile(worldFile, 'utf8')).best_block_number === Number(number)) break
  }
  process.kill(-first.pid, 'SIGKILL')
  const ended = await first.ended
  assert.equal(ended?.code, 'CHILD_FAILED')

  const second = await start(t, { worldFile })
  assert.equal(await balance(second.rpc), ETHER)
  assert.equal((await latest(second.rpc)).number, number + 1n)
})

test('when the process that started it is killed, the chain saves its world and ends', async (t) => {
  const worldFile = join(await folder(t), 'world.json')
  const parent = spawn(process.execPath, ['--input-type=module', '-e', PARENT, worldFile], {
    stdio: ['ignore', 'pipe', 'inherit'],
    cwd: import.meta.dirname,
  })
  const [line] = await Array.fromAsync(createInterface({ input: parent.stdout }).on('line', () => parent.kill('SIGKILL')))
  const { url } = JSON.parse(line!)

  // The successor waits until the predecessor is gone.
  const second = await start(t, { worldFile })
  assert.equal(await balance(second.rpc), 77n)
  await assert.rejects(balance(createRpc({ urls: [url], chainId: 31_337 })), { code: 'RPC_UNREACHABLE' })
})

/** Moves on the chain in the very moment before it is killed: nothing of it is in a save yet. */
const PARENT = `
  import { startAnvil } from './anvil.ts'
  const { url } = await startAnvil({ worldFile: process.argv[1] })
  const call = (method, params) => fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }) })
  await call('anvil_setBalance', ['${SOMEBODY}', '0x4d'])
  await call('evm_mine', [])
  console.log(JSON.stringify({ url }))
`

test('half a dump is dropped, a whole one adopted, a broken world refused', async (t) => {
  const worldFile = join(await folder(t), 'world.json')
  const first = await start(t, { worldFile })
  await first.rpc.request(z.unknown(), 'anvil_setBalance', [SOMEBODY, '0x1'])
  await first.stop()
  const world = await readFile(worldFile, 'utf8')
  const changed = JSON.parse(world)
  changed.accounts[SOMEBODY].balance = '0x2'
  const richer = JSON.stringify(changed)

  await writeFile(`${worldFile}.exit`, richer.slice(0, -1))
  const second = await start(t, { worldFile })
  assert.equal(await balance(second.rpc), 1n)
  await second.stop()

  await writeFile(`${worldFile}.exit`, richer)
  const third = await start(t, { worldFile })
  assert.equal(await balance(third.rpc), 2n)
  await third.stop()

  await writeFile(worldFile, world.slice(0, -1))
  await assert.rejects(startAnvil({ worldFile }), { code: 'STATE_CORRUPT' })
})

test('after a pause of a week the chain tells the time of today', async (t) => {
  const worldFile = join(await folder(t), 'world.json')
  const first = await start(t, { worldFile })
  await mine(first.rpc)
  await first.stop()
  const aged = JSON.parse(await readFile(worldFile, 'utf8'))
  const aWeekAgo = nowS() - 7 * 86_400
  for (const { header } of aged.blocks) header.timestamp = `0x${(aWeekAgo + Number(header.number)).toString(16)}`
  aged.block.timestamp = `0x${(aWeekAgo + 1).toString(16)}`
  await writeFile(worldFile, JSON.stringify(aged))

  const second = await start(t, { worldFile })
  const old = await second.rpc.request(blockSchema, 'eth_getBlockByNumber', ['0x1', false])
  assert.equal(old.timestamp, aWeekAgo + 1, 'the control: the last block of the old run')
  const { timestamp } = await latest(second.rpc)
  assert.ok(Math.abs(timestamp - nowS()) <= NEAR_S, `${timestamp} is now`)
  await mine(second.rpc)
  assert.ok(Math.abs((await latest(second.rpc)).timestamp - nowS()) <= NEAR_S)
})

test('a chain whose time was moved ahead never runs backwards', async (t) => {
  const worldFile = join(await folder(t), 'world.json')
  const first = await start(t, { worldFile })
  await first.rpc.request(z.unknown(), 'evm_increaseTime', [3_600])
  await mine(first.rpc)
  const before = await latest(first.rpc)
  assert.ok(before.timestamp >= nowS() + 3_590)
  await first.stop()

  const second = await start(t, { worldFile })
  const after = await latest(second.rpc)
  assert.ok(after.timestamp >= before.timestamp && after.timestamp < before.timestamp + 60)
  await mine(second.rpc)
  assert.ok((await latest(second.rpc)).timestamp >= after.timestamp)
})

test('says which port is in use', async (t) => {
  const holder = createServer()
  await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve))
  const address = holder.address()
  assert.ok(address !== null && typeof address === 'object')
  const { port } = address
  await assert.rejects(startAnvil({ port }), { code: 'PORT_BUSY', facts: { port } })
  await new Promise((resolve) => holder.close(resolve))
  assert.equal((await start(t, { port })).port, port)
})

test('a program that is missing or fails is named, with its words', async () => {
  await assert.rejects(startAnvil({ program: '/nowhere/anvil' }), { code: 'CHILD_FAILED', message: /exit code 127/ })
  await assert.rejects(startAnvil({ program: '/bin/ls' }), { code: 'CHILD_FAILED', message: /did not start/ })
})

test('a start can be called off', async (t) => {
  const stop = new AbortController()
  const starting = startAnvil({ program: '/bin/cat' }, stop.signal)
  stop.abort(new Error('enough'))
  await assert.rejects(starting, { message: 'enough' })
  await start(t, {})
})

test('deploys to the same addresses on every devnet, once', async (t) => {
  const one = await start(t, {})
  const [a, ...others] = await Promise.all(Array.from({ length: 8 }, () => deployDevnet(one.rpc)))
  assert.deepEqual(a, devnetContracts())
  for (const other of others) assert.deepEqual(other, a)
  const { number } = await latest(one.rpc)
  assert.deepEqual(await deployDevnet(one.rpc), a)
  assert.equal((await latest(one.rpc)).number, number, 'nothing was sent')
  const other = await deployDevnet(one.rpc, 60)
  assert.equal(other.dollar, a.dollar)
  assert.notEqual(other.channels, a.channels, 'another grace is another contract')
})

test('a deployer whose number another one took waits for its turn', async (t) => {
  const { rpc } = await start(t, {})
  const words: string[] = ['transaction already imported', 'replacement transaction underpriced', 'nonce too low']
  const late: Rpc = {
    ...rpc,
    request: (schema, method, params, signal) => {
      const word = method === 'eth_sendTransaction' ? words.pop() : undefined
      return word === undefined ? rpc.request(schema, method, params, signal) : Promise.reject(new RpcRefusal(-32003, word, undefined))
    },
  }
  assert.deepEqual(await deployDevnet(late), devnetContracts())
  assert.equal(words.length, 0, 'each refusal was met')
  words.push('something else')
  await assert.rejects(fundDevnet(late, devnetContracts(), SOMEBODY, { dollars: DOLLAR }), {
    code: 'TRANSACTION_FAILED',
    message: /something else/,
  })
})

test('funding tops up to the target and no further', async (t) => {
  const { rpc } = await start(t, {})
  const contracts = await deployDevnet(rpc)
  const { dollar } = contracts
  const dollars = async () =>
    BigInt(await rpc.request(z.string(), 'eth_call', [{ to: dollar, data: `0x70a08231${SOMEBODY.slice(2).padStart(64, '0')}` }, 'latest']))
  await fundDevnet(rpc, contracts, SOMEBODY, { ether: ETHER, dollars: 25_000n * DOLLAR })
  assert.deepEqual([await balance(rpc), await dollars()], [ETHER, 25_000n * DOLLAR])
  await fundDevnet(rpc, contracts, SOMEBODY, { ether: ETHER / 2n, dollars: 10n * DOLLAR })
  assert.deepEqual([await balance(rpc), await dollars()], [ETHER, 25_000n * DOLLAR])
  await fundDevnet(rpc, contracts, SOMEBODY, { dollars: 25_001n * DOLLAR })
  assert.deepEqual([await balance(rpc), await dollars()], [ETHER, 25_001n * DOLLAR])
})

test('a chain without the factory is no devnet', async (t) => {
  const { rpc } = await start(t, {})
  await rpc.request(z.unknown(), 'anvil_setCode', ['0x4e59b44847b379578588920cA78FbF26c0B4956C', '0x'])
  await assert.rejects(deployDevnet(rpc), { code: 'CONTRACT_MISSING' })
})
