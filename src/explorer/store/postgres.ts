/** A PostgreSQL server, which several explorers may share. */
import { Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import { BywayError } from '../../protocol/errors.ts'
import type { Observer } from '../../protocol/observe.ts'
import type { Store } from './index.ts'
import { migrate } from './migrations.ts'
import type { Database } from './schema.ts'

// --- Our choices. Safe to change. ---
/** An explorer answers a few questions at once; a small server allows a hundred connections in all. */
const CONNECTIONS = 8
/** A server that does not answer within this time is down. */
const CONNECT_TIMEOUT_MS = 10_000
/** No question of ours takes this long; one that does must not hold its tables for ever. */
const STATEMENT_TIMEOUT_MS = 60_000
/** A leader whose machine vanished without a word gives its place up after about this long: the server asks it so often. */
const KEEPALIVE = 'SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3'
/** Held by whoever indexes. Any number will do that nobody else uses; this is `byway` in ASCII. */
const LEADER_LOCK = 0x6279776179

/** As pglite.ts has them. Everything else keeps the parser of the library. */
const TYPES: pg.CustomTypesConfig = {
  getTypeParser: (id, format) => {
    if (id === pg.types.builtins.INT8) return Number
    if (id === pg.types.builtins.NUMERIC) return String
    return pg.types.getTypeParser(id, format) as never
  },
}

/** `url` is what libpq takes: postgres://user:password@host:port/database, or ?host=/folder/of/socket. STORE_UNREACHABLE when nobody answers. */
export async function openPostgres(url: string, observer: Observer): Promise<Store> {
  const options = { connectionString: url, types: TYPES, connectionTimeoutMillis: CONNECT_TIMEOUT_MS, keepAlive: true }
  const pool = new pg.Pool({ ...options, max: CONNECTIONS, statement_timeout: STATEMENT_TIMEOUT_MS, application_name: 'byway explorer' })
  // A connection that breaks while nobody uses it: the pool makes another when one is needed.
  pool.on('error', (error) => observer.log('store connection lost', { why: error.message }))
  const db = new Kysely<Database>({ dialect: new PostgresDialect({ pool }) })
  try {
    await migrate(db)
  } catch (thrown) {
    await db.destroy()
    throw thrown instanceof BywayError ? thrown : unreachable(thrown)
  }

  /** A connection of its own for the lock, which the server takes back when the connection ends, however it ends. */
  let session: { client: pg.Client; leads: boolean } | undefined
  const connect = async () => {
    const client = new pg.Client(options)
    const own = { client, leads: false }
    // After this the lock is no longer ours, and asking again may find somebody else.
    const lost = () => {
      if (session === own) session = undefined
    }
    client.on('error', lost)
    client.on('end', lost)
    await client.connect()
    await client.query(KEEPALIVE)
    session = own
    return own
  }
  const lead = async (): Promise<boolean> => {
    if (session?.leads === true) return true
    try {
      const own = session ?? (await connect())
      const { rows } = await own.client.query('select pg_try_advisory_lock($1) as won', [LEADER_LOCK])
      own.leads = rows[0]?.won === true
      return own.leads && session === own
    } catch (thrown) {
      await session?.client.end().catch(() => {}) // broken already
      session = undefined
      throw unreachable(thrown)
    }
  }
  return {
    kind: 'postgres',
    db,
    lead,
    async close() {
      await session?.client.end()
      await db.destroy()
    },
  }
}

/** Of Node's sockets, of PostgreSQL (class 08: connection, 57: the operator stopped it), and of the library, which has only words. */
const GONE = /^(E(CONN|PIPE|NOENT|NOTFOUND|TIMEDOUT|HOSTUNREACH|AI_AGAIN)|08|57P)/
const GONE_WORDS =
  /connection (terminated|ended|timeout)|timeout exceeded when trying to connect|client has encountered a connection error/i

/** STORE_UNREACHABLE when the server was away; anything else as it is. */
export function storeError(thrown: unknown): unknown {
  if (thrown instanceof BywayError || !(thrown instanceof Error)) return thrown
  const code = 'code' in thrown ? String(thrown.code) : ''
  return GONE.test(code) || GONE_WORDS.test(thrown.message) ? unreachable(thrown) : thrown
}

/** What the server said may name the user and the host, never the password: that is not in its messages. */
function unreachable(cause: unknown): BywayError {
  const said = cause as { code?: unknown; message?: string }
  return new BywayError('STORE_UNREACHABLE', 'the PostgreSQL server does not answer', {
    cause,
    facts: { why: typeof said.code === 'string' ? said.code : (said.message ?? String(cause)) },
    hint: 'is the server running, and are DATABASE_URL and the rights of its user right? Without it the explorer uses a database of its own',
  })
}
