/**
 * Store: the tables of the explorer, in PGlite or in PostgreSQL.
 *
 * The rule it keeps: both answer every question with the same bytes. So both have the same tables (migrations.ts), integers of 64 bits arrive
 * as numbers and larger ones as decimal strings, and text sorts by bytes.
 *
 * Start reading at schema.ts. PGlite belongs to one process, which takes a lock of its own before it opens the folder, because PGlite has none
 * and a second process would destroy the data; PostgreSQL may be shared by any number, of which one indexes (see {@link Store.lead}).
 */
import type { Kysely, Transaction } from 'kysely'
import { storeError } from './postgres.ts'
import type { Database } from './schema.ts'

export interface Store {
  readonly kind: 'pglite' | 'postgres'
  readonly db: Kysely<Database>
  /** Whether this process is the one that indexes. Asked again before each round: who was it may have lost its connection. */
  lead(): Promise<boolean>
  close(): Promise<void>
}

/** All questions of one answer see the same moment. STORE_UNREACHABLE when the server is away. */
export async function snapshot<T>(store: Store, ask: (db: Transaction<Database>) => Promise<T>): Promise<T> {
  try {
    return await store.db.transaction().setIsolationLevel('repeatable read').setAccessMode('read only').execute(ask)
  } catch (thrown) {
    throw storeError(thrown)
  }
}

export { openPglite } from './pglite.ts'
export { openPostgres, storeError } from './postgres.ts'
export type { Database } from './schema.ts'
