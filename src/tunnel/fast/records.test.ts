import assert from 'node:assert/strict'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, createServer as createNetServer, connect as netConnect, type Socket } from 'node:net'
import { after, test } from 'node:test'
import { connect, createServer, type TLSSocket } from 'node:tls'
import { createCertificate } from '../certificate.ts'
import { Secrets, type Standing, standing } from './handover.ts'
import { loadNative, type Native } from './native.ts'
import { MAX_RECORD_BYTES, Opener, RecordError, Sealer, sealedBytes } from './records.ts'
import { Tap } from './tap.ts'

const native: Native = loadNative()
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const certificate = await createCertificate(privateKey, new Date())
const SUITE_NAMES = ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256']

/** A TLS connection of this process with itself, each end over a tap. */
async function tapped(suite: string) {
  const tls = createServer({ ...certificate, minVersion: 'TLSv1.3', ciphers: suite })
  const listener = createNetServer({ noDelay: true })
  await new Promise<void>((done) => listener.listen(0, '127.0.0.1', done))
  const secrets = { client: new Secrets(), server: new Secrets() }
  tls.on('keylog', (line: Buffer) => secrets.server.hear(line))
  const accepted = once(listener, 'connection') as Promise<[Socket]>
  const raw = netConnect({ port: (listener.address() as AddressInfo).port, host: '127.0.0.1', noDelay: true })
  const clientTap = new Tap(raw)
  const client = connect({ socket: clientTap, rejectUnauthorized: false, minVersion: 'TLSv1.3', ciphers: suite })
  client.on('keylog', (line: Buffer) => secrets.client.hear(line))
  const [serverRaw] = await accepted
  const serverTap = new Tap(serverRaw)
  const secure = once(tls, 'secureConnection') as Promise<[TLSSocket]>
  tls.emit('connection', serverTap)
  const [[server]] = await Promise.all([secure, once(client, 'secureConnect')])
  const cut = () => {
    raw.destroy()
    serverRaw.destroy()
    listener.close()
  }
  return { client, server, raw, serverRaw, clientTap, serverTap, secrets, cut }
}

type Tapped = Awaited<ReturnType<typeof tapped>>

/** Both ends have said something and heard it. */
async function exchange({ client, server }: Tapped) {
  client.write('attach')
  assert.equal(String((await once(server, 'data'))[0]), 'attach')
  server.write('attached')
  assert.equal(String((await once(client, 'data'))[0]), 'attached')
}

function standingOf(pair: Tapped, side: 'client' | 'server'): Standing {
  const [tap, consumed] = side === 'client' ? [pair.clientTap, 8] : [pair.serverTap, 6]
  const found = standing({
    side,
    suite: pair[side].getCipher().standardName,
    secrets: pair.secrets[side],
    ...tap.remembered!,
    consumed,
  })
  assert.ok(found !== undefined)
  return found
}

for (const suite of SUITE_NAMES) {
  test(`${suite}: what is sealed here node:tls reads, in any size`, async () => {
    const pair = await tapped(suite)
    await exchange(pair)
    const found = standingOf(pair, 'client')
    assert.equal(pair.client.getCipher().standardName, suite)
    pair.clientTap.release()
    const sealer = new Sealer(native, found.send)
    const got: Buffer[] = []
    pair.server.on('data', (chunk: Buffer) => got.push(chunk))
    const sent: Buffer[] = []
    for (const size of [1, 2, 15, 16, 17, 1_000, 16_383, 16_384, 16_385, 50_000]) {
      const source = native.allocate(size + 1)
      source.bytes.set(randomBytes(size + 1))
      const before = Buffer.from(source.bytes)
      const target = native.allocate(sealedBytes(size))
      assert.equal(sealer.seal(source, 0, size, target, 0), target.bytes.length)
      assert.deepEqual(source.bytes, before, 'the byte it borrowed is back')
      pair.raw.write(Buffer.from(target.bytes))
      sent.push(before.subarray(0, size))
    }
    const close = native.allocate(64)
    pair.raw.write(Buffer.from(close.bytes.subarray(0, sealer.alert(close, 0, 0))))
    await once(pair.server, 'end')
    assert.deepEqual(Buffer.concat(got), Buffer.concat(sent))
    sealer.free()
    pair.cut()
  })

  test(`${suite}: what node:tls seals is opened here, cut anywhere`, async () => {
    const pair = await tapped(suite)
    await exchange(pair)
    const found = standingOf(pair, 'client')
    pair.clientTap.release()
    const content = randomBytes(200_000)
    const wire: Buffer[] = []
    pair.raw.on('data', (chunk: Buffer) => wire.push(chunk))
    pair.raw.resume()
    pair.server.write(content.subarray(0, 1))
    pair.server.write(content.subarray(1, 30_000))
    pair.server.end(content.subarray(30_000))
    await new Promise<void>((done) => pair.serverRaw.once('finish', done).once('close', done))
    await once(pair.raw, 'end')
    const all = Buffer.concat(wire)
    const opener = new Opener(native, found.receive)
    const memory = native.allocate(3 * MAX_RECORD_BYTES)
    let fill = 0
    let at = 0
    let closed = false
    const got: Buffer[] = []
    for (let step = 1; at < all.length; step = (step * 7 + 3) % 30_011) {
      const piece = all.subarray(at, at + Math.min(step, memory.bytes.length - fill))
      piece.copy(memory.bytes, fill)
      at += piece.length
      fill += piece.length
      let from = 0
      for (let opened = opener.open(memory, from, fill); opened !== undefined; opened = opener.open(memory, from, fill)) {
        got.push(Buffer.from(memory.bytes.subarray(opened.start, opened.start + opened.bytes)))
        closed ||= opened.closed
        from += opened.recordBytes
      }
      memory.bytes.copyWithin(0, from, fill)
      fill -= from
    }
    assert.deepEqual(Buffer.concat(got), content)
    assert.ok(closed, 'close_notify was seen')
    opener.free()
    pair.cut()
  })
}

/** A sealer and an opener of one made-up direction. */
function ends(suite = SUITE_NAMES[0]!, sequence = 0) {
  const traffic = { suite, secret: randomBytes(suite.endsWith('384') ? 48 : 32), sequence }
  const sealer = new Sealer(native, traffic)
  const opener = new Opener(native, traffic)
  after(() => {
    sealer.free()
    opener.free()
  })
  return { sealer, opener }
}

function sealOne(sealer: Sealer, words: string): ReturnType<Native['allocate']> {
  const source = native.allocate(words.length + 1)
  source.bytes.write(words, 'latin1')
  const target = native.allocate(sealedBytes(words.length))
  sealer.seal(source, 0, words.length, target, 0)
  return target
}

test('new keys come before the old ones wear out, and both ends follow', () => {
  const { sealer, opener } = ends()
  sealer.sequence = 2 ** 23
  opener.sequence = 2 ** 23
  const source = native.allocate(6)
  source.bytes.write('hello')
  const target = native.allocate(256)
  const made = sealer.seal(source, 0, 5, target, 0)
  assert.equal(sealer.traffic.sequence, 1)
  const update = opener.open(target, 0, made)!
  assert.equal(update.bytes, 0)
  const opened = opener.open(target, update.recordBytes, made)!
  assert.equal(target.bytes.toString('latin1', opened.start, opened.start + opened.bytes), 'hello')
})

test('node:tls follows a KeyUpdate of ours', async () => {
  const pair = await tapped(SUITE_NAMES[0]!)
  await exchange(pair)
  const found = standingOf(pair, 'client')
  pair.clientTap.release()
  const sealer = new Sealer(native, found.send)
  const target = native.allocate(256)
  let made = sealer.renew(target, 0)
  const source = native.allocate(8)
  source.bytes.write('renewed')
  made += sealer.seal(source, 0, 7, target, made)
  pair.raw.write(Buffer.from(target.bytes.subarray(0, made)))
  assert.equal(String((await once(pair.server, 'data'))[0]), 'renewed')
  pair.cut()
})

test('a record that was changed, cut short or repeated is refused', () => {
  const { sealer, opener } = ends()
  const good = sealOne(sealer, 'first')
  const copy = native.allocate(good.bytes.length)
  for (let at = 0; at < good.bytes.length; at++) {
    // A longer length only waits for the rest of the record.
    if (at === 3 || at === 4) continue
    good.bytes.copy(copy.bytes)
    copy.bytes[at]! ^= 1
    opener.sequence = 0
    assert.throws(() => opener.open(copy, 0, copy.bytes.length), RecordError, `byte ${at}`)
  }
  opener.sequence = 0
  good.bytes.copy(copy.bytes)
  // Positive control: unchanged it opens, once.
  assert.equal(opener.open(copy, 0, copy.bytes.length)!.bytes, 5)
  assert.throws(() => opener.open(good, 0, good.bytes.length), RecordError)
})

test('random bytes never do more than be refused or wait', () => {
  const { opener } = ends()
  const memory = native.allocate(MAX_RECORD_BYTES)
  let refused = 0
  for (let round = 0; round < 5_000; round++) {
    const size = 1 + (round % 600)
    randomBytes(size).copy(memory.bytes)
    if (round % 2 === 0) memory.bytes.set([23, 3, 3, 0, Math.max(0, Math.min(255, size - 5))], 0)
    try {
      const opened = opener.open(memory, 0, size)
      assert.equal(opened, undefined)
    } catch (error) {
      assert.ok(error instanceof RecordError)
      refused++
    }
  }
  assert.ok(refused > 1_000)
})
