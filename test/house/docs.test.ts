/** The docs say what the code says: tables, words, links and commands, each compared in both directions. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, globSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { test } from 'node:test'
import { Command } from 'commander'
import { readTree } from '../../scripts/check/files.ts'
import { cellsOf, TABLE_NAMES, tablesOn, withTables } from '../../scripts/check/tables.ts'
import { ECONOMY } from '../../src/cli/economy-commands.ts'
import { kebab, SETTING_KEYS } from '../../src/cli/settings.ts'
import { ERRORS } from '../../src/protocol/errors.ts'
import { COUNTERS } from '../../src/protocol/observe.ts'
import { CLOSE_REASONS, journalRecord } from '../../src/wallet/records.ts'

const root = join(import.meta.dirname, '..', '..')
const read = (path: string): string => readFileSync(join(root, path), 'utf8')
const PAGES = ['README.md', 'ARCHITECTURE.md', ...globSync('docs/*.md', { cwd: root })]

test('each table of the docs is the table of the code', () => {
  for (const page of PAGES) assert.equal(withTables(read(page)), read(page), `${page} is out of date: npx node scripts/docs.ts`)
  assert.deepEqual(PAGES.flatMap((page) => tablesOn(read(page))).sort(), [...TABLE_NAMES].sort())
})

test('a table that differs would be noticed', () => {
  const page = read('docs/metrics.md')
  for (const changed of [page.replace('byway_bytes_total', 'byway_octets_total'), page.replace(/^\| `byway_flows_total.*\n/m, '')]) {
    assert.notEqual(changed, page)
    assert.equal(withTables(changed), page)
  }
})

test('every error is explained, and no error is explained that does not exist', () => {
  const rows = cellsOf(read('docs/errors.md').split('<!-- table:errors -->')[1]!.split('<!-- end -->')[0]!).slice(2)
  assert.deepEqual(
    rows.map(([code]) => code),
    Object.keys(ERRORS).map((code) => `\`${code}\``),
  )
  for (const row of rows)
    for (const cell of [row[1], row.at(-1)]) assert.match(cell!, /^[A-Z].*[.`]$/, `docs/errors.md does not explain ${row[0]}`)
})

test('every setting is in the table of docs/config.md', () => {
  const page = read('docs/config.md')
  for (const key of SETTING_KEYS) assert.ok(page.includes(`| \`${kebab(key)}\` |`), key)
})

test('every room, journal record and counter is a word of the glossary', () => {
  const words = new Set([...read('docs/glossary.md').matchAll(/`([\w-]+)`/g)].map((match) => match[1]!))
  const rooms = globSync('src/*', { cwd: root })
    .filter((path) => statSync(join(root, path)).isDirectory())
    .map((path) => path.slice('src/'.length))
  const records = journalRecord.options.map((option) => option.shape.kind.value)
  assert.ok(rooms.length > 5 && records.length > 5)
  for (const word of [...rooms, ...records, ...Object.keys(COUNTERS)]) assert.ok(words.has(word), `docs/glossary.md lacks \`${word}\``)
})

test('every reason a session ends with is in the docs', () => {
  const page = read('docs/protocol.md')
  for (const reason of CLOSE_REASONS) assert.ok(page.includes(`\`${reason}\``), reason)
})

/** Anchors of a page, as a forge makes them from its headings. */
const anchorsOf = (markdown: string): string[] =>
  [...markdown.matchAll(/^#+ +(.*)$/gm)].map((match) =>
    match[1]!
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replaceAll(' ', '-'),
  )

/** Why a link from `page` leads nowhere, or undefined. */
function deadLink(page: string, link: string): string | undefined {
  if (/^[a-z]+:/.test(link)) return undefined
  const [path = '', anchor] = link.split('#')
  const target = path === '' ? page : relative(root, join(root, dirname(page), path))
  if (!existsSync(join(root, target))) return `${page}: ${link} is no file`
  if (anchor === undefined || !target.endsWith('.md')) return undefined
  return anchorsOf(read(target)).includes(anchor) ? undefined : `${page}: ${link} is no heading`
}

test('every link of the docs leads to a file, and to a heading if it names one', () => {
  const dead = PAGES.flatMap((page) => {
    const prose = read(page).replace(/^```[\s\S]*?^```/gm, '')
    return [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map((match) => deadLink(page, match[1]!)).filter((why) => why !== undefined)
  })
  assert.deepEqual(dead, [])
  assert.match(deadLink('README.md', 'docs/nowhere.md') ?? '', /no file/)
  assert.match(deadLink('README.md', 'docs/protocol.md#nowhere') ?? '', /no heading/)
})

test('every place in the docs that a comment cites is there', async () => {
  const dead: string[] = []
  for (const [path, text] of await readTree(root)) {
    if (!/^(src|contracts|bench|scripts)\/.*\.(ts|sol)$/.test(path)) continue
    for (const [link] of text.matchAll(/\bdocs\/[\w-]+\.md(#[\w-]+)?/g)) {
      const why = deadLink('README.md', link)
      if (why !== undefined) dead.push(`${path}: ${why}`)
    }
  }
  assert.deepEqual(dead, [])
})

test('every command in the docs exists', () => {
  const scripts = Object.keys((JSON.parse(read('package.json')) as { scripts: Record<string, string> }).scripts)
  const help = execFileSync(process.execPath, [join(root, 'src', 'main.js'), '--help'], { encoding: 'utf8' })
  const commands = [...help.matchAll(/^ {2}(\w+) .*/gm)].map((match) => match[1]!)
  assert.ok(commands.includes('up') && commands.includes('verify'), help)
  for (const page of PAGES) {
    const text = read(page)
    for (const [, name] of text.matchAll(/\bnpm run ([\w:-]+)/g)) assert.ok(scripts.includes(name!), `${page}: npm run ${name}`)
    for (const [, name] of text.matchAll(/\bnpm (start|test)\b/g)) assert.ok(scripts.includes(name!), `${page}: npm ${name}`)
    for (const [, name] of text.matchAll(/(?:`|npx |npm run )byway ([a-z]+)/g))
      assert.ok(commands.includes(name!), `${page}: byway ${name}`)
  }
})

test('every flag in the docs exists', async () => {
  const flags = new Set<string>([
    '--help',
    '--version',
    '--unix-socket',
    '--socks5-hostname',
    '--order',
    '--submit',
    '--send',
    '--to',
    '--port',
  ])
  for (const key of SETTING_KEYS) flags.add(`--${kebab(key)}`)
  for (const { load } of Object.values(ECONOMY)) {
    const command = new Command()
    const { shape } = await load()
    shape!(command)
    for (const { long } of command.options) flags.add(long!)
  }
  for (const page of PAGES) {
    for (const [, flag] of read(page).matchAll(/`[^`\n]*?(--[a-z][a-z0-9-]+)[^`\n]*`/g)) assert.ok(flags.has(flag!), `${page}: ${flag}`)
  }
})
