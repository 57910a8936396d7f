/** Everything over IPv6 alone: offers, links, hops, the proxy, the exit, datagrams. Nothing here uses IPv4; namespace.test.ts takes it away. */
import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { type TestContext, test } from 'node:test'
import { createProxy } from '../../src/consumer/index.ts'
import { parseSocksDatagram } from '../../src/consumer/proxy/udp.ts'
import { encodeEndpoint } from '../../src/protocol/datagram.ts'
import { parseDestination } from '../../src/protocol/destination.ts'
import { parseCidr } from '../../src/tunnel/egress/address.ts'
import { createEgress } from '../../src/tunnel/egress/dial.ts'
import { createUdpEgress } from '../../src/tunnel/egress/udp.ts'
import { lacksIpv6 } from '../support/ipv6.ts'
import { MemoryChain } from '../support/memory-chain.ts'
import { startConsumer, startProvider } from '../support/pair.ts'

const skip = lacksIpv6()
const rules = { ownAddresses: () => [], tier: 'open' as const }
/** A name with an AAAA record alone. */
const lookup = async () => ['::1']
const exceptions = { allowPrivate: [parseCidr('::1')], lookup }

/** Two providers and a proxy, all on ::1. */
async function world(t: TestContext) {
  const chain = new MemoryChain()
  const egress = createEgress(rules, exceptions)
  const udp = createUdpEgress(rules, exceptions)
  const dial = (host: string, port: number, signal: AbortSignal) => egress.dial(parseDestination(host, port), signal)
  const sellers = await Promise.all(['de', 'us'].map((country) => startProvider({ chain, country, host: '::1', dial, udp })))
  const buyer = await startConsumer({ chain, offers: () => sellers.map(({ offer }) => offer) })
  const proxy = createProxy({ dialer: buyer.consumer })
  const { host, port } = await proxy.listen('::1', 0)
  assert.equal(host, '::1')
  t.after(async () => {
    await proxy.close(0)
    await buyer.consumer.close()
    await Promise.all(sellers.map(({ provider }) => provider.close()))
    await Promise.all([buyer.vault.close(), ...sellers.map(({ vault }) => vault.close())])
    udp.close()
  })
  return { port }
}

/** A SOCKS5 request with a username; the answer behind the login. */
async function socks(t: TestContext, port: number, command: number, name: string, at: number, username: string) {
  const socket = connect({ host: '::1', port, allowHalfOpen: true })
  t.after(() => socket.destroy())
  // The proxy resets what is still open when the test ends.
  socket.on('error', () => {})
  const user = Buffer.from(username)
  socket.write(
    Buffer.concat([
      Buffer.from([5, 1, 2, 1, user.length]),
      user,
      Buffer.from([1, 120, 5, command, 0]),
      command === 3 ? Buffer.concat([Buffer.from([4]), Buffer.alloc(18)]) : encodeEndpoint(parseDestination(name, at)),
    ]),
  )
  let answer = Buffer.alloc(0)
  while (answer.length < 4 + 10) answer = Buffer.concat([answer, ((await once(socket, 'data')) as [Buffer])[0]])
  return { socket, answer: answer.subarray(4) }
}

for (const hops of [1, 2]) {
  test(`a name with IPv6 only is reached over ${hops} hops of IPv6`, { skip }, async (t) => {
    const { port } = await world(t)
    const server = createServer((request, response) => response.end(`${request.socket.remoteAddress} ${request.headers.host}`))
    server.listen(0, '::1')
    await once(server, 'listening')
    t.after(() => server.close())
    const at = (server.address() as AddressInfo).port
    for (const name of ['six.example', '::1']) {
      const { socket, answer } = await socks(t, port, 1, name, at, `any-hops-${hops}`)
      assert.equal(answer[1], 0, 'connected')
      socket.end('GET / HTTP/1.0\r\nHost: it\r\n\r\n')
      let text = ''
      for await (const chunk of socket) text += String(chunk)
      assert.match(text, /\r\n\r\n::1 it$/)
    }
  })

  test(`datagrams to and from IPv6 over ${hops} hops of IPv6`, { skip }, async (t) => {
    const { port } = await world(t)
    const echo = createSocket({ type: 'udp6', ipv6Only: true })
    echo.on('message', (message, from) => echo.send(message, from.port, from.address))
    echo.bind(0, '::1')
    await once(echo, 'listening')
    t.after(() => echo.close())
    const { answer } = await socks(t, port, 3, '::', 1, `any-hops-${hops}`)
    assert.deepEqual([...answer.subarray(0, 4)], [5, 0, 0, 4], 'the port is on IPv6')
    const application = createSocket('udp6')
    t.after(() => application.close())
    application.bind(0, '::1')
    await once(application, 'listening')
    for (const name of ['six.example', '::1']) {
      const packet = Buffer.concat([Buffer.alloc(3), encodeEndpoint(parseDestination(name, echo.address().port)), Buffer.from(name)])
      application.send(packet, answer.readUInt16BE(20), '::1')
      const [message] = (await once(application, 'message')) as [Buffer]
      const { endpoint, payload } = parseSocksDatagram(message)!
      assert.deepEqual([endpoint.host, Buffer.from(payload).toString()], ['::1', name])
    }
  })
}
