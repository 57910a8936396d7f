/** A disk that fails under a running node: it stops and says so, nothing it acknowledged is lost, and it goes on when there is room again. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { stat } from 'node:fs/promises'
import { test } from 'node:test'
import { lacks } from '../support/programs.ts'
import { Evidence } from './evidence.ts'
import { startLoad } from './load.ts'
import { seededRandom } from './random.ts'
import { makeWorld } from './world.ts'

/** A few vouchers more, then the next write fails in its middle. */
const ROOM_BYTES = 1_700

test('a node whose journal cannot grow stops, and loses nothing', { skip: lacks('prlimit') }, async (t) => {
  const world = await makeWorld({}, (line) => t.diagnostic(line))
  t.after(() => world.close(false))
  const { provider } = world
  const evidence = new Evidence()
  const load = startLoad(world.proxyPort, world.origin.port, 3, seededRandom(1))
  t.after(() => load.stop())
  await provider.says(['voucher'], 20_000)
  // Files of this process may not grow beyond this: a full disk that strikes the largest of them first.
  const limit = (await stat(provider.journal)).size + ROOM_BYTES
  assert.equal(spawnSync('prlimit', ['--pid', `${provider.pid}`, `--fsize=${limit}`]).status, 0)
  assert.equal(await provider.ended(), 'exit code 1')
  assert.match(provider.surprises.join(), /"code":"DISK_FAILED".*EFBIG/)
  await evidence.afterEnd(provider, 'acknowledged')
  assert.ok(evidence.counts.acknowledged > 0)
  assert.deepEqual(evidence.findings, [])
  // Control: with room again it starts, and the clients are served.
  provider.start()
  await provider.ready()
  await load.eachFinishes(AbortSignal.timeout(60_000))
})
