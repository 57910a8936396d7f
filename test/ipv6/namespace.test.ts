/** pair.test.ts once more where there is no IPv4 at all: in a namespace whose loopback has ::1 and nothing else. */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { PREFIX, whyNot } from '../nat/world.ts'
import { lacksIpv6 } from '../support/ipv6.ts'
import { PATH } from '../support/programs.ts'

const skip = whyNot([]) || lacksIpv6()
const LIMIT_MS = 150_000

test('all of it works where there is no IPv4', { skip }, (t) => {
  const ns = `${PREFIX}${process.pid}-ipv6`
  const ip = (...words: string[]) => execFileSync('ip', words, { env: { ...process.env, PATH } })
  ip('netns', 'add', ns)
  t.after(() => ip('netns', 'del', ns))
  ip('-n', ns, 'link', 'set', 'lo', 'up')
  ip('-n', ns, 'addr', 'del', '127.0.0.1/8', 'dev', 'lo')
  // The inner runner must not think that it is part of the outer one.
  const { NODE_TEST_CONTEXT: _, ...outer } = process.env
  const env = { ...outer, PATH }
  const inside = (...words: string[]) =>
    spawnSync('ip', ['netns', 'exec', ns, process.execPath, ...words], {
      encoding: 'utf8',
      timeout: LIMIT_MS,
      env,
    })
  // Control: IPv4 is really gone.
  const listening = `require('node:net').createServer().listen(0, '127.0.0.1').on('error', (e) => console.log(e.code)).unref()`
  assert.match(inside('-e', listening).stdout, /EADDRNOTAVAIL/)
  const { status, stdout, stderr } = inside('--test', '--test-reporter=tap', join(import.meta.dirname, 'pair.test.ts'))
  assert.equal(status, 0, stdout + stderr)
  assert.match(stdout, /^# pass 4$/m)
})
