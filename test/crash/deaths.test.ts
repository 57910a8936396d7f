/**
 * What was under way when a consumer died is known to its provider alone. The consumer pays it on the provider's word, each time up to the
 * window, and may die as often as it likes: that its own count is gone speaks against nobody.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Faults } from './faults.ts'
import { compareLedgers } from './ledgers.ts'
import { TimeTravel } from './time-travel.ts'

const DEATHS = 12
const KB = 1_000

test(`an honest pair gets over ${DEATHS} deaths of its consumer, each with unpaid bytes under way`, async (t) => {
  const made = await TimeTravel.create()
  const faults = new Faults(() => made.seller!.port)
  t.after(async () => {
    faults.uninstall()
    await made.close()
  })
  let carried = 0n
  for (let death = 0; death < DEATHS; death++) {
    faults.arm({ fault: 'death before', frame: 'pay', side: 'buyer', nth: 2, journal: made.journal('buyer') })
    await made.transfer(400 * KB).catch(() => {}) // cut off
    await faults.over
    await made.putBack('buyer', faults.copy!)
    await made.untilNoSession()
    faults.disarm()
    await made.startBuyer()
    const left = made.seller!.vault.book.counterparty(made.buyer!.payer).unpaidBytes
    assert.ok(left > 0n, 'nothing was under way')
    carried += left
    await made.transfer(KB)
  }
  t.diagnostic(`${carried} bytes were under way`)
  await made.stop('buyer')
  await made.untilNoSession()
  const { differences } = await compareLedgers(made.journal('seller'), made.journal('buyer'))
  assert.deepEqual(differences, [])
})
