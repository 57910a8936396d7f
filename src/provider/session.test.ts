/** What a session tells of the bytes that another thread carries. That thread is played by the test. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { openRoot, Rogue, until } from '../../test/attacks/rogue.ts'
import { MemoryChain } from '../../test/support/memory-chain.ts'
import { startProvider } from '../../test/support/pair.ts'
import { Meter, type Plane, type SessionReport } from '../tunnel/fast/plane.ts'

/** A session of a provider whose bytes are carried by `meter`; `report` is what the thread says. */
async function carriedElsewhere(t: TestContext) {
  const meter = new Meter()
  let report: (report: SessionReport) => void = () => {}
  const plane = {
    session(_side: string, needs: { onReport: typeof report }) {
      report = needs.onReport
      const order = (given: { do: string }) => {
        if (given.do === 'close-session') report({ say: 'closed-session', session: 1 })
      }
      return { number: 1, meter, order, adopt: async () => undefined }
    },
  } as unknown as Plane
  const chain = new MemoryChain()
  const seller = await startProvider({ chain, plane })
  const buyer = await Rogue.open(seller, openRoot(chain, seller.payee))
  t.after(async () => {
    buyer.leave()
    await seller.provider.close()
    await seller.vault.close()
  })
  return {
    meter,
    buyer,
    counted: () => report({ say: 'counted', session: 1 }),
    paidUp: () => seller.vault.session(buyer.accepted.sessionId)?.up,
  }
}

test('an upload whose direction is known an instant after its room was taken is told as well', async (t) => {
  const BYTES = 1_000n
  const { meter, buyer, counted } = await carriedElsewhere(t)
  const told = async () => {
    const { up, down } = (await buyer.control.next('meter')).body
    return { up, down }
  }
  // The thread takes room first, and says then for which direction.
  meter.give(-BYTES)
  counted()
  assert.deepEqual(await told(), { up: 0n, down: BYTES }, 'control: looked at in between, it is called a download')
  meter.count('up', Number(BYTES))
  counted()
  assert.deepEqual(await told(), { up: BYTES, down: 0n })
})

test('what is paid is acknowledged with the next count, and before it', async (t) => {
  const BYTES = 100_000n
  const { meter, buyer, counted, paidUp } = await carriedElsewhere(t)
  let carried = 0n
  const carry = async () => {
    // More than a step: told at once.
    carried += BYTES
    meter.give(-BYTES)
    meter.count('up', Number(BYTES))
    counted()
    await buyer.control.next('meter')
  }
  await carry()
  await buyer.pay(carried, 0n)
  await carry()
  // For a fifth of a second since the last word of this kind it waits for company.
  buyer.control.send('pay', buyer.statement(carried, 0n))
  await until(() => paidUp() === carried, 'the second is durable')
  await carry()
  assert.equal(buyer.control.inbox[0]?.name, 'paid')
})
