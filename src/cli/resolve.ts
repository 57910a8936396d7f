/**
 * What each setting is and where that came from: a flag, else a `BYWAY_*` variable, else config.toml in the home, else the default.
 *
 * A name nobody knows is an error wherever it stands, with the nearest known one: a mistyped limit that is silently ignored costs money.
 */
import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { type Command, Option } from 'commander'
import { parse, TomlError } from 'smol-toml'
import { BywayError } from '../protocol/errors.ts'
import {
  type CommandName,
  DEBUG_SWITCHES,
  kebab,
  SETTING_KEYS,
  SETTINGS,
  type Setting,
  type SettingKey,
  type SettingValue,
  variable,
} from './settings.ts'
import { suggest } from './suggest.ts'

export type Env = Readonly<Record<string, string | undefined>>

export interface ConfigFile {
  readonly path: string
  readonly values: ReadonlyMap<SettingKey, unknown>
}

export interface Source {
  readonly kind: 'flag' | 'env' | 'file' | 'default'
  /** `--price`, `BYWAY_PRICE`, the file's path, or `default`. */
  readonly name: string
}

export interface Settings<K extends SettingKey> {
  readonly values: { readonly [P in K]: SettingValue<P> }
  readonly sources: { readonly [P in K]: Source }
}

/** A row of `byway config`. Secrets are already masked. */
export interface SettingRow {
  readonly key: string
  readonly value: string
  readonly source: string
  readonly about: string
}

type AnySetting = Setting<unknown, unknown, CommandName>
const table: Readonly<Record<SettingKey, AnySetting>> = SETTINGS as unknown as Record<SettingKey, AnySetting>

export const CONFIG_FILE = 'config.toml'
/** A config file is a page; more is a wrong file. */
const MAX_CONFIG_BYTES = 64 * 1024

/** Gives a command its flags. They are read by `resolveSettings`, not from commander's own options. */
export function addSettings(command: Command, keys: readonly SettingKey[]): Command {
  for (const key of keys) {
    const { type, about, alias } = table[key]
    const names = alias?.on.some((name) => name === command.name()) ? `--${alias.flag}, --${kebab(key)}` : `--${kebab(key)}`
    const option = new Option(type.placeholder === undefined ? names : `${names} <${type.placeholder}>`, `${about} (${defaultText(key)})`)
    if (type.many) option.argParser((text: string, before: string[] | undefined) => [...(before ?? []), ...text.split(',')])
    command.addOption(option)
  }
  return command
}

/** Settings of `command` from all four places. `file` is what `readConfigFile` gave for the home; see `loadSettings`. */
export function resolveSettings<K extends SettingKey>(
  command: Command,
  keys: readonly K[],
  env: Env,
  file: ConfigFile | undefined,
): Settings<K> {
  refuseUnknownVariables(env)
  const home = homeOf(command, env)
  const values: Partial<Record<SettingKey, unknown>> = {}
  const sources: Partial<Record<SettingKey, Source>> = {}
  for (const key of keys) {
    const found = key === 'home' ? home : resolveOne(command, key, env, file, home.value)
    values[key] = found.value
    sources[key] = found.source
  }
  return { values, sources } as unknown as Settings<K>
}

/** Finds the home, reads its config.toml if there is one, and resolves. */
export async function loadSettings<K extends SettingKey>(command: Command, keys: readonly K[], env: Env): Promise<Settings<K>> {
  return resolveSettings(command, keys, env, await readConfigFile(homeOf(command, env).value))
}

/** The value of a setting that has no default but that this command cannot do without. */
export function required<K extends SettingKey, P extends K>(settings: Settings<K>, key: P): NonNullable<SettingValue<P>> {
  const value = settings.values[key]
  if (value !== undefined) return value as NonNullable<SettingValue<P>>
  throw new BywayError('SETTING_INVALID', `${kebab(key)} is not set`, {
    facts: { setting: kebab(key) },
    hint: `pass --${kebab(key)}, set ${variable(key)}, or write ${kebab(key)} in ${CONFIG_FILE}`,
  })
}

/** The resolved view for `byway config`: every value with its source, secrets masked. */
export function settingRows(settings: Settings<SettingKey>): SettingRow[] {
  return SETTING_KEYS.filter((key) => key in settings.values).map((key) => {
    const { type, about, fallbackText } = table[key]
    const value: unknown = settings.values[key]
    const shown = value === undefined ? (fallbackText ?? 'none').replaceAll('`', '') : type.show(value)
    return { key: kebab(key), value: shown, source: settings.sources[key].name, about }
  })
}

/** Reads config.toml in a home; a missing file sets nothing. */
export async function readConfigFile(home: string): Promise<ConfigFile> {
  const path = join(home, CONFIG_FILE)
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return { path, values: new Map() }
    throw new BywayError('SETTING_INVALID', `cannot read ${path}`, { cause, hint: 'it must be a text file that you may read' })
  }
  return { path, values: parseConfig(text, path) }
}

/** The settings in the text of a config file, not yet checked for their values. */
export function parseConfig(text: string, path: string): Map<SettingKey, unknown> {
  if (Buffer.byteLength(text) > MAX_CONFIG_BYTES) {
    throw new BywayError('SETTING_INVALID', `${path} is too long`, { facts: { allowedBytes: MAX_CONFIG_BYTES } })
  }
  const byName = new Map(SETTING_KEYS.filter((key) => key !== 'home').map((key) => [kebab(key), key]))
  const values = new Map<SettingKey, unknown>()
  for (const [name, value] of Object.entries(parseToml(text, path))) {
    const key = byName.get(name)
    if (name === 'home') {
      throw new BywayError('SETTING_INVALID', `home cannot be set in ${path}, which is found through it`, {
        hint: `use --home or ${variable('home')}`,
      })
    }
    if (key === undefined) throw unknownSetting(name, path, suggest(name, byName.keys()))
    values.set(key, value)
  }
  return values
}

/** Debug switches that are set, for the start of a daemon's log. */
export function debugSwitches(env: Env): string[] {
  return Object.keys(DEBUG_SWITCHES).filter((name) => (env[name] ?? '') !== '')
}

function parseToml(text: string, path: string): Record<string, unknown> {
  try {
    return parse(text, { integersAsBigInt: 'asNeeded', unsafeKeyBehaviour: 'throw', maxDepth: 8 })
  } catch (cause) {
    // The library's message shows the lines around the fault, which may hold a secret; the position is enough.
    const at = cause instanceof TomlError ? { line: cause.line, column: cause.column } : {}
    throw new BywayError('SETTING_INVALID', `${path} is not valid TOML`, {
      facts: at,
      hint: 'each line is `name = value`; text goes in "quotes"',
    })
  }
}

/** `home` is resolved first and never from the file. An empty variable counts as not set, here as for every setting. */
function homeOf(command: Command, env: Env): { value: string; source: Source } {
  const { value, source } = resolveOne(command, 'home', env, undefined, '')
  if (typeof value === 'string') return { value, source }
  const state = env.STATE_DIRECTORY || join(env.XDG_STATE_HOME || join(env.HOME || homedir(), '.local', 'state'), 'byway')
  return { value: resolve(state), source }
}

function resolveOne(
  command: Command,
  key: SettingKey,
  env: Env,
  file: ConfigFile | undefined,
  home: string,
): { value: unknown; source: Source } {
  const { fallback } = table[key]
  if (command.getOptionValueSource(key) === 'cli') {
    const source: Source = { kind: 'flag', name: `--${kebab(key)}` }
    return { value: read(key, command.getOptionValue(key), source, process.cwd()), source }
  }
  const variableText = env[variable(key)] ?? ''
  if (variableText !== '') {
    const source: Source = { kind: 'env', name: variable(key) }
    return { value: read(key, variableText, source, process.cwd()), source }
  }
  if (file?.values.has(key)) {
    const source: Source = { kind: 'file', name: file.path }
    return { value: read(key, file.values.get(key), source, dirname(file.path)), source }
  }
  const value: unknown = typeof fallback === 'function' ? (fallback as (home: string) => unknown)(home) : fallback
  return { value, source: { kind: 'default', name: 'default' } }
}

function read(key: SettingKey, raw: unknown, source: Source, folder: string): unknown {
  const { type } = table[key]
  const result = type.schema.safeParse(raw)
  if (!result.success) {
    const given = type.secret || source.kind === 'file' ? '' : ` as ${JSON.stringify(raw).slice(0, 80)}`
    throw new BywayError('SETTING_INVALID', `${kebab(key)} cannot be read${given}`, {
      facts: { setting: kebab(key), from: source.name },
      hint: `allowed: ${type.allowed}`,
    })
  }
  return type.path ? resolve(folder, expandTilde(result.data as string)) : result.data
}

/** The shell expands `~` in a flag; nobody does in a file or a variable. */
const expandTilde = (path: string): string => (path === '~' || path.startsWith('~/') ? join(homedir(), path.slice(1)) : path)

function refuseUnknownVariables(env: Env): void {
  const known = [...SETTING_KEYS.map(variable), ...Object.keys(DEBUG_SWITCHES)]
  for (const name of Object.keys(env)) {
    // BYWAY_TEST_* speaks to the test files, whose child processes inherit it.
    if (name.startsWith('BYWAY_') && !name.startsWith('BYWAY_TEST_') && !known.includes(name))
      throw unknownSetting(name, 'the environment', suggest(name, known))
  }
}

function unknownSetting(name: string, where: string, near: string | undefined): BywayError {
  const hint = near === undefined ? 'docs/config.md lists them all, `byway config` prints them' : `did you mean ${near}?`
  return new BywayError('SETTING_UNKNOWN', `there is no setting ${JSON.stringify(name.slice(0, 80))}`, { facts: { from: where }, hint })
}

/** The default as help and docs show it. */
export function defaultText(key: SettingKey): string {
  const { fallback, fallbackText, type } = table[key]
  const shown = fallbackText ?? (fallback === undefined ? 'none' : type.show(fallback))
  return type.placeholder === undefined && fallback === false ? 'default: off' : `default: ${shown.replaceAll('`', '')}`
}
