/**
 * Providers that are paid ahead, take it, and make it forgotten: by leaving, by a count that cannot be true, by a move that is refused. Whichever way they choose, what they took is
 * remembered, and over all visits it is no more than a window.
 *
 * To the consumer no time passes here, so that the line is fast enough to be paid ahead.
 */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { Hex } from '../../src/protocol/bytes.ts'
import { parseDestination } from '../../src/protocol/destination.ts'
import { MemoryChain } from '../support/memory-chain.ts'
import { anyRoute, startConsumer } from '../support/pair.ts'
import { Impostor } from './impostor.ts'
import { until } from './rogue.ts'

const MEBI = 1n << 20n
const WINDOW = 16n * MEBI
const TARGET = parseDestination('192.0.2.1', 80)
const PIECE_BYTES = 262_144
const VISITS = 4

const now = Date.now()
const clock = { nowMs: () => now }

type Way = 'leaves' | 'lies' | 'refuses to move'

/** Bytes the provider was paid for and did not send, after each visit. */
async function visits(t: TestContext, way: Way): Promise<{ taken: bigint[]; disputed: bigint }> {
  let used: Hex | undefined
  const impostor = await Impostor.start({
    accepted: (honest) => {
      // An id that was used before: the consumer cannot go on.
      if (used !== undefined) return { ...honest, window: WINDOW, sessionId: used }
      return { ...honest, window: WINDOW }
    },
    onPay: ({ cumulative }, { control }) => control!.send('paid', { cumulative, window: WINDOW }),
    onOpen: (flow) => flow.link.send('opened', {}),
  })
  // Where it is to move, it uses a channel up in one visit.
  const capPerProvider = way === 'refuses to move' ? 16_000n : 1_000_000n
  const buyer = await startConsumer({ chain: new MemoryChain(), clock, offers: () => [impostor.offer], capPerProvider })
  t.after(async () => {
    await impostor.close()
    await buyer.consumer.close()
    await buyer.vault.close()
  })
  const taken: bigint[] = []
  let [sent, got] = [0n, 0n]
  const open = () => buyer.consumer.sessions().length > 0
  for (let visit = 0; visit < VISITS; visit++) {
    used = undefined
    const { stream } = await buyer.consumer.dial({ destination: TARGET, parameters: anyRoute }, AbortSignal.timeout(20_000))
    stream.on('error', () => {})
    stream.on('data', (chunk: Buffer) => {
      got += BigInt(chunk.length)
    })
    await until(() => impostor.flows.length > visit, 'the flow is open')
    const flow = impostor.flows[visit]!
    if (way === 'refuses to move') used = impostor.sessionId
    const before = sent
    const goal = before + 200n * MEBI
    const ahead = () => impostor.claimed() - sent
    while (open() && sent < goal && !(sent > before + 70n * MEBI && way !== 'refuses to move' && ahead() > 4n * MEBI)) {
      flow.give(PIECE_BYTES)
      sent += BigInt(PIECE_BYTES)
      // It is paid as it arrives.
      if (sent % MEBI === 0n) for (let i = 0; i < 200 && open() && got < sent; i++) await delay(1)
    }
    if (way === 'lies') impostor.control!.send('meter', { sessionId: impostor.sessionId, up: 1n << 40n, down: 0n })
    if (way === 'leaves') impostor.control!.send('bye', { code: 'PROVIDER_BUSY', message: 'enough' })
    await until(() => !open(), 'the session is over')
    await delay(50)
    // Nothing that came was not paid, and what came is what counts.
    sent = got
    taken.push(impostor.claimed() - got)
  }
  return { taken, disputed: buyer.vault.book.counterparty(impostor.payee).disputedBytes }
}

for (const way of ['leaves', 'lies', 'refuses to move'] as const) {
  test(`a provider that was paid ahead and ${way}, again and again, has no more than a window in the end`, async (t) => {
    const { taken, disputed } = await visits(t, way)
    t.diagnostic(`${way}: ${taken.join(', ')} bytes taken, ${disputed} remembered`)
    assert.ok(
      taken.some((bytes) => bytes > 2n * MEBI),
      'the control: it was paid ahead',
    )
    for (const bytes of taken) assert.ok(bytes <= WINDOW, `${bytes} taken`)
  })
}
