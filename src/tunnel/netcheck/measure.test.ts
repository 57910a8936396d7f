import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { createCertificate } from '../certificate.ts'
import { listenTls } from '../listen.ts'
import { answersNames, interfaceMtu, pathThroughput, visitNode } from './measure.ts'
import { observeMapping } from './nat.ts'

const now = () => Date.now()

async function listen(t: TestContext, onSocket: (socket: Socket) => void): Promise<Server> {
  const server = createServer(onSocket).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return server
}
const at = (server: Server) => ({ host: '127.0.0.1', port: (server.address() as AddressInfo).port })

test('a node answers like a website, with its time', async (t) => {
  for (const host of ['127.0.0.1', '::1']) {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const certificate = await createCertificate(privateKey, new Date())
    const node = await listenTls({ host, port: 0, certificate, nodeKey: `0x${'11'.repeat(32)}`, onFailure: () => {} }, () => {})
    t.after(() => node.close())
    const right = await visitNode('right', node, now)
    assert.equal(right.outcome, 'answered')
    assert.ok(Math.abs(right.aheadS!) <= 2, `${right.aheadS}`)
    assert.equal(right.localAddress, host)
    const late = await visitNode('late', node, () => Date.now() - 500_000)
    assert.ok(Math.abs(late.aheadS! - 500) <= 2, `${late.aheadS}`)
  }
})

test('no connection, a refused one, and one that swallows what is larger than a hello of old', async (t) => {
  const sockets: Socket[] = []
  const swallowing = await listen(t, (socket) => sockets.push(socket.resume()))
  t.after(() => {
    for (const socket of sockets) socket.destroy()
  })
  assert.equal((await visitNode('x', at(swallowing), now, 300)).outcome, 'stalled')
  const closing = await listen(t, (socket) => socket.destroy())
  assert.equal((await visitNode('x', at(closing), now)).outcome, 'refused')
  const gone = at(closing)
  closing.close()
  assert.equal((await visitNode('x', gone, now)).outcome, 'refused')
})

test('observers see one port, as long as nothing in between changes it', async (t) => {
  const seen = (socket: Socket) => socket.write(`${socket.remoteAddress} ${socket.remotePort}\n`)
  const changing = (socket: Socket) => socket.write(`${socket.remoteAddress} ${socket.remotePort! + 1}\n`)
  const [one, two, other] = [await listen(t, seen), await listen(t, seen), await listen(t, changing)]
  const ask = async (carrier: Socket, signal: AbortSignal) => {
    const [line] = (await once(carrier, 'data', { signal })) as [Buffer]
    const [address = '', port] = line.toString().trim().split(' ')
    return { address, port: Number(port) }
  }
  const same = await observeMapping([one, two].map((server) => ({ ...at(server), ask })))
  assert.deepEqual(same!.seen, [same!.local, same!.local])
  const different = await observeMapping([one, other].map((server) => ({ ...at(server), ask })))
  assert.equal(different!.seen[1]!.port, different!.local.port + 1)
  assert.equal(await observeMapping([]), undefined)
})

test('a name server that answers, and one that does not', async (t) => {
  const server = createSocket('udp4')
  server.on('message', (message, { port, address }) => {
    message[2] = 0x81
    message[3] = 5
    server.send(message, port, address)
  })
  server.bind(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  assert.equal((await answersNames([`127.0.0.1:${server.address().port}`])).answered, true, 'a refusal is an answer')
  const silent = createSocket('udp4')
  silent.bind(0, '127.0.0.1')
  await once(silent, 'listening')
  t.after(() => silent.close())
  assert.equal((await answersNames([`127.0.0.1:${silent.address().port}`])).answered, false)
})

test('the machine itself', async () => {
  assert.ok((await pathThroughput())! > 1e6)
  if (process.platform === 'linux') assert.ok(interfaceMtu('127.0.0.1')!.bytes > 1_000)
  assert.equal(interfaceMtu('192.0.2.1'), undefined)
})
