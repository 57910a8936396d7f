/** A PostgreSQL server of a test's own: in a temporary folder, on a Unix socket, run by somebody without rights, gone with the test. */
import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, existsSync, globSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { temporaryFolder } from '../support/folders.ts'
import { find } from '../support/programs.ts'

/** `nobody` on every Linux: PostgreSQL refuses to run as root. */
const NOBODY = 65_534
/** Debian keeps the server out of the path, one folder a version. */
const FOLDERS = globSync('/usr/lib/postgresql/*/bin').sort().reverse()

function serverProgram(name: string): string | undefined {
  return find(name) ?? FOLDERS.map((folder) => join(folder, name)).find((path) => existsSync(path))
}

/** Why there is no server here, as the reason to skip a test; false when there is one. */
export const lacksPostgres = (): string | false =>
  ['initdb', 'pg_ctl'].some((name) => serverProgram(name) === undefined) && 'not installed: postgresql (Debian: postgresql-15)'

export interface Postgres {
  /** Address of a new, empty database. */
  database(): Promise<string>
  /** Away and back, as for an update of the server. */
  stop(): void
  start(): void
}

export function startPostgres(): Postgres {
  const folder = temporaryFolder()
  const asRoot = process.getuid?.() === 0
  if (asRoot) chownSync(folder, NOBODY, NOBODY)
  chmodSync(folder, 0o755)
  const data = join(folder, 'data')
  const run = (name: string, ...args: string[]) => {
    execFileSync(serverProgram(name)!, args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      cwd: folder,
      ...(asRoot ? { uid: NOBODY, gid: NOBODY } : {}),
    })
  }
  run('initdb', '-D', data, '-U', 'byway', '-A', 'trust', '-E', 'UTF8', '--no-locale', '--no-sync')
  const sockets = join(folder, 's')
  mkdirSync(sockets)
  if (asRoot) chownSync(sockets, NOBODY, NOBODY)
  // What a test writes need not survive a power cut.
  const start = () =>
    run(
      'pg_ctl',
      '-D',
      data,
      '-w',
      '-s',
      '-l',
      join(folder, 'log'),
      '-o',
      `-k ${sockets} -c listen_addresses= -c fsync=off -c shared_buffers=32MB`,
      'start',
    )
  start()
  let running = true
  const stop = () => {
    if (!running) return
    running = false
    run('pg_ctl', '-D', data, '-m', 'immediate', '-s', 'stop')
  }
  // However this process is asked to end: a server left behind would hold its memory for ever.
  process.once('exit', stop)
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
  const urlOf = (name: string) => `postgres://byway@localhost/${name}?host=${encodeURIComponent(sockets)}`
  let made = 0
  return {
    async database() {
      const client = new pg.Client(urlOf('postgres'))
      await client.connect()
      const name = `test${++made}`
      await client.query(`create database ${name}`)
      await client.end()
      return urlOf(name)
    },
    stop,
    start() {
      start()
      running = true
    },
  }
}
