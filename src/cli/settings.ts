/**
 * Every setting of Byway, declared once: type, default, a sentence, which commands use it.
 *
 * The flags, the `BYWAY_*` variables, the keys of config.toml and docs/config.md all come from this table, and each name follows from the
 * key: `maxPrice` is `--max-price`, `BYWAY_MAX_PRICE` and `max-price = "2.00"`. Reading them, and which wins: resolve.ts.
 */
import { join } from 'node:path'
import { LINES } from '../protocol/offer.ts'
import { REACH_MODES } from '../provider/reach/modes.ts'
import {
  address,
  cidr,
  country,
  databaseUrl,
  dollars,
  endpoint,
  filePath,
  host,
  listOf,
  oneOf,
  placeName,
  port,
  price,
  rpcUrl,
  type SettingType,
  toggle,
  website,
  wholeNumber,
} from './setting-types.ts'

export const DISCOVERY_SOURCES = ['folder', 'registry', 'libp2p'] as const
const FOLDER_ONLY: readonly (typeof DISCOVERY_SOURCES)[number][] = ['folder']

/** The token economy from the command line. */
export const ECONOMY_COMMANDS = ['fund', 'stake', 'unstake', 'delegate', 'rewards', 'pool', 'reserve', 'sla', 'subscribe', 'vote'] as const
export const COMMANDS = [
  'up',
  'share',
  'connect',
  'status',
  'offers',
  'wallet',
  'ledger',
  'claim',
  'verify',
  'doctor',
  'deploy',
  'explore',
  ...ECONOMY_COMMANDS,
  'config',
] as const
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

const CHAIN_COMMANDS = ['share', 'connect', 'wallet', 'ledger', 'claim', 'verify', 'doctor', 'explore', ...ECONOMY_COMMANDS] as const
const DAEMONS = ['up', 'share', 'connect', 'explore'] as const

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
  path: setting(
    oneOf('path', ['fast', 'portable']),
    'fast',
    ['share', 'connect'],
    'How bytes are carried: by a thread of its own where this machine can (Linux, node:ffi), or as everywhere. On the wire nobody can tell.',
  ),

  // --- The chain ---
  rpc: setting(
    listOf(rpcUrl),
    ['http://127.0.0.1:8545'],
    [...CHAIN_COMMANDS, 'deploy'],
    'RPC addresses of the chain; a second one is asked when the first does not answer.',
  ),
  chainId: setting(
    wholeNumber('id', 1, Number.MAX_SAFE_INTEGER),
    undefined,
    [...CHAIN_COMMANDS, 'deploy'],
    'Chain id the RPC must report; a different one is refused.',
    { fallbackText: 'what the RPC reports' },
  ),
  channels: setting(address, undefined, CHAIN_COMMANDS, 'Address of the Channels contract.', { fallbackText: 'what `contracts` says' }),
  token: setting(address, undefined, CHAIN_COMMANDS, 'Address of the dollar token that channels hold.', {
    fallbackText: 'what `contracts` says',
  }),
  contracts: setting(
    filePath,
    undefined,
    [...CHAIN_COMMANDS, 'deploy'],
    'File that names all contracts of the chain, as `byway deploy` writes it.',
    {
      fallbackText: 'none; those of the local exchange are known',
    },
  ),
  keystore: setting(filePath, undefined, ['deploy'], 'Key that deploys and pays for it (Web3 Secret Storage 3).', {
    fallbackText: 'none: must be set',
  }),
  terms: setting(
    filePath,
    undefined,
    ['deploy'],
    'Terms of the deployment (TOML): guardian, holder, dollars and numbers no vote can change.',
    {
      fallbackText: 'none: must be set',
    },
  ),
  offers: setting(
    filePath,
    (home) => join(home, 'offers'),
    ['share', 'connect', 'doctor', 'explore'],
    'Folder where offers are announced and found.',
    {
      fallbackText: '`offers` in the home',
    },
  ),
  discovery: setting(
    listOf(oneOf('source', DISCOVERY_SOURCES)),
    FOLDER_ONLY,
    ['share', 'connect', 'explore'],
    'Where offers are announced and found: files in a folder, the registry on the chain, the network of nodes itself.',
  ),
  bootstrap: setting(
    listOf(endpoint),
    [],
    ['share', 'connect', 'explore'],
    'Nodes of the network to begin with (libp2p). Later starts begin with those met before, and with those that known offers name.',
  ),
  asnTable: setting(
    filePath,
    undefined,
    ['share', 'connect', 'explore'],
    'Table of autonomous systems (first address, last address, number, by tabs), so that no single operator fills what a node knows of the network.',
    { fallbackText: 'none: the /16 of an address stands for its operator' },
  ),
  passphraseFile: setting(
    filePath,
    undefined,
    ['share', 'connect', 'wallet', 'claim', 'deploy', ...ECONOMY_COMMANDS],
    'File with the passphrase that opens the keys.',
    {
      fallbackText: '`passphrase` in the home, made at the first start',
    },
  ),

  // --- Selling ---
  host: setting(host, '127.0.0.1', ['share'], 'Address the provider listens on; 0.0.0.0 or :: to be reached from elsewhere.'),
  port: setting(port, 4433, ['share'], 'Port the provider listens on; 0 takes a free one.'),
  publicHost: setting(host, undefined, ['share'], 'Name or address that consumers dial, as the offer states it.', {
    fallbackText: 'the same as `host`',
  }),
  p2pPort: setting(
    port,
    4434,
    ['share'],
    'Port on which this node answers questions about offers (with `--discovery libp2p`); 0 takes a free one.',
  ),
  p2pUpnp: setting(
    toggle,
    false,
    ['share'],
    'Asks the router to forward `p2p-port` too. Without it the node announces itself, and answers nobody.',
  ),
  cover: setting(
    website,
    undefined,
    ['share'],
    'Website shown to everybody who does not know this node; https also answers what is no TLS. Yours is a better cover than the built-in one.',
    { fallbackText: 'a small built-in site' },
  ),
  wsHost: setting(
    host,
    undefined,
    ['share'],
    'Website (a CDN or reverse proxy) that passes WebSockets on to this node: a second way in where the node itself is blocked.',
    { fallbackText: 'none' },
  ),
  wsPort: setting(port, 443, ['share'], 'Port of `ws-host`.'),
  tlsCert: setting(filePath, undefined, ['share'], 'Certificate chain (PEM) for `public-host`, as the website there would show it.', {
    fallbackText: 'self-signed, with `public-host` as its name',
  }),
  tlsKey: setting(filePath, undefined, ['share'], 'Private key (PEM) of `tls-cert`. Offers pin it: a new key needs a restart.', {
    fallbackText: 'from the seed of this node',
  }),
  country: setting(country, 'zz', ['share'], 'Country the provider claims to be in.'),
  region: setting(placeName, undefined, ['share'], 'Part of the country the provider claims to be in.', { fallbackText: 'not said' }),
  city: setting(placeName, undefined, ['share'], 'City the provider claims to be in.', { fallbackText: 'not said' }),
  asn: setting(wholeNumber('number', 0, 2 ** 32 - 1), 0, ['share'], 'Number of the network (AS) the line belongs to; 0 is not said.'),
  line: setting(oneOf('kind', LINES), 'unstated', ['share'], 'What kind of line it is, as the offer states it.'),
  mbps: setting(
    wholeNumber('mbps', 0, 2 ** 32 - 1),
    0,
    ['share'],
    'What the line carries in Mbit/s, as the offer states it; 0 is not said.',
  ),
  price: setting(
    price,
    PRICE,
    ['share'],
    'Price in dollars per GiB; auto follows what use of proven capacity makes of it in this region, within a tenth of a dollar and four.',
  ),
  policy: setting(oneOf('tier', ['basic', 'standard', 'open']), 'basic', ['share'], 'Which destination ports guests may use.'),
  allowPrivate: setting(
    listOf(cidr),
    [],
    ['up', 'share'],
    'Private ranges guests may reach all the same. For tests and benchmarks only: it opens your own network to strangers.',
  ),
  allowPrivateNodes: setting(
    listOf(cidr),
    [],
    ['share', 'connect'],
    'Private ranges in which the next hop of a route may be, and nodes of the network of offers. For an exchange on one machine or inside one network.',
  ),
  hops: setting(
    wholeNumber('hops', 1, 3),
    1,
    ['connect'],
    'Nodes on the way of each flow, the exit included, when the request does not say.',
  ),
  reach: setting(
    oneOf('way', REACH_MODES),
    'auto',
    ['share'],
    'How others reach this node: `open` at its own port, `tucked` through relays, `auto` finds out (and asks the router for a port).',
  ),
  // Off: what is relayed crosses the line twice, and a home's uplink is the narrow half of it.
  relay: setting(toggle, false, ['share'], 'Lets nodes that cannot be dialled be reached through this one; paid like any traffic.'),
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
  spare: setting(toggle, true, ['connect'], 'Keeps a session with a second exit open, so that one that dies is replaced at once.'),
  capPerProvider: setting(dollars, CAP_PER_PROVIDER, ['connect'], 'The most one provider can be paid out of a root, in dollars.'),
  rootDays: setting(
    wholeNumber('days', 1, 365),
    ROOT_DAYS,
    ['connect'],
    'Days until a root expires; what was not spent comes back after that.',
  ),

  // --- Exploring ---
  exploreHost: setting(
    host,
    '127.0.0.1',
    ['explore', 'up'],
    'Address the explorer listens on. It may be any: what it shows is public, and nothing can be changed through it.',
    { alias: { flag: 'host', on: ['explore'] } },
  ),
  explorePort: setting(port, 8_480, ['explore', 'up'], 'Port of the explorer, page and API alike; 0 takes a free one.', {
    alias: { flag: 'port', on: ['explore'] },
  }),
  databaseUrl: setting(
    databaseUrl,
    undefined,
    ['explore'],
    'PostgreSQL server that holds what the explorer has read; several explorers may share one. `DATABASE_URL` says the same.',
    { fallbackText: 'none: a database of its own in the home' },
  ),

  leaves: setting(
    filePath,
    undefined,
    ['share', 'ledger', 'verify', ...ECONOMY_COMMANDS],
    'File in which probers publish the leaves of the final epoch roots: what capacity earned is claimed by it.',
    { fallbackText: 'none' },
  ),

  reports: setting(
    filePath,
    undefined,
    ['share'],
    'File in which probers publish what they last found: with price = "auto" the premium for being near follows the latency they saw.',
    { fallbackText: 'none: no premium for latency' },
  ),

  // --- The local exchange ---
  explore: setting(toggle, false, ['up'], 'Starts an explorer too: the page and the API that show the exchange to everybody.'),
  providers: setting(wholeNumber('count', 1, 16), 3, ['up'], 'How many providers the local exchange starts.'),
  probers: setting(wholeNumber('count', 0, 25), 4, ['up'], 'How many probers measure them each epoch; 0 lets no epoch turn.'),
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
