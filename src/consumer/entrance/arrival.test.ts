/** The carrying thread's entrance, on a loop of the test's own. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { descriptorOf } from '../../tunnel/fast/plane.ts'
import { native, twoSides } from '../../tunnel/fast/testing.ts'
import { Count } from '../proxy/count.ts'
import { createSocksParser } from '../proxy/socks5.ts'
import { parametersKey } from '../proxy/username.ts'
import { Doorkeeper } from './doorkeeper.ts'

/** With the head before it more than one read of the entrance takes, and less: the control. */
for (const bytes of [20_000, 16_000]) {
  test(`an application that says its request and ${bytes} bytes more at once is heard to the last`, async (t) => {
    const world = twoSides()
    const peer = world.raw('consumer')
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const fd = native.duplicate(descriptorOf(server))
    server.close()
    const username = `any-country-de-session-${'a'.repeat(120)}-city-${'b'.repeat(60)}`
    const host = `${'h'.repeat(60)}.${'h'.repeat(60)}.example`
    const named = (text: string) => Buffer.concat([Buffer.of(text.length), Buffer.from(text)])
    const head = Buffer.concat([
      Buffer.from([5, 1, 2, 1]),
      named(username),
      named('x'),
      Buffer.from([5, 1, 0, 3]),
      named(host),
      Buffer.from([0, 80]),
    ])
    const step = createSocksParser().push(head)
    assert.ok(step.kind === 'request')
    const inside = { thread: world.thread, say() {}, session: () => world.consumer, sayLast() {} }
    const doorkeeper = new Doorkeeper(inside)
    t.after(() => doorkeeper.close())
    doorkeeper.obey({ enter: 'open', flows: Count.upTo(10).shared, connections: Count.upTo(10).shared, handshakeMs: 10_000 }, fd)
    const grant = { key: parametersKey(step.parameters), turns: [{ session: 1, exit: '0x00' as const, others: false }], goodMs: 60_000 }
    doorkeeper.obey({ enter: 'grant', grant }, -1)
    const application = connect(port, '127.0.0.1')
    t.after(() => application.destroy())
    await once(application, 'connect')
    application.write(Buffer.concat([head, Buffer.alloc(bytes)]))
    // All of it is there when the entrance looks.
    await delay(50)
    world.turns()
    assert.equal(peer.messages[0]?.name, 'open')
    peer.link.send('opened', {})
    world.turns(200)
    assert.equal(peer.heard(), bytes)
  })
}
