/** The runner of `npm test` itself: a file that hangs is named, ended with all it started, and leaves nothing. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import type { Ran } from '../../scripts/test-file.ts'

const RUNNER = pathToFileURL(join(import.meta.dirname, '..', '..', 'scripts', 'test-file.ts')).href

/** What a hanging file starts: it leaves its group, and tells its number. */
const HANGS = `
import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { describe, it, test } from 'node:test'
test('passes', () => {})
test('lacks something', { skip: 'no such program' }, () => {})
describe('a suite', () => {
  it('waits for ever', async () => {
    const { pid } = spawn('sleep', ['1000'], { detached: true, stdio: 'inherit' })
    writeFileSync(process.env.STARTED, String(pid))
    writeFileSync(tmpdir() + '/left', 'behind')
    await new Promise((resolve) => setInterval(resolve, 1_000_000))
  })
})`

type Paths = [runner: string, file: string, started: string, own: string]

/** Nobody may have waited for it yet: then it is dead all the same. */
function alive(pid: string): boolean {
  const stat = `/proc/${pid}/stat`
  return existsSync(stat) && !readFileSync(stat, 'utf8').includes(') Z ')
}

test('a test that hangs is named and ended with all it started, and nothing is left', {
  skip: process.platform !== 'linux' && 'takes /proc',
}, (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'byway-runner-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const [runner, file, started, own] = ['runner.mjs', 'hangs.test.mjs', 'started', 'own'].map((name) => join(folder, name)) as Paths
  writeFileSync(runner, `import { runFile } from '${RUNNER}'\nconsole.log(JSON.stringify(await runFile(...JSON.parse(process.argv[2]))))`)
  // A runner inside a runner must not think that it is part of the outer one.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  const run = (limitMs: number): Ran => {
    const words = [runner, JSON.stringify([file, own, limitMs])]
    const out = execFileSync(process.execPath, words, { env: { ...env, STARTED: started }, encoding: 'utf8' })
    assert.ok(!existsSync(own))
    return JSON.parse(out) as Ran
  }
  writeFileSync(file, HANGS)
  let ran = run(500)
  // A slow machine may not have come to that test by then, or not have told of it.
  const hasCome = () => existsSync(started) && ran.failures.some((failure) => failure.includes('waits for ever'))
  for (let limitMs = 1_000; !hasCome() && limitMs < 100_000; limitMs *= 2) ran = run(limitMs)
  assert.equal(ran.failures.length, 1)
  assert.match(ran.failures[0]!, /^it hung: .* a suite > waits for ever$/)
  assert.deepEqual([ran.passed, ran.skipped], [1, ['no such program']])
  assert.equal(alive(readFileSync(started, 'utf8')), false)
  // Control: one that ends is no failure.
  writeFileSync(file, "import { test } from 'node:test'\ntest('passes', () => {})")
  assert.deepEqual(run(60_000), { passed: 1, skipped: [], failures: [], printed: '' })
})
