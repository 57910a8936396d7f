/**
 * Every setting of Byway, declared once: type, default, a sentence, which commands use it.
 *
 * The flags, the `BYWAY_*` variables, the keys of config.toml and docs/config.md all come from this table, and each name follows from the
 * key: `maxPrice` is `--max-price`, `BYWAY_MAX_PRICE` and `max-price = "2.00"`. Reading them, and which wins: resolve.ts.
 */
import { join } from 'node:path'
import {
  address,
  cidr,
  country,
  dollars,
  filePath,
  host,
  listOf,
  oneOf,
  port,
  rpcUrl,
  type SettingType,
  toggle,
  wholeNumber,
} from './setting-types.ts'

export const COMMANDS = ['up', 'share', 'connect', 'status', 'wallet', 'ledger', 'claim', 'verify', 'doctor', 'config'] as const
export type CommandName = (typeof COMMANDS)[number]

export interface Setting<T, D extends T | undefined, C extends CommandName> {
  readonly type: SettingType<T>
  /** The value when nothing sets it; `(home) => value` when it lies in the home. */
  readonly fallback: D | ((home: string) => T)
  /** How the docs and the help show the default, where the value itself would say nothing. */
  readonly fallbackText: string | undefined
  readonly about: string
  readonly commands: readonly C[]
  /** A second, shorter flag on these commands, for the name everybody tries first. */
  readonly alias: { readonly flag: string; readonly on: readonly CommandName[] } | undefined
}

interface Extra {
  fallbackText?: string
  alias?: { flag: string; on: readonly CommandName[] }
}

function setting<T, D extends T | undefined, const C extends CommandName>(
  type: SettingType<T>,
  fallback: D | ((home: string) => T),
  commands: readonly C[],
  about: string,
  extra: Extra = {},
): Setting<T, D, C> {
  return { type, fallback, fallbackText: extra.fallbackText, about, commands, alias: extra.alias }
}

const CHAIN_COMMANDS = ['share', 'connect', 'wallet', 'claim', 'verify', 'doctor'] as const
const DAEMONS = ['up', 'share', 'connect'] as const

/** Enough to be worth a claim's gas many times over, little enough that a provider sees its first payout the same day. */
const CLAIM_AT = 1_000_000n
/** Between what networks pay sellers (0.10) and what services charge buyers (1 to 4 dollars a GB). */
const PRICE = 500_000n
const MAX_PRICE = 2_000_000n
const DEPOSIT = 5_000_000n
const CAP_PER_PROVIDER = 1_000_000n
/** A month: long enough that opening a root is rare, short enough that a forgotten deposit comes back. */
const ROOT_DAYS = 28

export const SETTINGS = {
  // --- Everywhere ---
  home: setting(filePath, undefined, COMMANDS, 'Folder that holds everything of this node: keys, journal, offers and config.toml.', {
    fallbackText: '`$XDG_STATE_HOME/byway`, else `~/.local/state/byway`',
  }),
  json: setting(toggle, false, COMMANDS, 'Prints JSON for programs instead of tables for people.'),
  logLevel: setting(
    oneOf('level', ['debug', 'info', 'warn', 'error', 'silent']),
    'info',
    DAEMONS,
    'The least severe log line that is written.',
  ),

  // --- The chain ---
  rpc: setting(
    listOf(rpcUrl),
    ['http://127.0.0.1:8545'],
    CHAIN_COMMANDS,
    'RPC addresses of the chain; a second one is asked when the first does not answer.',
  ),
  chainId: setting(
    wholeNumber('id', 1, Number.MAX_SAFE_INTEGER),
    undefined,
    CHAIN_COMMANDS,
    'Chain id the RPC must report; a different one is refused.',
    { fallbackText: 'what the RPC reports' },
  ),
  channels: setting(address, undefined, CHAIN_COMMANDS, 'Address of the Channels contract.', { fallbackText: 'none: must be set' }),
  token: setting(address, undefined, CHAIN_COMMANDS, 'Address of the dollar token that channels hold.', {
    fallbackText: 'none: must be set',
  }),
  offers: setting(
    filePath,
    (home) => join(home, 'offers'),
    ['share', 'connect', 'doctor'],
    'Folder where offers are announced and found.',
    {
      fallbackText: '`offers` in the home',
    },
  ),
  passphraseFile: setting(filePath, undefined, ['share', 'connect', 'wallet', 'claim'], 'File with the passphrase that opens the keys.', {
    fallbackText: '`passphrase` in the home, made at the first start',
  }),

  // --- Selling ---
  host: setting(host, '127.0.0.1', ['share'], 'Address the provider listens on; 0.0.0.0 or :: to be reached from elsewhere.'),
  port: setting(port, 4433, ['share'], 'Port the provider listens on; 0 takes a free one.'),
  publicHost: setting(host, undefined, ['share'], 'Name or address that consumers dial, as the offer states it.', {
    fallbackText: 'the same as `host`',
  }),
  country: setting(country, 'zz', ['share'], 'Country the provider claims to be in.'),
  price: setting(dollars, PRICE, ['share'], 'Price in dollars per GiB.'),
  policy: setting(oneOf('tier', ['basic', 'standard', 'open']), 'basic', ['share'], 'Which destination ports guests may use.'),
  allowPrivate: setting(
    listOf(cidr),
    [],
    ['up', 'share'],
    'Private ranges guests may reach all the same. For tests and benchmarks only: it opens your own network to strangers.',
  ),
  claimAt: setting(dollars, CLAIM_AT, ['share'], 'Claims by itself once this many dollars can be claimed; 0 leaves it to `byway claim`.'),
  submitterFee: setting(dollars, 0n, ['share', 'claim'], 'Fee in dollars for whoever submits a claim, for a provider that holds no gas.'),

  // --- Buying ---
  proxyHost: setting(
    host,
    '127.0.0.1',
    ['up', 'connect'],
    'Loopback address the local proxy listens on; it has no password, so any other address is refused.',
  ),
  proxyPort: setting(port, 1080, ['up', 'connect'], 'Port of the local proxy, SOCKS5 and HTTP alike; 0 takes a free one.', {
    alias: { flag: 'port', on: ['up', 'connect'] },
  }),
  maxPrice: setting(dollars, MAX_PRICE, ['connect'], 'The most to pay, in dollars per GiB; dearer providers are not used.'),
  deposit: setting(dollars, DEPOSIT, ['connect'], 'Dollars to lock in a root for all providers together.'),
  capPerProvider: setting(dollars, CAP_PER_PROVIDER, ['connect'], 'The most one provider can be paid out of a root, in dollars.'),
  rootDays: setting(
    wholeNumber('days', 1, 365),
    ROOT_DAYS,
    ['connect'],
    'Days until a root expires; what was not spent comes back after that.',
  ),

  // --- The local exchange ---
  providers: setting(wholeNumber('count', 1, 16), 3, ['up'], 'How many providers the local exchange starts.'),
} as const

export type SettingKey = keyof typeof SETTINGS
type TypeOf<K extends SettingKey> =
  (typeof SETTINGS)[K] extends Setting<infer T, infer D, CommandName> ? (undefined extends D ? T | undefined : T) : never
/** The value of a setting; undefined only where it has no default. `home` always has a value and `offers` follows from it. */
export type SettingValue<K extends SettingKey> = K extends 'home' | 'offers' ? string : TypeOf<K>
/** The settings a command uses. */
export type KeysOf<C extends CommandName> = {
  [K in SettingKey]: C extends (typeof SETTINGS)[K]['commands'][number] ? K : never
}[SettingKey]

export const SETTING_KEYS = Object.keys(SETTINGS) as SettingKey[]

/** The settings a command uses, in the order of the table. */
export function keysOf<C extends CommandName>(command: C): KeysOf<C>[] {
  return SETTING_KEYS.filter((key) => (SETTINGS[key].commands as readonly string[]).includes(command)) as KeysOf<C>[]
}

/** `maxPrice` is `max-price`: the flag without its dashes, and the key in config.toml. */
export const kebab = (key: string): string => key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
/** `maxPrice` is `BYWAY_MAX_PRICE`. */
export const variable = (key: string): string => `BYWAY_${kebab(key).replaceAll('-', '_').toUpperCase()}`

/** Switches for tests of Byway itself. They are promised to nobody and may go at any time. */
export const DEBUG_SWITCHES = {
  BYWAY_DEBUG_POWER_CUT: 'Makes the disk forget what was not synced when the process is killed.',
  BYWAY_DEBUG_FSYNC: '`off` acknowledges vouchers before they are on disk: the positive control of the crash tests.',
  BYWAY_DEBUG_TRACE_FD: 'File descriptor that is told each voucher sent or acknowledged, for the crash tests.',
  BYWAY_DEBUG_STACK: 'Prints the stack under an error.',
} as const
