import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openPostgres } from '../../src/explorer/store/index.ts'
import { silent } from '../../src/protocol/observe.ts'
import { lacksPostgres, startPostgres } from './postgres.ts'
import { campaign } from './reorgs.ts'

test('after each of 30 reorganisations the tables are those of a fresh index', { skip: lacksPostgres() }, async (t) => {
  const server = startPostgres()
  t.after(() => server.stop())
  const store = await openPostgres(await server.database(), silent)
  t.after(() => store.close())
  const outcome = await campaign({ reorgs: 30, seed: 'short', store })
  assert.equal(outcome.equal, 30)
  assert.equal(outcome.indexed, outcome.fresh)
  // The seed has what it is for: some amid a round, and one far below what is read by hash.
  assert.ok(outcome.amid >= 5 && outcome.deepest > 64, JSON.stringify(outcome))
})
