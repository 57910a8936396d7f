/** PostgreSQL inside this process: the store when nobody set up a database. */
import { join } from 'node:path'
import { PGlite, types } from '@electric-sql/pglite'
import { type DatabaseConnection, Kysely, PGliteDialect, PGliteDriver } from 'kysely'
import type { Clock } from '../../protocol/clock.ts'
import { BywayError } from '../../protocol/errors.ts'
import { acquireLock } from '../../wallet/lock.ts'
import type { Store } from './index.ts'
import { migrate } from './migrations.ts'
import type { Database } from './schema.ts'

/** As postgres.ts has them. */
const PARSERS = { [types.INT8]: Number, [types.NUMERIC]: (text: string) => text }

/** Opens the store in a folder, or one in memory when none is named. STATE_LOCKED when another process has the folder. */
export async function openPglite(folder: string | undefined, clock: Clock): Promise<Store> {
  const lock = folder === undefined ? undefined : await acquireLock({ lock: join(folder, 'lock'), pid: join(folder, 'pid') }, clock.nowMs())
  try {
    const pglite = new PGlite({ ...(folder === undefined ? {} : { dataDir: join(folder, 'pglite') }), parsers: PARSERS })
    await pglite.waitReady
    const db = new Kysely<Database>({ dialect: new OneAtATime({ pglite }) })
    await migrate(db)
    return {
      kind: 'pglite',
      db,
      lead: async () => true,
      async close() {
        await db.destroy()
        await lock?.release()
      },
    }
  } catch (cause) {
    await lock?.release()
    if (cause instanceof BywayError) throw cause
    throw new BywayError('STATE_CORRUPT', 'the database of the explorer cannot be opened', {
      cause,
      facts: { folder: folder ?? 'memory' },
      hint: 'move the folder away: the explorer indexes everything again from the chain',
    })
  }
}

/** Kysely hands the one connection to everybody at once, so that a question asked meanwhile would land inside somebody's transaction. */
class OneAtATime extends PGliteDialect {
  readonly #config: ConstructorParameters<typeof PGliteDialect>[0]
  constructor(config: ConstructorParameters<typeof PGliteDialect>[0]) {
    super(config)
    this.#config = config
  }
  override createDriver(): PGliteDriver {
    return new TakingTurns(this.#config)
  }
}

class TakingTurns extends PGliteDriver {
  #turn: Promise<void> = Promise.resolve()
  #end: () => void = () => {}
  override async acquireConnection(): Promise<DatabaseConnection> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const before = this.#turn
    this.#turn = promise
    await before
    this.#end = resolve
    return super.acquireConnection()
  }
  override async releaseConnection(): Promise<void> {
    this.#end()
  }
}
