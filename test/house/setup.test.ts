/** scripts/setup.js with a stand-in for npm: two that start at once, and one that was interrupted. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { type TestContext, test } from 'node:test'

const SETUP = join(import.meta.dirname, '..', '..', 'scripts', 'setup.js')

/** Says that it installs and what it finds, begins, and waits until somebody opens the other end of a pipe. */
const NPM = `#!/bin/sh
[ "$1" = config ] && { echo "$CHECKOUT"; exit 0; }
echo "install: $(ls "$CHECKOUT/node_modules")" >> "$CHECKOUT/said"
touch "$CHECKOUT/node_modules/half"
cat < "$CHECKOUT/go" > /dev/null
`

function checkout(t: TestContext) {
  const root = mkdtempSync(join(tmpdir(), 'byway-setup-'))
  t.after(() => rmSync(root, { recursive: true }))
  mkdirSync(join(root, 'scripts'))
  mkdirSync(join(root, 'bin'))
  cpSync(SETUP, join(root, 'scripts', 'setup.js'))
  writeFileSync(join(root, 'package.json'), '{ "type": "module" }')
  writeFileSync(join(root, 'package-lock.json'), '{}')
  writeFileSync(join(root, 'bin', 'npm'), NPM)
  chmodSync(join(root, 'bin', 'npm'), 0o755)
  const start = () => {
    const env = { ...process.env, PATH: `${join(root, 'bin')}${delimiter}${process.env.PATH}`, CHECKOUT: root }
    const child = spawn(process.execPath, [join(root, 'scripts', 'setup.js')], { env, stdio: ['ignore', 'ignore', 'pipe'], detached: true })
    t.after(() => child.exitCode ?? child.signalCode ?? child.kill('SIGKILL'))
    let said = ''
    const says = async (words: string) => {
      while (!said.includes(words)) said += String(((await once(child.stderr, 'data')) as [Buffer])[0])
    }
    return { child, says, ended: once(child, 'close') }
  }
  return { root, start, installs: () => readFileSync(join(root, 'said'), 'utf8').match(/^install:.*\S?$/gm) }
}

async function pipe(path: string): Promise<void> {
  assert.deepEqual(await once(spawn('sh', ['-c', 'mkfifo "$0"', path]), 'close'), [0, null])
}
const letGo = (root: string) => once(spawn('sh', ['-c', ': > "$0"', join(root, 'go')]), 'close')

test('of two that start at once one installs, and the other waits for it', { skip: process.platform === 'win32' }, async (t) => {
  const { root, start, installs } = checkout(t)
  await pipe(join(root, 'go'))
  const first = start()
  await first.says('installing')
  const second = start()
  await second.says('waiting for another install')
  await letGo(root)
  assert.deepEqual([(await first.ended)[0], (await second.ended)[0]], [0, 0])
  assert.equal(installs()!.length, 1)
  // And whoever comes later finds it done.
  assert.equal((await start().ended)[0], 0)
  assert.equal(installs()!.length, 1)
})

test('what an interrupted install left is removed before the next', { skip: process.platform === 'win32' }, async (t) => {
  const { root, start, installs } = checkout(t)
  await pipe(join(root, 'go'))
  const first = start()
  await first.says('installing')
  const half = join(root, 'node_modules', 'half')
  while (!existsSync(half)) await new Promise(setImmediate)
  process.kill(-first.child.pid!, 'SIGKILL')
  await first.ended
  assert.ok(existsSync(half))
  const second = start()
  await second.says('interrupted')
  await letGo(root)
  assert.equal((await second.ended)[0], 0)
  assert.deepEqual(installs(), ['install: ', 'install: '], 'the second found nothing')
})
