/** What an exit allowed a moment ago is dialled without asking; what it refuses it is asked about each time, and never dialled. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { test } from 'node:test'
import { createProxy } from '../../src/consumer/index.ts'
import { parseDestination } from '../../src/protocol/destination.ts'
import { ERRORS } from '../../src/protocol/errors.ts'
import { parseCidr } from '../../src/tunnel/egress/address.ts'
import { createEgress } from '../../src/tunnel/egress/dial.ts'
import { startPlane } from '../../src/tunnel/fast/plane.ts'
import { Verdicts } from '../../src/tunnel/fast/verdicts.ts'
import { origin, Recorder } from '../attacks/world.ts'
import { MemoryChain } from '../support/memory-chain.ts'
import { startConsumer, startProvider } from '../support/pair.ts'

const ROUNDS = 10

test('a verdict holds for its own host and port, for its time, and until it fails', () => {
  const verdicts = new Verdicts()
  const verdict = { host: 'a.example', port: 443, addresses: [Uint8Array.of(192, 0, 2, 1)], timeoutMs: 1 }
  verdicts.add(verdict, 1_000)
  assert.equal(verdicts.of({ host: 'a.example', port: 443 }, 999), verdict)
  for (const other of [
    { host: 'a.example', port: 80 },
    { host: 'b.example', port: 443 },
    { host: 'A.example', port: 443 },
    { host: '3 a.example', port: 44 },
  ]) {
    assert.equal(verdicts.of(other, 999), undefined)
  }
  assert.equal(verdicts.of(verdict, 1_000), undefined)
  verdicts.add(verdict, 1_000)
  verdicts.forget(verdict)
  assert.equal(verdicts.of(verdict, 0), undefined)
  // Bounded: the oldest goes.
  for (let port = 1; port <= 300; port++) verdicts.add({ ...verdict, port }, 1_000)
  assert.equal(verdicts.of({ host: 'a.example', port: 1 }, 0), undefined)
  assert.notEqual(verdicts.of({ host: 'a.example', port: 300 }, 0), undefined)
})

test('an allowed destination is asked about once in a while, a blocked one each time', async (t) => {
  const chain = new MemoryChain()
  const plane = await startPlane()
  const observer = new Recorder()
  const egress = createEgress(
    { ownAddresses: () => [], tier: 'open' },
    { allowPrivate: [parseCidr('127.0.0.0/8')], observer, lookup: async () => ['127.0.0.1'] },
  )
  const asked: string[] = []
  const seller = await startProvider({
    chain,
    plane,
    observer,
    addresses: (host, port) => {
      asked.push(`${host}:${port}`)
      return egress.addresses(parseDestination(host, port), AbortSignal.timeout(10_000))
    },
  })
  const buyer = await startConsumer({ chain, offers: () => [seller.offer], plane })
  const proxy = createProxy({ dialer: buyer.consumer })
  const at = await proxy.listen('127.0.0.1', 0)
  const echo = await origin((socket) => socket.pipe(socket))
  t.after(async () => {
    await proxy.close(0)
    await buyer.consumer.close()
    await seller.provider.close()
    await Promise.all([buyer.vault.close(), seller.vault.close()])
    await plane.close()
    await echo.close()
  })
  /** The SOCKS reply for a flow to this address, which carried a byte if it was opened. */
  const reach = async (address: readonly [number, number, number, number], port: number): Promise<number> => {
    const socket: Socket = connect({ port: at.port, host: at.host })
    socket.write(Buffer.from([5, 1, 0, 5, 1, 0, 1, ...address, port >> 8, port & 0xff]))
    let heard = Buffer.alloc(0)
    while (heard.length < 12) heard = Buffer.concat([heard, ((await once(socket, 'data')) as [Buffer])[0]])
    if (heard[3] === 0) {
      socket.write('x')
      assert.equal(String(((await once(socket, 'data')) as [Buffer])[0]), 'x')
    }
    socket.destroy()
    return heard[3]!
  }
  const here = [127, 0, 0, 1] as const
  const inside = [10, 0, 0, 1] as const
  const blocked = ERRORS.DESTINATION_BLOCKED.socks
  for (let i = 0; i < ROUNDS; i++) {
    assert.equal(await reach(here, echo.port), 0)
    assert.equal(await reach(inside, echo.port), blocked, 'another host on an allowed port')
    assert.equal(await reach(here, 25), ERRORS.PORT_BLOCKED.socks, 'another port of an allowed host')
  }
  const count = (destination: string) => asked.filter((one) => one === destination).length
  // On a slow machine a verdict may run out between two rounds, but not between any two.
  assert.ok(count(`127.0.0.1:${echo.port}`) < ROUNDS, `${count(`127.0.0.1:${echo.port}`)} questions`)
  assert.equal(count(`10.0.0.1:${echo.port}`), ROUNDS)
  assert.equal(count('127.0.0.1:25'), ROUNDS)
  assert.equal(observer.counted('blocked', 'DESTINATION_BLOCKED'), ROUNDS)
  assert.equal(observer.counted('blocked', 'PORT_BLOCKED'), ROUNDS)
})
