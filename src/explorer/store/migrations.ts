/**
 * Migrations: numbered, forward only, one list for PGlite and PostgreSQL alike. One that has shipped is never changed; a mistake in it is
 * mended by the next.
 */
import { type Kysely, sql } from 'kysely'
import { type Migration, Migrator } from 'kysely/migration'
import { BywayError } from '../../protocol/errors.ts'
import type { Database } from './schema.ts'

/** Sorted by bytes, whatever language the server speaks: answers must not depend on it. */
const text = sql`text collate "C"`

/** The names sort in the order in which they run. */
export const MIGRATIONS: Readonly<Record<string, Migration>> = {
  '0001-chain': {
    async up(db: Kysely<unknown>) {
      for (const table of ['blocks', 'checkpoints']) {
        await db.schema
          .createTable(table)
          .addColumn('number', 'int8', (column) => column.primaryKey())
          .addColumn('hash', text, (column) => column.notNull())
          .addColumn('time_s', 'int8', (column) => column.notNull())
          .execute()
      }
      await db.schema
        .createTable('events')
        .addColumn('block', 'int8', (column) => column.notNull().references('blocks.number').onDelete('cascade'))
        .addColumn('place', 'int4', (column) => column.notNull())
        .addColumn('tx', text, (column) => column.notNull())
        .addColumn('contract', text, (column) => column.notNull())
        .addColumn('address', text, (column) => column.notNull())
        .addColumn('name', text, (column) => column.notNull())
        .addColumn('args', 'jsonb', (column) => column.notNull())
        .addPrimaryKeyConstraint('events_place', ['block', 'place'])
        .execute()
      await db.schema.createIndex('events_kind').on('events').columns(['contract', 'name', 'block', 'place']).execute()
      // What a thaw, a ticket or a proposal was about is found by its number.
      await sql`create index events_id on events (contract, (args->>'id'))`.execute(db)
      await db.schema
        .createTable('mentions')
        .addColumn('name', text, (column) => column.notNull())
        .addColumn('block', 'int8', (column) => column.notNull().references('blocks.number').onDelete('cascade'))
        .addColumn('place', 'int4', (column) => column.notNull())
        .addPrimaryKeyConstraint('mentions_place', ['name', 'block', 'place'])
        .execute()
      await db.schema.createIndex('mentions_block').on('mentions').column('block').execute()
      await db.schema
        .createTable('entries')
        .addColumn('block', 'int8', (column) => column.notNull().references('blocks.number').onDelete('cascade'))
        .addColumn('place', 'int4', (column) => column.notNull())
        .addColumn('part', 'int2', (column) => column.notNull())
        .addColumn('measure', text, (column) => column.notNull())
        .addColumn('unit', text, (column) => column.notNull())
        .addColumn('owner', text, (column) => column.notNull())
        .addColumn('region', text, (column) => column.notNull())
        .addColumn('amount', sql`numeric(80, 0)`, (column) => column.notNull())
        .addColumn('time_s', 'int8', (column) => column.notNull())
        .addPrimaryKeyConstraint('entries_place', ['block', 'place', 'part'])
        .execute()
      await db.schema.createIndex('entries_measure').on('entries').columns(['measure', 'unit', 'time_s']).execute()
      await db.schema.createIndex('entries_owner').on('entries').columns(['owner', 'measure', 'block', 'place', 'part']).execute()
    },
  },
  '0002-terms': {
    async up(db: Kysely<unknown>) {
      await db.schema
        .createTable('terms')
        .addColumn('node', text, (column) => column.notNull())
        .addColumn('since_s', 'int8', (column) => column.notNull())
        .addColumn('until_s', 'int8', (column) => column.notNull())
        .addColumn('seen_s', 'int8', (column) => column.notNull())
        .addColumn('payee', text, (column) => column.notNull())
        .addColumn('channels', text, (column) => column.notNull())
        .addColumn('country', text, (column) => column.notNull())
        .addColumn('region', text, (column) => column.notNull())
        .addColumn('city', text, (column) => column.notNull())
        .addColumn('asn', 'int8', (column) => column.notNull())
        .addColumn('line', text, (column) => column.notNull())
        .addColumn('mbps', 'int8', (column) => column.notNull())
        .addColumn('tier', text, (column) => column.notNull())
        .addColumn('price', sql`numeric(80, 0)`, (column) => column.notNull())
        .addColumn('relay', 'boolean', (column) => column.notNull())
        .addColumn('ways', text, (column) => column.notNull())
        .addPrimaryKeyConstraint('terms_since', ['node', 'since_s'])
        .execute()
      await db.schema.createIndex('terms_country').on('terms').columns(['country', 'since_s']).execute()
      await db.schema.createIndex('terms_until').on('terms').column('until_s').execute()
      await db.schema
        .createTable('meta')
        .addColumn('key', text, (column) => column.primaryKey())
        .addColumn('value', text, (column) => column.notNull())
        .execute()
    },
  },
}

/** Brings the tables up to date, in one transaction; several processes that try at once take turns. STATE_NEWER when a newer Byway was here. */
export async function migrate(db: Kysely<Database>): Promise<void> {
  const migrator = new Migrator({ db, provider: { getMigrations: async () => MIGRATIONS as Record<string, Migration> } })
  const foreign = (await migrator.getMigrations().catch(() => [])).length > 0 ? await unknownMigration(db) : undefined
  if (foreign !== undefined) {
    throw new BywayError('STATE_NEWER', `the database was made by a newer Byway (${foreign})`, {
      facts: { migration: foreign },
      hint: 'update this program, or name another database or folder',
    })
  }
  const { error } = await migrator.migrateToLatest()
  if (error !== undefined) throw error
}

async function unknownMigration(db: Kysely<Database>): Promise<string | undefined> {
  const { rows } = await sql<{ there: string | null }>`select to_regclass('kysely_migration')::text as there`.execute(db)
  if (rows[0]?.there === null) return undefined
  const done = await sql<{ name: string }>`select name from kysely_migration order by name`.execute(db)
  return done.rows.map(({ name }) => name).find((name) => !Object.hasOwn(MIGRATIONS, name))
}
