/** Where a machine is switched off a dialler notices soon, and where one is only slow it waits. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { parseDestination } from '../../src/protocol/destination.ts'
import type { Transport } from '../../src/protocol/offer.ts'
import { countThread } from '../../src/tunnel/fast/tapped.ts'
import { connectLink } from '../../src/tunnel/index.ts'
import { MemoryChain } from '../support/memory-chain.ts'
import { anyRoute, startConsumer, startProvider, takeDown } from '../support/pair.ts'
import { silentPort } from '../support/silent-address.ts'
import { wayTo } from '../support/way.ts'
import { A_MINUTE, originOf, until } from './pair.ts'

/** Above what the first answer may take, and far below what a whole handshake may. */
const NOTICED_MS = 4_000
/** Above what the first answer may take: one that came is not asked for again. */
const SLOW_MS = 2_500
/** Long enough for a control link to break meanwhile. */
const LINK_MS = 1_000

async function provider(t: TestContext): Promise<{ nodeKey: `0x${string}`; transport: Transport }> {
  const { offer, provider, vault } = await startProvider({ chain: new MemoryChain() })
  t.after(async () => {
    await provider.close()
    await vault.close()
  })
  return { nodeKey: offer.body.nodeKey, transport: offer.body.transports[0]! }
}

for (const tapped of [false, true]) {
  test(`an address at which nothing answers is given up soon${tapped ? ', under a tap too' : ''}`, async (t) => {
    if (tapped) {
      countThread(1)
      t.after(() => countThread(-1))
    }
    const { nodeKey, transport } = await provider(t)
    ;(await connectLink(transport, nodeKey)).close()
    const port = await silentPort(t)
    const fromMs = performance.now()
    await assert.rejects(connectLink({ ...transport, port }, nodeKey), { code: 'PROVIDER_UNREACHABLE', message: /nothing answers/ })
    const ms = performance.now() - fromMs
    assert.ok(ms < NOTICED_MS, `${ms} ms`)
  })
}

test('a provider that answers and then takes long is waited for', async (t) => {
  const { nodeKey, transport } = await provider(t)
  const slow = createServer((near) => {
    near.on('error', () => {})
    void delay(SLOW_MS).then(() => {
      const far = connect(transport.port, transport.host).on('error', () => near.destroy())
      near.pipe(far).pipe(near)
    })
  }).listen(0, '127.0.0.1')
  await once(slow, 'listening')
  t.after(() => slow.close())
  const fromMs = performance.now()
  const link = await connectLink({ ...transport, port: (slow.address() as AddressInfo).port }, nodeKey)
  assert.ok(performance.now() - fromMs >= SLOW_MS)
  link.close()
})

test('a control link that breaks, while others may serve, gives up no link that is being made', async (t) => {
  const chain = new MemoryChain()
  const sellers = [await startProvider({ chain }), await startProvider({ chain, country: 'jp' })]
  const { way, offer } = await wayTo(t, sellers[0]!)
  const buyer = await startConsumer({ chain, offers: () => [offer, sellers[1]!.offer] })
  t.after(() => takeDown(buyer, sellers))
  const source = await originOf(t, () => {})
  const dial = async () => {
    const request = { destination: parseDestination('127.0.0.1', source.port), parameters: { ...anyRoute, country: 'de' } }
    const { stream, route } = await buyer.consumer.dial(request, AbortSignal.timeout(A_MINUTE))
    stream.on('error', () => {})
    t.after(() => stream.destroy())
    return route.sessionId
  }
  const before = await dial()
  way.delayMs = LINK_MS
  const made = way.connections
  const wanted = dial()
  await until(() => way.connections > made, 'no links being made')
  way.breakFirst()
  await until(() => buyer.consumer.sessions().some(({ away }) => away), 'sessions that are well')
  assert.equal(await wanted, before)
  assert.equal(buyer.consumer.sessions()[0]!.id.slice(2), before, 'the session goes on')
})
