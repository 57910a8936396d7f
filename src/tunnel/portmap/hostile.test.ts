/** What routers and their neighbours may send: nothing of it may crash, hang or be believed without cause. */
import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import fc from 'fast-check'
import { ask } from './ask.ts'
import { defaultGateway } from './gateway.ts'
import { exchange } from './http.ts'
import { readDescription } from './igd.ts'
import { decodeAddress, decodeTcpMap, encodeTcpMap } from './natpmp.ts'
import { decodeMap, encodeMap } from './pcp.ts'
import { readAnswer } from './ssdp.ts'
import { elements, textOf } from './xml.ts'

const request = { gateway: '192.168.1.1', internalPort: 4433, externalPort: 4433, lifetimeS: 1_200, nonce: Buffer.alloc(12, 7) }

/** What a router would answer to our own request. */
function pcpAnswer(): Buffer {
  const packet = encodeMap(request, '192.168.1.2')
  packet[1]! |= 0x80
  packet.fill(0, 8, 24)
  Buffer.from([45, 1, 0, 2]).copy(packet, 56)
  return packet
}
function pmpAnswer(): Buffer {
  const packet = Buffer.alloc(16)
  encodeTcpMap(request).copy(packet, 0, 0, 2)
  packet[1]! |= 0x80
  packet.writeUInt16BE(4433, 8)
  packet.writeUInt16BE(50_000, 10)
  packet.writeUInt32BE(600, 12)
  return packet
}

test('an answer to our request is read, and any change to its frame is not believed', () => {
  assert.deepEqual(decodeMap(pcpAnswer(), request), {
    kind: 'mapped',
    externalAddress: '45.1.0.2',
    externalPort: 4433,
    lifetimeS: 1_200,
  })
  assert.deepEqual(decodeTcpMap(pmpAnswer(), request), { ok: true, externalPort: 50_000, lifetimeS: 600 })
  // Version, opcode, nonce, protocol, inner port, and the form of the address.
  for (const at of [1, 24, 30, 35, 36, 40, 41, 44, 54]) {
    const packet = pcpAnswer()
    packet[at]! ^= 0x15
    assert.notEqual(decodeMap(packet, request)?.kind, 'mapped', `byte ${at}`)
  }
  for (const at of [0, 1, 8, 9]) {
    const packet = pmpAnswer()
    packet[at]! ^= 0x15
    assert.equal(decodeTcpMap(packet, request), undefined, `byte ${at}`)
  }
})

test('packets of any content and length are read without harm', () => {
  const packets = fc.oneof(
    fc.uint8Array({ maxLength: 1_200 }),
    fc
      .tuple(fc.constantFrom(pcpAnswer(), pmpAnswer()), fc.array(fc.tuple(fc.nat(59), fc.nat(255)), { maxLength: 6 }), fc.nat(60))
      .map(([packet, changes, length]) => {
        for (const [at, value] of changes) packet[at % packet.length] = value
        return packet.subarray(0, length)
      }),
  )
  fc.assert(
    fc.property(packets, (bytes) => {
      const packet = Buffer.from(bytes)
      const mapped = decodeMap(packet, request)
      if (mapped?.kind === 'mapped') assert.match(mapped.externalAddress, /^\d+\.\d+\.\d+\.\d+$/)
      decodeTcpMap(packet, request)
      decodeAddress(packet)
      readAnswer(packet, request.gateway)
    }),
    { numRuns: 2_000 },
  )
})

test('a description leads to the gateway or nowhere', () => {
  const service = (control: string, type = 'urn:schemas-upnp-org:service:WANIPConnection:1') =>
    `<root><service><serviceType>${type}</serviceType><controlURL>${control}</controlURL></service></root>`
  const location = new URL('http://192.168.1.1:5000/root.xml')
  assert.equal(readDescription(service('/ctl'), location)?.control.href, 'http://192.168.1.1:5000/ctl')
  assert.equal(readDescription(service('http://192.168.1.1:80/a?b&amp;c'), location)?.control.href, 'http://192.168.1.1/a?b&c')
  for (const control of [
    'http://192.168.1.9/ctl',
    '//192.168.1.9/ctl',
    'https://192.168.1.1/',
    'file:///etc/passwd',
    'http://a@192.168.1.1/',
  ])
    assert.equal(readDescription(service(control), location), undefined, control)
  assert.equal(readDescription(service('/ctl', 'urn:other'), location), undefined)
  const answer = (url: string) => Buffer.from(`HTTP/1.1 200 OK\r\nST: x\r\nLocation: ${url}\r\n\r\n`)
  assert.equal(readAnswer(answer('http://192.168.1.1:5000/root.xml'), '192.168.1.1')?.port, '5000')
  assert.equal(readAnswer(answer('http://192.168.1.9:5000/root.xml'), '192.168.1.1'), undefined)
  assert.equal(readAnswer(Buffer.from('HTTP/1.1 404 No\r\nLocation: http://192.168.1.1/\r\n\r\n'), '192.168.1.1'), undefined)
})

test('XML of any form takes time in proportion to its length', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom('<service>', '</service>', '<s:service a="b">', '<', '>', '&amp;', '&', 'x', '<service', '</'), {
        maxLength: 200,
      }),
      (parts) => {
        for (const inner of elements(parts.join(''), 'service')) assert.ok(!inner.includes('</service>'))
        textOf(parts.join(''), 'service')
      },
    ),
    { numRuns: 500 },
  )
  // Counted in pieces found, not in time: an opening without its closing ends the search.
  const open = '<service>'.repeat(7_000)
  assert.deepEqual(elements(open, 'service'), [])
  assert.equal(elements('<service>1</service>'.repeat(3_000), 'service').length, 64)
})

test('the default gateway is read from any table of routes', () => {
  const table = [
    'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT',
    'wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0',
    'eth0\t00000000\t010200C0\t0003\t0\t0\t100\t00000000\t0\t0\t0',
    'tun0\t00000000\t00000000\t0001\t0\t0\t50\t00000000\t0\t0\t0',
    'eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0',
  ]
  assert.equal(defaultGateway(table.join('\n')), '192.0.2.1')
  assert.equal(defaultGateway(table.toSpliced(2, 1).join('\n')), '192.168.1.1')
  assert.equal(defaultGateway(table.toSpliced(1, 2).join('\n')), undefined)
  fc.assert(fc.property(fc.string(), (text) => void defaultGateway(text)))
})

test('a host that talks without answering is given up, one that answers at last is heard', async () => {
  for (const answers of [false, true]) {
    const socket = createSocket('udp4')
    socket.bind(0, '127.0.0.1')
    await once(socket, 'listening')
    socket.on('message', (_packet, from) => {
      for (let i = 0; i < (answers ? 10 : 100); i++) socket.send(Buffer.alloc(1_000, i), from.port, from.address)
      if (answers) socket.send('answer', from.port, from.address)
    })
    let read = 0
    const heard = await ask(
      {
        host: '127.0.0.1',
        port: socket.address().port,
        packet: () => Buffer.from('question'),
        read: (packet) => {
          read++
          return packet.toString() === 'answer' ? 'yes' : undefined
        },
      },
      AbortSignal.timeout(60_000),
    )
    assert.equal(heard, answers ? 'yes' : undefined)
    assert.ok(read <= 64, `${read} packets were read`)
    socket.close()
  }
})

test('a router’s web server cannot fill the memory, lead elsewhere or keep us waiting', async (t) => {
  const big = 'x'.repeat(10_000)
  let lead = 0
  const answers: Record<string, RequestListener> = {
    '/good': (_request, response) => response.end('<root/>'),
    '/endless': (_request, response) => {
      const more = () => {
        while (response.write(big));
      }
      response.on('drain', more)
      response.on('error', () => {})
      more()
    },
    '/elsewhere': (_request, response) => response.writeHead(302, { location: '/lead' }).end(),
    '/lead': (_request, response) => {
      lead++
      response.end()
    },
    '/cut': (_request, response) => {
      response.writeHead(200, { 'content-length': 100 })
      response.write('part')
      response.socket?.destroySoon()
    },
    '/silent': () => {},
  }
  const server = createServer((asked, response) => answers[asked.url!]!(asked, response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  const { port } = server.address() as AddressInfo
  const get = (path: string, signal = AbortSignal.timeout(60_000)) => exchange(new URL(`http://127.0.0.1:${port}${path}`), {}, signal)
  assert.deepEqual(await get('/good'), { status: 200, body: '<root/>' })
  assert.equal(await get('/endless'), undefined)
  assert.equal((await get('/elsewhere'))?.status, 302)
  assert.equal(lead, 0)
  assert.equal(await get('/cut'), undefined)
  const leaving = new AbortController()
  const silent = get('/silent', leaving.signal)
  await once(server, 'request')
  leaving.abort()
  assert.equal(await silent, undefined)
})
