/** That a red contract test is red: the launcher of npm's package would end with 0. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'

const FORGE = join(import.meta.dirname, '../../contracts/scripts/forge.ts')
const check = (source: string) => spawnSync(process.execPath, [FORGE, 'fmt', '--check', '-'], { input: source, encoding: 'utf8' })

test('what forge finds wrong is in the status', () => {
  const tidy = check('contract A {}\n')
  assert.equal(tidy.status, 0, tidy.stderr)
  assert.equal(check('contract   A {}\n').status, 1)
})
