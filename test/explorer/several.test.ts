/** Several explorers, each a process, on one PostgreSQL. */
import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { ExplorerHealth } from '../../src/explorer/index.ts'
import { openPostgres } from '../../src/explorer/store/index.ts'
import { silent } from '../../src/protocol/observe.ts'
import { chainDigest, expectedDigests } from './digest.ts'
import { lacksPostgres, startPostgres } from './postgres.ts'
import { SIMULATED, simulatedChain } from './simulated-chain.ts'

const SEED = 'several'
/** Taking over takes a second or two; on a machine that does five other things many times that. */
const PATIENCE_MS = 60_000

interface Process {
  child: ChildProcess
  at: string
}

async function start(t: TestContext, url: string): Promise<Process> {
  const child = fork(join(import.meta.dirname, 'explorer-process.ts'), [url, SEED], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  t.after(() => child.kill('SIGKILL'))
  const [{ port }] = (await once(child, 'message')) as [{ port: number }]
  return { child, at: `http://127.0.0.1:${port}` }
}

const healthOf = async ({ at }: Process) => (await (await fetch(`${at}/v1/health`)).json()) as ExplorerHealth

/** Health of all, once it is as wanted. */
async function until(processes: readonly Process[], wanted: (all: ExplorerHealth[]) => boolean): Promise<ExplorerHealth[]> {
  const deadline = performance.now() + PATIENCE_MS
  for (;;) {
    const all = await Promise.all(processes.map(healthOf))
    if (wanted(all)) return all
    assert.ok(performance.now() < deadline, JSON.stringify(all))
    await delay(100)
  }
}

const leaders = (all: readonly ExplorerHealth[]) => all.filter(({ indexes }) => indexes).length
const allAt = (block: number) => (all: readonly ExplorerHealth[]) =>
  leaders(all) === 1 && all.every(({ indexed }) => indexed?.block === block)

test('of three explorers on one database one indexes and all answer; when it is killed another goes on', {
  skip: lacksPostgres(),
}, async (t) => {
  const server = startPostgres()
  t.after(() => server.stop())
  const url = await server.database()
  // At once: their migrations take turns too.
  const processes = await Promise.all([start(t, url), start(t, url), start(t, url)])
  const grow = (height: number) => processes.forEach(({ child }) => void child.send(height))
  grow(120)
  const first = await until(processes, allAt(120))
  const answers = await Promise.all(processes.map(async ({ at }) => (await fetch(`${at}/v1/events?limit=200`)).text()))
  assert.ok(answers[0]!.length > 1_000)
  assert.deepEqual([answers[1], answers[2]], [answers[0], answers[0]])

  const leader = first.findIndex(({ indexes }) => indexes)
  const [killed] = processes.splice(leader, 1)
  killed!.child.kill('SIGKILL')
  grow(150)
  await until(processes, allAt(150))
  processes.push(await start(t, url))
  grow(180)
  const last = await until(processes, allAt(180))
  assert.equal(last[2]!.indexes, false)

  const chain = simulatedChain(SEED)
  chain.mine(180)
  const store = await openPostgres(url, silent)
  t.after(() => store.close())
  assert.equal(await chainDigest(store.db), await expectedDigests(SIMULATED)(chain))
})

test('while the server is away the explorer says so, and when it is back it goes on', { skip: lacksPostgres() }, async (t) => {
  const server = startPostgres()
  t.after(() => server.stop())
  const explorer = await start(t, await server.database())
  explorer.child.send(100)
  await until([explorer], allAt(100))
  const ask = () => fetch(`${explorer.at}/v1/measures`)
  assert.equal((await ask()).status, 200)

  server.stop()
  const [away] = await until([explorer], ([health]) => health!.failure !== null)
  assert.equal(away!.failure, 'STORE_UNREACHABLE')
  const refused = await fetch(`${explorer.at}/v1/regions`)
  assert.deepEqual([refused.status, ((await refused.json()) as { code: string }).code], [503, 'STORE_UNREACHABLE'])

  server.start()
  explorer.child.send(130)
  await until([explorer], allAt(130))
  assert.equal((await fetch(`${explorer.at}/v1/regions`)).status, 200)
})
