/**
 * Whose turn it is to send from the wallets of a home.
 *
 * The daemon holds the home (lock.ts) and claims with its wallet; its owner stakes and votes with the same wallet beside it. Two processes
 * that take the same nonce would each replace the other's transaction, so whoever sends holds this lock until its transaction is mined. The
 * kernel takes it back when a process dies.
 */
import type { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import { BywayError } from '../protocol/errors.ts'
import { lockFile } from './lock.ts'
import type { HomePaths } from './paths.ts'

/** Looks at the lock: a block takes at least a quarter of a second anywhere. */
const LOOK_MS = 50
/** Longer than a transaction is tried before it is given up. */
const PATIENCE_MS = 600_000

/** Runs work while no other process sends from this home. Within a process, wallets send side by side: each has a queue of its own. */
export function walletTurn({ turn, home }: Pick<HomePaths, 'turn' | 'home'>): <T>(work: () => Promise<T>) => Promise<T> {
  let users = 0
  let taking: Promise<DatabaseSync> | undefined

  const take = async (): Promise<DatabaseSync> => {
    for (let waited = 0; waited < PATIENCE_MS; waited += LOOK_MS) {
      const lock = lockFile(turn, 0)
      if (lock !== undefined) return lock
      await delay(LOOK_MS)
    }
    throw new BywayError('STATE_LOCKED', `another process has been sending from the wallet of ${home} for long`, {
      facts: { folder: home },
      hint: 'try again; if it repeats, stop that process',
    })
  }

  return async (work) => {
    users++
    taking ??= take()
    const mine = taking
    try {
      await mine
      return await work()
    } finally {
      users--
      if (users === 0) {
        taking = undefined
        await mine.then(
          (lock) => lock.close(),
          () => {}, // never taken: nothing to give back, and whoever waited was told
        )
      }
    }
  }
}
