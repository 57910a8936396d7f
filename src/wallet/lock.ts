/**
 * One daemon on one state folder: two would sign two different futures of the same channels.
 *
 * The lock is SQLite's on an empty file, because it is the one lock of the operating system (fcntl, LockFileEx) that Node offers without
 * an add-on. The kernel takes it back when the process ends, however it ends: `kill -9` leaves nothing stale, so there is nothing to take
 * over, a reused process id cannot matter, and of any number of processes that try at once the kernel lets exactly one through. A file
 * with a process id has all three problems; an abstract socket is blind across network namespaces, and a socket file has to be removed by
 * somebody who may be wrong. It holds between containers that share the folder; not between machines that do, or that have copies of it:
 * those are caught by asking peers and chain at the start.
 *
 * The file `pid` beside it only tells people who holds the lock. No decision rests on it.
 *
 * Nothing in this process may open the lock file otherwise: POSIX drops a process's locks on a file when it closes any handle to it.
 */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { BywayError } from '../protocol/errors.ts'
import type { HomePaths } from './paths.ts'

export interface StateLock {
  release(): Promise<void>
}

const SQLITE_BUSY = 5
/**
 * SQLite takes its lock in steps. Without patience two processes that start in the same millisecond can turn each other away and none
 * wins (three rounds in ten, measured); with it the steps settle within a few milliseconds. Also how long a second daemon waits for its no.
 */
const SETTLE_MS = 250
/** Locks of this process, so that none is garbage collected, and with it let go, because its owner forgot it. */
const held = new Set<DatabaseSync>()

/** Takes the folder for this process until it releases it or ends. STATE_LOCKED when another process has it. */
export async function acquireLock(paths: Pick<HomePaths, 'lock' | 'pid'>, nowMs: number): Promise<StateLock> {
  const folder = dirname(paths.lock)
  await mkdir(folder, { recursive: true, mode: 0o700 }).catch((cause: NodeJS.ErrnoException) => {
    const hint = 'name a folder that this user may write to with --home'
    throw new BywayError('DISK_FAILED', `could not make the folder ${folder}: ${cause.code}`, { cause, facts: { folder }, hint })
  })
  const database = lockFile(paths.lock)
  if (database === undefined) throw locked(paths.lock, await holderOf(paths.pid))
  held.add(database)
  await writeFile(paths.pid, `${JSON.stringify({ pid: process.pid, startedAtMs: nowMs })}\n`, { mode: 0o600 })
  return {
    async release() {
      if (!held.delete(database)) return
      await rm(paths.pid, { force: true })
      database.close()
    },
  }
}

/** Undefined when somebody else holds the lock, and still does after `settleMs` in which this thread stands still. */
export function lockFile(path: string, settleMs = SETTLE_MS): DatabaseSync | undefined {
  let database: DatabaseSync | undefined
  try {
    database = new DatabaseSync(path, { timeout: settleMs })
    // Memory: there is nothing to roll back, and a journal file would be one more thing to leave behind.
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE')
    return database
  } catch (error) {
    if (database?.isOpen) database.close()
    if (error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY) return undefined
    throw new BywayError('DISK_FAILED', `could not lock ${path}`, {
      cause: error,
      facts: { path },
      hint: 'the folder must be on a local disk that this user may write to',
    })
  }
}

/** Process id in the `pid` file, or undefined while the holder has not written it yet. */
async function holderOf(path: string): Promise<number | undefined> {
  try {
    const content: unknown = JSON.parse(await readFile(path, 'utf8'))
    return typeof content === 'object' && content !== null && 'pid' in content && typeof content.pid === 'number' ? content.pid : undefined
  } catch {
    return undefined // Not written yet, or being written: only the message is poorer for it.
  }
}

function locked(path: string, pid: number | undefined): BywayError {
  const who = pid === undefined ? 'another process' : `process ${pid}`
  return new BywayError('STATE_LOCKED', `${who} uses the state folder ${dirname(path)}`, {
    facts: { folder: dirname(path), ...(pid === undefined ? {} : { pid }) },
    hint: `${pid === undefined ? 'stop it' : `stop it (kill ${pid})`}, or name another folder with --home`,
  })
}
