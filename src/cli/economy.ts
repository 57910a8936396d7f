/** What every command of the token economy begins with: one wallet, the contracts of its chain, and a way to send from that wallet. */
import { basename } from 'node:path'
import type { Command } from 'commander'
import {
  createEconomy,
  createRpc,
  DEVNET_CHAIN_ID,
  type Economy,
  type Network,
  type Rpc,
  type Wallet,
  wakeDevnet,
  walletFromKey,
} from '../chain/index.ts'
import type { Hex } from '../protocol/bytes.ts'
import { BywayError } from '../protocol/errors.ts'
import { realDisk } from '../wallet/disk.ts'
import { readJournal } from '../wallet/journal.ts'
import { type Keys, openKeys } from '../wallet/keys.ts'
import { findHomes, type HomePaths, homePaths } from '../wallet/paths.ts'
import type { JournalRecord, Role } from '../wallet/records.ts'
import { walletTurn } from '../wallet/turn.ts'
import { contractsFor, networkFor } from './network.ts'
import { type Env, readConfigFile, resolveSettings, type Settings } from './resolve.ts'
import { type KeysOf, keysOf } from './settings.ts'

/** All of them take the same settings. */
type OwnerSettings = Settings<KeysOf<'stake'>>['values']

export interface Owner {
  /** What people call its home. */
  name: string
  paths: HomePaths
  /** Undefined for a wallet that is no node. */
  role: Role | undefined
  records: readonly JournalRecord[]
  settings: OwnerSettings
  rpc: Rpc
  network: Network
  economy: Economy
  address: Hex
  wallet: Wallet
  keys: Keys
}

/**
 * The one wallet a command is about: of the home named, or of the only one there is. A daemon may be running on it: sending takes turns.
 * `create`: makes the keys of a wallet where there is none.
 */
export async function openOwner(command: Command, env: Env, create = false): Promise<Owner> {
  return openOwnerAt(homePaths(await onlyHome(command, env, create)), command, env)
}

/** The wallet of this very home. */
export async function openOwnerAt(paths: HomePaths, command: Command, env: Env): Promise<Owner> {
  const settings = resolveSettings(command, keysOf('stake'), env, await readConfigFile(paths.home)).values
  const disk = realDisk()
  const records = (await readJournal(disk, paths.journal))?.records ?? []
  const genesis = records[0]?.kind === 'genesis' ? records[0] : undefined
  const keys = await openKeys({ disk, paths, passphraseFile: settings.passphraseFile, env })
  const network = networkFor(settings, genesis)
  const rpc = createRpc({ urls: settings.rpc, chainId: network.chainId })
  if (network.chainId === DEVNET_CHAIN_ID) await wakeDevnet(rpc)
  const economy = createEconomy({ rpc, network, contracts: contractsFor(settings, network), turn: walletTurn(paths) })
  const wallet = walletFromKey(keys.wallet.secret())
  const { address } = wallet
  return { name: basename(paths.home), paths, role: genesis?.role, records, settings, rpc, network, economy, address, wallet, keys }
}

async function onlyHome(command: Command, env: Env, create: boolean): Promise<string> {
  const folder = resolveSettings(command, ['home'], env, undefined).values.home
  const homes = await findHomes(folder, 'keys')
  if (homes.length === 1) return homes[0]!
  if (homes.length > 1) {
    throw new BywayError('ARGUMENT_INVALID', `there are ${homes.length} wallets below ${folder}; this concerns one`, {
      facts: { folder, wallets: homes.length },
      hint: `Name one with --home: ${homes.slice(0, 4).join(', ')}${homes.length > 4 ? ', …' : ''}`,
    })
  }
  if (create) return folder
  throw new BywayError('STATE_MISSING', `there is no wallet in ${folder}`, {
    facts: { folder },
    hint: 'Make one with `byway fund`, start a node with `byway share` or `npm start`, or name its folder with --home.',
  })
}
