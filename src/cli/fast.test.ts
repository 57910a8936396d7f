/** The fast path is there only where it has tested itself; where it is not, a warning says why, and one that dies is started again a few times. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { temporaryFolder } from '../../test/support/folders.ts'
import { type Observer, silent } from '../protocol/observe.ts'
import { loadNative, type Native } from '../tunnel/fast/native.ts'
import { selfTest } from '../tunnel/fast/self-test.ts'
import { startFastPath } from './fast.ts'

/** Remembers the reason the fast path is off, undefined while it is not. */
function watching() {
  const seen = { warnings: 0, why: undefined as unknown }
  const observer: Observer = {
    ...silent,
    warn: (code, facts) => {
      assert.equal(code, 'FAST_PATH_OFF')
      seen.warnings++
      seen.why = facts?.['why']
    },
  }
  return { seen, observer }
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await delay(5)
}

test('a machine that seals, opens, waits or joins wrongly is found out before anything relies on it', () => {
  const native = loadNative()
  selfTest(native)
  const broken: Record<string, Partial<Native>> = {
    'seals wrongly': {
      seal: (context, nonce, aad, bytes, from, to, length) => native.seal(context, nonce, aad, bytes, from, to, length - 1n),
    },
    'opens what was changed': { open: (...words) => native.open(...words) || true },
    'epoll does not tell': { signal: () => {} },
    'calls on sockets': { read: (fd, address, bytes) => native.read(fd, address, bytes - 6) },
  }
  for (const [why, part] of Object.entries(broken)) assert.throws(() => selfTest({ ...native, ...part }), new RegExp(why))
})

test('where node:ffi is missing bytes go by the portable path, and a warning says why', () => {
  const program = join(temporaryFolder(), 'start.mjs')
  writeFileSync(
    program,
    `
    import { startFastPath } from ${JSON.stringify(new URL('fast.ts', import.meta.url).href)}
    const said = []
    const path = await startFastPath(true, { count() {}, log() {}, warn: (code, facts) => said.push([code, facts?.why]) })
    console.log(JSON.stringify({ plane: path.plane() !== undefined, said }))
    await path.close()`,
  )
  const run = (...flags: string[]) => {
    const { stdout, stderr } = spawnSync(process.execPath, [...flags, program], { encoding: 'utf8' })
    assert.ok(stdout.startsWith('{'), stderr)
    return JSON.parse(stdout) as { plane: boolean; said: [string, string | null][] }
  }
  const without = run('--no-experimental-ffi')
  assert.equal(without.plane, false)
  assert.match(String(without.said[0]), /^FAST_PATH_OFF,.*ffi/)
  assert.deepEqual(run(), { plane: true, said: [['FAST_PATH_OFF', null]] }, 'positive control')
})

test('a thread that dies is started again, but not for ever', async (t) => {
  const { seen, observer } = watching()
  const path = await startFastPath(true, observer)
  t.after(() => path.close())
  for (let deaths = 1; ; deaths++) {
    const plane = path.plane()!
    const { warnings } = seen
    await plane.kill()
    await until(() => seen.warnings > warnings)
    if (seen.why !== undefined) {
      assert.equal(deaths, 6)
      break
    }
    await until(() => path.plane() !== undefined)
    assert.notEqual(path.plane(), plane)
  }
  assert.equal(seen.why, 'its thread died too often')
  assert.equal(path.plane(), undefined)
})
