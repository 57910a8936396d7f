/** A way to a provider of the same process: it can take long to connect on, and its ends can be far apart. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { type SignedOffer, signOffer } from '../../src/protocol/offer.ts'
import type { startProvider } from './pair.ts'

interface Way {
  /** Made on it so far. */
  connections: number
  /** What the next connections wait before anybody answers. */
  delayMs: number
  /** How long bytes are under way, in each direction. */
  oneWayMs: number
  /** Nothing arrives any more, and nobody is told. */
  silent: boolean
  /** Breaks the first connection that was made on it: a session's control link. */
  breakFirst(): void
}

/** The way, and the offer of the provider that names it. */
export async function wayTo(
  t: TestContext,
  { offer, keys, port }: Awaited<ReturnType<typeof startProvider>>,
): Promise<{ way: Way; offer: SignedOffer }> {
  let first: Socket | undefined
  const way: Way = { connections: 0, delayMs: 0, oneWayMs: 0, silent: false, breakFirst: () => first?.resetAndDestroy() }
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
    way.connections++
    first ??= near
    near.on('error', () => {})
    setTimeout(() => {
      const far = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
      far.on('error', () => {})
      carry(near, far, way)
      carry(far, near, way)
    }, way.delayMs).unref()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const transports = offer.body.transports.map((transport) => ({ ...transport, port: (server.address() as AddressInfo).port }))
  return { way, offer: signOffer({ ...offer.body, transports }, keys.node.privateKey) }
}

function carry(from: Socket, to: Socket, way: Way): void {
  // Timers of one length fire in the order they were set.
  const later = (act: () => void) => {
    const arrive = () => {
      if (!way.silent) act()
    }
    if (way.oneWayMs === 0) arrive()
    else setTimeout(arrive, way.oneWayMs)
  }
  from.on('data', (chunk) => later(() => void to.write(chunk)))
  from.once('end', () => later(() => void to.end()))
  from.once('close', () => later(() => to.destroy()))
}
