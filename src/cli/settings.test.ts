import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Command } from 'commander'
import type { z } from 'zod'
import { addSettings, defaultText } from './resolve.ts'
import { COMMANDS, DEBUG_SWITCHES, kebab, keysOf, SETTING_KEYS, SETTINGS, variable } from './settings.ts'
import { suggest } from './suggest.ts'

test('every setting has a sentence, a default to show and a command that uses it', () => {
  for (const key of SETTING_KEYS) {
    assert.match(SETTINGS[key].about, /^[A-Z].*\.$/, key)
    assert.match(defaultText(key), /^default: ./, key)
    assert.ok(SETTINGS[key].commands.length > 0, key)
  }
})

test('names follow from the key and never meet', () => {
  assert.equal(kebab('capPerProvider'), 'cap-per-provider')
  assert.equal(variable('capPerProvider'), 'BYWAY_CAP_PER_PROVIDER')
  const variables = [...SETTING_KEYS.map(variable), ...Object.keys(DEBUG_SWITCHES)]
  assert.equal(new Set(variables).size, variables.length)
})

test('every command can carry the flags of all its settings', () => {
  for (const name of COMMANDS) {
    const command = addSettings(new Command(name), keysOf(name))
    assert.equal(command.options.length, keysOf(name).length, name)
    assert.ok(command.helpInformation().includes('--home <path>'), name)
  }
})

test('defaults pass their own schema', () => {
  for (const key of SETTING_KEYS) {
    const { type, fallback } = SETTINGS[key] as {
      type: { schema: z.ZodType; show: (value: unknown) => string; many: boolean }
      fallback: unknown
    }
    if (fallback === undefined || typeof fallback === 'function') continue
    const written = Array.isArray(fallback) ? fallback : type.show(fallback)
    assert.deepEqual(type.schema.parse(written), fallback, key)
  }
})

const cases: readonly { key: keyof typeof SETTINGS; good: readonly [unknown, unknown][]; bad: readonly unknown[] }[] = [
  {
    key: 'price',
    good: [
      ['0.50', 500_000n],
      [0.5, 500_000n],
      [1, 1_000_000n],
    ],
    bad: ['-1', '1e3', '0.0000001', 1e21, 0.1 + 0.2, '', '$1', null, []],
  },
  {
    key: 'port',
    good: [
      ['0', 0],
      [65_535, 65_535],
    ],
    bad: ['65536', '-1', '1.5', '0x10', ' ', true],
  },
  { key: 'country', good: [['DE', 'de']], bad: ['deu', 'd', 'd1', 'ß'] },
  { key: 'policy', good: [['open', 'open']], bad: ['Open', 'all', 'constructor'] },
  {
    key: 'rpc',
    good: [
      ['http://a:1,https://b/key', ['http://a:1', 'https://b/key']],
      [['http://a'], ['http://a']],
    ],
    bad: ['ftp://a', 'a', ['http://a', 7], { a: 1 }, 'http://a,,http://b', Array(65).fill('http://a')],
  },
  {
    key: 'allowPrivate',
    good: [
      ['127.0.0.0/8,FD00::/8', ['127.0.0.0/8', 'fd00::/8']],
      [[], []],
    ],
    bad: ['127.0.0.1', '127.0.0.0/33', '::/129', '10.0.0.0/8/8', '10.0.0/8', 'x/8', '10.0.0.0/'],
  },
  {
    key: 'channels',
    good: [['0x5FbDB2315678afecb367f032d93F642f64180aa3', '0x5fbdb2315678afecb367f032d93f642f64180aa3']],
    bad: ['0x5fbdb2315678AFECB367F032d93F642f64180aa3', '0x12', '5fbdb2315678afecb367f032d93f642f64180aa3'],
  },
  {
    key: 'publicHost',
    good: [
      ['node.example', 'node.example'],
      ['::1', '::1'],
    ],
    bad: ['http://node', 'a b', '-a', 'a..b', 'a:80', 'a/b'],
  },
  {
    key: 'json',
    good: [
      ['true', true],
      [false, false],
      ['0', false],
    ],
    bad: ['yes', 2, 'toString'],
  },
]
for (const { key, good, bad } of cases) {
  test(`${kebab(key)} takes what is allowed and refuses the rest`, () => {
    const schema = SETTINGS[key].type.schema as z.ZodType
    for (const [raw, value] of good) assert.deepEqual(schema.parse(raw), value)
    for (const raw of bad) assert.equal(schema.safeParse(raw).success, false, JSON.stringify(raw))
  })
}

test('an RPC address is shown without the part that may be a key', () => {
  const show = SETTINGS.rpc.type.show
  assert.equal(show(['http://127.0.0.1:8545']), 'http://127.0.0.1:8545')
  assert.equal(
    show(['https://rpc.example/v3/secret', 'https://u:p@rpc.example', 'https://rpc.example?k=s']),
    Array(3).fill('https://rpc.example/***').join(', '),
  )
})

test('suggests the nearest word, and nothing when none is near', () => {
  assert.equal(suggest('prcie', ['price', 'port']), 'price')
  assert.equal(suggest('maxprice', ['max-price', 'price']), 'max-price')
  assert.equal(suggest('BYWAY_HOEM', ['BYWAY_HOME', 'BYWAY_HOST']), 'BYWAY_HOME')
  assert.equal(suggest('zzz', ['price', 'port', 'rpc']), undefined)
})
