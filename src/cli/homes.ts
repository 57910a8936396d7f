/** The node homes a command speaks about: the one named, or all below the state folder, each with its own config.toml. */
import { basename, join } from 'node:path'
import type { Command } from 'commander'
import type { ChannelsClient, Network } from '../chain/index.ts'
import { BywayError } from '../protocol/errors.ts'
import { realDisk } from '../wallet/disk.ts'
import { readJournal } from '../wallet/journal.ts'
import { findHomes, type HomePaths, homePaths } from '../wallet/paths.ts'
import type { JournalRecord, RecordOf, Role } from '../wallet/records.ts'
import { clientFor, type NetworkSettings, networkFor } from './network.ts'
import { type Env, readConfigFile, resolveSettings, type Settings } from './resolve.ts'
import type { SettingKey } from './settings.ts'

export interface NodeHome<K extends SettingKey> {
  /** Last part of its path: what people call it. */
  name: string
  paths: HomePaths
  genesis: RecordOf<'genesis'>
  records: JournalRecord[]
  settings: Settings<K>['values']
}

/** Homes at or below --home, read without a lock: the journal only ever grows. STATE_MISSING when there is none. */
export async function readHomes<K extends SettingKey>(command: Command, keys: readonly K[], env: Env, role?: Role): Promise<NodeHome<K>[]> {
  const folder = resolveSettings(command, ['home'], env, undefined).values.home
  const homes: NodeHome<K>[] = []
  for (const home of await findHomes(folder)) {
    const paths = homePaths(home)
    const content = await readJournal(realDisk(), paths.journal)
    const genesis = content?.records[0]
    if (content === undefined || genesis?.kind !== 'genesis') continue
    if (role !== undefined && genesis.role !== role) continue
    const settings = resolveSettings(command, keys, env, await readConfigFile(home)).values
    homes.push({ name: basename(home), paths, genesis, records: content.records, settings })
  }
  if (homes.length === 0) {
    throw new BywayError('STATE_MISSING', `there is no ${role ?? 'node'} in ${folder}`, {
      facts: { folder },
      hint: 'Start one with `npm start`, `byway share` or `byway connect`, or name its folder with --home.',
    })
  }
  return homes
}

/** Network and client of a home: its settings, else what its journal was made with. */
export function chainOf({ settings, genesis }: { settings: NetworkSettings; genesis: RecordOf<'genesis'> }): {
  network: Network
  client: ChannelsClient
} {
  const network = networkFor(settings, genesis)
  return { network, client: clientFor(settings, network) }
}

/** Home of a daemon started by hand: the folder given, or a folder of its own below the state folder. */
export function daemonHome(home: string, given: boolean, name: string): HomePaths {
  return homePaths(given ? home : join(home, name))
}
