/**
 * Every message of the protocol, struck by every fault: afterwards a fresh session works, both books say the same, and nobody lost more
 * than the credit window.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { creditWindow } from '../../src/protocol/credit.ts'
import { FAULTS, type Fault, Faults, type FrameName } from './faults.ts'
import { compareLedgers } from './ledgers.ts'
import { type Side, TimeTravel } from './time-travel.ts'

/** What brings the message about. */
type Stage = 'transfer' | 'application gives up' | 'origin resets' | 'link breaks' | 'consumer leaves' | 'voucher is refused'

const MESSAGES: readonly { frame: FrameName; side: Side; stage: Stage; nth?: number }[] = [
  { frame: 'session', side: 'buyer', stage: 'transfer' },
  { frame: 'accepted', side: 'seller', stage: 'transfer' },
  { frame: 'attach', side: 'buyer', stage: 'transfer' },
  { frame: 'attached', side: 'seller', stage: 'transfer' },
  { frame: 'open', side: 'buyer', stage: 'transfer' },
  { frame: 'opened', side: 'seller', stage: 'transfer' },
  { frame: 'data', side: 'buyer', stage: 'transfer', nth: 3 },
  { frame: 'data', side: 'seller', stage: 'transfer', nth: 3 },
  { frame: 'pay', side: 'buyer', stage: 'transfer' },
  { frame: 'pay', side: 'buyer', stage: 'transfer', nth: 3 },
  { frame: 'paid', side: 'seller', stage: 'transfer' },
  { frame: 'paid', side: 'seller', stage: 'transfer', nth: 3 },
  { frame: 'meter', side: 'seller', stage: 'transfer' },
  { frame: 'end', side: 'buyer', stage: 'transfer' },
  { frame: 'end', side: 'seller', stage: 'transfer' },
  { frame: 'done', side: 'seller', stage: 'transfer' },
  { frame: 'reset', side: 'buyer', stage: 'application gives up' },
  { frame: 'reset', side: 'seller', stage: 'origin resets' },
  { frame: 'lost', side: 'seller', stage: 'link breaks' },
  { frame: 'bye', side: 'buyer', stage: 'consumer leaves' },
  { frame: 'bye', side: 'seller', stage: 'voucher is refused' },
]

/** What the control link carries: a fault there ends the session. */
const CONTROL: ReadonlySet<FrameName> = new Set(['session', 'accepted', 'pay', 'paid', 'meter', 'lost', 'bye'])

/** Long enough for several vouchers, metered and paid while bytes still flow. */
const BYTES = 300_000

/** Makes the message happen. Rejects when the fault shows; some faults do not. */
const STAGES: Record<Stage, (made: TimeTravel, faults: Faults) => Promise<void>> = {
  transfer: (made) => made.transfer(BYTES),
  'application gives up': (made) => made.transfer(BYTES, true),
  'origin resets': async (made) => {
    const stream = await made.dial()
    stream.write(Buffer.alloc(BYTES))
    await once(stream, 'data')
    made.origin!.destroy(new Error('reset'))
    await once(stream, 'close')
  },
  'link breaks': async (made, faults) => {
    const stream = await made.dial()
    stream.write(Buffer.alloc(BYTES))
    await once(stream, 'data')
    faults.breakFlows()
    await once(stream, 'close')
  },
  'consumer leaves': async (made) => {
    await made.transfer(BYTES)
    await made.buyer!.consumer.close()
  },
  'voucher is refused': async (made, faults) => {
    faults.alter = (name, body) => (name === 'pay' ? { ...body, signature: `0x${'11'.repeat(64)}` } : body)
    await made.transfer(BYTES)
  },
}

test('after any fault at any message a fresh session works, the books are equal, and at most the window is lost', async (t) => {
  const made = await TimeTravel.create()
  const faults = new Faults(() => made.seller!.port)
  t.after(async () => {
    faults.uninstall()
    await made.close()
  })
  for (const message of MESSAGES) {
    for (const fault of FAULTS) {
      await t.test(`${message.frame} ${message.nth ?? 1} from the ${message.side}, ${message.stage}: ${fault}`, () =>
        strike(made, faults, message, fault),
      )
    }
  }
})

async function strike(
  made: TimeTravel,
  faults: Faults,
  { frame, side, stage, nth = 1 }: (typeof MESSAGES)[number],
  fault: Fault,
): Promise<void> {
  faults.arm({ fault, frame, side, nth, journal: made.journal(side) })
  await STAGES[stage](made, faults).catch(() => {}) // what the application sees of the fault
  await faults.over
  const ended = faults.copy !== undefined || CONTROL.has(frame)
  // Who died comes back with what its disk held in that moment. The other side goes on as it is.
  if (faults.copy !== undefined) await made.putBack(side, faults.copy)
  else if (stage === 'consumer leaves') await made.stop('buyer')
  if (ended) await made.untilNoSession()
  faults.disarm()
  if (made[side] === undefined) await made.start(side)
  const payer = made.buyer!.payer
  const disputed = disputedBytes(made)
  await made.transfer(BYTES)
  await made.stop('buyer')
  const { differences } = await compareLedgers(made.journal('seller'), made.journal('buyer'))
  assert.deepEqual(differences, [])
  assert.deepEqual(made.conflicts, [])
  const { paidBytes, unpaidBytes } = made.seller!.vault.book.counterparty(payer)
  // What the provider carried for nothing, and what the consumer paid without having seen it.
  const window = creditWindow({ paidBytes, unpaidBytes: 0n })
  assert.ok(unpaidBytes <= window, `${unpaidBytes} bytes were never paid`)
  await made.startBuyer()
  assert.ok(disputedBytes(made) - disputed <= window, `${disputedBytes(made) - disputed} bytes were paid unseen`)
}

const disputedBytes = (made: TimeTravel) => made.buyer!.vault.book.counterparty(made.seller!.payee).disputedBytes
