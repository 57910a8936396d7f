import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Command } from 'commander'
import { BywayError } from '../protocol/errors.ts'
import {
  addSettings,
  type ConfigFile,
  debugSwitches,
  type Env,
  loadSettings,
  parseConfig,
  required,
  resolveSettings,
  settingRows,
} from './resolve.ts'
import { type CommandName, keysOf, SETTING_KEYS } from './settings.ts'

/** A command that was given these arguments. */
function parsed(name: CommandName, args: readonly string[]): Command {
  const command = addSettings(new Command(name), keysOf(name)).exitOverride()
  command.configureOutput({ writeErr: () => {} })
  return command.parse(args, { from: 'user' })
}
const file = (text: string): ConfigFile => ({ path: '/home/x/config.toml', values: parseConfig(text, '/home/x/config.toml') })
const price = (args: string[], env: Env, config?: ConfigFile) => resolveSettings(parsed('share', args), ['price'], env, config)
const code = (expected: string, pattern?: RegExp) => (thrown: unknown) =>
  thrown instanceof BywayError &&
  thrown.code === expected &&
  (pattern?.test(`${thrown.message} ${thrown.hint ?? ''} ${JSON.stringify(thrown.facts)}`) ?? true)

test('a flag wins over a variable, a variable over the file, the file over the default', () => {
  const config = file('price = "0.30"')
  const env = { BYWAY_PRICE: '0.20' }
  assert.equal(price(['--price', '0.10'], env, config).values.price, 100_000n)
  assert.equal(price([], env, config).values.price, 200_000n)
  assert.equal(price([], {}, config).values.price, 300_000n)
  assert.equal(price([], {}).values.price, 500_000n)
})

test('each value says where it came from', () => {
  const config = file('price = "0.30"')
  assert.deepEqual(price(['--price', '1'], {}, config).sources.price, { kind: 'flag', name: '--price' })
  assert.deepEqual(price([], { BYWAY_PRICE: '1' }, config).sources.price, { kind: 'env', name: 'BYWAY_PRICE' })
  assert.deepEqual(price([], {}, config).sources.price, { kind: 'file', name: '/home/x/config.toml' })
  assert.deepEqual(price([], {}).sources.price, { kind: 'default', name: 'default' })
})

test('an empty variable is not set', () => {
  assert.equal(price([], { BYWAY_PRICE: '' }).values.price, 500_000n)
})

test('a list is repeated, or written with commas', () => {
  const flags = ['--allow-private', '10.0.0.0/8,127.0.0.0/8', '--allow-private', 'fd00::/8']
  const { values } = resolveSettings(parsed('share', flags), ['allowPrivate'], {}, undefined)
  assert.deepEqual(values.allowPrivate, ['10.0.0.0/8', '127.0.0.0/8', 'fd00::/8'])
})

test('--port is the port of the proxy on `connect` and `up`, of the provider on `share`', () => {
  assert.equal(resolveSettings(parsed('connect', ['--port', '1']), ['proxyPort'], {}, undefined).values.proxyPort, 1)
  assert.equal(resolveSettings(parsed('up', ['--proxy-port', '2']), ['proxyPort'], {}, undefined).values.proxyPort, 2)
  assert.equal(resolveSettings(parsed('share', ['--port', '3']), ['port'], {}, undefined).values.port, 3)
})

test('the home comes from a flag, a variable, or the XDG state folder, and offers lie in it', () => {
  const keys = ['home', 'offers'] as const
  const home = (args: string[], env: Env) => resolveSettings(parsed('share', args), keys, env, undefined).values
  assert.deepEqual(home(['--home', '/a'], { BYWAY_HOME: '/b' }), { home: '/a', offers: '/a/offers' })
  assert.deepEqual(home([], { BYWAY_HOME: '/b' }), { home: '/b', offers: '/b/offers' })
  assert.deepEqual(home([], { XDG_STATE_HOME: '/x' }), { home: '/x/byway', offers: '/x/byway/offers' })
  assert.deepEqual(home([], { HOME: '/h' }), { home: '/h/.local/state/byway', offers: '/h/.local/state/byway/offers' })
  assert.equal(home(['--home', 'rel'], {}).home, join(process.cwd(), 'rel'))
  assert.equal(home([], { BYWAY_HOME: '~/n' }).home, join(homedir(), 'n'))
})

test('a path in the file is relative to the file', () => {
  const { values } = resolveSettings(
    parsed('share', []),
    ['offers', 'passphraseFile'],
    {},
    file('offers = "shared"\npassphrase-file = "/etc/pass"'),
  )
  assert.deepEqual(values, { offers: '/home/x/shared', passphraseFile: '/etc/pass' })
})

test('a name nobody knows is refused wherever it stands, with the nearest known one', () => {
  assert.throws(() => file('prize = "0.30"'), code('SETTING_UNKNOWN', /did you mean price\?/))
  assert.throws(() => file('[share]\nprice = "0.30"'), code('SETTING_UNKNOWN'))
  assert.throws(() => price([], { BYWAY_PRCIE: '1' }), code('SETTING_UNKNOWN', /did you mean BYWAY_PRICE\?/))
  assert.throws(() => price([], { BYWAY_DEBUG_FSNYC: '1' }), code('SETTING_UNKNOWN', /BYWAY_DEBUG_FSYNC/))
  assert.equal(price([], { BYWAY_DEBUG_FSYNC: 'off', BYWAY_TEST_FULL: '1', OTHER: '1' }).values.price, 500_000n)
})

test('a value that cannot be read names the setting, its source and what is allowed', () => {
  assert.throws(
    () => price(['--price', 'cheap'], {}),
    code('SETTING_INVALID', /price cannot be read as "cheap".*allowed: dollars.*--price/),
  )
  assert.throws(() => price([], { BYWAY_PRICE: '-1' }), code('SETTING_INVALID', /BYWAY_PRICE/))
  assert.throws(() => price([], {}, file('price = true')), code('SETTING_INVALID', /config.toml/))
  assert.throws(() => price([], {}, file('price = 2024-01-01')), code('SETTING_INVALID'))
})

test('an error never repeats an RPC address, which may hold a key', () => {
  const attempt = () => resolveSettings(parsed('share', ['--rpc', 'htps://rpc.example/secret']), ['rpc'], {}, undefined)
  assert.throws(attempt, code('SETTING_INVALID', /rpc cannot be read/))
  assert.throws(
    attempt,
    (thrown) => thrown instanceof BywayError && !/secret/.test(JSON.stringify([thrown.message, thrown.hint, thrown.facts])),
  )
})

test('a file that is not TOML, sets the home, or is far too long is refused without showing its lines', () => {
  assert.throws(
    () => file('price = = 1 # secret'),
    (thrown) => code('SETTING_INVALID', /line/)(thrown) && !String(thrown).includes('secret'),
  )
  assert.throws(() => file('home = "/x"'), code('SETTING_INVALID', /--home/))
  assert.throws(() => file(`price = "${'1'.repeat(70_000)}"`), code('SETTING_INVALID', /too long/))
  assert.throws(() => file('__proto__ = 1'), BywayError)
  assert.equal(file('# nothing\n').values.size, 0)
})

test('loads the file of the home, and a missing one sets nothing', async () => {
  const home = await mkdtemp(join(tmpdir(), 'byway-settings-'))
  try {
    const load = () => loadSettings(parsed('share', ['--home', home]), ['home', 'country'], {})
    assert.equal((await load()).values.country, 'zz')
    await writeFile(join(home, 'config.toml'), 'country = "DE"\n')
    assert.deepEqual((await load()).values, { home, country: 'de' })
  } finally {
    await rm(home, { recursive: true })
  }
})

test('a setting without a default that a command needs is asked for by all its names', () => {
  const at = (args: string[]) => resolveSettings(parsed('share', args), ['channels'], {}, undefined)
  assert.throws(() => required(at([]), 'channels'), code('SETTING_INVALID', /--channels.*BYWAY_CHANNELS.*config\.toml/))
  const address = '0x5fbdb2315678afecb367f032d93f642f64180aa3'
  assert.equal(required(at(['--channels', address]), 'channels'), address)
})

test('the resolved view has every setting, masks what may be secret, and names the source', () => {
  const rows = settingRows(
    resolveSettings(parsed('config', []), SETTING_KEYS, { BYWAY_RPC: 'https://rpc.example/v3/secret' }, file('price = "0.30"')),
  )
  assert.equal(rows.length, SETTING_KEYS.length)
  const row = (key: string) => rows.find((candidate) => candidate.key === key)
  assert.equal(row('rpc')?.value, 'https://rpc.example/***')
  assert.equal(row('price')?.value, '0.30')
  assert.equal(row('price')?.source, '/home/x/config.toml')
  assert.equal(row('channels')?.value, 'what contracts says')
  assert.ok(!JSON.stringify(rows).includes('secret'))
})

test('says which debug switches are set', () => {
  assert.deepEqual(debugSwitches({ BYWAY_DEBUG_FSYNC: 'off', BYWAY_DEBUG_POWER_CUT: '' }), ['BYWAY_DEBUG_FSYNC'])
})
