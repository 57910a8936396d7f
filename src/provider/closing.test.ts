/** A provider that stops: who is there may pay to the end, nobody else is let in, and no row stays open. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { dial, newWallet, openRoot, Rogue, sessionOf, type Talk, until } from '../../test/attacks/rogue.ts'
import { firehose, heldDisk, origin, settled } from '../../test/attacks/world.ts'
import { MemoryChain } from '../../test/support/memory-chain.ts'
import { startProvider } from '../../test/support/pair.ts'
import { PROTOCOL_VERSION } from '../protocol/messages.ts'

async function world(t: TestContext) {
  const chain = new MemoryChain()
  const disk = heldDisk()
  // The time to pay does not run out before it is let, however busy this machine is.
  const startMs = Date.now()
  let stands = true
  const letTimePass = () => {
    stands = false
  }
  const seller = await startProvider({ chain, disk, clock: { nowMs: () => (stands ? startMs : Date.now()) } })
  let closing: Promise<void> | undefined
  const close = () => {
    closing ??= seller.provider.close()
    return closing
  }
  t.after(async () => {
    letTimePass()
    disk.release()
    await close()
    await seller.vault.close()
  })
  const reasons = () => [...seller.vault.book.sessions.values()].map(({ closed }) => closed?.reason)
  return { chain, disk, seller, close, reasons, letTimePass }
}

/** Whether a session was accepted, or why not. */
async function answerTo(talk: Talk): Promise<string> {
  const answer = await talk.next('accepted', 'refused')
  return answer.name === 'refused' ? answer.body.code : answer.name
}

test('while the last bytes are waited for nobody new is let in, and who lost its way may come back and pay', async (t) => {
  const { chain, seller, close, reasons, letTimePass } = await world(t)
  const source = await origin(firehose())
  t.after(() => source.close())
  const owing = await Rogue.open(seller, openRoot(chain, seller.payee))
  await owing.flow(source.port)
  const view = () => seller.provider.sessions()[0]
  const owed = await settled(() => view()!.unpaidBytes)
  assert.ok(owed > 0n)
  const early = await Rogue.open(seller, openRoot(chain, seller.payee))
  early.leave()
  await until(() => seller.provider.sessions().length === 1, 'control: somebody came and went before')

  const closed = close()
  const late = await dial(seller)
  const root = openRoot(chain, seller.payee)
  late.send('session', sessionOf(late.link, root, seller))
  assert.equal(await answerTo(late), 'PROVIDER_BUSY')
  // Its own old session does not make room for another either.
  const again = await dial(seller)
  again.send('session', sessionOf(again.link, owing.root, seller))
  assert.equal(await answerTo(again), 'PROVIDER_BUSY')

  const { sessionId, token } = owing.accepted
  const back = await dial(seller)
  back.send('rejoin', { version: PROTOCOL_VERSION, sessionId, token })
  await back.next('rejoined')
  const { up, down } = view()!
  back.send('pay', owing.statement(up, down))
  assert.equal((await back.next('paid')).body.cumulative, owing.statement(up, down).cumulative)
  // The flow it was reset on is never called over.
  letTimePass()
  await closed
  assert.deepEqual(reasons(), ['shutdown', 'done'])
  assert.equal(seller.vault.book.counterparty(owing.root.descriptor.payer).unpaidBytes, 0n)
})

test('a session that is being opened when the provider stops is refused before its row is written, or closed after', async (t) => {
  const { chain, disk, seller, close, reasons } = await world(t)
  const known = openRoot(chain, seller.payee, { wallet: newWallet() })
  const before = await Rogue.open(seller, known)
  before.leave()
  await until(() => seller.provider.sessions().length === 0, 'that session is over')
  assert.deepEqual(reasons(), ['done'], 'control')

  disk.hold()
  const [writing, unknown] = [await dial(seller), await dial(seller)]
  // Of this channel nothing is left to be written but the row itself.
  writing.send('session', sessionOf(writing.link, known, seller))
  unknown.send('session', sessionOf(unknown.link, openRoot(chain, seller.payee), seller))
  await until(() => seller.vault.book.sessions.size === 2, 'its row is on its way to the disk')
  const closed = close()
  disk.release()
  assert.equal(await answerTo(unknown), 'PROVIDER_BUSY')
  await writing.next('accepted')
  await closed
  assert.deepEqual(reasons(), ['done', 'shutdown'])
  assert.equal(seller.provider.sessions().length, 0)
})
