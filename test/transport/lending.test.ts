/** A provider says how much it lends before it lends it: whoever hears of more than it was told of must take the provider for a liar. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { STRANGER_WINDOW_BYTES } from '../../src/protocol/credit.ts'
import { openRoot, Rogue } from '../attacks/rogue.ts'
import { origin, sink } from '../attacks/world.ts'
import { MemoryChain } from '../support/memory-chain.ts'
import { startProvider } from '../support/pair.ts'

/** Their records, which wait together, are more than a window: a voucher lets all of them go on in one moment. */
const FLOWS = 32
const BYTES = 16n * 1024n * 1024n
/** A full window has no room for a record of TLS. */
const RECORD_BYTES = 16n * 1024n

test('while a window is full and grows with each voucher, no count is above what was paid and lent so far', async (t) => {
  const chain = new MemoryChain()
  const seller = await startProvider({ chain })
  const hole = await origin(sink)
  t.after(async () => {
    await seller.provider.close()
    await Promise.all([seller.vault.close(), hole.close()])
  })
  const buyer = await Rogue.open(seller, openRoot(chain, seller.payee))
  for (let flows = 0; flows < FLOWS; flows++) {
    const flow = await buyer.flow(hole.port)
    flow.link.sendData(Buffer.alloc(Number(BYTES) / FLOWS))
  }
  let [paid, window, most] = [0n, buyer.accepted.window, 0n]
  for (let stated = 0n; stated < BYTES; ) {
    const { name, body } = await buyer.control.next('meter', 'paid')
    if (name === 'paid') window = window > body.window ? window : body.window
    else {
      stated = body.up + body.down
      assert.ok(stated <= paid + window, `${stated} bytes were carried, ${paid} paid and ${window} lent`)
      most = most > stated - paid ? most : stated - paid
    }
    // As late as it can be: flows wait for it.
    if (stated < BYTES && stated < paid + window - RECORD_BYTES) continue
    paid = stated
    buyer.control.send('pay', buyer.statement(stated, 0n))
  }
  // Control: more than a stranger's window was lent, and used.
  assert.ok(window > STRANGER_WINDOW_BYTES, `${window} lent`)
  assert.ok(most > STRANGER_WINDOW_BYTES, `${most} unpaid at once`)
})
