/**
 * Where a node keeps its state. One node, one folder ("home"); `--home DIR` names it.
 *
 *     $XDG_STATE_HOME/byway/            (~/.local/state/byway)
 *       exchange/                       the local exchange of `npm start`
 *         chain/                        its chain, persisted
 *         offers/                       its directory: signed offers, one file each
 *         provider-1/ provider-2/ …     homes
 *         rewards/                      what its probers publish: leaves of epoch roots, and their reports
 *         consumer/                     a home
 *         explorer/                     home of its explorer (`npm start -- --explore`)
 *         prober/                       home of the consumer that carries the probes
 *       provider/                       home of a provider started by hand
 *       consumer/                       home of a consumer started by hand
 *
 *     a home
 *       keys.json                       the encrypted seed of all keys (keys.ts). Losing it loses the money
 *       passphrase                      opens keys.json, unless the owner keeps the passphrase elsewhere
 *       journal.jsonl                   the money: vouchers, sessions, claims (journal.ts)
 *       lock                            held by the running daemon (lock.ts)
 *       pid                             which process that is; only to tell people
 *       turn                            held while a transaction of its wallets is under way (turn.ts)
 *       run/api.sock                    local API of the running daemon (api/socket.ts)
 *       explorer.json                   where the explorer of this home listens, and in which database it keeps its tables
 *       index/                          those tables, unless a PostgreSQL server holds them
 *       offers/                         signed offers, unless --offers names a shared folder
 *       contacts.json                   nodes of the network that answered lately, to begin with at the next start
 *       cached-offers                   offers a consumer knew last, for a start while nobody can be asked
 */
import { readdir, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { isAbsolute, join, resolve } from 'node:path'

export interface HomePaths {
  home: string
  keys: string
  passphrase: string
  journal: string
  lock: string
  pid: string
  turn: string
  offers: string
  cachedOffers: string
  contacts: string
  explorer: string
}

export interface ExchangePaths {
  folder: string
  chain: string
  offers: string
  rewards: string
  consumer: string
  explorer: string
  prober: string
  /** Home of provider `number`, from 1. */
  provider(number: number): string
}

/** Homes lie at most this deep below the folder a command is given: exchange/provider-1. */
const HOME_DEPTH = 2

/** Folder under which all state lies when no --home is given. The XDG rules ignore relative paths. */
export function stateFolder(env: Readonly<Record<string, string | undefined>>, userHome = homedir()): string {
  const base = env.XDG_STATE_HOME
  return join(base !== undefined && isAbsolute(base) ? base : join(userHome, '.local', 'state'), 'byway')
}

export function homePaths(folder: string): HomePaths {
  const home = resolve(folder)
  return {
    home,
    keys: join(home, 'keys.json'),
    passphrase: join(home, 'passphrase'),
    journal: join(home, 'journal.jsonl'),
    lock: join(home, 'lock'),
    pid: join(home, 'pid'),
    turn: join(home, 'turn'),
    offers: join(home, 'offers'),
    cachedOffers: join(home, 'cached-offers'),
    contacts: join(home, 'contacts.json'),
    explorer: join(home, 'explorer.json'),
  }
}

export function exchangePaths(folder: string): ExchangePaths {
  return {
    folder,
    chain: join(folder, 'chain'),
    offers: join(folder, 'offers'),
    rewards: join(folder, 'rewards'),
    consumer: join(folder, 'consumer'),
    explorer: join(folder, 'explorer'),
    prober: join(folder, 'prober'),
    provider: (number) => join(folder, `provider-${number}`),
  }
}

/**
 * Homes in `folder` or below it: every folder with a journal, sorted; or with keys, which a wallet without a node has too; or where an explorer
 * ran. None when the folder does not exist.
 */
export async function findHomes(folder: string, holds: 'journal' | 'keys' | 'explorer' = 'journal'): Promise<string[]> {
  const homes: string[] = []
  const visit = async (path: string, depth: number): Promise<void> => {
    if (await isFile(homePaths(path)[holds])) {
      homes.push(path)
      return
    }
    if (depth === HOME_DEPTH) return
    for (const name of await foldersIn(path)) await visit(join(path, name), depth + 1)
  }
  await visit(resolve(folder), 0)
  return homes
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile()
  } catch {
    return false // Missing, or not ours to look at: either way no home for us.
  }
}

async function foldersIn(path: string): Promise<string[]> {
  try {
    const entries = await readdir(path, { withFileTypes: true })
    return entries
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name)
      .sort(byNumber.compare)
  } catch {
    return [] // Missing, or not ours to look at.
  }
}

/** provider-2 before provider-10. */
const byNumber = new Intl.Collator('en', { numeric: true })
