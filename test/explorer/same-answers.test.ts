import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openPglite, openPostgres } from '../../src/explorer/store/index.ts'
import { systemClock } from '../../src/protocol/clock.ts'
import { silent } from '../../src/protocol/observe.ts'
import { lacksPostgres, startPostgres } from './postgres.ts'
import { compare } from './same-answers.ts'

test('PGlite and PostgreSQL give the same answers to the byte after the same 200 blocks', { skip: lacksPostgres() }, async (t) => {
  const server = startPostgres()
  t.after(() => server.stop())
  const stores = [await openPglite(undefined, systemClock), await openPostgres(await server.database(), silent)] as const
  t.after(() => Promise.all(stores.map((store) => store.close())))
  const outcome = await compare(stores, 200)
  assert.deepEqual(outcome.different, [])
  assert.equal(outcome.equal, outcome.asked)
  assert.ok(outcome.fine > 120 && outcome.events > 200, JSON.stringify(outcome))
})
