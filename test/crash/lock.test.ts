/** Two daemons on one state folder: the second refuses, through the real command, and the first does not notice. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { DEVNET_CHAIN_ID } from '../../src/chain/index.ts'
import { byway } from './main.ts'
import { NodeProcess } from './process.ts'

/** Nobody listens there: a daemon starts without a chain too, and this test needs none. */
const NO_CHAIN = 'http://127.0.0.1:9'
const ADDRESS = `0x${'c0'.repeat(20)}`

test('a second daemon refuses a folder in use, and has it once the first is gone', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'byway-lock-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const settings = { rpc: [NO_CHAIN], 'chain-id': DEVNET_CHAIN_ID, channels: ADDRESS, token: ADDRESS }
  for (const [command, own] of [
    ['share', { port: 0 }],
    ['connect', { 'proxy-port': 0 }],
  ] as const) {
    const first = new NodeProcess(command, command, join(folder, command), {})
    t.after(() => first.kill())
    await first.configure({ ...settings, ...own })
    first.start()
    await first.ready()
    const journal = await readFile(first.journal)
    const { pid } = JSON.parse(await readFile(join(first.home, 'pid'), 'utf8')) as { pid: number }
    // Not only a second of its kind: nothing that signs may open the folder.
    for (const other of ['share', 'connect']) {
      const { status, stdout } = await byway([other, '--home', first.home, '--json'])
      const error = JSON.parse(stdout) as { event: string; code: string; message: string; hint: string }
      assert.deepEqual([status, error.event, error.code], [1, 'error', 'STATE_LOCKED'], other)
      assert.match(error.message, new RegExp(`process ${pid} uses the state folder`))
      assert.match(error.hint, new RegExp(`kill ${pid}`))
    }
    assert.deepEqual(await readFile(first.journal), journal)
    assert.deepEqual(first.surprises, [])
    // Control: killed without a chance to clean up, it leaves nothing that keeps the next one out.
    await first.kill()
    first.start()
    await first.ready()
    assert.equal(await first.stop(), 'exit code 0')
  }
})
