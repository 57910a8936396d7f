/** A connection that is taken from node:net or node:tls goes on with every byte it brought, and one that cannot be taken goes on as it was. */
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer, Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { createCertificate } from '../certificate.ts'
import { connectLink } from '../connect.ts'
import type { Link } from '../link.ts'
import { listenTls } from '../listen.ts'
import { detach } from './detach.ts'
import { countThread, takeOver } from './tapped.ts'
import { native } from './testing.ts'

/** Both ends of a TCP connection; what comes for `near` waits in it. */
async function pair(t: TestContext): Promise<{ near: Socket; far: Socket }> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const far = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', noDelay: true })
  const [near] = (await once(server, 'connection')) as [Socket]
  server.close()
  t.after(() => {
    near.destroy()
    far.destroy()
  })
  near.pause()
  near.read(0)
  return { near, far }
}

/** Says it so that it arrives as pieces of one byte. */
async function sayInPieces(far: Socket, near: Socket, words: string): Promise<void> {
  for (const letter of words) {
    const before = near.bytesRead
    far.write(letter)
    while (near.bytesRead === before) await delay(1)
  }
}

/** Whether a connection to this port has its keepalive timer running (proc_pid_net(5): the timer is of kind 2). */
function keptAlive(port: number): boolean {
  const lines = readFileSync('/proc/net/tcp', 'latin1').split('\n')
  const to = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  return lines.some((line) => {
    const [, , remote, state, , timer] = line.trim().split(/\s+/)
    return remote?.endsWith(to) === true && state === '01' && timer?.startsWith('02:') === true
  })
}

test('a socket is taken with all the pieces it holds, and what comes after them', async (t) => {
  const { near, far } = await pair(t)
  await sayInPieces(far, near, 'in three')
  assert.equal(near.readableLength, 8, 'positive control: it holds them')
  const taken = detach(native, near)
  assert.equal(String(taken?.early), 'in three')
  assert.ok(near.destroyed)
  const again = new Socket({ fd: taken!.fd })
  t.after(() => again.destroy())
  far.write(' pieces')
  const [rest] = (await once(again, 'data')) as [Buffer]
  assert.equal(String(rest), ' pieces')
})

test('a socket that cannot be taken goes on as it was', async (t) => {
  const { near, far } = await pair(t)
  await sayInPieces(far, near, 'word')
  assert.equal(detach({ ...native, duplicate: () => -24 }, near), undefined)
  far.write(' by word')
  let heard = ''
  near.on('data', (piece) => {
    heard += piece
  })
  near.resume()
  while (heard.length < 12) await once(near, 'data')
  assert.equal(heard, 'word by word')
})

test('a link that cannot be taken from node:tls goes on as it was', async (t) => {
  countThread(1)
  t.after(() => countThread(-1))
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const certificate = await createCertificate(privateKey, new Date())
  const nodeKey = `0x${'4e'.repeat(32)}` as const
  const accepted = Promise.withResolvers<Link>()
  const listener = await listenTls({ host: '127.0.0.1', port: 0, certificate, nodeKey, onFailure: () => {} }, accepted.resolve)
  t.after(() => listener.close())
  const link = await connectLink({ kind: 'tls', host: '127.0.0.1', port: listener.port, pin: certificate.pin }, nodeKey)
  t.after(() => link.close())
  const other = await accepted.promise
  other.listen({ onMessage: ({ name, body }) => name === 'ping' && other.send('pong', body), onData: () => {}, onClose: () => {} })
  const asked = async (nonce: bigint) => {
    const pong = Promise.withResolvers<bigint>()
    link.listen({
      onMessage: (message) => message.name === 'pong' && pong.resolve(message.body.nonce),
      onData: () => {},
      onClose: (error) => pong.reject(error ?? new Error('closed')),
    })
    link.send('ping', { nonce })
    return await pong.promise
  }
  assert.equal(await asked(1n), 1n)
  for (const nonce of [2n, 3n]) {
    for (const end of [link, other]) {
      const taken = takeOver(end, () => -24)
      assert.equal(taken, 'never')
    }
    assert.equal(await asked(nonce), nonce)
  }
  const taken = takeOver(link, native.duplicate)
  assert.ok(typeof taken === 'object', 'positive control')
  t.after(() => native.close(taken.fd))
  await new Promise((resolve) => link.wire.once('close', resolve))
  assert.ok(keptAlive(listener.port), 'and routers do not forget it')
})
