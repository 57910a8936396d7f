/** A provider that starts anew has forgotten its sessions: whoever asks next gets a new one from it, and notices nothing. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { parseDestination } from '../../src/protocol/destination.ts'
import type { SignedOffer } from '../../src/protocol/offer.ts'
import { origin } from '../attacks/world.ts'
import { MemoryChain } from '../support/memory-chain.ts'
import { anyRoute, startConsumer, startProvider } from '../support/pair.ts'
import { resetAtAnyMoment } from '../support/reset.ts'
import { A_MINUTE } from './pair.ts'

/** The session does not rejoin by itself before the test is over: the request is the first to come back. */
const LATE = { limitMs: 600_000, againMs: 600_000 }

/** A line to whoever is there now; nobody, and each connection is reset. */
async function createLine(t: TestContext) {
  const sockets = new Set<Socket>()
  let to: number | undefined
  const server = createServer((near) => {
    const ends = to === undefined ? [near] : [near, connect({ host: '127.0.0.1', port: to })]
    for (const end of ends) {
      sockets.add(end)
      end.on('error', () => {})
      end.once('close', () => {
        sockets.delete(end)
        for (const each of ends) each.destroy()
      })
    }
    if (ends[1] === undefined) near.resetAndDestroy()
    else near.pipe(ends[1]).pipe(near)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return {
    leadTo(port: number | undefined): void {
      to = port
      if (port === undefined) for (const socket of sockets) resetAtAnyMoment(socket)
    },
    /** The offer of a node that is reached over this line. */
    overIt: ({ body, signature }: SignedOffer): SignedOffer => {
      const transports = [{ ...body.transports[0]!, port: (server.address() as AddressInfo).port }]
      return { body: { ...body, transports }, signature }
    },
  }
}

test('a request that comes before the session has rejoined is served by a provider that started anew', async (t) => {
  const chain = new MemoryChain()
  const { port, close } = await origin((socket) => socket.pipe(socket))
  const line = await createLine(t)
  const first = await startProvider({ chain, outage: LATE })
  line.leadTo(first.port)
  let offer = line.overIt(first.offer)
  const buyer = await startConsumer({ chain, offers: () => [offer], outage: LATE })
  const request = { destination: parseDestination('127.0.0.1', port), parameters: anyRoute }
  const echo = async () => {
    const { stream, route } = await buyer.consumer.dial(request, AbortSignal.timeout(A_MINUTE))
    stream.end('hello')
    const [bytes] = await once(stream, 'data')
    await once(stream, 'end')
    return { said: `${bytes}`, session: route.sessionId }
  }
  t.after(() => Promise.all([buyer.consumer.close().then(() => buyer.vault.close()), close()]))
  const before = await echo()
  // The line goes first: the provider must not say goodbye.
  line.leadTo(undefined)
  await first.provider.close()
  await first.vault.close()
  // Control: while nobody is there, nobody answers, and the session waits.
  await assert.rejects(echo(), { code: 'PROVIDER_UNREACHABLE' })
  assert.deepEqual(
    buyer.consumer.sessions().map(({ id, away }) => [id.slice(2), away]),
    [[before.session, true]],
  )
  const second = await startProvider({ chain, outage: LATE, home: first.home, keys: first.keys })
  t.after(() => second.provider.close().then(() => second.vault.close()))
  line.leadTo(second.port)
  offer = line.overIt(second.offer)
  const after = await echo()
  assert.equal(after.said, before.said)
  assert.notEqual(after.session, before.session)
  assert.deepEqual(
    buyer.consumer.sessions().map(({ id }) => id.slice(2)),
    [after.session],
  )
})
