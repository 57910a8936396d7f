/** A provider says how much it lends before it lends it: whoever hears of more than it was told of must take the provider for a liar. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { STRANGER_WINDOW_BYTES } from '../../src/protocol/credit.ts'
import { openRoot, Rogue, sessionOf, until } from '../attacks/rogue.ts'
import { heldDisk, origin, sink } from '../attacks/world.ts'
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

/** Pays what the provider states, until so much is paid. Returns that, and the last window. */
async function payUntil(buyer: Rogue, bytes: bigint): Promise<{ paid: bigint; window: bigint }> {
  let [paid, { window }] = [0n, buyer.accepted]
  while (paid < bytes) {
    const { body } = await buyer.control.next('meter')
    if (body.up === paid) continue
    paid = body.up
    window = (await buyer.pay(paid, 0n)).window
  }
  return { paid, window }
}

test('a session that moves while vouchers wait for the disk may owe as much as these let it use', async (t) => {
  const chain = new MemoryChain()
  const disk = heldDisk()
  // All bytes are of one moment: the window is what was paid for alone, however busy this machine is.
  const startMs = Date.now()
  let stands = true
  const seller = await startProvider({ chain, disk, clock: { nowMs: () => (stands ? startMs : Date.now()) } })
  const hole = await origin(sink)
  t.after(async () => {
    stands = false
    disk.release()
    await seller.provider.close()
    await Promise.all([seller.vault.close(), hole.close()])
  })
  // A root that runs out may be left. The provider knows the next channel already: nothing is written before the move itself.
  const root = openRoot(chain, seller.payee, { caps: [1_000_000n, 1_000_000n], expiry: Math.floor(startMs / 1000) + 2 * 3_600 })
  const earlier = await Rogue.open(seller, root, { index: 1 })
  earlier.leave()
  await until(() => seller.provider.sessions().length === 0, 'that session is over')

  const buyer = await Rogue.open(seller, root)
  for (let flows = 0; flows < FLOWS; flows++) {
    const flow = await buyer.flow(hole.port)
    flow.link.sendData(Buffer.alloc(Number(BYTES) / FLOWS))
  }
  const { paid, window } = await payUntil(buyer, 4n * 1024n * 1024n)
  const full = () => seller.provider.sessions()[0]!.unpaidBytes > window - RECORD_BYTES
  await until(full, 'the window is used up')
  disk.hold()
  // The second waits for the first. Less than flows that wait can use at once, so that all of the wider window is in use when the session leaves.
  for (const bytes of [1n, STRANGER_WINDOW_BYTES]) buyer.control.send('pay', buyer.statement(paid + bytes, 0n))
  buyer.control.send('session', sessionOf(buyer.control.link, root, seller, { index: 1 }))
  await delay(100)
  disk.release()
  const { carried, ...accepted } = (await buyer.control.next('accepted')).body
  // Control: they widened the window, and flows used it.
  assert.ok(carried.up > window, `${carried.up} bytes carried over, ${window} lent before`)
  // Who lost its link meanwhile never heard of that window.
  assert.ok(accepted.window >= carried.up, `${carried.up} bytes carried over, ${accepted.window} lent`)
})
