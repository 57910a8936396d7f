/**
 * Every message of the protocol, struck by every fault: afterwards a fresh session works, both books say the same, and nobody lost more
 * than the credit window.
 *
 * BYWAY_TEST_FAULTS sets the number of random faults on top.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import { creditWindow } from '../../src/protocol/credit.ts'
import { asBywayError } from '../../src/protocol/errors.ts'
import type { Message } from '../../src/protocol/messages.ts'
import { FAULTS, Faults, type FrameName } from './faults.ts'
import { compareLedgers } from './ledgers.ts'
import { seededRandom } from './random.ts'
import { type Side, TimeTravel } from './time-travel.ts'

const RANDOM_FAULTS = Number(process.env.BYWAY_TEST_FAULTS ?? 60)

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
  { frame: 'resume', side: 'buyer', stage: 'link breaks' },
  { frame: 'resumed', side: 'seller', stage: 'link breaks' },
  { frame: 'bye', side: 'buyer', stage: 'consumer leaves' },
  { frame: 'bye', side: 'seller', stage: 'voucher is refused' },
]

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
    stream.resume().end()
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

async function world(t: TestContext): Promise<{ made: TimeTravel; faults: Faults }> {
  const made = await TimeTravel.create()
  const faults = new Faults(() => made.seller!.port)
  const early: string[] = []
  faults.onSend = (side, message) => {
    if (!isDurable(made.journal(side), message)) early.push(`${message.name} of the ${side} left before it was on disk`)
  }
  t.after(async () => {
    faults.uninstall()
    await made.close()
    assert.deepEqual(early, [])
  })
  return { made, faults }
}

/** Whether the voucher that a message shows or acknowledges is in the journal of its sender. Files here hold only what was synced. */
function isDurable(journal: string, { name, body }: Message): boolean {
  const has = (text: string | undefined) => text === undefined || readFileSync(journal).includes(text)
  switch (name) {
    case 'pay':
      return has(body.signature)
    case 'session':
      return has(body.latest?.statement.signature)
    case 'paid':
      return has(`"cumulative":"${body.cumulative}"`)
    case 'accepted':
      return has(body.last?.signature)
    default:
      return true
  }
}

test('after any fault at any message a fresh session works, the books are equal, and at most the window is lost', async (t) => {
  const { made, faults } = await world(t)
  for (const { frame, side, stage, nth = 1 } of MESSAGES) {
    for (const fault of FAULTS) {
      await t.test(`${frame} ${nth} from the ${side}, ${stage}: ${fault}`, async () => {
        faults.arm({ fault, frame, side, nth, journal: made.journal(side) })
        while (!faults.struck) await STAGES[stage](made, faults).catch(() => {}) // what the application sees of the fault
        await faults.over
        // A refusal that was not heard shows when the consumer comes back.
        if (stage === 'voucher is refused') await made.untilNoSession()
        if (stage === 'consumer leaves' && faults.copy === undefined) await made.stop('buyer')
        await assertWhole(made, faults, side)
      })
    }
  }
})

test(`${RANDOM_FAULTS} random faults, one in every 1 to 40 frames of either side, leave the books equal`, async (t) => {
  const { made, faults } = await world(t)
  const seed = Number(process.env.BYWAY_TEST_SEED ?? Math.floor(Math.random() * 2 ** 31))
  t.diagnostic(`seed ${seed}`)
  const random = seededRandom(seed)
  // An acquaintance of a few megabytes: what a cut leaves in doubt must stay below a quarter of what was paid.
  for (let paid = 0; paid < 8; paid++) await made.transfer(BYTES)
  for (let strikes = 0; strikes < RANDOM_FAULTS; strikes++) {
    const side = random.pick(['seller', 'buyer'] as const)
    faults.arm({ fault: random.pick(FAULTS), frame: 'any', side, nth: random.between(1, 40), journal: made.journal(side) })
    const stage = random.pick(['transfer', 'application gives up'] as const)
    while (!faults.struck) await STAGES[stage](made, faults).catch(() => {}) // what the application sees of the fault
    await faults.over
    await assertWhole(made, faults, side)
  }
})

/** Brings back who died, and checks that both sides go on and agree. */
async function assertWhole(made: TimeTravel, faults: Faults, side: Side): Promise<void> {
  // Who died comes back with what its disk held in that moment. The other side goes on as it is.
  if (faults.copy !== undefined) {
    await made.putBack(side, faults.copy)
    // A session outlives its links, but not one of its ends.
    await made.untilNoSession()
  }
  faults.disarm()
  if (made[side] === undefined) await made.start(side)
  const { payer } = made.buyer!
  const disputed = disputedBytes(made)
  // Where the way back took longer than an outage may, the session is over and says so; the next one works.
  await made.transfer(BYTES).catch(async (error) => {
    if (asBywayError(error).code !== 'PROVIDER_LOST') throw error
    await made.transfer(BYTES)
  })
  await made.stop('buyer')
  await made.untilNoSession()
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
