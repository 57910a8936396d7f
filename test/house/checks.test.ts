/** The checks of `npm run check` themselves: each finds what it is for and lets the rest pass. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { headerOf } from '../../scripts/check/files.ts'
import { checkHeaders } from '../../scripts/check/headers.ts'
import { checkImports, importsOf, ROOMS } from '../../scripts/check/imports.ts'
import { checkLength } from '../../scripts/check/length.ts'

const one = (path: string, text: string) => new Map([[path, text]])
const HEADER = `/**\n * A room that is here to be read by a check.\n *\n * The rule it keeps: it is long enough to say something.\n *\n * Start reading at the first line, then the second.\n */\n`

test('reads imports of every form, and not what only looks like one', () => {
  const source = [
    "import 'a'",
    "import type { A } from 'b'",
    'import {\n  one,\n  two,\n} from "c"',
    "export * from './d.ts'",
    "export { e } from './e.ts'",
    "const f = await import('./f.ts')",
    "// import 'no'",
    "/* import x from 'no' */",
    "const text = ' from \\'no\\''",
    "export const g = { from: 'no' }",
    "export function h(from = 'no') {}",
  ].join('\n')
  assert.deepEqual(
    importsOf(source).map(({ target }) => target),
    ['a', 'b', 'c', './d.ts', './e.ts', './f.ts'],
  )
})

test('imports point downwards', () => {
  const finds = (path: string, target: string) => checkImports(one(path, `import type { X } from '${target}'`)).length
  assert.equal(finds('src/wallet/book.ts', '../protocol/errors.ts'), 0)
  assert.equal(finds('src/wallet/book.ts', './journal.ts'), 0)
  assert.equal(finds('src/wallet/book.ts', '../chain/rpc.ts'), 1)
  assert.equal(finds('src/protocol/a/b.ts', '../../economy/price.ts'), 1)
  assert.equal(finds('src/provider/session.ts', '../wallet/book.ts'), 0)
  assert.equal(finds('src/provider/session.ts', '../consumer/route.ts'), 1)
  assert.equal(finds('src/provider/session.ts', '../api/log.ts'), 1)
  assert.equal(finds('src/cli/share.ts', '../provider/index.ts'), 0)
  assert.equal(finds('src/main.js', './cli/share.ts'), 0)
  assert.equal(finds('src/cli/share.ts', '../main.js'), 1)
})

test('source stays inside src, and only tests reach into test', () => {
  const finds = (path: string, target: string) => checkImports(one(path, `import { x } from '${target}'`)).length
  assert.equal(finds('src/wallet/book.test.ts', '../../test/vectors.ts'), 0)
  assert.equal(finds('src/wallet/book.ts', '../../test/vectors.ts'), 1)
  assert.equal(finds('src/wallet/book.test.ts', '../../scripts/check.ts'), 1)
  assert.equal(finds('src/new/room.ts', './other.ts'), 1)
})

test('the pure rooms touch neither disk nor network nor process', () => {
  const finds = (path: string, line: string) => checkImports(one(path, line)).length
  assert.equal(finds('src/protocol/a.ts', "import { createHash } from 'node:crypto'"), 0)
  assert.equal(finds('src/protocol/a.ts', "import { isIP } from 'node:net'"), 0)
  assert.equal(finds('src/protocol/a.ts', "import { isIP, connect } from 'node:net'"), 1)
  assert.equal(finds('src/protocol/a.ts', "import { readFile } from 'node:fs/promises'"), 1)
  assert.equal(finds('src/protocol/a.test.ts', "import { readFile } from 'node:fs/promises'"), 0)
  assert.equal(finds('src/wallet/a.ts', "import { readFile } from 'node:fs/promises'"), 0)
})

test('the table of rooms has no circle below the daemons', () => {
  const reaches = (from: string, to: string): boolean =>
    (ROOMS[from] ?? []).some((next) => next === to || (next !== from && reaches(next, to)))
  for (const room of Object.keys(ROOMS))
    if (room !== 'api' && room !== 'cli' && room !== 'main') assert.equal(reaches(room, room), false, room)
})

test('a folder needs one header that says what, which rule, and where to start', () => {
  const missing = (files: [string, string][]) => checkHeaders(new Map(files)).map((line) => line.split(':')[0])
  const top: [string, string][] = ['contracts', 'test', 'bench', 'scripts', 'docs'].map((folder) => [`${folder}/README.md`, HEADER])
  assert.deepEqual(missing([...top, ['src/a/index.ts', HEADER], ['src/a/b.ts', '']]), [])
  assert.deepEqual(missing([...top, ['src/a/index.ts', HEADER], ['src/a/b/c.ts', '']]), ['src/a/b'])
  assert.deepEqual(missing([...top, ['src/a/index.ts', '/** Start reading here. */']]), ['src/a'])
  assert.deepEqual(
    missing([...top.slice(1), ['contracts/src/A.sol', `// SPDX-License-Identifier: Apache-2.0\npragma solidity 0.8.37;\n\n${HEADER}`]]),
    [],
  )
  assert.deepEqual(missing(top.slice(1)), ['contracts'])
})

test('finds the header behind licence, pragma and shebang, and none behind code', () => {
  assert.equal(headerOf('a.ts', '#!/usr/bin/env node\n/** Says it. */\nx()'), ' Says it. ')
  assert.equal(headerOf('a.sol', '// SPDX-License-Identifier: Apache-2.0\npragma solidity ^0.8.0;\n/* Says it. */'), ' Says it. ')
  assert.equal(headerOf('a.ts', '// Says\n// it.\nx()'), '// Says\n// it.\n')
  assert.equal(headerOf('a.ts', 'x()\n/** Late. */'), '')
})

test('a file over 400 lines says why', () => {
  const lines = (count: number, head = '') => head + 'x\n'.repeat(count)
  assert.equal(checkLength(one('src/a.ts', lines(400))).length, 0)
  assert.equal(checkLength(one('src/a.ts', lines(401))).length, 1)
  assert.equal(checkLength(one('src/a.ts', lines(401, '/** Longer than 400 lines because it is a table. */\n'))).length, 0)
  assert.equal(checkLength(one('src/a.ts', lines(401, '// Generated by a script. Do not edit.\n'))).length, 0)
  assert.equal(checkLength(one('docs/a.md', lines(401))).length, 0)
})
