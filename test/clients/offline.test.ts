/** The first request works on a machine without any network: in a network namespace that has a loopback interface and nothing else. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { startExchange } from './exchange.ts'
import { mustRun, run } from './programs.ts'

/** A user of their own namespace may set up the interface in it, without being root outside. */
const INSIDE = ['unshare', '-rn', 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh']
const possible = spawnSync(INSIDE[0]!, [...INSIDE.slice(1), 'true']).status === 0

test('the first curl needs no network', { skip: possible ? false : 'no network namespace can be made here' }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'byway-offline-'))
  const exchange = await startExchange({ home: join(folder, 'world'), inside: INSIDE })
  t.after(async () => {
    await exchange.stop()
    await rm(folder, { recursive: true, force: true })
  })
  const { proxy, whoami, providers } = exchange.ready
  const enter = ['-t', `${exchange.process.pid}`, '-U', '--preserve-credentials', '-n', process.execPath, '-e']
  const script = `
    require('node:http').get({ host: '${proxy.host}', port: ${proxy.port}, path: '${whoami}', agent: false,
      headers: { host: '${new URL(whoami).host}', 'byway-country': 'us' } }, (answer) => answer.pipe(process.stdout))`
  const { out } = await mustRun('nsenter', [...enter, script])
  const { exit, country } = JSON.parse(out) as { exit: string; country: string }
  assert.deepEqual([`0x${exit}`, country], [providers[1]!.nodeKey, 'us'])
  // Positive control: from in there nothing outside can be reached, not even this machine's own addresses.
  const outside = `require('node:net').connect({ host: '192.0.2.1', port: 80 }).on('error', ({ code }) => console.log(code))`
  assert.equal((await run('nsenter', [...enter, outside])).out.trim(), 'ENETUNREACH')
})
